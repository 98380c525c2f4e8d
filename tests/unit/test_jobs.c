/* The pool of blocking work: order, bound, growth, and an end that loses nothing. */
#include <pthread.h>
#include <time.h>
#include <unistd.h>

#include "../t.h"

#include "base/mem.h"
#include "net/jobs.h"
#include "net/pump.h"

static atomic_int ran, at_once, most, order_broken, last_number;

struct work {
  struct job job;
  int number, sleep_us;
};

static void work_fn(struct job *j)
{
  struct work *w = (struct work *)j;
  int now = atomic_fetch_add(&at_once, 1) + 1, seen = atomic_load(&most);
  while(now > seen && !atomic_compare_exchange_weak(&most, &seen, now)) {}
  if(atomic_exchange(&last_number, w->number) > w->number) atomic_store(&order_broken, 1);
  if(w->sleep_us) usleep((useconds_t)w->sleep_us);
  atomic_fetch_sub(&at_once, 1);
  atomic_fetch_add(&ran, 1);
}

static void reset(void)
{
  atomic_store(&ran, 0);
  atomic_store(&most, 0);
  atomic_store(&order_broken, 0);
  atomic_store(&last_number, -1);
}

static void t_all_run_in_order(void)
{
  enum { MANY = 2000 };
  static struct work w[MANY];
  long live = mem_live();
  struct jobs *js = jobs_new(1);
  reset();
  for(int i = 0; i < MANY; i++) {
    w[i] = (struct work){ .job.fn = work_fn, .number = i };
    CHECK_INT(jobs_submit(js, &w[i].job), Q_OK);
  }
  jobs_destroy(js); /* waits for those still queued */
  CHECK_INT(atomic_load(&ran), MANY);
  CHECK_INT(atomic_load(&order_broken), 0);
  CHECK_INT(atomic_load(&most), 1);
  CHECK_INT(mem_live(), live);
}

static void t_grows_to_its_bound(void)
{
  enum { MANY = 40, BOUND = 8 };
  static struct work w[MANY];
  struct jobs *js = jobs_new(BOUND);
  reset();
  for(int i = 0; i < MANY; i++) {
    w[i] = (struct work){ .job.fn = work_fn, .number = i, .sleep_us = 20000 };
    CHECK_INT(jobs_submit(js, &w[i].job), Q_OK);
  }
  CHECK(jobs_running(js) > 0 && jobs_running(js) <= MANY);
  for(int i = 0; i < 500 && jobs_running(js); i++) usleep(10000);
  CHECK_INT(jobs_running(js), 0);
  CHECK_INT(atomic_load(&ran), MANY);
  CHECK_INT(atomic_load(&most), BOUND);
  /* one at a time afterwards: threads that idle are used, none is lost */
  for(int i = 0; i < 20; i++) {
    w[i].sleep_us = 0;
    CHECK_INT(jobs_submit(js, &w[i].job), Q_OK);
    while(jobs_running(js)) usleep(500);
  }
  CHECK_INT(atomic_load(&ran), MANY + 20);
  jobs_destroy(js);
}

/* Submitting from many threads, with results posted to a pump, as the gateway does it. */
enum { SENDERS = 4, EACH = 500 };
struct answer {
  struct job job;
  struct pump_task task;
  struct pump *pump;
  int value;
};
static struct answer answers[SENDERS][EACH];
static int answers_seen;
static struct jobs *shared_jobs;

static void answer_posted(struct pump_task *t)
{
  struct answer *a = (struct answer *)((char *)t - offsetof(struct answer, task));
  CHECK_INT(a->value, 42);
  if(++answers_seen == SENDERS * EACH) pump_stop(a->pump);
}

static void answer_work(struct job *j)
{
  struct answer *a = (struct answer *)j;
  a->value = 42;
  a->task.fn = answer_posted;
  pump_post(a->pump, &a->task);
}

static void *sender(void *arg)
{
  struct answer *row = arg;
  for(int i = 0; i < EACH; i++) {
    row[i].job.fn = answer_work;
    while(jobs_submit(shared_jobs, &row[i].job) != Q_OK) usleep(1000);
  }
  return NULL;
}

static void t_with_a_pump(void)
{
  pthread_t t[SENDERS];
  struct pump *p = pump_new(&now_real);
  shared_jobs = jobs_new(4);
  for(int i = 0; i < SENDERS; i++) {
    for(int k = 0; k < EACH; k++) answers[i][k].pump = p;
    CHECK_INT(pthread_create(&t[i], NULL, sender, answers[i]), 0);
  }
  pump_run(p);
  CHECK_INT(answers_seen, SENDERS * EACH);
  for(int i = 0; i < SENDERS; i++) pthread_join(t[i], NULL);
  jobs_destroy(shared_jobs);
  pump_destroy(p);
}

/* A job may free itself: the pool does not look at it once its function was called. */
static void self_free(struct job *j)
{
  mem_free(j);
  atomic_fetch_add(&ran, 1);
}

static void t_self_free(void)
{
  long live = mem_live();
  struct jobs *js = jobs_new(3);
  reset();
  for(int i = 0; i < 100; i++) {
    struct job *j = mem_zalloc(sizeof *j);
    j->fn = self_free;
    CHECK_INT(jobs_submit(js, j), Q_OK);
  }
  jobs_destroy(js);
  CHECK_INT(atomic_load(&ran), 100);
  CHECK_INT(mem_live(), live);
}

static void t_no_thread(void)
{
  struct work w = { .job.fn = work_fn };
  struct jobs *js = jobs_new(2);
  reset();
  fault_arm(0, false);
  CHECK_INT(jobs_submit(js, &w.job), Q_NOMEM); /* not taken */
  CHECK(fault_disarm());
  CHECK_INT(jobs_running(js), 0);
  CHECK_INT(jobs_submit(js, &w.job), Q_OK);
  jobs_destroy(js);
  CHECK_INT(atomic_load(&ran), 1);
  jobs_destroy(NULL);
}

T_MAIN(T(t_all_run_in_order), T(t_grows_to_its_bound), T(t_with_a_pump), T(t_self_free), T(t_no_thread))
