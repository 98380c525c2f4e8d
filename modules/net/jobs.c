#include "net/jobs.h"

#include <errno.h>
#include <pthread.h>
#include <time.h>

#include "base/mem.h"

enum { JOBS_STACK = 256 * 1024, JOBS_IDLE_S = 20 };

struct jobs {
  pthread_mutex_t lock;
  pthread_cond_t work, ended;
  struct job *first, **end;
  int bound, threads, idle, busy, waiting;
  bool closing;
};

static void *jobs_thread(void *arg)
{
  struct jobs *js = arg;
  pthread_mutex_lock(&js->lock);
  for(;;) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += JOBS_IDLE_S;
    int timed_out = 0;
    js->idle++;
    while(!js->first && !js->closing && !timed_out)
      timed_out = pthread_cond_timedwait(&js->work, &js->lock, &until) == ETIMEDOUT;
    js->idle--;
    if(!js->first) break;
    struct job *j = js->first;
    js->first = j->next;
    if(!js->first) js->end = &js->first;
    js->waiting--;
    js->busy++;
    pthread_mutex_unlock(&js->lock);
    j->fn(j);
    pthread_mutex_lock(&js->lock);
    js->busy--;
  }
  js->threads--;
  pthread_cond_signal(&js->ended);
  pthread_mutex_unlock(&js->lock);
  return NULL;
}

static bool jobs_start_thread(struct jobs *js)
{
  pthread_attr_t attr;
  pthread_t id;
  if(pthread_attr_init(&attr) != 0) return false;
  pthread_attr_setstacksize(&attr, JOBS_STACK);
  pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
  bool ok = pthread_create(&id, &attr, jobs_thread, js) == 0;
  pthread_attr_destroy(&attr);
  return ok;
}

struct jobs *jobs_new(int bound)
{
  struct jobs *js = mem_zalloc(sizeof *js);
  if(!js) return NULL;
  pthread_condattr_t attr;
  pthread_condattr_init(&attr);
  pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
  pthread_mutex_init(&js->lock, NULL);
  pthread_cond_init(&js->work, &attr);
  pthread_cond_init(&js->ended, &attr);
  pthread_condattr_destroy(&attr);
  js->bound = bound;
  js->end = &js->first;
  return js;
}

enum q_status jobs_submit(struct jobs *js, struct job *j)
{
  enum q_status st = Q_OK;
  j->next = NULL;
  pthread_mutex_lock(&js->lock);
  /* A thread that was signalled but has not woken still counts as idle: compare with what waits. */
  if(js->idle <= js->waiting && js->threads < js->bound) {
    if(!fault_hit() && jobs_start_thread(js)) js->threads++;
    else if(js->threads == 0) st = Q_NOMEM;
  }
  if(!st) {
    *js->end = j;
    js->end = &j->next;
    js->waiting++;
    pthread_cond_signal(&js->work);
  }
  pthread_mutex_unlock(&js->lock);
  return st;
}

int jobs_running(struct jobs *js)
{
  pthread_mutex_lock(&js->lock);
  int n = js->busy + js->waiting;
  pthread_mutex_unlock(&js->lock);
  return n;
}

void jobs_destroy(struct jobs *js)
{
  if(!js) return;
  pthread_mutex_lock(&js->lock);
  js->closing = true;
  pthread_cond_broadcast(&js->work);
  while(js->threads) pthread_cond_wait(&js->ended, &js->lock);
  pthread_mutex_unlock(&js->lock);
  pthread_cond_destroy(&js->work);
  pthread_cond_destroy(&js->ended);
  pthread_mutex_destroy(&js->lock);
  mem_free(js);
}
