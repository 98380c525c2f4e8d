#include "domain/doctor.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "base/build.h"
#include "domain/account.h"
#include "net/redis.h"
#include "proto/json.h"

enum { DOCTOR_CALL_MS = 10000, DOCTOR_CONNECT_MS = 8000, DOCTOR_FILE_MAX = 64 * 1024 * 1024, DOCTOR_PATH = 1100 };

struct doctor_run { const struct doctor *d; bool bad; };

static void doctor_tell(struct doctor_run *r, const char *id, const char *level, const char *message, const char *fix)
{
  struct doctor_finding f = { id, level, message, fix };
  r->bad |= strcmp(level, "error") == 0;
  r->d->tell(r->d->ctx, &f);
}

/* ---- single checks ---- */

/* The folder, or the nearest one above it that is there. */
static void doctor_nearest(const char *dir, char out[DOCTOR_PATH])
{
  str_copy(out, DOCTOR_PATH, str_z(dir[0] ? dir : "."));
  while(access(out, F_OK) != 0 && strcmp(out, ".") != 0 && strcmp(out, "/") != 0) { /* neither need be within reach */
    char *slash = strrchr(out, '/');
    if(slash) slash[slash == out] = 0;
    else str_copy(out, DOCTOR_PATH, S("."));
  }
}

/* Rights, quotas and read-only disks are all asked in one way: by a file that comes and goes. */
bool doctor_writable(const char *dir)
{
  char near[DOCTOR_PATH], file[DOCTOR_PATH + 32];
  doctor_nearest(dir, near);
  snprintf(file, sizeof file, "%s/.qwen2api-trial-XXXXXX", near);
  int fd = mkstemp(file);
  if(fd < 0) return false;
  bool ok = write(fd, "x", 1) == 1;
  ok &= close(fd) == 0;
  return unlink(file) == 0 && ok;
}

bool doctor_networked_type(unsigned long type)
{
  static const unsigned long kinds[] = { 0x6969, 0xff534d42, 0xfe534d42, 0x517b, 0x01021997, 0x00c36400, 0x5346414f, 0x65735546 };
  for(size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
    if((type & 0xffffffff) == kinds[i]) return true;
  return false;
}

static bool doctor_networked(const char *dir)
{
  char near[DOCTOR_PATH];
  struct statfs fs;
  doctor_nearest(dir, near);
  return statfs(near, &fs) == 0 && doctor_networked_type((unsigned long)fs.f_type);
}

/* Any HTTP answer means that the way is good. */
static enum q_status doctor_call(const struct config *c, struct net *net, const struct now *now, struct str proxy, int64_t *ms, struct q_error *e)
{
  struct strbuf body = STRBUF(1024 * 1024), headers = STRBUF(4096);
  int status = 0;
  int64_t begin = now_mono_ms(now);
  strbuf_lit(&headers, "User-Agent: ");
  strbuf_addz(&headers, c->upstream_user_agent);
  strbuf_lit(&headers, "\r\n");
  struct xchg_req r = { .url = str_z(c->qwen_chat_proxy_url), .proxy = proxy, .method = S("HEAD"), .headers = strbuf_str(&headers), .connect_ms = DOCTOR_CONNECT_MS };
  enum q_status st = httpc_call(net, now, &r, DOCTOR_CALL_MS, &status, NULL, &body, e);
  *ms = now_mono_ms(now) - begin;
  if(st && !e->msg[0]) status_fail(e, st, NULL, "%s", status_row(st)->text);
  strbuf_free(&body);
  strbuf_free(&headers);
  return st;
}

enum q_status doctor_try_proxy(const struct config *c, struct net *net, const struct now *now, struct str proxy, int64_t *ms, struct q_error *e)
{
  return doctor_call(c, net, now, proxy, ms, e);
}

enum q_status doctor_try_redis(struct net *net, const struct now *now, struct str url, int64_t *ms, struct q_error *e)
{
  struct redis_want w = { .net = net, .now = now, .url = url, .connect_ms = DOCTOR_CONNECT_MS, .reply_max = 64 * 1024 };
  const struct resp *reply;
  int64_t begin = now_mono_ms(now);
  struct redis *r = redis_open(&w, e);
  enum q_status st = r ? REDIS_CALL(r, DOCTOR_CALL_MS, &reply, e, S("PING")) : e->st;
  redis_close(r);
  *ms = now_mono_ms(now) - begin;
  return st;
}

/* ---- findings ---- */

static void doctor_keys(struct doctor_run *r)
{
  static const char *const samples[] = { "sk-123456", "sk-456789", "sk-admin123", "sk-user456", "sk-user789" };
  const struct config *c = r->d->config;
  const char *a = c->listen_address;
  bool sample = false, small = false, near = strcmp(a, "localhost") == 0 || strncmp(a, "127.", 4) == 0 || strcmp(a, "::1") == 0 || strncmp(a, "unix:", 5) == 0;
  for(int i = 0; i < c->api_key.n; i++) {
    small |= strlen(c->api_key.v[i]) < 16;
    for(size_t k = 0; k < sizeof samples / sizeof samples[0]; k++) sample |= strcmp(c->api_key.v[i], samples[k]) == 0;
  }
  if(sample && !near) doctor_tell(r, "sample_key", "error", "A key of API_KEY is a published sample, and the address is open to others.", "Put a key of your own into API_KEY, such as 'sk-' and 32 random characters.");
  else if(small && !near) doctor_tell(r, "short_key", "warn", "A key of API_KEY is shorter than 16 characters, and the address is open to others.", "Use a longer key.");
  else doctor_tell(r, "keys", "ok", "The keys are good for this address.", "");
}

static void doctor_folders(struct doctor_run *r)
{
  const struct config *c = r->d->config;
  bool file = c->data_save_mode == SAVE_FILE || c->data_save_mode == SAVE_UNSET;
  if(file && !doctor_writable(c->data_dir))
    doctor_tell(r, "data_dir", c->data_save_mode == SAVE_FILE ? "error" : "warn", "The folder DATA_DIR cannot be written.", "Give it to the user that runs qwen2api, or set DATA_DIR.");
  else if(file && doctor_networked(c->data_dir))
    doctor_tell(r, "data_dir_network", "warn", "The folder DATA_DIR is on a network or user-space file system: the store needs a local disk.", "Move DATA_DIR to a local disk, or use DATA_SAVE_MODE=redis.");
  else if(file) doctor_tell(r, "data_dir", "ok", "The folder DATA_DIR can be written.", "");
  if(c->cache_mode == CACHE_FILE && !doctor_writable(c->cache_dir)) doctor_tell(r, "cache_dir", "error", "The folder CACHE_DIR cannot be written.", "Give it to the user that runs qwen2api.");
  if(c->enable_file_log && !doctor_writable(c->log_dir)) doctor_tell(r, "log_dir", "error", "The folder LOG_DIR cannot be written.", "Give it to the user that runs qwen2api.");
}

/* data.json of the original stays where it is after the import, with its passwords. */
static void doctor_plain(struct doctor_run *r)
{
  char path[1100];
  struct strbuf text = STRBUF(DOCTOR_FILE_MAX);
  struct arena a = ARENA((size_t)DOCTOR_FILE_MAX * 4);
  snprintf(path, sizeof path, "%s/data.json", r->d->config->data_dir);
  int fd = open(path, O_RDONLY | O_CLOEXEC), found = 0;
  for(;;) {
    char *room = fd < 0 ? NULL : strbuf_room(&text, 64 * 1024);
    ssize_t n = room ? read(fd, room, 64 * 1024) : 0;
    if(n <= 0) break;
    text.n += (size_t)n;
  }
  if(fd >= 0) close(fd);
  const struct json *root = text.n ? json_parse(&a, strbuf_str(&text), 64, NULL) : NULL;
  for json_each(m, json_get(root, "accounts")) found += json_str(json_get(m, "password")).n > 0;
  if(found) doctor_tell(r, "plain_passwords", "warn", "DATA_DIR/data.json still holds passwords in plain text; it was imported and is not needed any more.", "Delete data.json, or keep it where nobody reads it.");
  if(text.p) crypt_wipe(text.p, text.n);
  strbuf_free(&text);
  arena_free(&a);
}

static void doctor_network(struct doctor_run *r)
{
  const struct config *c = r->d->config;
  struct q_error e = Q_ERROR_NONE;
  char text[600];
  int64_t ms;
  bool proxy = c->proxy_url[0];
  if(doctor_call(c, r->d->net, r->d->now, str_z(c->proxy_url), &ms, &e)) {
    bool at_proxy = proxy && e.st == Q_PROXY;
    snprintf(text, sizeof text, "%s cannot be reached: %.400s", at_proxy ? "The proxy PROXY_URL" : "The upstream QWEN_CHAT_PROXY_URL", e.msg);
    doctor_tell(r, at_proxy ? "proxy" : "upstream", "error", text, at_proxy ? "Look at PROXY_URL and at the proxy." : "Look at the network, the name server, and whether a proxy is needed (PROXY_URL).");
  } else {
    snprintf(text, sizeof text, "The upstream answers%s in %lld ms.", proxy ? " through the proxy" : "", (long long)ms);
    doctor_tell(r, "upstream", "ok", text, "");
  }
  if(c->data_save_mode != SAVE_REDIS) return;
  e = Q_ERROR_NONE;
  if(doctor_try_redis(r->d->net, r->d->now, str_z(c->redis_url), &ms, &e)) {
    snprintf(text, sizeof text, "Redis cannot be used: %.400s", e.msg);
    doctor_tell(r, "redis", "error", text, "Look at REDIS_URL and at the server.");
  } else {
    doctor_tell(r, "redis", "ok", "Redis answers.", "");
  }
}

/* Of the records of a gateway that does not run. */
struct doctor_stored { int total, usable; };

static bool doctor_stored_one(void *ctx, struct str key, struct str value)
{
  struct doctor_stored *n = ctx;
  struct arena a = ARENA(1024 * 1024);
  const struct json *root = value.n > 1 ? json_parse(&a, str_sub(value, 1, value.n), 8, NULL) : NULL;
  (void)key;
  n->total++;
  n->usable += root && account_state_by_name(json_str(json_get(root, "state"))) == ACCOUNT_ACTIVE;
  arena_free(&a);
  return true;
}

static void doctor_count(struct doctor_run *r, int total, int usable)
{
  if(usable) doctor_tell(r, "accounts", "ok", "At least one account is usable.", "");
  else doctor_tell(r, "no_usable_account", "error", total ? "No account is usable just now." : "There is no account.", total ? "Look at the accounts' states for the reasons." : "Add an account.");
}

static void doctor_accounts(struct doctor_run *r)
{
  const struct config *c = r->d->config;
  struct doctor_stored n = { 0, 0 };
  if(r->d->app) {
    struct app_health h = app_health(r->d->app);
    doctor_count(r, h.total, h.usable);
    return;
  }
  if(r->d->store && r->d->store->ops->scan(r->d->store, S("acct/"), doctor_stored_one, &n)) {
    doctor_tell(r, "store", "error", "The store cannot be read.", "Look at the disk; a copy of the folder can be opened with DATA_DIR.");
    return;
  }
  if(r->d->store_trouble && !c->accounts_n && !c->cli_api_key.n) {
    doctor_tell(r, r->d->store_used ? "accounts" : "store", r->d->store_used ? "ok" : "error", r->d->store_trouble,
                r->d->store_used ? "GET /api/doctor of the running gateway tells about its accounts." : "Look at the folder DATA_DIR and at SECRET_KEY.");
    return;
  }
  doctor_count(r, n.total + c->accounts_n + c->cli_api_key.n, n.usable + c->accounts_n + c->cli_api_key.n);
}

bool doctor_look(const struct doctor *d)
{
  struct doctor_run r = { .d = d };
  doctor_keys(&r);
  doctor_folders(&r);
  doctor_plain(&r);
  if(now_wall_s(d->now) < Q2A_BUILD_EPOCH) doctor_tell(&r, "clock", "error", "The clock is before the date of this build: certificates and tokens will be refused.", "Set the clock, for example with NTP.");
  doctor_accounts(&r);
  doctor_network(&r);
  return !r.bad;
}
