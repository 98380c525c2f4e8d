#include "domain/config_item.h"

#include "proto/json.h"

#define F(name) offsetof(struct config, name)
const struct config_item config_items[CONFIG_ROWS] = {
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
  { "UPSTREAM_HEADERS", C_TEXT, F(upstream_headers_text), "{}", 0, 0, C_SECRET | C_LINES, NULL, "extra headers of upstream calls, a JSON object" },
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

int config_rows(void)
{
  return CONFIG_ROWS;
}

int config_find(struct str key)
{
  for(int i = 0; i < CONFIG_ROWS; i++)
    if(str_eq(key, str_z(config_items[i].key))) return i;
  return -1;
}

bool config_known(struct str name)
{
  return config_find(name) >= 0;
}

const char *config_key(int row) { return config_items[row].key; }
bool config_offered(int row) { return config_items[row].kind != C_OLD; }
bool config_live(int row) { return !(config_items[row].flags & C_START) && config_offered(row); }
bool config_secret(int row) { return config_items[row].flags & C_SECRET; }

/* The variable's name in camelCase, but for three that older pages and scripts know. */
void config_name(int row, char out[CONFIG_NAME])
{
  static const struct { const char *key, *name; } old[] = {
    { "OUTPUT_THINK", "outThink" }, { "LEGACY_REASONING_IN_CONTENT", "legacyReasoningInContent" }, { "CHAT_CLEANUP_MODE", "chatCleanup" },
  };
  size_t n = 0;
  bool up = false;
  for(size_t i = 0; i < sizeof old / sizeof old[0]; i++)
    if(strcmp(old[i].key, config_items[row].key) == 0) {
      str_copy(out, CONFIG_NAME, str_z(old[i].name));
      return;
    }
  for(const char *p = config_items[row].key; *p && n + 1 < CONFIG_NAME; p++) {
    if(*p == '_') up = true;
    else out[n++] = *p >= 'A' && *p <= 'Z' && !up ? (char)(*p | 32) : *p, up = false;
  }
  out[n] = 0;
}

int config_find_name(struct str name)
{
  char own[CONFIG_NAME];
  for(int i = 0; i < CONFIG_ROWS; i++) {
    config_name(i, own);
    if(config_offered(i) && str_eq(name, str_z(own))) return i;
  }
  return -1;
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

const char *config_source_name(const struct config *c, int row)
{
  static const char *const sources[] = { "default", "file", "env", "stored", "flag" };
  return sources[c->source[row]];
}

void config_print(const struct config *c, struct strbuf *out)
{
  for(int i = 0; i < CONFIG_ROWS; i++) {
    if(config_items[i].kind == C_OLD) continue;
    strbuf_fmt(out, "%-8s %s=", config_source_name(c, i), config_items[i].key);
    config_value(c, &config_items[i], out);
    strbuf_addc(out, '\n');
  }
}

void config_template(struct strbuf *out)
{
  strbuf_lit(out, "# qwen2api settings: take away the '#' in front of what you change.\n");
  for(int i = 0; i < CONFIG_ROWS; i++)
    if(config_items[i].kind != C_OLD)
      strbuf_fmt(out, "\n# %s\n# %s=%s\n", config_items[i].text, config_items[i].key,
                 strcmp(config_items[i].def, "unset") == 0 ? "" : config_items[i].def);
}

void config_help(struct strbuf *out)
{
  for(int i = 0; i < CONFIG_ROWS; i++)
    strbuf_fmt(out, "  %-28s %s\n", config_items[i].key, config_items[i].text);
}

void config_readme(struct strbuf *out)
{
  strbuf_lit(out, "| Variable | Default | Changes | Meaning |\n|---|---|---|---|\n");
  for(int i = 0; i < CONFIG_ROWS; i++) {
    const struct config_item *it = &config_items[i];
    bool none = !it->def[0] || strcmp(it->def, "unset") == 0;
    const char *def = str_starts(str_z(it->def), S("qwen2api/")) ? "qwen2api/<version>" : it->def;
    strbuf_fmt(out, "| `%s` | %s%s%s | %s | ", it->key, none ? "" : "`", none ? "" : def, none ? "" : "`",
               it->kind == C_OLD ? "" : it->flags & C_START ? "at start" : "live");
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

/* ---- for the settings page ---- */

static void config_json_words(const char *words, int64_t n, struct strbuf *out)
{
  struct str rest = str_z(words), word = STR_NONE;
  for(int64_t i = n; i >= 0; i--) word = str_cut(&rest, ' ');
  if(str_eq(word, S("unset"))) strbuf_lit(out, "null");
  else strbuf_json(out, word);
}

void config_json(const struct config *c, int row, struct strbuf *out)
{
  const struct config_item *it = &config_items[row];
  const void *field = (const char *)c + it->field;
  const struct config_list *list = field;
  bool mask = it->flags & C_SECRET;
  int64_t v = 0;
  if(it->kind != C_BOOL && it->kind != C_TEXT && it->kind != C_URL && it->kind != C_LIST && it->kind != C_OLD) v = *(const int64_t *)field;
  switch(it->kind) {
  case C_BOOL: strbuf_addz(out, *(const bool *)field ? "true" : "false"); return;
  case C_TEXT:
  case C_URL:
    if(mask && **(const char *const *)field && strcmp(*(const char *const *)field, "{}") != 0) strbuf_json(out, S(CONFIG_MASK));
    else strbuf_json(out, str_z(*(const char *const *)field));
    return;
  case C_LIST:
    strbuf_addc(out, '[');
    for(int i = 0; i < list->n; i++) {
      if(i) strbuf_addc(out, ',');
      strbuf_json(out, mask ? S(CONFIG_MASK) : str_z(list->v[i]));
    }
    strbuf_addc(out, ']');
    return;
  case C_ENUM: config_json_words(it->words, v, out); return;
  case C_INT:
    if(it->words && v <= 0) strbuf_addz(out, v ? "\"max\"" : "null");
    else strbuf_int(out, v);
    return;
  case C_BYTES:
  case C_MS: strbuf_int(out, v); return;
  case C_MB: strbuf_int(out, v >> 20); return;
  case C_SECONDS:
    if(v % 1000 == 0) strbuf_int(out, v / 1000);
    else strbuf_fmt(out, "%lld.%03lld", (long long)(v / 1000), (long long)(v % 1000));
    return;
  case C_OLD: strbuf_lit(out, "null"); return;
  }
}

/* The default in its JSON form: that of the text which the table has. */
static void config_json_default(const struct config_item *it, struct strbuf *out)
{
  struct str def = str_z(it->def);
  int64_t v = 0, unit = 1;
  switch(it->kind) {
  case C_BOOL: strbuf_adds(out, def); return;
  case C_ENUM: strbuf_addz(out, str_eq(def, S("unset")) ? "null" : ""); break;
  case C_LIST:
    strbuf_addc(out, '[');
    for(bool first = true; def.n; first = false) {
      if(!first) strbuf_addc(out, ',');
      strbuf_json(out, str_cut(&def, ','));
    }
    strbuf_addc(out, ']');
    return;
  case C_INT:
  case C_MB:
  case C_MS:
  case C_SECONDS:
  case C_BYTES:
    if(def.n && it->kind == C_BYTES && def.p[def.n - 1] == 'G') unit = 1 << 30, def.n--;
    if(str_int(def, &v)) strbuf_int(out, v * unit);
    else strbuf_lit(out, "null");
    return;
  default: break;
  }
  if(!str_eq(def, S("unset"))) strbuf_json(out, def);
}

void config_schema(int row, struct strbuf *out)
{
  static const char *const kinds[] = { "boolean", "integer", "milliseconds", "seconds", "bytes", "megabytes", "text", "list", "enum", "url", "" };
  const struct config_item *it = &config_items[row];
  char name[CONFIG_NAME];
  config_name(row, name);
  strbuf_fmt(out, "{\"name\":\"%s\",\"variable\":\"%s\",\"type\":\"%s\"", name, it->key, kinds[it->kind]);
  if(it->hi) {
    int64_t unit = it->kind == C_SECONDS ? 1000 : 1;
    if(it->lo % unit) strbuf_fmt(out, ",\"min\":%.1f", (double)it->lo / (double)unit);
    else strbuf_fmt(out, ",\"min\":%lld", (long long)(it->lo / unit));
    if(it->hi != INT64_MAX) strbuf_fmt(out, ",\"max\":%lld", (long long)(it->hi / unit));
  }
  if(it->kind == C_ENUM || it->kind == C_URL) {
    struct str rest = str_z(it->words + (str_starts(str_z(it->words), S("unset ")) ? 6 : 0));
    strbuf_addz(out, it->kind == C_ENUM ? ",\"values\":[" : ",\"schemes\":[");
    for(bool first = true; rest.n; first = false) {
      if(!first) strbuf_addc(out, ',');
      strbuf_json(out, str_cut(&rest, ' '));
    }
    strbuf_addc(out, ']');
  }
  strbuf_lit(out, ",\"default\":");
  config_json_default(it, out);
  strbuf_lit(out, ",\"text\":");
  strbuf_json(out, str_z(it->text));
  strbuf_fmt(out, ",\"applies\":\"%s\",\"secret\":%s}", it->flags & C_START ? "restart" : "live", it->flags & C_SECRET ? "true" : "false");
}

enum q_status config_from_json(int row, const struct json *v, struct strbuf *out, struct q_error *e)
{
  const struct config_item *it = &config_items[row];
  char name[CONFIG_NAME];
  const char *want = NULL;
  config_name(row, name);
  bool texts = it->kind == C_TEXT || it->kind == C_LIST || it->kind == C_URL || it->kind == C_ENUM;
  if(json_is(v, JSON_STRING)) strbuf_adds(out, json_str(v));
  else if(it->kind == C_BOOL && (json_is(v, JSON_TRUE) || json_is(v, JSON_FALSE))) strbuf_addz(out, json_is(v, JSON_TRUE) ? "true" : "false");
  else if(!texts && it->kind != C_BOOL && json_is(v, JSON_NUMBER)) strbuf_adds(out, v->text);
  else if((it->flags & C_LINES) && json_is(v, JSON_OBJECT)) json_write(v, out);
  else if(it->kind == C_LIST && json_is(v, JSON_ARRAY)) {
    for json_each(m, v) {
      if(!json_is(m, JSON_STRING) || str_chr(m->text, ',') >= 0) want = "expected an array of texts without commas";
      if(m != v->child) strbuf_addc(out, ',');
      strbuf_adds(out, json_str(m));
    }
  } else {
    want = it->kind == C_BOOL ? "expected true or false" : it->kind == C_LIST ? "expected an array of texts" : texts ? "expected a text" : "expected a number";
  }
  if(want) return status_fail(e, Q_BAD_TYPE, name, "'%s': %s.", name, want);
  return out->err ? status_fail(e, out->err, name, "'%s' is too long.", name) : Q_OK;
}
