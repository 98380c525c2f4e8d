#include "domain/turn_read.h"

#include "proto/qwen_detail.h"

enum {
  TURN_SHARE_BYTES = 256 * 1024,     /* upstream bytes of one turn per turn of the pump */
  TURN_LINGER_MS = 2000,             /* silence after "finished" that ends a turn */
  TURN_RECALL_MS = 5 * 1000,         /* the chat's record */
  TURN_LOOKS = 5,                    /* at the record, for pictures that the stream did not name */
  TURN_LOOK_MS = 800                 /* apart */
};

/* ---- the chat's record ---- */

void turn_recall(struct turn *t)
{
  turn_close_exchange(t); /* the stream that ended well is still open */
  t->state = TURN_RECALLING;
  t->looks++;
  t->idle_ms = t->linger_ms = 0;
  if(turn_call(t, "GET", "/api/v2/chats/", str_z(t->chat_id.id), false, NULL)) {
    turn_fail_st(t, Q_NOMEM, "Out of memory.");
    return;
  }
  t->step_ms = turn_now(t) + TURN_RECALL_MS;
  turn_arm(t);
}

/* Whether the record may still tell what the stream did not. */
bool turn_may_recall(const struct turn *t)
{
  return t->chat_id.id[0] && t->lease_busy && t->asked && !turn_video(t) && !atomic_load(&turn_app(t)->draining);
}

static enum q_status turn_tell(struct turn *t, const struct delta *d)
{
  t->ops->open(t);
  (void)t->ops->delta(t, d);
  return t->ops->close(t);
}

/* The record was not of use: the trouble that led here stands, or the next look is due. */
void turn_recalled_nothing(struct turn *t)
{
  struct trouble cut = t->cut;
  turn_close_exchange(t);
  t->step_ms = 0;
  if(cut.st && !(turn_pictures(t) && t->looks < TURN_LOOKS)) {
    t->cut.st = Q_OK;
    t->looks = TURN_LOOKS;
    turn_trouble(t, cut.st, cut.words, cut.wait_s);
    return;
  }
  if(t->looks >= TURN_LOOKS) {
    t->state = TURN_READING;
    turn_finish(t);
    return;
  }
  t->rest_ms = turn_now(t) + TURN_LOOK_MS;
  turn_arm(t);
}

static void turn_recalled(struct turn *t)
{
  struct arena a = ARENA(64u * 1024 * 1024);
  struct qwen_detail found;
  struct str rest = STR_NONE;
  bool read = t->http_status == 200 && qwen_detail_read(&a, strbuf_str(&t->body), str_z(t->events.response_id), &found);
  bool more = read && found.answer.n && qwen_event_rest(&t->events, found.answer, &rest) && rest.n;
  struct delta d = { .answer = rest, .finished = true };
  if(read && turn_pictures(t)) {
    d.images = found.images;
    d.image_n = found.image_n;
  }
  turn_close_exchange(t);
  if(read && (t->cut.st ? more || d.image_n : d.image_n)) {
    LOG_INFO(turn_app(t)->log, "turn", t->want.request_id, "the chat's record had the rest of the answer");
    t->turn_over = true;
    t->cut.st = Q_OK;
    t->state = TURN_READING;
    enum q_status st = turn_tell(t, &d);
    arena_free(&a);
    if(!turn_alive(t)) return;
    if(st == Q_NOMEM) turn_fail_st(t, st, "Out of memory.");
    else turn_finish(t);
    return;
  }
  arena_free(&a);
  turn_recalled_nothing(t);
}

/* ---- reading the upstream ---- */

/* One event. true: go on with the next. */
static bool turn_event(struct turn *t, struct str data)
{
  struct delta d;
  struct trouble why;
  enum q_status st = qwen_event_read(&t->events, data, &d, &why);
  if(st) {
    t->turn_over = true;
    if(t->events.filtered && t->sent) { /* moderation ended a running answer: that is an end, not an error */
      t->filtered = true;
      return false;
    }
    t->event = why;
    t->event.st = st;
    return false;
  }
  bool more = t->ops->delta(t, &d);
  if(d.finished) t->linger_ms = turn_now(t) + TURN_LINGER_MS;
  else if(d.answer.n || d.think.n || d.source_n) t->linger_ms = 0;
  if(d.finished || d.stopped || d.done) t->turn_over = true;
  return more && !d.stopped && !d.done;
}

enum turn_flow { TURN_MORE, TURN_END, TURN_BAD };

static enum turn_flow turn_events(struct turn *t, struct str in, bool end)
{
  bool go = true;
  t->event.st = Q_OK;
  t->ops->open(t);
  while(go) {
    struct str data;
    size_t used = 0;
    enum q_status st = in.n ? sse_push(&t->sse, in.p, in.n, &used, &data) : end ? sse_finish(&t->sse, &data) : Q_AGAIN;
    in.p += used;
    in.n -= used;
    if(st == Q_AGAIN) break;
    if(st == Q_TOO_BIG) continue; /* one event too large is dropped, the stream goes on */
    if(st) {
      t->event = (struct trouble){ .st = st };
      break;
    }
    go = turn_event(t, data);
    if(end && in.n == 0) break;
  }
  if(end && go && !t->event.st) {
    struct delta d;
    if(qwen_event_end(&t->events, &d) == Q_OK) (void)t->ops->delta(t, &d);
  }
  enum q_status st = t->ops->close(t);
  if(st == Q_NOMEM && !t->event.st) t->event = (struct trouble){ .st = st };
  return t->event.st ? TURN_BAD : go ? TURN_MORE : TURN_END;
}

/* The stream has ended well; a picture that it did not name may stand in the record. */
static void turn_read_well(struct turn *t)
{
  if(turn_pictures(t) && !t->filtered && t->events.image_n == 0 && !t->looks && turn_may_recall(t) && t->events.response_id[0]) turn_recall(t);
  else turn_finish(t);
}

/* The completion's body turned out to be no event stream. */
static void turn_collected(struct turn *t)
{
  struct trouble why;
  struct delta d;
  trouble_body(&why, t->http_status, str_z(t->retry_after), strbuf_str(&t->body));
  t->turn_over = true;
  if(t->ops->whole) {
    bool odd = why.st == Q_UP_BODY && t->http_status == 200 && !why.code[0] && !why.words[0]; /* no shape of a refusal either */
    if(!why.st || odd) {
      turn_close_exchange(t);
      t->ops->whole(t, strbuf_str(&t->body));
      return;
    }
  } else if(!why.st) {
    enum q_status st = qwen_event_whole(&t->events, strbuf_str(&t->body), &d, &why);
    if(!st && d.answer.n) {
      st = turn_tell(t, &d);
      if(!turn_alive(t)) return;
      if(st == Q_NOMEM) turn_fail_st(t, st, "Out of memory.");
      else turn_finish(t);
      return;
    }
    if(!why.st) why.st = Q_UP_BODY;
  }
  turn_trouble(t, why.st, why.words, why.wait_s);
}

void turn_read_end(struct turn *t)
{
  if(t->state == TURN_COLLECTING || t->state == TURN_ASKED) {
    turn_collected(t);
    return;
  }
  enum turn_flow flow = turn_events(t, STR_NONE, true);
  if(!turn_alive(t)) return;
  struct trouble why = t->event;
  t->turn_over = true;
  if(flow == TURN_BAD) turn_trouble(t, why.st, why.words, why.wait_s);
  else turn_read_well(t);
}

/* Whether these first bytes can be an event stream at all: '{' and '<' never start one. */
static bool turn_is_stream(struct str in, bool *known)
{
  struct str s = str_trim(in);
  if(str_starts(s, S("\xef\xbb\xbf"))) s = str_trim(str_sub(s, 3, s.n));
  *known = s.n > 0;
  return s.n && s.p[0] != '{' && s.p[0] != '<';
}

static bool turn_sniff(struct turn *t, struct str in)
{
  bool known = false;
  if(t->http_status != 200) {
    t->state = TURN_COLLECTING;
  } else if(t->body.n == 0) {
    bool events = turn_is_stream(in, &known);
    if(!known) return false;
    t->state = events ? TURN_READING : TURN_COLLECTING;
  }
  return true;
}

static void turn_body_end(struct turn *t)
{
  if(t->state == TURN_MAKING) turn_made(t);
  else if(t->state == TURN_RECALLING) turn_recalled(t);
  else turn_read_end(t);
}

static void turn_broke(struct turn *t, enum q_status st)
{
  char words[200];
  str_copy(words, sizeof words, str_z(xchg_error(&t->x)));
  if(t->state == TURN_RECALLING) turn_recalled_nothing(t);
  else turn_trouble(t, st, words, 0);
}

/* Reads what is there until the socket is empty, the client lags, or this turn's share is used. */
void turn_pull(struct turn *t)
{
  size_t share = TURN_SHARE_BYTES;
  while(t->x_open && turn_alive(t)) {
    struct str in;
    if(t->ops->full(t)) return; /* the owner calls again */
    if(share == 0) {
      if(!t->again_on) pump_defer(t->ap->pump, &t->again);
      t->again_on = true;
      return;
    }
    enum q_status st = xchg_read(&t->x, &in);
    if(st == Q_AGAIN) return;
    if(st == Q_EOF) {
      turn_body_end(t);
      return;
    }
    if(st) {
      turn_broke(t, st);
      return;
    }
    share = in.n < share ? share - in.n : 0;
    if(t->state != TURN_RECALLING) t->idle_ms = turn_now(t) + t->config->upstream_idle_timeout_ms;
    if(t->state == TURN_ASKED) {
      t->step_ms = 0;
      if(!turn_sniff(t, in)) continue;
    }
    if(t->state == TURN_READING) {
      enum turn_flow flow = turn_events(t, in, false);
      if(!turn_alive(t)) return;
      struct trouble why = t->event;
      if(flow == TURN_BAD) turn_trouble(t, why.st, why.words, why.wait_s);
      if(flow == TURN_END) turn_read_well(t);
      if(flow != TURN_MORE) return;
    } else {
      size_t max = t->state == TURN_MAKING ? 64 * 1024 : TURN_BODY_MAX;
      strbuf_add(&t->body, in.p, in.n < max - t->body.n ? in.n : max - t->body.n);
      if(t->body.err) {
        turn_trouble(t, t->body.err, "", 0);
        return;
      }
    }
  }
}

void turn_ready(struct xchg *x)
{
  struct turn *t = (struct turn *)((char *)x - offsetof(struct turn, x));
  struct xchg_head head;
  if(t->http_status == 0) {
    enum q_status st = xchg_head(x, &head);
    if(st == Q_AGAIN) return;
    if(st) {
      turn_broke(t, st);
      return;
    }
    t->http_status = head.status;
    str_copy(t->retry_after, sizeof t->retry_after, xchg_header(x, S("retry-after")));
    if(t->state == TURN_ASKED) t->asked = head.status == 200;
  }
  turn_pull(t);
  if(turn_alive(t)) turn_arm(t);
}

void turn_on(struct pump_task *task)
{
  struct turn *t = (struct turn *)((char *)task - offsetof(struct turn, again));
  t->again_on = false;
  turn_pull(t);
  if(turn_alive(t)) turn_arm(t);
}
