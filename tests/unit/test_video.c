/* Video jobs in one thread: from the line to the result, every fallible call failed once, nothing lost and never asked twice. */
#include "domain/video.h"
#include "world.h"

#define JSON_HEAD(n) "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: " n "\r\n\r\n"
static const char taken[] = JSON_HEAD("78") "{\"success\":true,\"data\":{\"messages\":[{\"extra\":{\"wanx\":{\"task_id\":\"task-1\"}}}]}}";
static const char quota[] = JSON_HEAD("94") "{\"success\":false,\"data\":{\"code\":\"RateLimited\",\"details\":\"daily usage limit reached\",\"num\":4}} ";
static const char done_task[] = "{\"task_status\":\"success\",\"content\":\"https://cdn.qwenlm.ai/v.mp4?key=k\"}";

struct listener { struct video_waiter w; int told; };

static void heard(struct video_waiter *w)
{
  ((struct listener *)w)->told++;
}

static void answer_with(struct world *w, const char *text)
{
  w->piece_n = text ? 1 : 0;
  w->pieces[0] = (struct world_piece){ .bytes = str_z(text) };
}

static enum q_status begin(struct world *w, struct listener *l, char id[VIDEO_ID])
{
  struct q_error e = Q_ERROR_NONE;
  struct video_order o = { .model_id = S("qwen3.7-plus"), .shown_model = S("shown"), .prompt = S("a cat"), .size = "9:16", .key_id = S("0123456789abcdef"), .request_id = "req" };
  *l = (struct listener){ .w = { .done = heard, .pump = w->app->pumps[0].pump } };
  return video_start(w->app, &o, &l->w, id, &e);
}

/* Turns the world until the job was told of, or ms have passed. */
static bool turn_until(struct world *w, const struct listener *l, int ms)
{
  int64_t end = now_mono_ms(&now_real) + ms;
  while(!l->told && now_mono_ms(&now_real) < end) world_turn(w);
  for(int i = 0; i < 5; i++) world_turn(w);
  return l->told > 0;
}

static bool shown(struct world *w, const char *id, const char *words)
{
  struct strbuf b = STRBUF(65536);
  bool ok = video_show(w->app, str_z(id), STR_NONE, &b) == Q_OK && str_find(strbuf_str(&b), str_z(words)) >= 0;
  strbuf_free(&b);
  return ok;
}

static void t_job(void)
{
  long base = mem_live();
  struct world w;
  struct listener l;
  char id[VIDEO_ID];
  CHECK(world_begin(&w, NULL));
  world_sign_in(&w);
  videos_set_poll_ms(w.app->videos, 1);
  answer_with(&w, taken);
  w.task = "{\"task_status\":\"running\"}";
  CHECK_INT(begin(&w, &l, id), Q_OK);
  CHECK(!turn_until(&w, &l, 200));
  CHECK(w.looks >= 3 && shown(&w, id, "\"status\":\"in_progress\""));
  CHECK_INT(pool_count(w.app->pool, FEATURE_VIDEO, 0).leased, 0); /* a task that runs holds no turn of its account */
  w.task = done_task;
  CHECK(turn_until(&w, &l, 5000));
  CHECK_INT(l.told, 1);
  CHECK(l.w.st == Q_OK && l.w.taken && l.w.attempts == 1);
  CHECK_Z(l.w.url, "https://cdn.qwenlm.ai/v.mp4?key=k");
  CHECK(shown(&w, id, "\"status\":\"completed\"") && shown(&w, id, "\"size\":\"9:16\"") && shown(&w, id, "\"model\":\"shown\""));
  CHECK_INT(w.completions, 1);
  struct listener late = { .w = { .done = heard, .pump = w.app->pumps[0].pump } };
  CHECK_INT(video_join(w.app, str_z(id), &late.w), Q_OK); /* who comes later is told at once */
  CHECK(turn_until(&w, &late, 1000) && late.w.st == Q_OK);
  CHECK_INT(video_join(w.app, S("video_x"), &late.w), Q_NOT_FOUND);
  world_end(&w);
  CHECK_INT(mem_live(), base);
}

/* Quota on the first account: the second makes it; on both: told as media quota with the time of its return. */
static void t_5_6_quota_goes_on_to_the_next_account(void)
{
  struct world w;
  struct listener l;
  char id[VIDEO_ID];
  CHECK(world_begin(&w, NULL));
  world_sign_in(&w);
  answer_with(&w, quota);
  CHECK_INT(begin(&w, &l, id), Q_OK);
  CHECK(turn_until(&w, &l, 5000));
  CHECK_INT(l.w.st, Q_MEDIA_QUOTA);
  CHECK(l.w.err.retry_after_s > 3 * 3600 && !l.w.taken);
  CHECK_INT(l.w.attempts, 2);
  CHECK_INT(pool_count(w.app->pool, FEATURE_VIDEO, now_wall_ms(&now_real)).usable, 0);
  CHECK_INT(pool_count(w.app->pool, FEATURE_CHAT, now_wall_ms(&now_real)).usable, 2); /* text goes on */
  CHECK_INT(begin(&w, &l, id), Q_OK);
  CHECK(turn_until(&w, &l, 5000) && l.w.st == Q_MEDIA_QUOTA && l.w.attempts == 0);
  world_end(&w);
}

static void t_4_3_five_failed_looks_are_tolerated(void)
{
  struct world w;
  struct listener l;
  char id[VIDEO_ID];
  CHECK(world_begin(&w, NULL));
  world_sign_in(&w);
  videos_set_poll_ms(w.app->videos, 1);
  answer_with(&w, taken);
  w.task = "{\"success\":false,\"data\":{\"code\":\"internal_error\",\"details\":\"x\"}}";
  CHECK_INT(begin(&w, &l, id), Q_OK);
  CHECK(turn_until(&w, &l, 5000));
  CHECK_INT(w.looks, 6);
  CHECK(l.w.st == Q_UP_ERROR && l.w.taken && shown(&w, id, "\"status\":\"failed\""));
  CHECK_INT(w.completions, 1);
  world_end(&w);
}

/* Nobody is left who would hear of it: before it is taken it ends, afterwards it goes on. */
static void t_leaving(void)
{
  for(int late = 0; late < 2; late++) {
    long base = mem_live();
    struct world w;
    struct listener l;
    char id[VIDEO_ID];
    CHECK(world_begin(&w, NULL));
    world_sign_in(&w);
    videos_set_poll_ms(w.app->videos, 1);
    answer_with(&w, late ? taken : NULL); /* or the completion is never answered */
    w.task = "{\"task_status\":\"running\"}";
    CHECK_INT(begin(&w, &l, id), Q_OK);
    CHECK(!turn_until(&w, &l, 200));
    CHECK(video_leave(w.app, id, &l.w, true));
    CHECK(!video_leave(w.app, id, &l.w, true));
    CHECK(!turn_until(&w, &l, 1500));
    struct strbuf b = STRBUF(65536);
    CHECK_INT(video_show(w.app, str_z(id), STR_NONE, &b), late ? Q_OK : Q_NOT_FOUND);
    CHECK_INT(pool_count(w.app->pool, FEATURE_VIDEO, 0).leased, 0);
    if(late) { /* deleted while it runs: no look after that */
      CHECK_INT(video_delete(w.app, str_z(id), S("another key")), Q_NOT_FOUND);
      CHECK_INT(video_delete(w.app, str_z(id), S("0123456789abcdef")), Q_OK);
      CHECK(!turn_until(&w, &l, 100));
      int looks = w.looks;
      CHECK(!turn_until(&w, &l, 100));
      CHECK_INT(w.looks, looks);
    }
    strbuf_free(&b);
    world_end(&w);
    CHECK_INT(mem_live(), base);
  }
}

static void t_draining(void)
{
  struct world w;
  struct listener l, early = { .told = 0 };
  char id[VIDEO_ID];
  CHECK(world_begin(&w, NULL));
  world_sign_in(&w);
  answer_with(&w, taken);
  w.task = "{\"task_status\":\"running\"}";
  CHECK_INT(begin(&w, &l, id), Q_OK);
  CHECK(!turn_until(&w, &l, 100));
  early.w = (struct video_waiter){ .done = heard, .pump = w.app->pumps[0].pump, .until_drain = true };
  CHECK_INT(video_join(w.app, str_z(id), &early.w), Q_OK);
  videos_drain(w.app->videos);
  CHECK(turn_until(&w, &early, 1000) && early.w.st == Q_AGAIN && early.w.taken && !l.told);
  CHECK_INT(begin(&w, &early, id), Q_SHUTDOWN);
  videos_end(w.app->videos);
  CHECK(turn_until(&w, &l, 1000) && l.w.st == Q_SHUTDOWN && l.told == 1);
  world_end(&w);
}

/* The n-th allocation, transport or store call fails, for every n, once or for good: the job ends, the upstream is asked once. */
static void sweep(bool lasting)
{
  for(long n = 0;; n++) {
    long base = mem_live();
    struct world w;
    struct listener l = { .told = 0 };
    char id[VIDEO_ID], row[64];
    snprintf(row, sizeof row, "fault %ld%s", n, lasting ? " and all after" : "");
    t_row = row;
    CHECK(world_begin(&w, NULL));
    world_sign_in(&w);
    videos_set_poll_ms(w.app->videos, 1);
    answer_with(&w, taken);
    w.task = done_task;
    fault_arm(n, lasting);
    enum q_status st = begin(&w, &l, id);
    bool told = st == Q_OK && turn_until(&w, &l, lasting ? 300 : 8000);
    bool hit = fault_disarm();
    if(!st && !told) told = turn_until(&w, &l, 8000);
    CHECK(st == Q_OK || st == Q_NOMEM);
    CHECK(st || (told && l.told == 1));
    CHECK(w.completions <= 1);
    if(told && !hit) CHECK(l.w.st == Q_OK);
    CHECK_INT(pool_count(w.app->pool, FEATURE_VIDEO, 0).leased, 0);
    world_end(&w);
    CHECK_INT(mem_live(), base);
    if(!hit || n > 400) {
      printf("fault points tried: %ld\n", n);
      break;
    }
  }
}

static void t_every_fault_once(void)
{
  sweep(false);
}

static void t_every_fault_for_good(void)
{
  sweep(true);
}

T_MAIN(T(t_job), T(t_5_6_quota_goes_on_to_the_next_account), T(t_4_3_five_failed_looks_are_tolerated), T(t_leaving), T(t_draining), T(t_every_fault_once), T(t_every_fault_for_good))
