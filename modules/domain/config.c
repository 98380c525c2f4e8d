#include "domain/config.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "base/crypt.h"
#include "base/mem.h"
#include "domain/config_item.h"
#include "domain/dotenv.h"
#include "proto/json.h"
#include "proto/url.h"

enum { CONFIG_ARENA_MAX = 16 * 1024 * 1024, CONFIG_FILE_MAX = 1024 * 1024 };

/* ---- loading ---- */

struct config_load {
  struct config *c;
  struct strbuf *errors, *warnings;
  int error_n;
  bool nomem;
  const char *file_name;
  struct dotenv env;
};

static const char *config_text(struct config_load *l, struct str s)
{
  struct str copy = arena_str(&l->c->arena, s);
  if(!copy.p) l->nomem = true;
  return copy.p ? copy.p : "";
}

static void config_error(struct config_load *l, const char *key, struct str value, unsigned flags, const char *where, const char *want)
{
  l->error_n++;
  strbuf_fmt(l->errors, "qwen2api: configuration error: %s=\"", key);
  if(flags & C_SECRET) strbuf_lit(l->errors, "***");
  else
    for(size_t i = 0; i < value.n && i < 100; i++) strbuf_addc(l->errors, (unsigned char)value.p[i] < 0x20 ? '?' : value.p[i]);
  strbuf_fmt(l->errors, "\": %s%s\n", want, where);
}

static void config_problem(struct config_load *l, const char *words)
{
  l->error_n++;
  strbuf_fmt(l->errors, "qwen2api: configuration error: %s\n", words);
}

static bool config_bool(struct str s, bool *out)
{
  static const char *const yes[] = { "true", "1", "yes", "on" }, *const no[] = { "false", "0", "no", "off" };
  for(int i = 0; i < 4; i++) {
    if(str_ieq(s, str_z(yes[i]))) return *out = true, true;
    if(str_ieq(s, str_z(no[i]))) return *out = false, true;
  }
  return false;
}

static bool config_digits(struct str s, int64_t *out)
{
  char plain[24];
  size_t n = 0;
  for(size_t i = 0; i < s.n; i++) {
    if(s.p[i] == '_') continue;
    if(n == sizeof plain) return false;
    plain[n++] = s.p[i];
  }
  return n > 0 && str_int(str_of(plain, n), out);
}

/* "90s", "500ms", "2m", "1h", a fraction of seconds, or a plain number of seconds (unit_ms 1000) or ms (1). */
static bool config_duration(struct str s, int64_t unit_ms, int64_t *out)
{
  static const struct { struct str unit; int64_t ms; } units[] = {
    { { "ms", 2 }, 1 }, { { "s", 1 }, 1000 }, { { "m", 1 }, 60000 }, { { "h", 1 }, 3600000 },
  };
  for(size_t i = 0; i < 4; i++)
    if(s.n > units[i].unit.n && str_ieq(str_sub(s, s.n - units[i].unit.n, s.n), units[i].unit)) {
      char before = s.p[s.n - units[i].unit.n - 1];
      if((before < '0' || before > '9') && before != '.') continue;
      unit_ms = units[i].ms;
      s.n -= units[i].unit.n;
      break;
    }
  struct str whole = str_cut(&s, '.');
  int64_t v = 0, part = 0, scale = 1;
  if(!config_digits(whole, &v)) return false;
  if(s.n && (s.n > 3 || !config_digits(s, &part))) return false;
  for(size_t i = 0; i < s.n; i++) scale *= 10;
  return !__builtin_mul_overflow(v, unit_ms, &v) && !__builtin_add_overflow(v, part * unit_ms / scale, out);
}

static bool config_size(struct str s, int64_t *out)
{
  int64_t unit = 1, v;
  if(s.n > 1 && (s.p[s.n - 1] == 'B' || s.p[s.n - 1] == 'b')) s.n--;
  char u = s.n ? s.p[s.n - 1] | 32 : 0;
  if(u == 'k') unit = 1024;
  if(u == 'm') unit = 1024 * 1024;
  if(u == 'g') unit = 1024 * 1024 * 1024;
  if(unit > 1) s.n--;
  return config_digits(s, &v) && !__builtin_mul_overflow(v, unit, out);
}

static bool config_word(const char *words, struct str s, int64_t *out)
{
  struct str rest = str_z(words);
  for(int64_t i = 0; rest.n; i++)
    if(str_ieq(str_cut(&rest, ' '), s)) return *out = i, true;
  return false;
}

static bool config_list(struct config_load *l, struct str s, struct config_list *out)
{
  int n = 1;
  for(size_t i = 0; i < s.n; i++) n += s.p[i] == ',';
  out->n = 0;
  out->v = arena_alloc(&l->c->arena, (size_t)n * sizeof *out->v);
  if(!out->v) return l->nomem = true, true;
  while(s.n) {
    struct str item = str_trim(str_cut(&s, ','));
    if(item.n) out->v[out->n++] = config_text(l, item);
  }
  return true;
}

/* Sets one value; NULL if it is good, else what was expected. */
static const char *config_set(struct config_load *l, const struct config_item *it, struct str s, char *words, size_t cap)
{
  void *field = (char *)l->c + it->field;
  int64_t v = 0;
  struct url u;
  switch(it->kind) {
  case C_BOOL: return config_bool(s, field) ? NULL : "expected true or false";
  case C_ENUM:
    if(config_word(it->words, s, field)) return NULL;
    snprintf(words, cap, "expected one of: %s", it->words + (str_starts(str_z(it->words), S("unset ")) ? 6 : 0));
    return words;
  case C_LIST: return config_list(l, s, field) ? NULL : "expected a list";
  case C_TEXT:
    for(size_t i = 0; i < s.n; i++)
      if((unsigned char)s.p[i] < 0x20 && s.p[i] != '\t' && !(s.p[i] == '\n' && it->flags & C_LINES)) return "expected text without control characters";
    *(const char **)field = config_text(l, s);
    return NULL;
  case C_URL:
    if(s.n || it->def[0]) {
      bool known = url_split(s, &u) && config_word(it->words, u.scheme, &v);
      snprintf(words, cap, "expected a URL (%s)", it->words);
      if(!known) return words;
      while(s.n && s.p[s.n - 1] == '/') s.n--;
    }
    *(const char **)field = config_text(l, s);
    return NULL;
  case C_INT:
    if(it->words && str_ieq(s, str_z(it->words))) {
      *(int64_t *)field = -1;
      return NULL;
    }
    snprintf(words, cap, "expected an integer from %lld to %lld", (long long)it->lo, (long long)it->hi);
    if(!config_digits(s, &v)) return words;
    break;
  case C_MB:
    snprintf(words, cap, "expected a number of MB from %lld to %lld", (long long)it->lo, (long long)it->hi);
    if(!config_digits(s, &v) || v < it->lo || v > it->hi) return words;
    *(int64_t *)field = v << 20;
    return NULL;
  case C_BYTES:
    snprintf(words, cap, "expected a size of at least %lldM, such as 512M or 1G", (long long)(it->lo >> 20));
    if(!config_size(s, &v)) return words;
    break;
  case C_MS:
  case C_SECONDS:
    snprintf(words, cap, it->kind == C_MS ? "expected %g to %g milliseconds" : "expected %g to %g seconds",
             (double)it->lo / (it->kind == C_MS ? 1 : 1000), (double)it->hi / (it->kind == C_MS ? 1 : 1000));
    if(!config_duration(s, it->kind == C_MS ? 1 : 1000, &v)) return words;
    break;
  case C_OLD: return NULL;
  }
  if(v < it->lo || v > it->hi) return words;
  *(int64_t *)field = v;
  return NULL;
}

static void config_apply(struct config_load *l, int row, struct str value, enum config_source source, const char *where)
{
  char words[256];
  const struct config_item *it = &config_items[row];
  if(it->kind == C_OLD) return;
  struct str s = str_trim(value);
  if(s.n == 0 && source != CONFIG_STORED) return; /* empty means default; an administrator's word is meant as it is */
  const char *want = config_set(l, it, it->kind == C_TEXT ? value : s, words, sizeof words);
  if(want) config_error(l, it->key, s, it->flags, where, want);
  l->c->source[row] = (unsigned char)source;
}

static struct str config_env(char **envp, const char *name)
{
  size_t n = strlen(name);
  for(; envp && *envp; envp++)
    if(strncmp(*envp, name, n) == 0 && (*envp)[n] == '=') return str_z(*envp + n + 1);
  return STR_NONE;
}

/* ---- the file ---- */

static int config_distance(const char *a, struct str b)
{
  int row[64];
  size_t n = strlen(a);
  if(b.n >= 63 || n >= 63) return 99;
  for(size_t j = 0; j <= b.n; j++) row[j] = (int)j;
  for(size_t i = 1; i <= n; i++) {
    int diagonal = row[0];
    row[0] = (int)i;
    for(size_t j = 1; j <= b.n; j++) {
      int up = row[j], change = diagonal + (a[i - 1] != b.p[j - 1]), least = up < row[j - 1] ? up + 1 : row[j - 1] + 1;
      row[j] = change < least ? change : least;
      diagonal = up;
    }
  }
  return row[b.n];
}

static void config_unknown(struct config_load *l, const struct dotenv_item *item)
{
  int best = 0, least = 99;
  for(int i = 0; i < CONFIG_ROWS; i++) {
    int d = config_distance(config_items[i].key, item->name);
    if(d < least) least = d, best = i;
  }
  strbuf_fmt(l->warnings, "%s line %d: unknown variable %.*s", l->file_name, item->line, STR_F(str_sub(item->name, 0, 60)));
  if(least <= 4) strbuf_fmt(l->warnings, "; did you mean %s?", config_items[best].key);
  strbuf_addc(l->warnings, '\n');
}

enum q_status config_read_text(const char *file, struct strbuf *out, struct q_error *e)
{
  const char *path = file ? file : "./.env";
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  strbuf_clear(out);
  if(fd < 0 && !file && errno == ENOENT) return Q_OK;
  if(fd < 0) return status_fail(e, Q_BAD_VALUE, NULL, "cannot read %.200s: %s", path, strerror(errno));
  for(;;) {
    char *room = strbuf_room(out, 4096);
    ssize_t n = room ? read(fd, room, 4096) : 0;
    if(n <= 0) break;
    out->n += (size_t)n;
  }
  close(fd);
  if(out->n > CONFIG_FILE_MAX || out->err == Q_TOO_BIG)
    return status_fail(e, Q_BAD_VALUE, NULL, "the configuration file is larger than 1 MB");
  return out->err;
}

static void config_read_file(struct config_load *l, const struct config_input *in)
{
  struct strbuf text = STRBUF(CONFIG_FILE_MAX + 4096);
  struct q_error e = Q_ERROR_NONE;
  char message[300];
  const char *why;
  int line = 0;
  l->file_name = in->file ? in->file : ".env";
  enum q_status st = Q_OK;
  if(in->text) strbuf_adds(&text, *in->text);
  else st = config_read_text(in->file, &text, &e);
  struct str copy = arena_str(&l->c->arena, strbuf_str(&text)); /* values borrow from it */
  if(st == Q_BAD_VALUE) config_problem(l, e.msg);
  else if(st || text.err || !copy.p) l->nomem = true;
  else if(dotenv_read(&l->c->arena, copy, &l->env, &line, &why) == Q_BAD_VALUE) {
    snprintf(message, sizeof message, "%.200s line %d: %s", l->file_name, line, why);
    config_problem(l, message);
  }
  if(text.p) crypt_wipe(text.p, text.n);
  strbuf_free(&text);
  for(int i = 0; i < l->env.n; i++) {
    if(config_find(l->env.v[i].name) < 0 && !str_eq(l->env.v[i].name, S("pm_id"))) config_unknown(l, &l->env.v[i]);
    for(int k = 0; k < i; k++)
      if(str_eq(l->env.v[k].name, l->env.v[i].name))
        strbuf_fmt(l->warnings, "%s line %d: %.*s is set twice, the last counts\n", l->file_name, l->env.v[i].line, STR_F(l->env.v[i].name));
  }
}

/* ---- what is fixed at start ---- */

static bool config_same(const struct config *a, const struct config *b, const struct config_item *it)
{
  const void *x = (const char *)a + it->field, *y = (const char *)b + it->field;
  const struct config_list *m = x, *n = y;
  switch(it->kind) {
  case C_BOOL: return *(const bool *)x == *(const bool *)y;
  case C_TEXT:
  case C_URL: return strcmp(*(const char *const *)x, *(const char *const *)y) == 0;
  case C_LIST:
    if(m->n != n->n) return false;
    for(int i = 0; i < m->n; i++)
      if(strcmp(m->v[i], n->v[i]) != 0) return false;
    return true;
  case C_OLD: return true;
  default: return *(const int64_t *)x == *(const int64_t *)y;
  }
}

static void config_copy_list(struct config_load *l, struct config_list *to, const struct config_list *from)
{
  to->n = 0;
  to->v = arena_alloc(&l->c->arena, (size_t)(from->n + 1) * sizeof *to->v);
  if(!to->v) l->nomem = true;
  for(int i = 0; to->v && i < from->n; i++) to->v[to->n++] = config_text(l, str_z(from->v[i]));
}

static void config_keep_fixed(struct config_load *l, const struct config_input *in)
{
  for(int i = 0; i < CONFIG_ROWS; i++) {
    const struct config_item *it = &config_items[i];
    void *to = (char *)l->c + it->field;
    const void *from = (const char *)in->fixed + it->field;
    if(!(it->flags & C_START) || config_same(l->c, in->fixed, it)) continue;
    if(in->take_new && (to == &l->c->accounts_text || (to == &l->c->api_key && l->c->api_key.n))) continue;
    if(in->differ) strbuf_fmt(in->differ, "%s\n", it->key);
    l->c->source[i] = in->fixed->source[i];
    if(it->kind == C_BOOL) *(bool *)to = *(const bool *)from;
    else if(it->kind == C_TEXT || it->kind == C_URL) *(const char **)to = config_text(l, str_z(*(const char *const *)from));
    else if(it->kind == C_LIST) config_copy_list(l, to, from);
    else *(int64_t *)to = *(const int64_t *)from;
  }
}

/* ---- parsed forms and checks across settings ---- */

static void config_accounts(struct config_load *l)
{
  struct config *c = l->c;
  c->accounts = arena_alloc(&c->arena, (size_t)(c->accounts_text.n + 1) * sizeof *c->accounts);
  if(!c->accounts) {
    l->nomem = true;
    return;
  }
  for(int i = 0; i < c->accounts_text.n; i++) {
    struct str proxy = str_z(c->accounts_text.v[i]), who = str_cut(&proxy, '|'), email = str_cut(&who, ':');
    struct url u;
    char message[120];
    snprintf(message, sizeof message, "ACCOUNTS entry %d: expected email:password[|proxy]", i + 1);
    if(!email.n || !who.n || (proxy.n && !url_split(proxy, &u))) config_problem(l, message);
    else c->accounts[c->accounts_n++] = (struct config_account){ config_text(l, email), config_text(l, who), config_text(l, proxy) };
  }
}

/* "host[:port]" with IPv6 in brackets; port 0 if there is none. */
static bool config_host_port(struct str s, struct str *host, int64_t *port)
{
  struct str rest = STR_NONE;
  *port = 0;
  if(s.n && s.p[0] == '[') {
    ptrdiff_t close = str_chr(s, ']');
    if(close < 0) return false;
    *host = str_sub(s, 1, (size_t)close - 1);
    rest = str_sub(s, (size_t)close + 1, s.n);
  } else {
    ptrdiff_t colon = str_chr(s, ':');
    *host = colon < 0 ? s : str_sub(s, 0, (size_t)colon);
    if(colon >= 0) rest = str_sub(s, (size_t)colon, s.n);
  }
  if(!host->n) return false;
  return rest.n == 0 || (rest.p[0] == ':' && str_int(str_sub(rest, 1, rest.n), port) && *port > 0 && *port < 65536);
}

static void config_resolve(struct config_load *l)
{
  struct config *c = l->c;
  c->upstream_resolve = arena_alloc(&c->arena, (size_t)(c->upstream_resolve_text.n + 1) * sizeof *c->upstream_resolve);
  if(!c->upstream_resolve) {
    l->nomem = true;
    return;
  }
  for(int i = 0; i < c->upstream_resolve_text.n; i++) {
    struct str to = str_z(c->upstream_resolve_text.v[i]), from = str_cut(&to, '='), host, addr;
    int64_t port, addr_port;
    if(!config_host_port(from, &host, &port) || !config_host_port(to, &addr, &addr_port) || !addr_port)
      config_error(l, "UPSTREAM_RESOLVE", str_z(c->upstream_resolve_text.v[i]), 0, "", "expected host[:port]=address:port");
    else
      c->upstream_resolve[c->upstream_resolve_n++] = (struct config_map){ config_text(l, host), (int)port, config_text(l, addr), (int)addr_port };
  }
}

static void config_headers(struct config_load *l)
{
  static const char *const ours[] = { "host", "authorization", "connection", "content-length", "transfer-encoding" };
  struct config *c = l->c;
  struct arena a = ARENA(CONFIG_FILE_MAX * 4);
  struct str text = c->upstream_headers_text[0] ? str_z(c->upstream_headers_text) : S("{}");
  const struct json *root = json_parse(&a, text, 4, NULL);
  bool ok = json_is(root, JSON_OBJECT) && root->count <= 20;
  if(ok) c->upstream_headers = arena_alloc(&c->arena, (size_t)(root->count + 1) * sizeof *c->upstream_headers);
  if(ok)
    for json_each(m, root) {
      for(size_t i = 0; i < sizeof ours / sizeof ours[0]; i++) ok &= !str_ieq(m->key, str_z(ours[i]));
      for(size_t i = 0; i < m->key.n; i++) ok &= m->key.p[i] > ' ' && m->key.p[i] < 0x7f && m->key.p[i] != ':';
      for(size_t i = 0; i < m->text.n; i++) ok &= (unsigned char)m->text.p[i] >= 0x20;
      ok &= m->type == JSON_STRING && m->key.n > 0 && m->text.n <= 4096;
      if(!ok) break;
      c->upstream_headers[c->upstream_headers_n++] = (struct config_pair){ config_text(l, m->key), config_text(l, m->text) };
    }
  if(!ok)
    config_problem(l, "UPSTREAM_HEADERS: expected a JSON object of at most 20 texts, without Host, Authorization, Connection, "
                      "Content-Length and Transfer-Encoding");
  arena_free(&a);
}

static void config_aliases(struct config_load *l)
{
  struct config *c = l->c;
  int n = c->model_aliases_text.n;
  c->alias_from = arena_alloc(&c->arena, (size_t)(n + 1) * sizeof *c->alias_from);
  c->alias_to = arena_alloc(&c->arena, (size_t)(n + 1) * sizeof *c->alias_to);
  if(!c->alias_from || !c->alias_to) {
    l->nomem = true;
    return;
  }
  if(n > 256) config_problem(l, "MODEL_ALIASES: at most 256 pairs");
  for(int i = 0; i < n && i < 256; i++) {
    struct str to = str_z(c->model_aliases_text.v[i]), from = str_trim(str_cut(&to, '='));
    to = str_trim(to);
    if(!from.n || !to.n || str_chr(to, '*') >= 0) {
      config_error(l, "MODEL_ALIASES", str_z(c->model_aliases_text.v[i]), 0, "", "expected from=to");
      continue;
    }
    c->alias_from[c->alias_n] = config_text(l, from);
    c->alias_to[c->alias_n++] = config_text(l, to);
  }
  for(int i = 0; i < c->alias_n; i++) { /* a walk longer than the table is a cycle */
    const char *name = c->alias_from[i];
    int moves = 0;
    for(int k = 0; k < c->alias_n && moves <= c->alias_n; k++)
      if(str_ieq(str_z(name), str_z(c->alias_from[k]))) {
        name = c->alias_to[k];
        moves++;
        k = -1; /* from the start of the table again */
      }
    if(moves > c->alias_n) {
      config_problem(l, "MODEL_ALIASES: the aliases form a cycle");
      return;
    }
  }
}

/* CPUs by affinity, less if the control group has a smaller quota. */
static int config_cpus(void)
{
  cpu_set_t set;
  char text[64] = "";
  int cpus = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
  int fd = open("/sys/fs/cgroup/cpu.max", O_RDONLY | O_CLOEXEC);
  if(fd >= 0) {
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    struct str rest = str_of(text, n > 0 ? (size_t)n : 0), quota = str_cut(&rest, ' ');
    int64_t q, period;
    if(str_int(quota, &q) && str_int(str_trim(rest), &period) && period > 0 && q / period < cpus) cpus = (int)((q + period - 1) / period);
  }
  return cpus > 0 ? cpus : 1;
}

static void config_derive(struct config_load *l)
{
  struct config *c = l->c;
  int cpus = config_cpus();
  config_accounts(l);
  config_resolve(l);
  config_headers(l);
  config_aliases(l);
  c->pumps = c->pm2_instances > 0 ? (int)c->pm2_instances : c->pm2_instances < 0 || cpus < 8 ? cpus : 8;
  if(c->pumps > cpus) {
    strbuf_fmt(l->warnings, "PM2_INSTANCES=%d is more than the %d CPUs; %d pumps are started\n", c->pumps, cpus, cpus);
    c->pumps = cpus;
  }
  if(c->pumps > 64) c->pumps = 64;
  c->delta_mode = (enum delta_mode)c->delta_mode_number;
  c->search_info_text = c->search_info_mode == 1;
  c->thinking_default_auto = c->thinking_default == 1;
  c->thinking_format_summary = c->thinking_format == 1;
  if(c->data_save_mode == SAVE_REDIS && !c->redis_url[0]) config_problem(l, "DATA_SAVE_MODE=\"redis\" needs REDIS_URL");
  if(c->data_save_mode != SAVE_REDIS && c->redis_url[0])
    strbuf_lit(l->warnings, "REDIS_URL is set, but DATA_SAVE_MODE is not redis: it is not used\n");
  if((c->cli_api_key.n == 0) != (c->cli_base_url.n == 0)) config_problem(l, "CLI_API_KEY and CLI_BASE_URL belong together: set both or none");
  else if(c->cli_base_url.n > 1 && c->cli_base_url.n != c->cli_api_key.n)
    config_problem(l, "CLI_BASE_URL: give one address, or as many as there are keys in CLI_API_KEY");
  if(c->secret_key.n > 4) config_problem(l, "SECRET_KEY: at most 4 keys");
  if(!c->upstream_user_agent[0]) c->upstream_user_agent = "qwen2api/" Q2A_VERSION;
  for(int i = 0; i < c->api_key.n; i++)
    for(const char *p = c->api_key.v[i]; *p; p++)
      if(*p <= ' ' || *p >= 0x7f) {
        config_problem(l, "API_KEY: a key must be printable characters without spaces");
        break;
      }
  for(int i = 0; i < c->secret_key.n; i++)
    if(strlen(c->secret_key.v[i]) < 16) strbuf_lit(l->warnings, "SECRET_KEY is shorter than 16 characters\n");
}

struct config *config_load(const struct config_input *in, struct strbuf *errors, struct strbuf *warnings)
{
  struct config_load l = { .errors = errors, .warnings = warnings };
  l.c = mem_zalloc(sizeof *l.c);
  if(!l.c) return NULL;
  l.c->arena = ARENA(CONFIG_ARENA_MAX);
  atomic_init(&l.c->refs, 1);
  l.c->stored = in->stored_n > 0;
  config_read_file(&l, in);
  for(int i = 0; i < CONFIG_ROWS; i++) {
    const struct config_item *it = &config_items[i];
    char where[300];
    bool unset = it->kind == C_OLD || (it->kind == C_INT && !it->def[0]);
    if(!unset && config_set(&l, it, str_z(it->def), where, sizeof where)) config_problem(&l, it->key);
    for(int k = 0; k < l.env.n; k++)
      if(str_eq(l.env.v[k].name, str_z(it->key))) {
        snprintf(where, sizeof where, " (%.200s line %d)", l.file_name, l.env.v[k].line);
        bool last = true;
        for(int m = k + 1; m < l.env.n; m++) last &= !str_eq(l.env.v[m].name, l.env.v[k].name);
        if(last) config_apply(&l, i, l.env.v[k].value, CONFIG_FILE, where);
      }
    config_apply(&l, i, config_env(in->envp, it->key), CONFIG_ENV, " (environment)");
    for(int k = 0; k < in->stored_n && !(it->flags & C_START); k++)
      if(strcmp(in->stored[k].name, it->key) == 0) config_apply(&l, i, str_z(in->stored[k].value), CONFIG_STORED, " (stored setting)");
    for(int k = 0; k < in->flags_n; k++)
      if(strcmp(in->flags[k].name, it->key) == 0) config_apply(&l, i, str_z(in->flags[k].value), CONFIG_FLAG, " (command line)");
  }
  int port = config_find(S("SERVICE_PORT"));
  struct str hosted = config_env(in->envp, "PORT");
  if(l.c->source[port] == CONFIG_DEFAULT) {
    for(int k = 0; k < l.env.n && !hosted.n; k++)
      if(str_eq(l.env.v[k].name, S("PORT"))) hosted = l.env.v[k].value;
    config_apply(&l, port, hosted, CONFIG_ENV, " (PORT)");
  }
  int frame = config_find(S("FRAME_ANCESTORS"));
  if(l.c->source[frame] == CONFIG_DEFAULT && config_env(in->envp, "SPACE_ID").n) l.c->frame_ancestors = "'self' https://huggingface.co";
  if(in->fixed) config_keep_fixed(&l, in);
  config_derive(&l);
  if(!l.error_n && !l.nomem) return l.c;
  if(l.error_n)
    strbuf_fmt(errors, "qwen2api: %d error%s, not started. See 'qwen2api --help'.\n", l.error_n, l.error_n == 1 ? "" : "s");
  config_unref(l.c);
  return NULL;
}

struct config *config_ref(struct config *c)
{
  atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
  return c;
}

void config_unref(struct config *c)
{
  if(!c || atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) != 1) return;
  for(int i = 0; i < c->accounts_n; i++) crypt_wipe((char *)c->accounts[i].password, strlen(c->accounts[i].password));
  for(int i = 0; i < c->api_key.n; i++) crypt_wipe((char *)c->api_key.v[i], strlen(c->api_key.v[i]));
  arena_free(&c->arena);
  mem_free(c);
}

enum q_status config_check(int row, struct str text, struct q_error *e)
{
  const struct config_item *it = &config_items[row];
  struct strbuf ignored = STRBUF(4096);
  struct config_load l = { .errors = &ignored, .warnings = &ignored };
  char words[256], name[CONFIG_NAME];
  const char *want = NULL;
  config_name(row, name);
  l.c = mem_zalloc(sizeof *l.c);
  if(l.c) l.c->arena = ARENA(CONFIG_ARENA_MAX);
  if(l.c && it->kind != C_OLD) want = config_set(&l, it, it->kind == C_TEXT ? text : str_trim(text), words, sizeof words);
  enum q_status st = !l.c || l.nomem ? status_fail(e, Q_NOMEM, NULL, "Out of memory.") : Q_OK;
  if(!st && want) st = status_fail(e, Q_BAD_VALUE, name, "'%s': %s.", name, want);
  if(l.c) arena_free(&l.c->arena);
  mem_free(l.c);
  strbuf_free(&ignored);
  return st;
}
