#include "domain/stats_table.h"

#include "base/mem.h"

enum { STATS_TABLE_VERSION = 2, /* 1 had no STATS_VIDEOS */ STATS_TABLE_RECORD_MAX = 16 * 1024 * 1024 };

const int32_t stats_bounds_ms[STATS_BUCKETS - 1] = { 50, 100, 250, 500, 1000, 1500, 2500, 4000, 6000, 10000, 15000, 30000, 60000, 120000, 300000 };

static int stats_table_bound(char by)
{
  return by == STATS_MODEL ? 100 : by == STATS_KEY ? 2000 : by == STATS_ACCOUNT ? 4000 : by == STATS_TRIPLE ? 4000 : 64;
}

void stats_table_free(struct stats_table *t)
{
  mem_free(t->rows);
  mem_free(t->slots);
  *t = (struct stats_table){ NULL, 0, 0, NULL };
}

static uint32_t stats_table_hash(char by, struct str name)
{
  uint32_t h = 2166136261u ^ (unsigned char)by;
  for(size_t i = 0; i < name.n; i++) h = (h ^ (unsigned char)name.p[i]) * 16777619u;
  return h;
}

/* The slot of a name, or the empty one where it belongs. */
static uint32_t *stats_table_slot(const struct stats_table *t, char by, struct str name)
{
  uint32_t size = (uint32_t)t->cap * 2, i = stats_table_hash(by, name) % size;
  for(;; i = (i + 1) % size) {
    uint32_t *s = &t->slots[i];
    if(!*s) return s;
    const struct stats_row *r = &t->rows[*s - 1];
    if(r->by == by && str_eq(str_z(r->name), name)) return s;
  }
}

static bool stats_table_grow(struct stats_table *t)
{
  int cap = t->cap ? t->cap * 2 : 16;
  uint32_t *slots = mem_zalloc((size_t)cap * 2 * sizeof *slots);
  struct stats_row *rows = slots ? mem_realloc(t->rows, (size_t)cap * sizeof *rows) : NULL;
  if(!rows) {
    mem_free(slots);
    return false;
  }
  mem_free(t->slots);
  *t = (struct stats_table){ rows, t->n, cap, slots };
  for(int i = 0; i < t->n; i++) *stats_table_slot(t, rows[i].by, str_z(rows[i].name)) = (uint32_t)i + 1;
  return true;
}

static int stats_table_count(const struct stats_table *t, char by)
{
  int n = 0;
  for(int i = 0; i < t->n; i++) n += t->rows[i].by == by;
  return n;
}

struct stats_row *stats_table_at(struct stats_table *t, enum stats_by by, struct str name)
{
  char cut[STATS_NAME - 1];
  str_copy(cut, sizeof cut, name);
  name = str_z(cut);
  uint32_t *s = t->cap ? stats_table_slot(t, (char)by, name) : NULL;
  if(s && *s) return &t->rows[*s - 1];
  if(!str_eq(name, S("other")) && stats_table_count(t, (char)by) >= stats_table_bound((char)by)) return stats_table_at(t, by, S("other"));
  if(t->n == t->cap && !stats_table_grow(t)) return NULL;
  struct stats_row *r = &t->rows[t->n++];
  memset(r, 0, sizeof *r);
  r->by = (char)by;
  str_copy(r->name, sizeof r->name, name);
  *stats_table_slot(t, (char)by, name) = (uint32_t)t->n;
  return r;
}

void stats_row_add(struct stats_row *to, const struct stats_row *from)
{
  for(int i = 0; i < STATS_FIELDS; i++) to->v[i] += from->v[i];
  for(int i = 0; i < STATS_BUCKETS; i++) {
    to->first[i] += from->first[i];
    to->total[i] += from->total[i];
  }
}

void stats_table_add(struct stats_table *to, const struct stats_table *from)
{
  for(int i = 0; i < from->n; i++) {
    struct stats_row *r = stats_table_at(to, (enum stats_by)from->rows[i].by, str_z(from->rows[i].name));
    if(r) stats_row_add(r, &from->rows[i]);
  }
}

bool stats_table_copy(struct stats_table *to, const struct stats_table *from)
{
  if(!from->n) return true;
  to->rows = mem_alloc((size_t)from->cap * sizeof *to->rows);
  to->slots = mem_alloc((size_t)from->cap * 2 * sizeof *to->slots);
  if(!to->rows || !to->slots) {
    stats_table_free(to);
    return false;
  }
  to->n = from->n;
  to->cap = from->cap;
  memcpy(to->rows, from->rows, (size_t)from->n * sizeof *to->rows);
  memcpy(to->slots, from->slots, (size_t)from->cap * 2 * sizeof *to->slots);
  return true;
}

/* ---- records: per row its kind, its name, the counters and the buckets as numbers of seven bits a byte ---- */

static void stats_table_number(struct strbuf *b, uint64_t v)
{
  for(; v >= 128; v >>= 7) strbuf_addc(b, (char)(v | 128));
  strbuf_addc(b, (char)v);
}

/* Only those that are not 0: how many, then place and value of each. */
static void stats_table_buckets(struct strbuf *b, const uint32_t v[STATS_BUCKETS])
{
  unsigned n = 0;
  for(int i = 0; i < STATS_BUCKETS; i++) n += v[i] != 0;
  strbuf_addc(b, (char)n);
  for(int i = 0; i < STATS_BUCKETS; i++) {
    if(!v[i]) continue;
    strbuf_addc(b, (char)i);
    stats_table_number(b, v[i]);
  }
}

void stats_table_write(const struct stats_table *t, struct strbuf *b)
{
  strbuf_addc(b, STATS_TABLE_VERSION);
  for(int i = 0; i < t->n; i++) {
    const struct stats_row *r = &t->rows[i];
    struct str name = str_z(r->name);
    strbuf_addc(b, r->by);
    strbuf_addc(b, (char)name.n);
    strbuf_adds(b, name);
    for(int k = 0; k < STATS_FIELDS; k++) stats_table_number(b, r->v[k]);
    stats_table_buckets(b, r->first);
    stats_table_buckets(b, r->total);
  }
}

static bool stats_table_get(struct str *s, uint64_t *v)
{
  *v = 0;
  for(int shift = 0; shift < 64; shift += 7) {
    if(!s->n) return false;
    unsigned char c = (unsigned char)*s->p;
    *s = str_sub(*s, 1, s->n);
    *v |= (uint64_t)(c & 127) << shift;
    if(c < 128) return true;
  }
  return false;
}

static bool stats_table_get_buckets(struct str *s, uint32_t v[STATS_BUCKETS])
{
  uint64_t n, at, value;
  if(!stats_table_get(s, &n) || n > STATS_BUCKETS) return false;
  for(; n; n--) {
    if(!stats_table_get(s, &at) || at >= STATS_BUCKETS || !stats_table_get(s, &value)) return false;
    v[at] = (uint32_t)value;
  }
  return true;
}

bool stats_table_read(struct stats_table *t, struct str s)
{
  if(!s.n || s.p[0] < 1 || s.p[0] > STATS_TABLE_VERSION || s.n > STATS_TABLE_RECORD_MAX) return false;
  int fields = s.p[0] == 1 ? STATS_VIDEOS : STATS_FIELDS;
  s = str_sub(s, 1, s.n);
  while(s.n) {
    struct stats_row r = { .by = s.p[0] };
    size_t len = s.n > 1 ? (unsigned char)s.p[1] : 255;
    if(len >= sizeof r.name || s.n < 2 + len) return false;
    struct str name = str_sub(s, 2, len);
    s = str_sub(s, 2 + len, s.n);
    for(int k = 0; k < fields; k++)
      if(!stats_table_get(&s, &r.v[k])) return false;
    if(!stats_table_get_buckets(&s, r.first) || !stats_table_get_buckets(&s, r.total)) return false;
    struct stats_row *to = stats_table_at(t, (enum stats_by)r.by, name);
    if(to) stats_row_add(to, &r);
  }
  return true;
}

/* ---- times ---- */

int stats_bucket(int64_t ms)
{
  int i = 0;
  while(i < STATS_BUCKETS - 1 && ms > stats_bounds_ms[i]) i++;
  return i;
}

int64_t stats_part_ms(const uint32_t v[STATS_BUCKETS], double part)
{
  double all = 0, seen = 0;
  for(int i = 0; i < STATS_BUCKETS; i++) all += v[i];
  if(all < 1) return -1;
  for(int i = 0; i < STATS_BUCKETS; i++) {
    if(v[i] && seen + v[i] >= all * part) {
      double low = i ? stats_bounds_ms[i - 1] : 0, high = i < STATS_BUCKETS - 1 ? stats_bounds_ms[i] : low;
      return (int64_t)(low + (high - low) * (all * part - seen) / v[i]);
    }
    seen += v[i];
  }
  return stats_bounds_ms[STATS_BUCKETS - 2];
}
