/* The pure parts of running operations: the rule of PM2_MAX_MEMORY, words to the service manager, settings as JSON. */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "domain/config.h"
#include "domain/memwatch.h"
#include "net/notify.h"
#include "proto/json.h"
#include "t.h"

/* api 11.6 */
static void t_memwatch(void)
{
  struct memwatch m;
  memwatch_init(&m, 1000);
  CHECK_INT(memwatch_look(&m, 799, 0), MEMWATCH_NOTHING);
  CHECK_INT(memwatch_look(&m, 800, 5000), MEMWATCH_SHED_WARN);
  CHECK_INT(memwatch_look(&m, 999, 10000), MEMWATCH_SHED);      /* told once */
  CHECK_INT(memwatch_look(&m, 700, 15000), MEMWATCH_NOTHING);
  CHECK_INT(memwatch_look(&m, 1000, 20000), MEMWATCH_SHED_WARN); /* and again after it fell */
  CHECK_INT(memwatch_look(&m, 1000, 30000), MEMWATCH_SHED);
  CHECK_INT(memwatch_look(&m, 900, 34000), MEMWATCH_SHED);       /* below: the 15 s begin anew */
  CHECK_INT(memwatch_look(&m, 1000, 36000), MEMWATCH_SHED);
  CHECK_INT(memwatch_look(&m, 1000, 50999), MEMWATCH_SHED);
  CHECK_INT(memwatch_look(&m, 1000, 51000), MEMWATCH_RESTART);
  int restarts = 1, many = 0;
  int64_t now = 51000;
  for(; now < 51000 + MEMWATCH_WINDOW_MS - 1; now += 5000) {
    enum memwatch_act act = memwatch_look(&m, 2000, now);
    restarts += act == MEMWATCH_RESTART;
    many += act == MEMWATCH_TOO_MANY;
  }
  CHECK_INT(restarts, 10);
  CHECK(many > 0);
  for(; now < 51000 + 2 * MEMWATCH_WINDOW_MS && restarts == 10; now += 5000) restarts += memwatch_look(&m, 2000, now) == MEMWATCH_RESTART;
  CHECK_INT(restarts, 11); /* the window moves on */
  CHECK(memwatch_resident() > 100000);
}

/* api 11 and design 4: Type=notify without any library */
static void t_notify(void)
{
  char path[] = "/tmp/q2a-notify-XXXXXX", name[160], watch[64], got[200];
  struct sockaddr_un sa = { .sun_family = AF_UNIX };
  struct notify n;
  CHECK(mkdtemp(path) != NULL);
  snprintf(name, sizeof name, "NOTIFY_SOCKET=%s/s", path);
  snprintf(sa.sun_path, sizeof sa.sun_path, "%s/s", path);
  snprintf(watch, sizeof watch, "WATCHDOG_USEC=%d", 30000000);
  int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
  CHECK(bind(fd, (struct sockaddr *)&sa, sizeof sa) == 0);
  char *env[] = { name, watch, NULL }, *none[] = { NULL }, *other[] = { name, watch, "WATCHDOG_PID=1", NULL };
  notify_open(&n, env);
  CHECK_INT(n.watchdog_ms, 15000);
  CHECK(notify_send(&n, "READY=1\nSTATUS=serving"));
  ssize_t len = recv(fd, got, sizeof got, 0);
  CHECK(len == 22 && memcmp(got, "READY=1\nSTATUS=serving", 22) == 0);
  notify_open(&n, other);
  CHECK_INT(n.watchdog_ms, 0); /* the watchdog of another process */
  notify_open(&n, none);
  CHECK(!notify_send(&n, "READY=1"));
  CHECK(recv(fd, got, sizeof got, 0) < 0);
  close(fd);
  unlink(sa.sun_path);
  rmdir(path);
}

static const struct { const char *name, *json, *text; enum q_status st; } rows[] = {
  { "outThink", "false", "false", Q_OK }, { "outThink", "\"yes\"", "yes", Q_OK }, { "outThink", "1", 0, Q_BAD_TYPE }, { "outThink", "\"perhaps\"", "perhaps", Q_BAD_VALUE },
  { "chatRetryCount", "10", "10", Q_OK }, { "chatRetryCount", "11", "11", Q_BAD_VALUE }, { "chatRetryCount", "1.5", "1.5", Q_BAD_VALUE }, { "chatRetryCount", "true", 0, Q_BAD_TYPE },
  { "chatCleanup", "1", "1", Q_OK }, { "queueTimeout", "1.5", "1.5", Q_OK }, { "modelAliases", "[\"a=b\",\"c=d\"]", "a=b,c=d", Q_OK }, { "modelAliases", "[\"a=b,c\"]", 0, Q_BAD_TYPE },
  { "modelAliases", "[]", "", Q_OK }, { "upstreamHeaders", "{\"A\":\"b\"}", "{\"A\":\"b\"}", Q_OK }, { "defaultModel", "\"\"", "", Q_OK }, { "defaultModel", "{}", 0, Q_BAD_TYPE },
  { "corsOrigin", "\"a\\nb\"", "a\nb", Q_BAD_VALUE }, { "qwenChatProxyUrl", "\"\"", "", Q_BAD_VALUE }, { "proxyUrl", "\"\"", "", Q_OK },
};

/* api 9.2 */
static void t_rows(void)
{
  for(size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct arena a = ARENA(100000);
    struct strbuf text = STRBUF(1000);
    struct q_error e = Q_ERROR_NONE;
    int row = config_find_name(str_z(rows[i].name));
    t_row = rows[i].json;
    CHECK(row >= 0 && config_live(row));
    enum q_status st = config_from_json(row, json_parse(&a, str_z(rows[i].json), 4, NULL), &text, &e);
    if(!st && rows[i].text) CHECK(str_eq(strbuf_str(&text), str_z(rows[i].text)));
    if(!st) st = config_check(row, strbuf_str(&text), &e);
    CHECK_INT(st, rows[i].st);
    if(st) CHECK(strcmp(e.param, rows[i].name) == 0 && e.msg[0]);
    strbuf_free(&text);
    arena_free(&a);
  }
  CHECK_INT(config_find_name(S("outputThink")), -1);
  CHECK(!config_live(config_find_name(S("servicePort"))));
}

T_MAIN(T(t_memwatch), T(t_notify), T(t_rows))
