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
#include "domain/dotenv.h"
#include "proto/json.h"
#include "proto/url.h"

enum { CONFIG_ARENA_MAX = 16 * 1024 * 1024, CONFIG_FILE_MAX = 1024 * 1024 };

enum config_kind { C_BOOL, C_INT, C_MS, C_SECONDS, C_BYTES, C_MB, C_TEXT, C_LIST, C_ENUM, C_URL, C_OLD };
enum { C_START = 1, C_SECRET = 2 };

struct config_item {
  const char *key;
  enum config_kind kind;
  size_t field;
  const char *def;
  int64_t lo, hi;       /* of numbers; durations in ms, sizes in bytes */
  unsigned flags;
  const char *words;    /* of an enum: "a b c"; of a URL: the schemes */
  const char *text;     /* one line for people */
};

#define F(name) offsetof(struct config, name)
static const struct config_item config_items[] = {
  { "LISTEN_ADDRESS", C_TEXT, F(listen_address), "", 0, 0, C_START, NULL, "address to listen on: host, IPv4, IPv6 or unix:path; empty: all interfaces" },
  { "SERVICE_PORT", C_INT, F(service_port), "3000", 1, 65535, C_START, NULL, "port to listen on" },
  { "API_KEY", C_LIST, F(api_key), "", 0, 0, C_START | C_SECRET, NULL, "keys, comma separated; the first is the admin key; empty: one is made at the first start" },
  { "ACCOUNTS", C_LIST, F(accounts_text), "", 0, 0, C_START | C_SECRET, NULL, "upstream accounts: email:password[|proxy],..." },
  { "PM2_INSTANCES", C_INT, F(pm2_instances), "", 1, 1024, C_START, "max", "pump threads: a number or max; empty: one per CPU, at most 8" },
  { "PM2_MAX_MEMORY", C_BYTES, F(pm2_max_memory_bytes), "1G", 64 << 20, INT64_MAX, C_START, NULL, "resident memory that starts a graceful restart" },
  { "SEARCH_INFO_MODE", C_ENUM, F(search_info_mode), "table", 0, 0, 0, "table text", "how web sources are shown" },
  { "OUTPUT_THINK", C_BOOL, F(output_think), "true", 0, 0, 0, NULL, "whether reasoning reaches the client" },
  { "LEGACY_REASONING_IN_CONTENT", C_BOOL, F(legacy_reasoning_in_content), "false", 0, 0, 0, NULL, "reasoning as <think> tags in the content" },
  { "SIMPLE_MODEL_MAP", C_BOOL, F(simple_model_map), "false", 0, 0, 0, NULL, "hide the model variants in the list" },
  { "MODELS_CACHE_TTL", C_SECONDS, F(models_cache_ttl_ms), "3600", 0, 2592000000, 0, NULL, "how long the model list is good; 0: for ever" },
  { "DATA_SAVE_MODE", C_ENUM, F(data_save_mode), "unset", 0, 0, C_START, "unset none file redis", "where state is kept; empty: file if DATA_DIR can be written" },
  { "SECRET_KEY", C_LIST, F(secret_key), "", 0, 0, C_START | C_SECRET, NULL, "seals stored secrets; new,old to change it; empty: a key file" },
  { "REDIS_URL", C_URL, F(redis_url), "", 0, 0, C_START | C_SECRET, "redis rediss", "Redis for DATA_SAVE_MODE=redis" },
  { "CACHE_MODE", C_ENUM, F(cache_mode), "default", 0, 0, C_START, "default file", "where uploaded pictures are remembered" },
  { "LOG_LEVEL", C_ENUM, F(log_level), "INFO", 0, 0, 0, "DEBUG INFO WARN ERROR", "least level that is logged" },
  { "ENABLE_FILE_LOG", C_BOOL, F(enable_file_log), "false", 0, 0, C_START, NULL, "log to LOG_DIR/app.log as well" },
  { "LOG_DIR", C_TEXT, F(log_dir), "./logs", 0, 0, C_START, NULL, "folder of the log files" },
  { "MAX_LOG_FILE_SIZE", C_MB, F(max_log_file_size_bytes), "10", 1, 4096, 0, NULL, "size in MB at which a log file is rotated" },
  { "MAX_LOG_FILES", C_INT, F(max_log_files), "5", 1, 1000, 0, NULL, "rotated log files that are kept" },
  { "BATCH_LOGIN_CONCURRENCY", C_INT, F(batch_login_concurrency), "5", 1, 20, 0, NULL, "sign-ins at once" },
  { "QWEN_CHAT_PROXY_URL", C_URL, F(qwen_chat_proxy_url), "https://chat.qwen.ai", 0, 0, 0, "http https", "base address of the web chat" },
  { "QWEN_AUTH_URL", C_URL, F(qwen_auth_url), "https://auth.qwen.ai", 0, 0, 0, "http https", "where session tokens are exchanged" },
  { "QWEN_SIGNIN", C_ENUM, F(qwen_signin), "auto", 0, 0, 0, "auto v1 v2", "which sign-in is used" },
  { "QWEN_WEB_VERSION", C_TEXT, F(qwen_web_version), "0.3.12", 0, 0, 0, NULL, "header 'version' of upstream calls" },
  { "UPSTREAM_USER_AGENT", C_TEXT, F(upstream_user_agent), "qwen2api/" Q2A_VERSION, 0, 0, 0, NULL, "User-Agent of upstream calls" },
  { "UPSTREAM_HEADERS", C_TEXT, F(upstream_headers_text), "{}", 0, 0, C_SECRET, NULL, "extra headers of upstream calls, a JSON object" },
  { "UPSTREAM_COOKIE", C_TEXT, F(upstream_cookie), "", 0, 0, C_SECRET, NULL, "appended to the Cookie of web calls" },
  { "UPSTREAM_RESOLVE", C_LIST, F(upstream_resolve_text), "", 0, 0, C_START, NULL, "host[:port]=addr:port,... connect there instead of resolving" },
  { "SSL_CERT_FILE", C_TEXT, F(ssl_cert_file), "", 0, 0, C_START, NULL, "PEM file that replaces the embedded root certificates" },
  { "MEDIA_HOSTS", C_LIST, F(media_hosts), "cdn.qwenlm.ai,qwen-webui-prod.oss-accelerate.aliyuncs.com,qwen-webui-prod.oss-ap-southeast-1.aliyuncs.com", 0, 0, 0, NULL, "hosts whose pictures and videos are believed" },
  { "QWEN_CLI_PROXY_URL", C_URL, F(qwen_cli_proxy_url), "https://portal.qwen.ai", 0, 0, 0, "http https", "base address of the CLI service" },
  { "PROXY_URL", C_URL, F(proxy_url), "", 0, 0, C_SECRET, "http https socks5 socks5h", "proxy of all upstream calls; an account's own wins" },
  { "CHAT_RETRY_COUNT", C_INT, F(chat_retry_count), "1", 0, 10, 0, NULL, "tries again after network trouble; 0: no other account either" },
  { "CHAT_RETRY_BACKOFF_MS", C_INT, F(chat_retry_backoff_ms), "400", 0, 60000, 0, NULL, "pause before such a try, doubling" },
  { "AUTO_REFRESH", C_BOOL, F(auto_refresh), "true", 0, 0, 0, NULL, "renew tokens before they end" },
  { "AUTO_REFRESH_INTERVAL", C_SECONDS, F(auto_refresh_interval_ms), "21600", 60000, 604800000, 0, NULL, "how often tokens are looked at" },
  { "ENABLE_STATS_DEBUG_ARCHIVE", C_BOOL, F(enable_stats_debug_archive), "false", 0, 0, 0, NULL, "accepted, no effect" },
  { "CORS_ORIGIN", C_TEXT, F(cors_origin), "", 0, 0, 0, NULL, "* or one origin; empty: * for the model API, none for /api" },
  { "METRICS_AUTH", C_ENUM, F(metrics_auth), "key", 0, 0, 0, "none key admin", "who may read /metrics" },
  { "FRAME_ANCESTORS", C_TEXT, F(frame_ancestors), "'self'", 0, 0, C_START, NULL, "who may frame the dashboard" },
  { "DEFAULT_MODEL", C_TEXT, F(default_model), "", 0, 0, 0, NULL, "model of requests without one; empty: the first listed" },
  { "ANTHROPIC_DEFAULT_MODEL", C_TEXT, F(anthropic_default_model), "", 0, 0, 0, NULL, "model for unknown claude-* names; empty: DEFAULT_MODEL" },
  { "MODEL_ALIASES", C_LIST, F(model_aliases_text), "", 0, 0, 0, NULL, "from=to,... with * in from" },
  { "THINKING_DEFAULT", C_ENUM, F(thinking_default), "off", 0, 0, 0, "off auto", "reasoning when nobody asked" },
  { "THINKING_FORMAT", C_ENUM, F(thinking_format), "detail", 0, 0, 0, "detail summary", "which reasoning the upstream is asked for" },
  { "DELTA_MODE", C_ENUM, F(delta_mode_number), "auto", 0, 0, 0, "auto incremental cumulative", "whether upstream texts are pieces or snapshots" },
  { "CLI_FALLBACK", C_ENUM, F(cli_fallback), "web", 0, 0, 0, "none web", "who serves /cli when no grant does" },
  { "CLI_WEB_MODEL", C_TEXT, F(cli_web_model), "", 0, 0, 0, NULL, "web model for coder names; empty: the newest coder" },
  { "CLI_OAUTH", C_BOOL, F(cli_oauth), "false", 0, 0, 0, NULL, "try to get CLI grants" },
  { "CLI_API_KEY", C_LIST, F(cli_api_key), "", 0, 0, C_START | C_SECRET, NULL, "official API keys" },
  { "CLI_BASE_URL", C_LIST, F(cli_base_url), "", 0, 0, C_START, NULL, "their base addresses: one, or as many as keys" },
  { "CLI_DAILY_LIMIT", C_INT, F(cli_daily_limit), "2000", 0, 1000000, 0, NULL, "CLI requests per account and day" },
  { "N_MAX", C_INT, F(n_max), "4", 1, 8, 0, NULL, "largest n" },
  { "TOOL_RETRY_COUNT", C_INT, F(tool_retry_count), "1", 0, 3, 0, NULL, "extra turns for a broken tool call" },
  { "MAX_HISTORY_FILES", C_INT, F(max_history_files), "5", 0, 50, 0, NULL, "attachments of earlier turns that stay" },
  { "INLINE_PROMPT_KB", C_INT, F(inline_prompt_kb), "120", 0, 4096, 0, NULL, "larger prompts go up as a document; 0: never" },
  { "MAX_TOKENS_COUNT_REASONING", C_BOOL, F(max_tokens_count_reasoning), "false", 0, 0, 0, NULL, "whether max_tokens counts reasoning" },
  { "ALLOW_PRIVATE_MEDIA", C_BOOL, F(allow_private_media), "false", 0, 0, 0, NULL, "fetch client URLs from private addresses" },
  { "VIDEO_WAIT_SECONDS", C_SECONDS, F(video_wait_ms), "90", 0, 900000, 0, NULL, "how long a video request waits for its result" },
  { "RESPONSES_STORE_MAX", C_INT, F(responses_store_max), "1000", 0, 100000, 0, NULL, "stored responses; 0: off" },
  { "SSE_HEARTBEAT_SECONDS", C_SECONDS, F(sse_heartbeat_ms), "15", 1000, 60000, 0, NULL, "pause between comment lines of a silent stream" },
  { "SSE_EARLY_HEADERS_MS", C_MS, F(sse_early_headers_ms), "10000", 0, 60000, 0, NULL, "when a silent stream commits its 200; 0: at once" },
  { "JSON_HEARTBEAT", C_BOOL, F(json_heartbeat), "false", 0, 0, 0, NULL, "blanks in front of late JSON answers" },
  { "BODY_LIMIT_MB", C_MB, F(body_limit_bytes), "128", 1, 1024, 0, NULL, "largest request body in MB" },
  { "LOG_BODIES", C_BOOL, F(log_bodies), "false", 0, 0, 0, NULL, "prompts and answers in the log" },
  { "CHAT_CLEANUP_MODE", C_INT, F(chat_cleanup_mode), "0", 0, 1, 0, NULL, "1: delete a chat upstream after its last byte" },
  { "CHAT_STOCK", C_INT, F(chat_stock), "1", 0, 8, 0, NULL, "fresh chats kept ready per account in use" },
  { "MAX_INFLIGHT_PER_ACCOUNT", C_INT, F(max_inflight_per_account), "2", 1, 10000, 0, NULL, "turns at once on one account" },
  { "MIN_START_GAP_MS", C_MS, F(min_start_gap_ms), "0", 0, 60000, 0, NULL, "least pause between starts on one account" },
  { "QUEUE_MAX", C_INT, F(queue_max), "1000", 0, 100000, 0, NULL, "requests that may wait for an account" },
  { "QUEUE_TIMEOUT", C_SECONDS, F(queue_timeout_ms), "60", 0, 600000, 0, NULL, "how long they wait" },
  { "UPSTREAM_CONNECT_TIMEOUT", C_SECONDS, F(upstream_connect_timeout_ms), "10", 100, 600000, 0, NULL, "resolving, connecting, proxy and TLS" },
  { "UPSTREAM_FIRST_BYTE_TIMEOUT", C_SECONDS, F(upstream_first_byte_timeout_ms), "60", 100, 600000, 0, NULL, "until the first frame of an answer" },
  { "UPSTREAM_IDLE_TIMEOUT", C_SECONDS, F(upstream_idle_timeout_ms), "90", 100, 600000, 0, NULL, "between two frames" },
  { "UPSTREAM_TURN_TIMEOUT", C_SECONDS, F(upstream_turn_timeout_ms), "600", 10000, 7200000, 0, NULL, "a whole turn" },
  { "MAX_CONNECTIONS", C_INT, F(max_connections), "10000", 16, 1000000, C_START, NULL, "client connections; more get 503" },
  { "DESK_THREADS", C_INT, F(desk_threads), "8", 2, 64, C_START, NULL, "threads that read requests" },
  { "JOB_THREADS", C_INT, F(job_threads), "32", 1, 256, C_START, NULL, "most threads for blocking work" },
  { "SHUTDOWN_GRACE", C_SECONDS, F(shutdown_grace_ms), "30", 0, 600000, 0, NULL, "how long running answers may go on after SIGTERM" },
  { "DATA_DIR", C_TEXT, F(data_dir), "./data", 0, 0, C_START, NULL, "folder of the store" },
  { "CACHE_DIR", C_TEXT, F(cache_dir), "./caches", 0, 0, C_START, NULL, "folder of CACHE_MODE=file" },
  { "TRUST_PROXY", C_LIST, F(trust_proxy), "", 0, 0, C_START, NULL, "addresses or networks whose X-Forwarded-For is believed" },
  { "TZ", C_TEXT, F(tz), "", 0, 0, C_START, NULL, "time zone of days in statistics and limits" },
  { "NODE_ENV", C_OLD, 0, "", 0, 0, 0, NULL, "accepted, no effect" },
  { "PM2_USAGE", C_OLD, 0, "", 0, 0, 0, NULL, "accepted, no effect" },
  { "HOST", C_OLD, 0, "", 0, 0, 0, NULL, "accepted, no effect" },
  { "PORT", C_OLD, 0, "", 0, 0, 0, NULL, "used if SERVICE_PORT is absent" },
};
#undef F
enum { CONFIG_ITEMS = sizeof config_items / sizeof config_items[0] };

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
      if((unsigned char)s.p[i] < 0x20 && s.p[i] != '\t' && s.p[i] != '\n') return "expected text without control characters";
    *(const char **)field = config_text(l, s);
    return NULL;
  case C_URL:
    if(s.n) {
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
  if(s.n == 0) return; /* empty means default */
  const char *want = config_set(l, it, it->kind == C_TEXT ? value : s, words, sizeof words);
  if(want) config_error(l, it->key, s, it->flags, where, want);
  l->c->source[row] = (unsigned char)source;
}

static int config_row(struct str name)
{
  for(int i = 0; i < CONFIG_ITEMS; i++)
    if(str_eq(name, str_z(config_items[i].key))) return i;
  return -1;
}

bool config_known(struct str name)
{
  return config_row(name) >= 0;
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
  for(int i = 0; i < CONFIG_ITEMS; i++) {
    int d = config_distance(config_items[i].key, item->name);
    if(d < least) least = d, best = i;
  }
  strbuf_fmt(l->warnings, "%s line %d: unknown variable %.*s", l->file_name, item->line, STR_F(str_sub(item->name, 0, 60)));
  if(least <= 4) strbuf_fmt(l->warnings, "; did you mean %s?", config_items[best].key);
  strbuf_addc(l->warnings, '\n');
}

static void config_read_file(struct config_load *l, const char *path, bool required)
{
  int fd = open(path, O_RDONLY | O_CLOEXEC), line = 0;
  char message[300];
  const char *why;
  l->file_name = required ? path : ".env";
  if(fd < 0) {
    if(!required && errno == ENOENT) return;
    snprintf(message, sizeof message, "cannot read %.200s: %s", path, strerror(errno));
    config_problem(l, message);
    return;
  }
  struct strbuf text = STRBUF(CONFIG_FILE_MAX);
  for(;;) {
    char *room = strbuf_room(&text, 4096);
    ssize_t n = room ? read(fd, room, 4096) : 0;
    if(n <= 0) break;
    text.n += (size_t)n;
  }
  close(fd);
  struct str copy = arena_str(&l->c->arena, strbuf_str(&text)); /* values borrow from it */
  if(text.err == Q_TOO_BIG) config_problem(l, "the configuration file is larger than 1 MB");
  else if(text.err || !copy.p) l->nomem = true;
  else if(dotenv_read(&l->c->arena, copy, &l->env, &line, &why) == Q_BAD_VALUE) {
    snprintf(message, sizeof message, "%.200s line %d: %s", l->file_name, line, why);
    config_problem(l, message);
  }
  if(text.p) crypt_wipe(text.p, text.n);
  strbuf_free(&text);
  for(int i = 0; i < l->env.n; i++) {
    if(config_row(l->env.v[i].name) < 0 && !str_eq(l->env.v[i].name, S("pm_id"))) config_unknown(l, &l->env.v[i]);
    for(int k = 0; k < i; k++)
      if(str_eq(l->env.v[k].name, l->env.v[i].name))
        strbuf_fmt(l->warnings, "%s line %d: %.*s is set twice, the last counts\n", l->file_name, l->env.v[i].line, STR_F(l->env.v[i].name));
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
  const struct json *root = json_parse(&a, str_z(c->upstream_headers_text), 4, NULL);
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
  config_read_file(&l, in->file ? in->file : "./.env", in->file != NULL);
  for(int i = 0; i < CONFIG_ITEMS; i++) {
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
  int port = config_row(S("SERVICE_PORT"));
  struct str hosted = config_env(in->envp, "PORT");
  if(l.c->source[port] == CONFIG_DEFAULT) {
    for(int k = 0; k < l.env.n && !hosted.n; k++)
      if(str_eq(l.env.v[k].name, S("PORT"))) hosted = l.env.v[k].value;
    config_apply(&l, port, hosted, CONFIG_ENV, " (PORT)");
  }
  int frame = config_row(S("FRAME_ANCESTORS"));
  if(l.c->source[frame] == CONFIG_DEFAULT && config_env(in->envp, "SPACE_ID").n) l.c->frame_ancestors = "'self' https://huggingface.co";
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

/* ---- for people ---- */

static void config_value(const struct config *c, const struct config_item *it, struct strbuf *out)
{
  const void *field = (const char *)c + it->field;
  int64_t v;
  switch(it->kind) {
  case C_BOOL: strbuf_addz(out, *(const bool *)field ? "true" : "false"); return;
  case C_TEXT:
  case C_URL:
    if((it->flags & C_SECRET) && **(const char *const *)field) strbuf_lit(out, "***");
    else strbuf_addz(out, *(const char *const *)field);
    return;
  case C_LIST: {
    const struct config_list *list = field;
    if((it->flags & C_SECRET) && list->n) strbuf_fmt(out, "*** (%d)", list->n);
    else
      for(int i = 0; i < list->n; i++) strbuf_fmt(out, "%s%s", i ? "," : "", list->v[i]);
    return;
  }
  case C_ENUM: {
    struct str rest = str_z(it->words), word = STR_NONE;
    for(int64_t i = *(const int64_t *)field; i >= 0; i--) word = str_cut(&rest, ' ');
    if(!str_eq(word, S("unset"))) strbuf_adds(out, word);
    return;
  }
  case C_MB:
  case C_INT:
  case C_BYTES:
    v = *(const int64_t *)field;
    if(it->words && v <= 0) strbuf_addz(out, v ? "max" : "");
    else strbuf_int(out, it->kind == C_MB ? v >> 20 : v);
    return;
  case C_MS:
  case C_SECONDS:
    v = *(const int64_t *)field;
    if(it->kind == C_SECONDS && v % 1000 == 0) strbuf_int(out, v / 1000);
    else strbuf_fmt(out, "%lld%s", (long long)v, it->kind == C_SECONDS ? "ms" : "");
    return;
  case C_OLD: return;
  }
}

void config_print(const struct config *c, struct strbuf *out)
{
  static const char *const sources[] = { "default", "file", "env", "stored", "flag" };
  for(int i = 0; i < CONFIG_ITEMS; i++) {
    if(config_items[i].kind == C_OLD) continue;
    strbuf_fmt(out, "%-8s %s=", sources[c->source[i]], config_items[i].key);
    config_value(c, &config_items[i], out);
    strbuf_addc(out, '\n');
  }
}

void config_template(struct strbuf *out)
{
  strbuf_lit(out, "# qwen2api settings: take away the '#' in front of what you change.\n");
  for(int i = 0; i < CONFIG_ITEMS; i++)
    if(config_items[i].kind != C_OLD)
      strbuf_fmt(out, "\n# %s\n# %s=%s\n", config_items[i].text, config_items[i].key,
                 strcmp(config_items[i].def, "unset") == 0 ? "" : config_items[i].def);
}

void config_help(struct strbuf *out)
{
  for(int i = 0; i < CONFIG_ITEMS; i++)
    strbuf_fmt(out, "  %-28s %s\n", config_items[i].key, config_items[i].text);
}

void config_readme(struct strbuf *out)
{
  strbuf_lit(out, "| Variable | Default | Meaning |\n|---|---|---|\n");
  for(int i = 0; i < CONFIG_ITEMS; i++) {
    const struct config_item *it = &config_items[i];
    bool none = !it->def[0] || strcmp(it->def, "unset") == 0;
    const char *def = str_starts(str_z(it->def), S("qwen2api/")) ? "qwen2api/<version>" : it->def;
    strbuf_fmt(out, "| `%s`%s | %s%s%s | ", it->key, it->flags & C_START ? " ¹" : "", none ? "" : "`", none ? "" : def, none ? "" : "`");
    for(const char *p = it->text; *p; p++) {
      if(*p == '|' || *p == '<') strbuf_addc(out, '\\');
      strbuf_addc(out, *p);
    }
    if(it->kind == C_ENUM) {
      struct str rest = str_z(it->words + (str_starts(str_z(it->words), S("unset ")) ? 6 : 0));
      strbuf_lit(out, " (");
      for(bool first = true; rest.n; first = false) {
        struct str w = str_cut(&rest, ' ');
        strbuf_fmt(out, "%s`%.*s`", first ? "" : ", ", STR_F(w));
      }
      strbuf_addc(out, ')');
    }
    strbuf_lit(out, " |\n");
  }
}
