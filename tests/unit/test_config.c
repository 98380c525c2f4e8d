/* Settings: types and bounds, sources in their order, all errors at once, the .env format. */
#include "domain/config.h"

#include <unistd.h>

#include "domain/dotenv.h"
#include "t.h"

static struct config *load(char **env, const char *file, const char *flag, const char *value, struct strbuf *errors, struct strbuf *warnings)
{
  struct config_pair pair = { flag, value };
  struct config_input in = { .envp = env, .file = file ? file : "/dev/null", .flags = &pair, .flags_n = flag != NULL };
  *errors = *warnings = STRBUF(100000);
  return config_load(&in, errors, warnings);
}

static const struct { const char *text; bool ok; const char *words; } rows[] = {
  { "SERVICE_PORT=3001", true, 0 }, { "SERVICE_PORT=0", false, "expected an integer from 1 to 65535" }, { "SERVICE_PORT=80a", false, "80a" }, { "SERVICE_PORT=3_000", true, 0 },
  { "OUTPUT_THINK=YES", true, 0 }, { "OUTPUT_THINK=maybe", false, "expected true or false" },
  { "PM2_MAX_MEMORY=512M", true, 0 }, { "PM2_MAX_MEMORY=1g", true, 0 }, { "PM2_MAX_MEMORY=1M", false, "at least 64M" }, { "PM2_INSTANCES=max", true, 0 }, { "PM2_INSTANCES=0", false, "1 to 1024" },
  { "QUEUE_TIMEOUT=90s", true, 0 }, { "QUEUE_TIMEOUT=2m", true, 0 }, { "QUEUE_TIMEOUT=500ms", true, 0 }, { "QUEUE_TIMEOUT=2h", false, "0 to 600 seconds" },
  { "UPSTREAM_CONNECT_TIMEOUT=0.5", true, 0 }, { "UPSTREAM_CONNECT_TIMEOUT=x", false, "seconds" },
  { "SEARCH_INFO_MODE=list", false, "expected one of: table text" }, { "DATA_SAVE_MODE=redis", false, "needs REDIS_URL" }, { "DATA_SAVE_MODE=unsure", false, "none file redis" },
  { "PROXY_URL=socks5h://u:p@h:1", true, 0 }, { "PROXY_URL=ftp://h", false, "expected a URL" }, { "PROXY_URL=secret-host", false, "***" },
  { "ACCOUNTS=a@b:c,d@e:f:g|http://p:1", true, 0 }, { "ACCOUNTS=nobody", false, "entry 1" }, { "ACCOUNTS=a@b:c|nonsense", false, "entry 1" },
  { "UPSTREAM_RESOLVE=a=1.2.3.4:5,[::1]:6=[::1]:7", true, 0 }, { "UPSTREAM_RESOLVE=a", false, "host[:port]=address:port" },
  { "UPSTREAM_HEADERS={\"A\":\"b\"}", true, 0 }, { "UPSTREAM_HEADERS={\"Host\":\"b\"}", false, "without Host" }, { "UPSTREAM_HEADERS={\"A\":\"b\\r\\nC: d\"}", false, "UPSTREAM_HEADERS" },
  { "UPSTREAM_HEADERS=[]", false, "UPSTREAM_HEADERS" }, { "MODEL_ALIASES=a=b,b=c", true, 0 }, { "MODEL_ALIASES=a=b,b=a", false, "cycle" }, { "MODEL_ALIASES=a", false, "from=to" },
  { "CLI_API_KEY=x", false, "belong together" }, { "API_KEY=has space", false, "without spaces" }, { "SECRET_KEY=1,2,3,4,5", false, "at most 4" },
  { "ENABLE_STATS_DEBUG_ARCHIVE=true", true, 0 }, { "SERVICE_PORT=", true, 0 },
};

static void t_rows(void)
{
  for(size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    char copy[200], *env[] = { copy, NULL };
    struct strbuf errors, warnings;
    t_row = rows[i].text;
    snprintf(copy, sizeof copy, "%s", rows[i].text);
    struct config *c = load(env, NULL, NULL, NULL, &errors, &warnings);
    CHECK_INT(c != NULL, rows[i].ok);
    if(rows[i].words) CHECK(str_find(strbuf_str(&errors), str_z(rows[i].words)) >= 0);
    if(!c) CHECK(str_find(strbuf_str(&errors), S("1 error, not started")) >= 0);
    config_unref(c);
    strbuf_free(&errors);
    strbuf_free(&warnings);
  }
}

static void t_values(void)
{
  char *env[] = { "SERVICE_PORT=4000", "QUEUE_TIMEOUT=2m", "BODY_LIMIT_MB=2", "PM2_MAX_MEMORY=512M", "API_KEY= a , ,b,", "ACCOUNTS=a@b:c:d|socks5://h:1", "MODEL_ALIASES=x*=y",
                  "UPSTREAM_RESOLVE=h:443=[::1]:7", "QWEN_CHAT_PROXY_URL=http://x:1/", "UNKNOWN_IN_ENV=1", "LISTEN_ADDRESS=", NULL };
  struct strbuf errors, warnings;
  struct config *c = load(env, NULL, "SERVICE_PORT", "5000", &errors, &warnings);
  CHECK(c != NULL);
  if(!c) return;
  CHECK_INT(c->service_port, 5000); /* flags win */
  CHECK_INT(c->queue_timeout_ms, 120000);
  CHECK_INT(c->body_limit_bytes, 2 << 20);
  CHECK_INT(c->pm2_max_memory_bytes, 512 << 20);
  CHECK(c->api_key.n == 2 && strcmp(c->api_key.v[1], "b") == 0);
  CHECK_Z(c->accounts[0].password, "c:d");
  CHECK_Z(c->accounts[0].proxy, "socks5://h:1");
  CHECK_Z(c->qwen_chat_proxy_url, "http://x:1");
  CHECK(c->upstream_resolve_n == 1 && c->upstream_resolve[0].port == 443 && c->upstream_resolve[0].addr_port == 7);
  CHECK_Z(c->listen_address, "");
  CHECK(c->pumps >= 1 && warnings.n == 0);
  CHECK_INT(c->chat_retry_count, 1);
  CHECK_INT(c->sse_heartbeat_ms, 15000);
  struct strbuf shown = STRBUF(100000);
  config_print(c, &shown);
  CHECK(str_find(strbuf_str(&shown), S("flag     SERVICE_PORT=5000\n")) >= 0 && str_find(strbuf_str(&shown), S("env      QUEUE_TIMEOUT=120\n")) >= 0);
  CHECK(str_find(strbuf_str(&shown), S("c:d")) < 0); /* secrets are masked */
  strbuf_free(&shown);
  config_unref(c);
  strbuf_free(&errors);
  strbuf_free(&warnings);
}

static void t_file(void)
{
  char path[] = "/tmp/q2a-env-XXXXXX";
  int fd = mkstemp(path);
  static const char text[] = "SERVICE_PORT=1234\nSERVCE_PORT=1\nSERVICE_PORT=1235\nQUEUE_TIMEOUT=x\n";
  struct strbuf errors, warnings;
  CHECK(write(fd, text, sizeof text - 1) > 0);
  CHECK(load(NULL, path, NULL, NULL, &errors, &warnings) == NULL);
  CHECK(str_find(strbuf_str(&errors), S("line 4)")) >= 0);
  CHECK(str_find(strbuf_str(&warnings), S("did you mean SERVICE_PORT?")) >= 0 && str_find(strbuf_str(&warnings), S("set twice")) >= 0);
  strbuf_free(&errors);
  strbuf_free(&warnings);
  close(fd);
  unlink(path);
  CHECK(load(NULL, "/nowhere/at/all", NULL, NULL, &errors, &warnings) == NULL && str_find(strbuf_str(&errors), S("cannot read")) >= 0);
  strbuf_free(&errors);
  strbuf_free(&warnings);
}

static const struct { const char *name, *in, *names, *values; enum q_status st; int line; } envs[] = {
  { "plain", "A=b\nC = d e \n", "A C", "b|d e", Q_OK, 0 },
  { "comments", "# x\n  # y\nA=b # c\nB=b#c\nC=#d\nD= # e\n", "A B C D", "b|b#c|#d|", Q_OK, 0 },
  { "export, BOM, CRLF", "\xef\xbb\xbf" "export A=b\r\n\r\nB=c\r\n", "A B", "b|c", Q_OK, 0 },
  { "quotes", "A='a # b' # c\nB=\"x\\n\\\"\\$y\\z\"\nC=`k\"`\nD=''\n", "A B C D", "a # b|x\n\"$y\\z|k\"|", Q_OK, 0 },
  { "over lines", "A=\"one\ntwo\"\nB=c", "A B", "one\ntwo|c", Q_OK, 0 },
  { "nothing is expanded", "A=${HOME}$B\n", "A", "${HOME}$B", Q_OK, 0 },
  { "no equals sign", "A=b\nnonsense\n", "", "", Q_BAD_VALUE, 2 },
  { "open quote", "A=b\n\nB='x\n", "", "", Q_BAD_VALUE, 3 },
  { "text behind a quote", "A='x' y\n", "", "", Q_BAD_VALUE, 1 },
};

static void t_dotenv(void)
{
  for(size_t i = 0; i < sizeof envs / sizeof envs[0]; i++) {
    struct arena a = ARENA(1 << 20);
    struct dotenv d = { .n = 0 };
    struct strbuf names = STRBUF(1000), values = STRBUF(1000);
    const char *why;
    int line = 0;
    t_row = envs[i].name;
    CHECK_INT(dotenv_read(&a, str_z(envs[i].in), &d, &line, &why), envs[i].st);
    if(envs[i].st) CHECK_INT(line, envs[i].line);
    for(int k = 0; k < d.n && !envs[i].st; k++) {
      if(k) strbuf_addc(&names, ' '), strbuf_addc(&values, '|');
      strbuf_adds(&names, d.v[k].name);
      strbuf_adds(&values, d.v[k].value);
    }
    CHECK_STR(strbuf_str(&names), str_z(envs[i].names));
    CHECK_STR(strbuf_str(&values), str_z(envs[i].values));
    strbuf_free(&names);
    strbuf_free(&values);
    arena_free(&a);
  }
}

T_MAIN(T(t_rows), T(t_values), T(t_file), T(t_dotenv))
