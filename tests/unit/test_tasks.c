/* Tasks as such: how many are kept, that they run one after another and end when they are told to, looked at from many threads.
 * What they do to accounts is told by tests/e2e/batch.mjs. */
#include "domain/tasks.h"
#include "world.h"

static struct strbuf look(struct world *w, const char *id, unsigned *version, bool *over)
{
  struct strbuf b = STRBUF(1 << 20);
  if(tasks_write(w->app->tasks, str_z(id), 10, &b, version, over)) b.n = 0;
  return b;
}

static bool says(struct world *w, const char *id, const char *words)
{
  unsigned version;
  bool over;
  struct strbuf b = look(w, id, &version, &over);
  bool has = str_find(strbuf_str(&b), str_z(words)) >= 0;
  if(!has) printf("%.*s\n", STR_F(strbuf_str(&b)));
  strbuf_free(&b);
  return has;
}

/* More in half an hour than are kept: the oldest that ended makes room, nobody is refused. */
static void t_the_oldest_that_ended_makes_room(void)
{
  long base = mem_live();
  struct world w;
  char first[TASKS_ID], id[TASKS_ID];
  CHECK(world_begin(&w, NULL));
  for(int i = 0; i < TASKS_MAX + 20; i++) {
    CHECK_INT(tasks_refresh(w.app->tasks, S("nobody@example.org\n"), i ? id : first), Q_OK);
    tasks_wait(w.app->tasks, str_z(i ? id : first), 10000);
    CHECK(says(&w, i ? id : first, "\"status\":\"failed\""));
  }
  CHECK_INT(tasks_version(w.app->tasks, str_z(first)), 0);
  world_end(&w);
  CHECK_INT(mem_live(), base);
}

/* As many as may wait do, one more is told so; the one that runs and those that wait are cancelled. */
static void t_too_many_wait(void)
{
  long base = mem_live();
  struct world w;
  static char ids[TASKS_MAX + 1][TASKS_ID];
  struct strbuf names = STRBUF(1 << 20);
  CHECK(world_begin(&w, NULL));
  for(int i = 0; i < 200; i++) strbuf_fmt(&names, "nobody%d@example.org\n", i); /* a second each, of every worker */
  for(int i = 0; i < TASKS_MAX; i++) CHECK_INT(tasks_refresh(w.app->tasks, strbuf_str(&names), ids[i]), Q_OK);
  CHECK_INT(tasks_refresh(w.app->tasks, strbuf_str(&names), ids[TASKS_MAX]), Q_OVERLOADED);
  CHECK(says(&w, ids[0], "\"status\":\"running\"") && says(&w, ids[1], "\"status\":\"pending\""));
  for(int i = TASKS_MAX - 1; i >= 0; i--) CHECK_INT(tasks_cancel(w.app->tasks, str_z(ids[i])), Q_OK);
  tasks_wait(w.app->tasks, str_z(ids[0]), 10000);
  for(int i = 0; i < TASKS_MAX; i++) CHECK(says(&w, ids[i], "\"status\":\"cancelled\""));
  CHECK_INT(tasks_cancel(w.app->tasks, S("task_none")), Q_NOT_FOUND);
  strbuf_free(&names);
  world_end(&w);
  CHECK_INT(mem_live(), base);
}

struct looker { struct world *w; const char *id; atomic_bool *stop; };

static void *look_on(void *arg)
{
  struct looker *l = arg;
  while(!atomic_load(l->stop)) {
    unsigned version;
    bool over;
    struct strbuf b = look(l->w, l->id, &version, &over), all = STRBUF(4 << 20);
    struct tasks_sums sums;
    tasks_write_all(l->w->app->tasks, &all);
    tasks_write_failed(l->w->app->tasks, str_z(l->id), &all);
    (void)tasks_sums(l->w->app->tasks, str_z(l->id), &sums);
    strbuf_free(&all);
    strbuf_free(&b);
  }
  return NULL;
}

static void t_looked_at_while_it_runs(void)
{
  struct world w;
  char id[TASKS_ID] = "", next[TASKS_ID];
  pthread_t t[3];
  atomic_bool stop = false;
  CHECK(world_begin(&w, (char *[]){ "BATCH_LOGIN_CONCURRENCY=20", NULL }));
  struct looker l = { &w, id, &stop };
  CHECK_INT(tasks_refresh(w.app->tasks, S("a@x\nb@x\nc@x\nd@x\ne@x\nf@x\ng@x\nh@x\n"), id), Q_OK);
  for(int i = 0; i < 3; i++) CHECK(pthread_create(&t[i], NULL, look_on, &l) == 0);
  for(int i = 0; i < 20; i++) {
    CHECK_INT(tasks_refresh(w.app->tasks, S("a@x\nb@x\n"), next), Q_OK);
    if(i % 2) CHECK_INT(tasks_cancel(w.app->tasks, str_z(next)), Q_OK);
  }
  tasks_wait(w.app->tasks, str_z(id), 20000);
  tasks_wait(w.app->tasks, str_z(next), 20000);
  atomic_store(&stop, true);
  for(int i = 0; i < 3; i++) pthread_join(t[i], NULL);
  CHECK(says(&w, id, "\"failed\":8"));
  CHECK_INT(tasks_refresh(w.app->tasks, S("a@x\nb@x\nc@x\nd@x\n"), next), Q_OK); /* it runs while all of it ends */
  world_end(&w);
}

T_MAIN(T(t_the_oldest_that_ended_makes_room), T(t_too_many_wait), T(t_looked_at_while_it_runs))
