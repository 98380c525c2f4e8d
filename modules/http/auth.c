#include "http/auth.h"

#include <arpa/inet.h>
#include <pthread.h>

#include "base/mem.h"

enum { AUTH_SLOTS = 1024, AUTH_WINDOW_MS = 60 * 1000, AUTH_SLOW = 5, AUTH_FLOOD = 30, AUTH_DELAY_MS = 250, AUTH_KEY_MAX = 512 };

struct auth {
  pthread_mutex_t lock;
  struct { uint64_t address; int64_t since_ms; int count; } v[AUTH_SLOTS];
};

struct auth *auth_new(void)
{
  struct auth *a = mem_zalloc(sizeof *a);
  if(a) pthread_mutex_init(&a->lock, NULL);
  return a;
}

void auth_destroy(struct auth *a)
{
  if(!a) return;
  pthread_mutex_destroy(&a->lock);
  mem_free(a);
}

static struct str auth_bearer(struct str value)
{
  if(!str_istarts(value, S("bearer"))) return value;
  struct str rest = str_sub(value, 6, value.n);
  if(rest.n && rest.p[0] != ' ' && rest.p[0] != '\t') return value;
  return str_trim(rest);
}

enum key_kind auth_key(struct keys *k, const struct http1_headers *h, int64_t wall_ms, struct str *shown, char id[KEYS_ID])
{
  struct str candidates[3] = { auth_bearer(http1_find(h, S("authorization"))), http1_find(h, S("x-api-key")),
                               http1_find(h, S("api-key")) };
  enum key_kind kind = KEY_NONE;
  if(shown) *shown = STR_NONE;
  for(int i = 0; i < 3 && kind == KEY_NONE; i++) {
    if(!candidates[i].n || candidates[i].n > AUTH_KEY_MAX) continue;
    if(shown && !shown->n) *shown = candidates[i];
    kind = keys_check(k, candidates[i], wall_ms, id);
  }
  return kind;
}

static uint64_t auth_hash(struct str address)
{
  uint64_t h = 1469598103934665603u;
  for(size_t i = 0; i < address.n; i++) h = (h ^ (unsigned char)address.p[i]) * 1099511628211u;
  return h ? h : 1;
}

enum q_status auth_failed(struct auth *a, struct str address, int64_t now_ms, int64_t *delay_ms, int *retry_s)
{
  uint64_t h = auth_hash(address);
  pthread_mutex_lock(&a->lock);
  /* A few neighbours are looked at: the address's own slot, else a free one, else the oldest of them. */
  size_t start = (size_t)(h % AUTH_SLOTS), best = start;
  for(size_t i = 0; i < 8; i++) {
    size_t at = (start + i) % AUTH_SLOTS;
    if(a->v[at].address == h) {
      best = at;
      break;
    }
    if(a->v[at].since_ms < a->v[best].since_ms) best = at;
  }
  if(a->v[best].address != h || now_ms - a->v[best].since_ms > AUTH_WINDOW_MS) {
    a->v[best].address = h;
    a->v[best].since_ms = now_ms;
    a->v[best].count = 0;
  }
  int count = ++a->v[best].count;
  *retry_s = (int)((a->v[best].since_ms + AUTH_WINDOW_MS - now_ms) / 1000) + 1;
  pthread_mutex_unlock(&a->lock);
  *delay_ms = count >= AUTH_SLOW ? AUTH_DELAY_MS : 0;
  return count > AUTH_FLOOD ? Q_AUTH_FLOOD : Q_BAD_KEY;
}

/* 16 bytes of an address; IPv4 as ::ffff:a.b.c.d. */
static bool auth_parse(struct str text, unsigned char out[16], int *bits)
{
  char z[64];
  str_copy(z, sizeof z, text);
  memset(out, 0, 10);
  memset(out + 10, 0xff, 2);
  *bits = 128;
  if(inet_pton(AF_INET, z, out + 12) == 1) return *bits = 32, true;
  return inet_pton(AF_INET6, z, out) == 1;
}

static bool auth_trusted(const struct config_list *trusted, struct str address)
{
  unsigned char a[16], n[16];
  int bits, width;
  if(!auth_parse(address, a, &width)) return str_eq(address, S("unix")) && trusted->n > 0;
  for(int i = 0; i < trusted->n; i++) {
    struct str prefix = str_z(trusted->v[i]), net = str_cut(&prefix, '/');
    int64_t len;
    if(!auth_parse(net, n, &bits)) continue;
    if(!str_int(prefix, &len) || len < 0 || len > bits) len = bits;
    int same = (int)len + (128 - bits);
    bool equal = memcmp(a, n, (size_t)(same / 8)) == 0;
    if(equal && same % 8) equal = ((a[same / 8] ^ n[same / 8]) >> (8 - same % 8)) == 0;
    if(equal) return true;
  }
  return false;
}

struct str auth_address(const struct config_list *trusted, struct str peer, struct str forwarded)
{
  unsigned char ignored[16];
  int bits;
  if(!trusted->n || !forwarded.n || !auth_trusted(trusted, peer)) return peer;
  while(forwarded.n) { /* from the right: what stands left of an untrusted address may be made up */
    ptrdiff_t comma = -1;
    for(size_t i = 0; i < forwarded.n; i++)
      if(forwarded.p[i] == ',') comma = (ptrdiff_t)i;
    struct str last = str_trim(str_sub(forwarded, (size_t)(comma + 1), forwarded.n));
    forwarded = str_sub(forwarded, 0, comma < 0 ? 0 : (size_t)comma);
    if(!auth_parse(last, ignored, &bits)) return peer;
    if(!auth_trusted(trusted, last) || !forwarded.n) return last;
  }
  return peer;
}
