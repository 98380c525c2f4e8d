/* api 7.3: kept answers: per key, for a day, at most so many and so large, and conversations that outlive their parts. */
#include "domain/responses.h"

#include <pthread.h>

#include "base/mem.h"
#include "t.h"

static void name(int i, char out[40])
{
  snprintf(out, 40, "resp_%021d123", i);
}

static enum q_status keep(struct responses *s, int i, const char *key, const struct response *before, size_t size, int64_t max, int64_t now)
{
  char id[40];
  static char big[RESPONSES_ONE_MAX];
  struct response r = { .before = before, .input = S("[1]"), .object = size ? str_of(big, size) : S("{\"o\":1}") };
  name(i, id);
  r.id = str_z(id);
  str_copy(r.key_id, sizeof r.key_id, str_z(key));
  return responses_keep_one(s, max, &r, now);
}

static bool there(struct responses *s, int i, const char *key, int64_t now)
{
  char id[40];
  name(i, id);
  const struct response *r = responses_find(s, key, str_z(id), now);
  if(r) CHECK_STR(r->id, str_z(id));
  responses_unref(s, r);
  return r != NULL;
}

static void t_kept_per_key(void)
{
  struct responses *s = responses_new();
  char id[40];
  CHECK(!keep(s, 1, "a", NULL, 0, 10, 0));
  name(1, id);
  const struct response *r = responses_find(s, "a", str_z(id), 0);
  CHECK(r != NULL);
  if(r) CHECK_STR(r->object, S("{\"o\":1}"));
  if(r) CHECK_STR(r->input, S("[1]"));
  responses_unref(s, r);
  CHECK(!there(s, 1, "b", 0));
  CHECK(!there(s, 2, "a", 0));
  CHECK(!responses_find(s, "a", S("resp_short"), 0));
  CHECK(!responses_find(s, "a", S(""), 0));
  /* an item's id leads to its answer, for the same key only; other ends of the id are fine there, not for the answer itself */
  char item[40] = "msg_";
  memcpy(item + 4, id + 5, 21);
  strcpy(item + 25, "zzz");
  r = responses_find_item(s, "a", str_z(item), 0);
  CHECK(r != NULL);
  responses_unref(s, r);
  CHECK(!responses_find_item(s, "b", str_z(item), 0));
  CHECK(!responses_find(s, "a", str_z(item), 0));
  CHECK(!responses_delete(s, "b", str_z(id), 0));
  CHECK(responses_delete(s, "a", str_z(id), 0));
  CHECK(!responses_delete(s, "a", str_z(id), 0));
  CHECK(!there(s, 1, "a", 0));
  CHECK_INT(responses_count(s).kept, 0);
  CHECK_INT(responses_count(s).bytes, 0);
  responses_destroy(s);
}

static void t_least_recently_used_goes_first(void)
{
  struct responses *s = responses_new();
  for(int i = 0; i < 5; i++) CHECK(!keep(s, i, "a", NULL, 0, 5, 0));
  CHECK(there(s, 0, "a", 0)); /* used: the last to go now */
  CHECK(!keep(s, 5, "a", NULL, 0, 5, 0));
  CHECK(there(s, 0, "a", 0) && !there(s, 1, "a", 0) && there(s, 2, "a", 0) && there(s, 5, "a", 0));
  CHECK_INT(responses_count(s).kept, 5);
  CHECK(!keep(s, 6, "a", NULL, 0, 2, 0)); /* the setting was lowered */
  CHECK_INT(responses_count(s).kept, 2);
  CHECK(!keep(s, 7, "a", NULL, 0, 0, 0)); /* off */
  CHECK(!there(s, 7, "a", 0));
  responses_destroy(s);
}

static void t_a_day(void)
{
  struct responses *s = responses_new();
  CHECK(!keep(s, 1, "a", NULL, 0, 10, 1000));
  CHECK(there(s, 1, "a", 1000 + RESPONSES_LIFE_MS - 1));
  CHECK(!there(s, 1, "a", 1000 + RESPONSES_LIFE_MS));
  CHECK_INT(responses_count(s).kept, 0);
  CHECK(!keep(s, 2, "a", NULL, 0, 10, 1000));
  CHECK(there(s, 2, "a", 500)); /* a clock that was set back */
  CHECK(!keep(s, 3, "a", NULL, 0, 10, 2000));
  CHECK(!keep(s, 4, "a", NULL, 0, 10, 1500 + RESPONSES_LIFE_MS)); /* old ones go without being asked for */
  CHECK_INT(responses_count(s).kept, 2);
  responses_destroy(s);
}

static void t_bytes(void)
{
  struct responses *s = responses_new();
  CHECK_INT(keep(s, 1, "a", NULL, RESPONSES_ONE_MAX, 100, 0), Q_TOO_BIG);
  CHECK_INT(responses_count(s).kept, 0);
  for(int i = 0; i < 100; i++) {
    CHECK(!keep(s, i, "a", NULL, 1024 * 1024, 100, 0));
    CHECK(responses_count(s).bytes <= RESPONSES_SUM_MAX);
  }
  CHECK(responses_count(s).kept >= 60);
  CHECK(there(s, 99, "a", 0) && !there(s, 0, "a", 0));
  responses_destroy(s);
}

/* A conversation: an answer that was deleted or pushed out is not found, but what continues it still has it. */
static void t_conversations(void)
{
  struct responses *s = responses_new();
  enum { LONG = 20000 };
  long before = mem_live();
  char id[40];
  for(int i = 0; i < LONG; i++) {
    const struct response *r = NULL;
    if(i) name(i - 1, id), r = responses_find(s, "a", str_z(id), 0);
    CHECK(i == 0 || r != NULL);
    CHECK(!keep(s, i, "a", r, 0, 3, 0));
    responses_unref(s, r);
  }
  CHECK_INT(responses_count(s).kept, 3);
  CHECK(!there(s, 0, "a", 0));
  name(LONG - 1, id);
  const struct response *last = responses_find(s, "a", str_z(id), 0), *one = responses_ref(s, last);
  int length = 0;
  for(const struct response *r = last; r; r = r->before) length++;
  CHECK_INT(length, LONG);
  responses_unref(s, last);
  name(LONG - 2, id);
  CHECK(responses_delete(s, "a", str_z(id), 0));
  for(int i = 0; i < 3; i++) CHECK(!keep(s, LONG + i, "a", NULL, 0, 3, 0)); /* pushes the rest out */
  CHECK(mem_live() > before + LONG - 5); /* still held by the one reference */
  CHECK_STR(one->object, S("{\"o\":1}"));
  responses_unref(s, one);
  CHECK_INT(mem_live(), before + 3);
  responses_destroy(s);
}

static void t_out_of_memory(void)
{
  struct responses *s = responses_new();
  fault_arm(0, false);
  CHECK_INT(keep(s, 1, "a", NULL, 0, 10, 0), Q_NOMEM);
  CHECK(fault_disarm());
  CHECK_INT(responses_count(s).kept, 0);
  CHECK(!there(s, 1, "a", 0));
  responses_destroy(s);
  responses_destroy(NULL);
}

static void *crowd(void *arg)
{
  struct responses *s = arg;
  for(int i = 0; i < 3000; i++) {
    char id[40];
    name((i * 7) % 50, id);
    const struct response *r = responses_find(s, "a", str_z(id), i);
    if(r) CHECK_STR(r->object, S("{\"o\":1}"));
    if(i % 3 == 0) CHECK(!keep(s, i % 50, "a", r, 0, 20, i));
    if(i % 5 == 0) responses_delete(s, "a", str_z(id), i);
    responses_unref(s, r);
  }
  return NULL;
}

static void t_from_many_threads(void)
{
  struct responses *s = responses_new();
  pthread_t t[4];
  for(int i = 0; i < 4; i++) CHECK(pthread_create(&t[i], NULL, crowd, s) == 0);
  for(int i = 0; i < 4; i++) pthread_join(t[i], NULL);
  CHECK(responses_count(s).kept <= 20);
  responses_destroy(s);
}

/* ---- lasting ---- */

static struct seal *seal_a;

static struct responses *lasting(struct store *store, struct jobs *jobs, int64_t max, bool anew, int64_t now)
{
  struct responses *s = responses_new();
  struct responses_home home = { store, seal_a, jobs, NULL };
  CHECK_INT(responses_load(s, &home, max, anew, now), Q_OK);
  return s;
}

static void leave(struct responses *s, struct jobs *jobs)
{
  responses_stop(s);
  jobs_destroy(jobs);
  responses_destroy(s);
}

static bool count_one(void *ctx, struct str key, struct str value)
{
  CHECK(str_find(value, S("{\"o\":1}")) < 0 && str_starts(key, S("resp/"))); /* sealed */
  ++*(int *)ctx;
  return true;
}

static int records(struct store *store)
{
  int n = 0;
  CHECK_INT(store->ops->scan(store, S("resp/"), count_one, &n), Q_OK);
  return n;
}

static struct seal *sealed_by(struct store *store, const char *secret, bool *stale)
{
  char a[200], *env[] = { a, NULL };
  struct strbuf errors = STRBUF(10000), warnings = STRBUF(10000);
  struct config_input in = { .envp = env, .file = "/dev/null" };
  struct q_error e = Q_ERROR_NONE;
  int code = 0;
  snprintf(a, sizeof a, "SECRET_KEY=%s", secret);
  struct config *c = config_load(&in, &errors, &warnings);
  struct seal *k = seal_open(store, c, stale, &e, &code);
  CHECK(k != NULL);
  config_unref(c);
  strbuf_free(&errors);
  strbuf_free(&warnings);
  return k;
}

static void t_api_7_3_kept_over_a_restart(void)
{
  bool stale;
  struct store *store = store_mem_new();
  seal_a = sealed_by(store, "a-secret-a-secret-a", &stale);
  struct jobs *jobs = jobs_new(2);
  struct responses *s = lasting(store, jobs, 10, false, 0);
  char id[40];
  CHECK(!keep(s, 1, "a", NULL, 0, 10, 1));
  name(1, id);
  const struct response *r = responses_find(s, "a", str_z(id), 1);
  CHECK(!keep(s, 2, "a", r, 0, 10, 2)); /* continues 1 */
  responses_unref(s, r);
  CHECK(!keep(s, 3, "b", NULL, 5 << 20, 10, 3));
  CHECK(!keep(s, 4, "", NULL, 0, 10, 4));
  CHECK(!keep(s, 5, "a", NULL, 0, 10, 5));
  name(1, id);
  CHECK(responses_delete(s, "a", str_z(id), 6)); /* hidden: 2 needs it */
  name(5, id);
  CHECK(responses_delete(s, "a", str_z(id), 6));
  struct strbuf gone = STRBUF(100);
  CHECK_INT(store_get(store, S("resp/resp_000000000000000000005123"), &gone), Q_NOT_FOUND); /* at once */
  leave(s, jobs);
  CHECK_INT(records(store), 4);

  s = lasting(store, jobs = jobs_new(2), 10, false, 10);
  CHECK(!there(s, 1, "a", 10));
  CHECK(there(s, 2, "a", 10) && !there(s, 2, "b", 10));
  CHECK(there(s, 3, "b", 10));
  CHECK(there(s, 4, "", 10));
  CHECK(!there(s, 5, "a", 10));
  name(2, id);
  r = responses_find(s, "a", str_z(id), 10);
  CHECK(r && r->before);
  if(r && r->before) CHECK_STR(r->before->object, S("{\"o\":1}"));
  if(r) CHECK_STR(r->input, S("[1]"));
  responses_unref(s, r);
  CHECK(responses_delete(s, "a", str_z(id), 10)); /* now 1 goes, too */
  leave(s, jobs);
  CHECK_INT(records(store), 2);

  s = lasting(store, jobs = jobs_new(2), 1, false, 10); /* fewer are allowed: the newest stays */
  CHECK(there(s, 4, "", 10) && !there(s, 3, "b", 10));
  CHECK(!keep(s, 6, "a", NULL, 0, 1, 11)); /* pushes 4 out */
  leave(s, jobs);
  CHECK_INT(records(store), 1);
  s = lasting(store, jobs = jobs_new(2), 10, false, RESPONSES_LIFE_MS + 11); /* a day later */
  leave(s, jobs);
  CHECK_INT(records(store), 0);
  seal_destroy(seal_a);
  store_close(store);
}

static void t_api_7_3_damaged_records_and_a_new_secret(void)
{
  bool stale;
  struct store *store = store_mem_new();
  seal_a = sealed_by(store, "a-secret-a-secret-a", &stale);
  struct jobs *jobs = jobs_new(2);
  struct responses *s = lasting(store, jobs, 10, false, 0);
  char id[40];
  for(int i = 1; i <= 4; i++) { /* 1 <- 2 <- 3, 4 */
    name(i - 1, id);
    const struct response *r = i == 4 ? NULL : responses_find(s, "a", str_z(id), 1);
    CHECK(!keep(s, i, "a", r, 0, 10, 7)); /* in the same millisecond */
    responses_unref(s, r);
  }
  leave(s, jobs);
  CHECK_INT(records(store), 4);
  seal_destroy(seal_a);
  seal_a = sealed_by(store, "b-secret-b-secret-b,a-secret-a-secret-a", &stale);
  CHECK(stale);
  s = lasting(store, jobs = jobs_new(2), 10, true, 10);
  CHECK(there(s, 1, "a", 10) && there(s, 3, "a", 10) && there(s, 4, "a", 10));
  leave(s, jobs);
  CHECK_INT(seal_settle(seal_a, store), Q_OK);
  seal_destroy(seal_a);
  seal_a = sealed_by(store, "b-secret-b-secret-b", &stale); /* the old one is not needed any more */
  s = lasting(store, jobs = jobs_new(2), 10, false, 10);
  CHECK(there(s, 1, "a", 10) && there(s, 3, "a", 10) && there(s, 4, "a", 10));
  leave(s, jobs);
  CHECK_INT(store_put(store, S("resp/resp_000000000000000000001123"), S("1 7 a - 2 3\nbm9uc2Vuc2U=")), Q_OK);
  CHECK_INT(store_put(store, S("resp/nonsense"), S("")), Q_OK);
  s = lasting(store, jobs = jobs_new(2), 10, false, 10); /* the past of 2 and 3 is damaged */
  CHECK(!there(s, 1, "a", 10) && !there(s, 2, "a", 10) && !there(s, 3, "a", 10) && there(s, 4, "a", 10));
  leave(s, jobs);
  CHECK_INT(records(store), 1);
  seal_destroy(seal_a);
  store_close(store);
}

static void t_lasting_with_faults_and_crowds(void)
{
  bool stale;
  struct store *store = store_mem_new();
  seal_a = sealed_by(store, "a-secret-a-secret-a", &stale);
  struct jobs *jobs = jobs_new(3);
  struct responses *s = lasting(store, jobs, 20, false, 0);
  char id[40];
  for(int i = 1; i < 400; i++) {
    name(i - 1, id);
    const struct response *r = i % 3 ? responses_find(s, "a", str_z(id), 1) : NULL;
    fault_arm(i % 7, i % 2);
    (void)keep(s, i, "a", r, i % 50 ? 100 : 3 << 20, 20, i);
    fault_disarm();
    if(i % 11 == 0) responses_delete(s, "a", str_z(id), i);
    responses_unref(s, r);
  }
  leave(s, jobs);
  s = lasting(store, jobs = jobs_new(3), 20, false, 500);
  int shown = responses_count(s).kept;
  CHECK(shown >= 10 && shown <= 20);
  for(int i = 1; i < 400; i++) {
    name(i, id);
    responses_delete(s, "a", str_z(id), 500);
  }
  leave(s, jobs);
  CHECK(records(store) <= 5); /* what a fault left behind */
  seal_destroy(seal_a);
  store_close(store);
}

T_MAIN(T(t_kept_per_key), T(t_least_recently_used_goes_first), T(t_a_day), T(t_bytes), T(t_conversations), T(t_out_of_memory), T(t_from_many_threads),
       T(t_api_7_3_kept_over_a_restart), T(t_api_7_3_damaged_records_and_a_new_secret), T(t_lasting_with_faults_and_crowds))
