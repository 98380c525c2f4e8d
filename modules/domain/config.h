/* config.h - every setting: one table, read by the command line, the environment, .env, --help and the README.
 *
 * Threads: a config is an immutable snapshot, shared by count. Memory: it owns all its texts; lists and texts are never
 *          NULL. Names: the variable's in lower case, durations in *_ms, sizes in *_bytes.
 * Sources, highest first: flags, stored settings (not for those fixed at start), environment, .env, defaults. An empty
 * value means the default. All errors are collected: nothing falls back in silence. */
#ifndef Q2A_DOMAIN_CONFIG_H
#define Q2A_DOMAIN_CONFIG_H

#include "base/arena.h"
#include "proto/qwen_event.h"

struct config_list { int n; const char **v; };
struct config_pair { const char *name, *value; };
struct config_account { const char *email, *password, *proxy; };
struct config_map { const char *host; int port; const char *addr; int addr_port; }; /* port 0: any */

enum { SAVE_UNSET, SAVE_NONE, SAVE_FILE, SAVE_REDIS };
enum { CACHE_DEFAULT, CACHE_FILE };
enum { SIGNIN_AUTO, SIGNIN_V1, SIGNIN_V2 };
enum { LEVEL_DEBUG, LEVEL_INFO, LEVEL_WARN, LEVEL_ERROR };

struct config {
  /* 1: fixed at start */
  const char *listen_address;
  int64_t service_port;
  struct config_list api_key, accounts_text;
  int64_t pm2_instances, pm2_max_memory_bytes; /* instances 0: not given, -1: max */
  int64_t data_save_mode;
  const char *redis_url;
  struct config_list secret_key;
  const char *data_dir, *cache_dir;
  int64_t cache_mode;
  bool enable_file_log;
  const char *log_dir, *ssl_cert_file;
  struct config_list upstream_resolve_text, cli_api_key, cli_base_url, trust_proxy;
  int64_t desk_threads, job_threads, max_connections;
  const char *frame_ancestors, *tz;
  /* 2: live */
  int64_t search_info_mode;
  bool output_think, legacy_reasoning_in_content, simple_model_map;
  int64_t models_cache_ttl_ms, log_level, max_log_file_size_bytes, max_log_files, batch_login_concurrency;
  const char *qwen_chat_proxy_url, *qwen_auth_url, *qwen_web_version, *upstream_user_agent, *upstream_headers_text;
  const char *upstream_cookie, *qwen_cli_proxy_url, *proxy_url;
  int64_t qwen_signin;
  struct config_list media_hosts;
  int64_t chat_retry_count, chat_retry_backoff_ms;
  bool auto_refresh, enable_stats_debug_archive;
  int64_t auto_refresh_interval_ms, metrics_auth;
  const char *cors_origin, *default_model, *anthropic_default_model;
  struct config_list model_aliases_text;
  int64_t thinking_default, thinking_format, delta_mode_number, cli_fallback;
  const char *cli_web_model;
  bool cli_oauth;
  int64_t cli_daily_limit, n_max, tool_retry_count, max_history_files, inline_prompt_kb;
  bool max_tokens_count_reasoning, allow_private_media;
  int64_t video_wait_ms, responses_store_max, sse_heartbeat_ms, sse_early_headers_ms;
  bool json_heartbeat;
  int64_t body_limit_bytes;
  bool log_bodies;
  int64_t chat_cleanup_mode, chat_stock, max_inflight_per_account, min_start_gap_ms, queue_max, queue_timeout_ms;
  int64_t upstream_connect_timeout_ms, upstream_first_byte_timeout_ms, upstream_idle_timeout_ms, upstream_turn_timeout_ms;
  int64_t shutdown_grace_ms;

  /* Read out of the texts above */
  struct config_account *accounts;
  int accounts_n;
  struct config_map *upstream_resolve;
  int upstream_resolve_n;
  struct config_pair *upstream_headers;
  int upstream_headers_n;
  const char **alias_from, **alias_to;
  int alias_n;
  int pumps;                       /* PM2_INSTANCES as threads */
  enum delta_mode delta_mode;
  bool search_info_text, thinking_default_auto, thinking_format_summary;

  bool stored;                     /* it was loaded with stored settings */

  struct arena arena;              /* private: all texts */
  unsigned char source[128];       /* private: per row, enum config_source */
  _Atomic int refs;                /* private */
};

enum config_source { CONFIG_DEFAULT, CONFIG_FILE, CONFIG_ENV, CONFIG_STORED, CONFIG_FLAG };

struct config_input {
  char **envp;                       /* the environment */
  const char *file;                  /* --config FILE; NULL: ./.env if it is there */
  const struct config_pair *flags;   /* --port and the like, by variable name */
  int flags_n;
  const struct config_pair *stored;
  int stored_n;
  const struct str *text;            /* what the file held when it was read last; NULL: it is read now */
  const struct config *fixed;        /* the running one: what is fixed at start stays as it is there */
  bool take_new;                     /* but for ACCOUNTS, and API_KEY unless it is empty now */
  struct strbuf *differ;             /* with fixed, may be NULL: names of those whose sources now say something else, one a line */
};

/* NULL: *errors has one line per problem (as main prints them), or is empty when out of memory. *warnings gets lines that
 * do not stop the start. */
struct config *config_load(const struct config_input *in, struct strbuf *errors, struct strbuf *warnings) Q_MUST_USE;
struct config *config_ref(struct config *c);
void config_unref(struct config *c); /* takes NULL; secrets are wiped with the last one */

void config_print(const struct config *c, struct strbuf *out);  /* effective settings, their source, secrets masked */
void config_template(struct strbuf *out);                       /* a commented .env that sets nothing */
void config_help(struct strbuf *out);                           /* the variables for --help */
void config_readme(struct strbuf *out);                         /* the README's table */
bool config_known(struct str name);                             /* a variable of the table */
/* The file as config_load() would read it; empty if there is none. Q_BAD_VALUE with words. The text holds secrets: wipe it. */
enum q_status config_read_text(const char *file, struct strbuf *out, struct q_error *e) Q_MUST_USE;

/* ---- rows, for the settings of a running gateway (domain/settings.h) ---- */

enum { CONFIG_NAME = 48 };
/* Eight dots stand for a secret. */
#define CONFIG_MASK "\xe2\x80\xa2\xe2\x80\xa2\xe2\x80\xa2\xe2\x80\xa2\xe2\x80\xa2\xe2\x80\xa2\xe2\x80\xa2\xe2\x80\xa2"
struct json;
int config_rows(void);
int config_find(struct str key);                  /* row of a variable, -1 */
int config_find_name(struct str name);            /* row by its name in the API ("chatRetryCount"), -1 */
void config_name(int row, char out[CONFIG_NAME]); /* that name */
const char *config_key(int row);                  /* the variable's name */
bool config_offered(int row);                     /* false: accepted, but without any effect */
bool config_live(int row);                        /* false: fixed at start */
bool config_secret(int row);
const char *config_source_name(const struct config *c, int row); /* "default", "file", "env", "stored", "flag" */
void config_json(const struct config *c, int row, struct strbuf *out); /* its value, secrets masked */
void config_schema(int row, struct strbuf *out);  /* name, type, bounds, default, text, live or restart: one JSON object */
/* A JSON value as the text that a variable would have. Q_BAD_TYPE with param and words. */
enum q_status config_from_json(int row, const struct json *v, struct strbuf *out, struct q_error *e) Q_MUST_USE;
/* Whether one text is good for a row by itself: Q_BAD_VALUE with param and words, which never repeat a secret. */
enum q_status config_check(int row, struct str text, struct q_error *e) Q_MUST_USE;

#endif
