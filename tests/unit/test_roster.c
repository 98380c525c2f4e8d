/* What is told of accounts (api 9.1): the display word in its order, pages of 2,000 in every order, searching; tasks and their end. */
#include "domain/roster.h"

#include "base/mem.h"
#include "domain/accounts.h"
#include "domain/tasks.h"
#include "t.h"

enum { SEC = 1000, HOUR = 3600 * SEC, MANY = 2000 };
static const int64_t NOW = 1764288000000;

static struct {
  int64_t now;
  struct app app;
  struct now clock;
  struct config config;
} world;

static int64_t wall(void *ctx)
{
  (void)ctx;
  return world.now;
}

static int64_t mono(void *ctx)
{
  (void)ctx;
  return world.now * 1000;
}

static void begin(void)
{
  memset(&world, 0, sizeof world);
  world.now = NOW;
  world.clock = (struct now){ mono, wall, NULL };
  world.app.now = &world.clock;
  world.app.config = &world.config;
  world.config.refs = 1;
  world.config.batch_login_concurrency = 3;
  pthread_mutex_init(&world.app.lock, NULL);
  world.app.pool = pool_new(&(struct pool_config){ .max_inflight = 2, .queue_max = 10 });
  CHECK(world.app.pool != NULL);
}

static void end(void)
{
  pool_destroy(world.app.pool);
  pthread_mutex_destroy(&world.app.lock);
}

/* ---- the display word ---- */

/* Everything that can be wrong at once, one after the other taken away: what stands first wins. */
static void t_first_match(void)
{
  struct secret *token = secret_new(S("t"));
  struct account *a = account_new(S("a@b.c"), STR_NONE, STR_NONE);
  int64_t until;
  account_set_token(a, token, NOW + 2 * HOUR, NULL);
  a->failed = true;
  account_rest(a, FEATURE_IMAGE, ACCOUNT_LIMITED, Q_UP_QUOTA, "no more pictures", NOW + 3 * HOUR);
  account_rest(a, FEATURE_CHAT, ACCOUNT_COOLING, Q_UP_BUSY, "slow down", NOW + HOUR);
  account_set_whole(a, ACCOUNT_DISABLED, Q_OK, NULL);
  CHECK_INT(roster_display(a, NOW, &until), ROSTER_DISABLED);
  account_set_whole(a, ACCOUNT_ACTIVE, Q_OK, NULL);
  account_set_whole(a, ACCOUNT_INVALID, Q_UP_BAD_LOGIN, "wrong password");
  CHECK_INT(roster_display(a, NOW, &until), ROSTER_LOGIN_FAILED);
  account_set_whole(a, ACCOUNT_ACTIVE, Q_OK, NULL);
  account_set_whole(a, ACCOUNT_EXPIRED, Q_UP_AUTH, "gone");
  CHECK_INT(roster_display(a, NOW, &until), ROSTER_EXPIRED);
  account_set_whole(a, ACCOUNT_ACTIVE, Q_OK, NULL);
  CHECK_INT(roster_display(a, NOW, &until), ROSTER_COOLDOWN);
  CHECK_INT(until, NOW + HOUR);
  CHECK_INT(roster_display(a, NOW + HOUR, &until), ROSTER_MEDIA_LIMITED); /* its time has come, though nobody has looked */
  CHECK_INT(until, NOW + 3 * HOUR);
  account_clear(a, FEATURE_IMAGE);
  a->failed = true;
  CHECK_INT(roster_display(a, NOW + HOUR, &until), ROSTER_WARN);
  a->failed = false;
  CHECK_INT(roster_display(a, NOW + HOUR, &until), ROSTER_TOKEN_EXPIRING);
  CHECK_INT(until, NOW + 2 * HOUR);
  CHECK_INT(roster_display(a, NOW + 2 * HOUR, &until), ROSTER_EXPIRED); /* by the clock */
  a->password = secret_new(S("pw"));
  CHECK_INT(roster_display(a, NOW + HOUR, &until), ROSTER_ACTIVE); /* it is renewed with the password */
  CHECK_INT(until, 0);
  account_rest(a, FEATURE_CHAT, ACCOUNT_COOLING, Q_UP_CHALLENGE, "captcha", NOW + 9 * HOUR);
  CHECK_INT(roster_display(a, NOW, &until), ROSTER_CHALLENGE);
  account_clear(a, FEATURE_CHAT);
  account_rest(a, FEATURE_VIDEO, ACCOUNT_LIMITED, Q_UP_QUOTA, "", NOW + HOUR);
  CHECK_INT(roster_display(a, NOW, &until), ROSTER_MEDIA_LIMITED);
  account_clear(a, FEATURE_VIDEO);
  account_rest(a, FEATURE_SEARCH, ACCOUNT_LIMITED, Q_UP_QUOTA, "", NOW + HOUR);
  CHECK_INT(roster_display(a, NOW, &until), ROSTER_ACTIVE); /* told among the features, but the chat serves */
  account_free(a);
  a = account_new_api(S("paid"), S("sk"), S("https://x.example"), STR_NONE, SERVES_DEFAULT);
  account_rest(a, FEATURE_CLI, ACCOUNT_LIMITED, Q_UP_QUOTA, "", NOW + HOUR);
  CHECK_INT(roster_display(a, NOW, &until), ROSTER_COOLDOWN); /* of a key its own feature counts */
  account_free(a);
  secret_unref(token);
}

/* The upstream's words are told, and no more than 300 bytes of them. */
static void t_words(void)
{
  struct account *a = account_new(S("a@b.c"), S("pw"), STR_NONE);
  struct roster_view v;
  char words[1000];
  memset(words, 'x', sizeof words - 1);
  words[sizeof words - 1] = 0;
  account_rest(a, FEATURE_CHAT, ACCOUNT_LIMITED, Q_UP_QUOTA, words, NOW + HOUR);
  roster_see(&v, a, NOW);
  CHECK_INT(v.features[FEATURE_CHAT].state, ACCOUNT_LIMITED);
  CHECK_INT(v.features[FEATURE_CHAT].why, Q_UP_QUOTA);
  CHECK_INT(v.features[FEATURE_CHAT].until_ms, NOW + HOUR);
  CHECK(strlen(v.features[FEATURE_CHAT].words) > 100 && strlen(v.features[FEATURE_CHAT].words) <= 303);
  CHECK_INT(v.features[FEATURE_IMAGE].state, ACCOUNT_ACTIVE);
  roster_view_free(&v);
  roster_see(&v, a, NOW + HOUR);
  CHECK_INT(v.features[FEATURE_CHAT].state, ACCOUNT_ACTIVE);
  roster_view_free(&v);
  account_free(a);
}

/* ---- pages ---- */

struct page { char names[MANY][48]; int n; };
static struct page page;

static void row(void *ctx, const struct roster_view *v)
{
  (void)ctx;
  str_copy(page.names[page.n++], sizeof page.names[0], str_z(v->email));
}

static int64_t calls(void *ctx, const char *id)
{
  (void)ctx;
  return (int64_t)((unsigned char)id[0] * 256 + (unsigned char)id[1]);
}

static int list(const struct roster_query *q)
{
  int total = -1;
  page.n = 0;
  CHECK_INT(roster_list(&world.app, q, row, NULL, &total), Q_OK);
  return total;
}

static void fill(void)
{
  for(int i = 0; i < MANY; i++) {
    char name[48], proxy[64], note[32];
    unsigned mix = (unsigned)i * 2654435761u;
    snprintf(name, sizeof name, "u%08x%04d@example.org", mix, i);
    snprintf(proxy, sizeof proxy, "http://user%d:hush%d@way%d.example:8080", i, i, i % 5);
    snprintf(note, sizeof note, "Row %d", i);
    struct account *a = account_new(str_z(name), S("pw"), i % 3 ? str_z(proxy) : STR_NONE);
    a->note = secret_new(str_z(note));
    a->created_ms = NOW - (int64_t)(mix % 1000) * SEC;
    a->last_used_ms = mix % 4 ? NOW - (int64_t)(mix % 777) * SEC : 0;
    a->expires_ms = NOW + (int64_t)(mix % 555) * HOUR;
    if(i % 10 == 0) account_set_whole(a, ACCOUNT_DISABLED, Q_OK, NULL);
    if(i % 10 == 1) account_rest(a, FEATURE_CHAT, ACCOUNT_LIMITED, Q_UP_QUOTA, "", NOW + HOUR);
    CHECK_INT(pool_add(world.app.pool, a), Q_OK);
  }
}

struct key { struct str email; enum roster_sort sort; int64_t v; };

static void key_of(void *ctx, struct account *a)
{
  struct key *k = ctx;
  int64_t until;
  k->v = k->sort == ROSTER_BY_EXPIRES ? a->expires_ms : k->sort == ROSTER_BY_STATUS ? (int64_t)roster_display(a, NOW, &until) : k->sort == ROSTER_BY_USED ? a->last_used_ms
       : k->sort == ROSTER_BY_CREATED ? a->created_ms : k->sort == ROSTER_BY_CALLS ? calls(NULL, a->id) : 0;
}

/* Every order, both ways: the keys never go back, all are there once, and a page is a piece of the whole. */
static void t_orders(void)
{
  static char all[MANY][48];
  begin();
  fill();
  for(int sort = 0; sort <= ROSTER_BY_CREATED; sort++)
    for(int down = 0; down < 2; down++) {
      struct roster_query q = { .status = ROSTER_DISPLAYS, .sort = (enum roster_sort)sort, .descending = down, .page = 1, .page_size = MANY, .calls = calls };
      int64_t last = 0;
      CHECK_INT(list(&q), MANY);
      CHECK_INT(page.n, MANY);
      for(int i = 0; i < page.n; i++) {
        struct key k = { .sort = q.sort };
        CHECK_INT(pool_with(world.app.pool, str_z(page.names[i]), NOW, key_of, &k), Q_OK);
        if(i && (down ? k.v > last : k.v < last)) T_FAIL("order %d, row %d: %lld after %lld", sort, i, (long long)k.v, (long long)last);
        if(i && k.v == last && (down ? strcmp(page.names[i], page.names[i - 1]) >= 0 : strcmp(page.names[i], page.names[i - 1]) <= 0)) T_FAIL("order %d: row %d by name", sort, i);
        last = k.v;
      }
      memcpy(all, page.names, sizeof all);
      for(int p = 1, seen = 0; seen < MANY; p++) {
        q.page = p;
        q.page_size = 333;
        CHECK_INT(list(&q), MANY);
        if(!page.n) {
          T_FAIL("page %d is empty", p);
          break;
        }
        for(int i = 0; i < page.n; i++) CHECK_Z(page.names[i], all[seen + i]);
        seen += page.n;
      }
      q.page = 100;
      CHECK_INT(list(&q), MANY);
      CHECK_INT(page.n, 0);
    }
  end();
}

/* The user info of no address is shown, nor that of one which some other program left and we cannot read. */
static void t_shown_addresses(void)
{
  static const struct { const char *url, *shown; } rows[] = {
    { "http://h:1", "http://h:1" }, { "socks5://u:p@h:1", "socks5://••••••••@h:1" },
    { "http://u:p@q@h/x@y", "http://••••••••@h/x@y" }, { "u:p@h:1", "••••••••@h:1" },
    { "http://u:p@h:none", "••••••••@h:none" }, { "h:1", "h:1" }, { "", "" },
  };
  for(size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct strbuf b = STRBUF(1024);
    account_show_url(str_z(rows[i].url), &b);
    CHECK_STR(strbuf_str(&b), str_z(rows[i].shown));
    strbuf_free(&b);
  }
}

/* Want of memory is no wish to take headers away. */
static void t_headers_merge(void)
{
  struct str there = S("A: one\nB: two\n");
  struct secret *got = NULL;
  CHECK_INT(account_merge_headers(S("a: " CONFIG_MASK "\nC: three\nD: " CONFIG_MASK "\n"), there, &got), Q_OK);
  CHECK_STR(secret_str(got), S("a: one\nC: three\n"));
  secret_unref(got);
  CHECK_INT(account_merge_headers(S("D: " CONFIG_MASK "\n"), there, &got), Q_OK);
  CHECK(got == NULL);
  for(int at = 0; at < 2; at++) {
    fault_arm(at, false);
    enum q_status st = account_merge_headers(S("A: " CONFIG_MASK "\n"), there, &got);
    CHECK(fault_disarm());
    CHECK(st == Q_NOMEM && got == NULL);
  }
}

static void t_search(void)
{
  begin();
  fill();
  struct roster_query q = { .status = ROSTER_DISPLAYS, .page = 1, .page_size = 1000 };
  const struct { struct str search; enum roster_display status; int total; } rows[] = {
    { STR_NONE, ROSTER_DISABLED, MANY / 10 }, { STR_NONE, ROSTER_COOLDOWN, MANY / 10 }, { STR_NONE, ROSTER_ACTIVE, MANY * 8 / 10 }, { STR_NONE, ROSTER_WARN, 0 },
    { S("EXAMPLE.org"), ROSTER_DISPLAYS, MANY }, { S("row 77"), ROSTER_DISPLAYS, 11 }, { S("ROW 1999"), ROSTER_DISPLAYS, 1 }, { S("row 1990"), ROSTER_DISABLED, 1 },
    { S("row 1990"), ROSTER_ACTIVE, 0 }, { S("way4.example"), ROSTER_DISPLAYS, 267 }, { S("hush"), ROSTER_DISPLAYS, 0 }, { S("user1"), ROSTER_DISPLAYS, 0 }, { S("nothing"), ROSTER_DISPLAYS, 0 },
  };
  for(size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    q.search = rows[i].search;
    q.status = rows[i].status;
    CHECK_INT(list(&q), rows[i].total);
    CHECK_INT(page.n, rows[i].total < 1000 ? rows[i].total : 1000);
  }
  end();
}

/* Nothing is kept by looking, also when memory ends at any step. */
static void t_nothing_is_kept(void)
{
  begin();
  fill();
  struct roster_query q = { .search = S("way"), .status = ROSTER_DISPLAYS, .sort = ROSTER_BY_USED, .page = 1, .page_size = 50 };
  for(int i = 0; i < 3; i++) (void)list(&q);
  int n = pool_count(world.app.pool, FEATURE_CHAT, NOW).total;
  struct str one = str_z(page.names[0]);
  CHECK_INT(pool_remove(world.app.pool, one, NOW), Q_OK);
  pool_poll(world.app.pool, NOW + HOUR); /* buried: it was kept by nobody (the sanitizer knows) */
  CHECK_INT(pool_count(world.app.pool, FEATURE_CHAT, NOW).total, n - 1);
  end();
}

/* ---- tasks ---- */

static void t_tasks_end(void)
{
  begin();
  struct tasks *t = tasks_new(&world.app);
  struct account_list list = { .v = NULL };
  char id[TASKS_ID], late[TASKS_ID];
  struct strbuf b = STRBUF(64 * 1024);
  unsigned version;
  bool over = false;
  CHECK_INT(account_list_lines(&list, S("no line at all\n#\n\nx@y.z:\n")), Q_OK);
  CHECK_INT(tasks_add(t, &list, id), Q_OK);
  CHECK_INT(tasks_write(t, str_z(id), 10, &b, &version, &over), Q_OK);
  CHECK(over);
  CHECK(str_find(strbuf_str(&b), S("\"invalid\":2")) > 0 && str_find(strbuf_str(&b), S("\"line\":1")) > 0 && str_find(strbuf_str(&b), S("\"line\":4")) > 0);
  CHECK(str_find(strbuf_str(&b), S("\"progress\":100.0")) > 0);
  world.now += 29 * 60 * SEC;
  CHECK(tasks_version(t, str_z(id)) > 0);
  list = (struct account_list){ .v = NULL };
  CHECK_INT(tasks_add(t, &list, late), Q_OK);
  strbuf_clear(&b);
  tasks_write_all(t, &b);
  CHECK(str_find(strbuf_str(&b), str_z(id)) > 0 && str_find(strbuf_str(&b), str_z(late)) > 0 && str_find(strbuf_str(&b), str_z(id)) > str_find(strbuf_str(&b), str_z(late)));
  world.now += 61 * SEC; /* half an hour after its end */
  CHECK_INT(tasks_version(t, str_z(id)), 0);
  CHECK_INT(tasks_write(t, str_z(id), 10, &b, &version, &over), Q_NOT_FOUND);
  CHECK_INT(tasks_cancel(t, str_z(id)), Q_NOT_FOUND);
  strbuf_clear(&b);
  CHECK_INT(tasks_write(t, str_z(late), 10, &b, &version, &over), Q_OK);
  strbuf_free(&b);
  tasks_stop(t);
  tasks_destroy(t);
  end();
}

/* Of one name the last line counts, wherever it stands; a proxy begins at the first '|', a password at the first ':' before it. */
static void t_lines(void)
{
  struct account_list l = { .v = NULL };
  CHECK_INT(account_list_lines(&l, S("\xef\xbb\xbf" "a@x.y:one\r\nb@x.y:p:w@q#1|socks5://u:p@h:1\n  # a@x.y:no\n a@x.y : two \nc@x.y:d,e\n")), Q_OK);
  CHECK_INT(l.n, 3);
  CHECK_INT(l.repeated, 1);
  CHECK_INT(l.bad_total, 0);
  const struct { const char *name, *password, *proxy; int at; } rows[] = { { "b@x.y", "p:w@q#1", "socks5://u:p@h:1", 2 }, { "a@x.y", "two", "", 4 }, { "c@x.y", "d,e", "", 5 } };
  for(int i = 0; i < 3 && i < l.n; i++) {
    CHECK_Z(l.v[i].f.name, rows[i].name);
    CHECK_STR(secret_str(l.v[i].f.password), str_z(rows[i].password));
    CHECK_STR(secret_str(l.v[i].f.proxy), str_z(rows[i].proxy));
    CHECK_INT(l.v[i].at, rows[i].at);
  }
  account_list_free(&l);
  l = (struct account_list){ .v = NULL };
  CHECK_INT(account_list_lines(&l, S("plain\n:pw\nx@y.z:\nx@y.z:p|ftp://q\nno at:pw\n@y:z\nx|http://h:1\n")), Q_OK);
  CHECK_INT(l.n, 0);
  CHECK_INT(l.bad_total, 7);
  for(int i = 0; i < l.bad_n; i++) CHECK_INT(l.bad[i].at, i + 1);
  account_list_free(&l);
}

T_MAIN(T(t_first_match), T(t_words), T(t_orders), T(t_shown_addresses), T(t_headers_merge), T(t_search), T(t_nothing_is_kept), T(t_tasks_end), T(t_lines))
