#include "domain/account_merge.h"

#include "base/mem.h"

static uint64_t account_mark_add(uint64_t h, const void *p, size_t n)
{
  const unsigned char *c = p;
  for(size_t i = 0; i < n; i++) h = (h ^ c[i]) * 1099511628211u; /* FNV-1a */
  return (h ^ 0xff) * 1099511628211u;
}

static uint64_t account_mark_secret(uint64_t h, const struct secret *s)
{
  return account_mark_add(h, secret_str(s).p, secret_str(s).n);
}

static uint64_t account_mark_part(const struct account *a, int part)
{
  uint64_t h = 14695981039346656037u;
  switch(part) {
  case ACCOUNT_PART_LOGIN:
    h = account_mark_secret(h, a->password);
    h = account_mark_secret(h, a->proxy);
    h = account_mark_secret(h, a->base);
    h = account_mark_secret(h, a->note);
    h = account_mark_secret(h, a->headers);
    h = account_mark_secret(h, a->cookie);
    h = account_mark_add(h, &a->max_inflight, sizeof a->max_inflight);
    if(a->models_given) h = account_mark_secret(h, a->models);
    h = account_mark_add(h, &a->kind, sizeof a->kind);
    return account_mark_add(h, &a->serves, sizeof a->serves);
  case ACCOUNT_PART_TOKEN:
    h = account_mark_secret(h, a->token);
    h = account_mark_secret(h, a->refresh);
    h = account_mark_add(h, &a->exchange, sizeof a->exchange);
    return account_mark_add(h, &a->expires_ms, sizeof a->expires_ms);
  case ACCOUNT_PART_GRANT:
    h = account_mark_secret(h, a->grant.access);
    h = account_mark_secret(h, a->grant.refresh);
    h = account_mark_secret(h, a->grant.resource);
    return account_mark_add(h, &a->grant.expires_ms, sizeof a->grant.expires_ms);
  default:
    h = account_mark_add(h, &a->whole, sizeof a->whole);
    return account_mark_add(h, &a->whole_why, sizeof a->whole_why);
  }
}

void account_mark(const struct account *a, struct account_marks *out)
{
  for(int i = 0; i < ACCOUNT_PARTS; i++) out->part[i] = account_mark_part(a, i);
  out->cli_day = a->cli_day;
  out->cli_calls = a->cli_calls;
  out->cli_in = a->cli_in;
  out->cli_out = a->cli_out;
}

static void account_take_secret(struct secret **to, struct secret **from)
{
  secret_unref(*to);
  *to = *from;
  *from = NULL;
}

static void account_take_part(struct account *a, struct account *from, int part)
{
  switch(part) {
  case ACCOUNT_PART_LOGIN:
    account_take_secret(&a->password, &from->password);
    account_take_secret(&a->proxy, &from->proxy);
    account_take_secret(&a->base, &from->base);
    account_take_secret(&a->note, &from->note);
    account_take_secret(&a->headers, &from->headers);
    account_take_secret(&a->cookie, &from->cookie);
    a->max_inflight = from->max_inflight;
    if(from->models_given || a->models_given) account_take_secret(&a->models, &from->models);
    a->models_given = from->models_given;
    a->serves = from->serves;
    break;
  case ACCOUNT_PART_TOKEN:
    account_take_secret(&a->token, &from->token);
    account_take_secret(&a->refresh, &from->refresh);
    a->exchange = from->exchange;
    a->expires_ms = from->expires_ms;
    a->renew_ms = from->renew_ms;
    a->token_no++;
    break;
  case ACCOUNT_PART_GRANT:
    account_take_secret(&a->grant.access, &from->grant.access);
    account_take_secret(&a->grant.refresh, &from->grant.refresh);
    account_take_secret(&a->grant.resource, &from->grant.resource);
    a->grant.expires_ms = from->grant.expires_ms;
    a->grant.no++;
    break;
  default:
    a->whole = from->whole;
    a->whole_why = from->whole_why;
    mem_free(a->whole_words);
    a->whole_words = from->whole_words;
    from->whole_words = NULL;
  }
}

/* True if what is known here must be told. */
static bool account_merge_feature(struct feature_state *x, struct feature_state *from, bool unsaved, int64_t now_ms)
{
  int64_t here = x->state == ACCOUNT_ACTIVE ? 0 : x->until_ms, there = from->state == ACCOUNT_ACTIVE ? 0 : from->until_ms;
  if(unsaved && here > now_ms && here > there) return true;
  mem_free(x->words);
  *x = *from;
  from->words = NULL;
  return false;
}

static bool account_merge_calls(struct account *a, const struct account *from)
{
  const struct account_marks *m = &a->marks;
  bool same = m->cli_day == a->cli_day;
  int64_t calls = a->cli_calls - (same ? m->cli_calls : 0), in = a->cli_in - (same ? m->cli_in : 0), out = a->cli_out - (same ? m->cli_out : 0);
  if(from->cli_day < a->cli_day) return true; /* yesterday's: ours alone count */
  bool keep = from->cli_day == a->cli_day;
  a->cli_day = from->cli_day;
  a->cli_calls = from->cli_calls + (keep ? calls : 0);
  a->cli_in = from->cli_in + (keep ? in : 0);
  a->cli_out = from->cli_out + (keep ? out : 0);
  return keep && (calls || in || out);
}

void account_merge(struct account *a, struct account *from, int64_t now_ms)
{
  struct account_marks theirs, ours;
  bool unsaved = a->dirty || a->saving, dirty = false;
  account_mark(from, &theirs);
  account_mark(a, &ours);
  for(int i = 0; i < ACCOUNT_PARTS; i++) {
    if(ours.part[i] == theirs.part[i]) continue;
    if(unsaved && ours.part[i] != a->marks.part[i]) dirty = true;
    else account_take_part(a, from, i);
  }
  for(int f = 0; f < FEATURE_COUNT; f++) dirty |= account_merge_feature(&a->features[f], &from->features[f], unsaved, now_ms);
  dirty |= account_merge_calls(a, from);
  a->marks = theirs;
  a->dirty = dirty || a->saving; /* a record that is on its way was made without this one's news: written once more */
  a->merged = a->saving;
}
