#include "domain/keys_use.h"

#include "base/mem.h"
#include "base/now.h"

enum {
  KEYS_USE_MINUTE_S = 60,
  KEYS_USE_BUSY_S = 5,              /* nobody knows when an answer in flight ends */
  KEYS_USE_NEVER_S = 24 * 3600      /* what is used up for good: a header wants a number */
};

void keys_use_calendar(struct keys_calendar *c, int64_t now_ms)
{
  if(c->day && now_ms < c->day_ends_ms) return;
  c->day = now_local_day(now_ms);
  c->day_ends_ms = now_local_midnight_ms(now_ms);
}

void keys_use_free(struct keys_use *u)
{
  mem_free(u->minute);
  u->minute = NULL;
}

enum q_status keys_use_ready(struct keys_use *u, const struct keys_limits *l)
{
  if(u->minute || (l->v[KEYS_RPM] == KEYS_NO_LIMIT && l->v[KEYS_TPM] == KEYS_NO_LIMIT)) return Q_OK;
  u->minute = mem_zalloc(sizeof *u->minute);
  return u->minute ? Q_OK : Q_NOMEM;
}

void keys_use_turn(struct keys_use *u, const struct keys_calendar *c)
{
  if(u->day == c->day) return;
  bool month = u->day / 100 != c->day / 100;
  for(int i = 0; i < KEYS_COUNTS; i++) {
    u->n[KEYS_DAY][i] = u->fresh[KEYS_DAY][i] = 0;
    if(month) u->n[KEYS_MONTH][i] = u->fresh[KEYS_MONTH][i] = 0;
  }
  u->day = c->day;
}

/* ---- the window ---- */

static void keys_use_slide(struct keys_minute *m, int64_t now_ms)
{
  int64_t slot = now_ms / KEYS_SLOT_MS;
  if(slot <= m->slot) return;
  int64_t gone = slot - m->slot;
  if(gone >= KEYS_SLOTS) *m = (struct keys_minute){ .slot = slot };
  while(m->slot < slot) {
    int at = (int)(++m->slot % KEYS_SLOTS);
    m->all_calls -= m->calls[at];
    m->all_tokens -= m->tokens[at];
    m->calls[at] = 0;
    m->tokens[at] = 0;
  }
}

/* Seconds until the window holds less than the limit again. */
static int keys_use_wait(const struct keys_minute *m, bool tokens, int64_t limit, int64_t now_ms)
{
  int64_t left = tokens ? m->all_tokens : m->all_calls;
  int64_t slot = m->slot - KEYS_SLOTS;
  if(limit <= 0) return KEYS_USE_MINUTE_S;
  while(left >= limit && slot < m->slot) {
    int at = (int)(++slot % KEYS_SLOTS);
    left -= tokens ? m->tokens[at] : m->calls[at];
  }
  int64_t ms = (slot + KEYS_SLOTS) * KEYS_SLOT_MS - now_ms;
  return ms <= 1000 ? 1 : (int)((ms + 999) / 1000);
}

static enum q_status keys_use_minute(struct keys_use *u, const struct keys_limits *l, int64_t now_ms, struct q_error *e)
{
  if(keys_use_ready(u, l)) return status_fail(e, Q_NOMEM, NULL, "Out of memory.");
  if(!u->minute) return Q_OK;
  keys_use_slide(u->minute, now_ms);
  for(int i = KEYS_RPM; i <= KEYS_TPM; i++) {
    bool tokens = i == KEYS_TPM;
    int64_t used = tokens ? u->minute->all_tokens : u->minute->all_calls;
    if(l->v[i] == KEYS_NO_LIMIT || used < l->v[i]) continue;
    int s = keys_use_wait(u->minute, tokens, l->v[i], now_ms);
    e->retry_after_s = s;
    return status_fail(e, Q_KEY_RATE, NULL, "This API key is limited to %lld %s a minute. Try again in %d seconds.", (long long)l->v[i],
                       tokens ? "tokens" : "requests", s);
  }
  return Q_OK;
}

/* ---- quotas ---- */

static int64_t keys_use_month_ends_ms(int64_t now_ms)
{
  int month = now_local_day(now_ms) / 100;
  for(int i = 0; i < 32 && now_local_day(now_ms) / 100 == month; i++) now_ms = now_local_midnight_ms(now_ms);
  return now_ms;
}

static enum q_status keys_use_quotas(const struct keys_use *u, const struct keys_limits *l, const struct keys_calendar *c, const struct keys_ask *ask,
                                     int64_t now_ms, struct q_error *e)
{
  const struct { enum keys_limit limit; enum keys_span span; int64_t used; const char *what; } rows[] = {
    { KEYS_TOTAL_TOKENS, KEYS_EVER, u->n[KEYS_EVER][KEYS_TOKENS], "tokens in all" },
    { KEYS_MONTH_TOKENS, KEYS_MONTH, u->n[KEYS_MONTH][KEYS_TOKENS], "tokens a month" },
    { KEYS_DAY_TOKENS, KEYS_DAY, u->n[KEYS_DAY][KEYS_TOKENS], "tokens a day" },
    { KEYS_DAY_CALLS, KEYS_DAY, u->n[KEYS_DAY][KEYS_CALLS], "requests a day" },
    { KEYS_DAY_MEDIA, KEYS_DAY, u->n[KEYS_DAY][KEYS_MEDIA] + u->media_held + (ask->media ? ask->media - 1 : 0), "pictures and videos a day" },
  };
  for(size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    int64_t limit = l->v[rows[i].limit];
    if(limit == KEYS_NO_LIMIT || rows[i].used < limit || (rows[i].limit == KEYS_DAY_MEDIA && !ask->media)) continue;
    int64_t end_ms = rows[i].span == KEYS_DAY ? c->day_ends_ms : rows[i].span == KEYS_MONTH ? keys_use_month_ends_ms(now_ms) : 0;
    e->retry_after_s = end_ms > now_ms ? (int)((end_ms - now_ms + 999) / 1000) : KEYS_USE_NEVER_S;
    return status_fail(e, Q_KEY_QUOTA, NULL, "This API key is limited to %lld %s, and they are used up%s. Ask the administrator for more.", (long long)limit,
                       rows[i].what, rows[i].span == KEYS_DAY ? " until midnight" : rows[i].span == KEYS_MONTH ? " until the month ends" : "");
  }
  return Q_OK;
}

/* ---- coming and going ---- */

static void keys_use_add(struct keys_use *u, enum keys_count what, int64_t by)
{
  if(!by) return;
  for(int i = 0; i < KEYS_SPANS; i++) {
    u->n[i][what] += by;
    u->fresh[i][what] += by;
  }
  u->changed = true;
}

enum q_status keys_use_check(struct keys_use *u, const struct keys_limits *l, const struct keys_calendar *c, const struct keys_ask *ask,
                             int64_t now_ms, struct q_error *e)
{
  keys_use_turn(u, c);
  if(!keys_limits_allow(l, ask->asked, ask->resolved)) {
    struct str shown = str_sub(ask->asked.n ? ask->asked : ask->resolved, 0, 80);
    return status_fail(e, Q_KEY_MODEL, "model", "This API key may not use the model '%.*s'; ask the administrator.", STR_F(shown));
  }
  enum q_status st = keys_use_quotas(u, l, c, ask, now_ms, e);
  if(!st) st = keys_use_minute(u, l, now_ms, e);
  if(st || l->v[KEYS_INFLIGHT] == KEYS_NO_LIMIT || u->inflight < l->v[KEYS_INFLIGHT]) return st;
  e->retry_after_s = KEYS_USE_BUSY_S;
  return status_fail(e, Q_KEY_RATE, NULL, "This API key is limited to %lld requests at once. Wait until one of them is answered.",
                     (long long)l->v[KEYS_INFLIGHT]);
}

enum q_status keys_use_admit(struct keys_use *u, const struct keys_limits *l, const struct keys_calendar *c, const struct keys_ask *ask,
                             int64_t now_ms, struct q_error *e)
{
  keys_use_turn(u, c);
  if(!ask->again) {
    enum q_status st = keys_use_check(u, l, c, ask, now_ms, e);
    if(st) return st;
    keys_use_add(u, KEYS_CALLS, 1);
    if(u->minute) {
      u->minute->calls[u->minute->slot % KEYS_SLOTS]++;
      u->minute->all_calls++;
    }
  }
  u->last_s = now_ms / 1000;
  u->inflight++;
  u->media_held += ask->media;
  return Q_OK;
}

void keys_use_elsewhere(struct keys_use *u, const struct keys_limits *l, int64_t calls, int64_t tokens, int64_t now_ms)
{
  if((l && keys_use_ready(u, l)) || !u->minute) return;
  struct keys_minute *m = u->minute;
  keys_use_slide(m, now_ms);
  int at = (int)(m->slot % KEYS_SLOTS);
  m->calls[at] += (uint32_t)calls;
  m->all_calls += (uint32_t)calls;
  m->tokens[at] += tokens;
  m->all_tokens += tokens;
}

void keys_use_done(struct keys_use *u, const struct keys_calendar *c, int media_held, int64_t tokens, int media, int64_t now_ms)
{
  keys_use_turn(u, c);
  if(u->inflight > 0) u->inflight--;
  u->media_held -= media_held;
  keys_use_add(u, KEYS_TOKENS, tokens);
  keys_use_add(u, KEYS_MEDIA, media);
  if(tokens) keys_use_elsewhere(u, NULL, 0, tokens, now_ms);
}
