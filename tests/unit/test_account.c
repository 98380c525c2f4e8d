/* Booking rules of one account: which trouble rests what, and for how long. */
#include "domain/account.h"

#include "base/mem.h"
#include "t.h"

enum { T0 = 1000000000, MIN = 60000 };

static struct account *fresh(void)
{
  struct account *a = account_new(S("ok@example.org"), S("correct: horse@|"), S("http://u:p@127.0.0.1:1"));
  CHECK(a != NULL);
  return a;
}

struct book_row {
  const char *name;
  enum q_status how[4];
  int wait_s;
  enum account_state chat, image, whole;
  int64_t rest_ms; /* of chat, after the last booking at T0 */
};

static void t_rows(void)
{
  static const struct book_row rows[] = {
    { "success holds nothing", { Q_OK }, 0, ACCOUNT_ACTIVE, ACCOUNT_ACTIVE, ACCOUNT_ACTIVE, 0 },
    { "the client's own trouble holds nothing", { Q_CLIENT_GONE, Q_FILTER, Q_TOO_LONG, Q_NO_MODEL }, 0, ACCOUNT_ACTIVE,
      ACCOUNT_ACTIVE, ACCOUNT_ACTIVE, 0 },
    { "token dead: 15 min", { Q_UP_AUTH }, 0, ACCOUNT_COOLING, ACCOUNT_COOLING, ACCOUNT_ACTIVE, 15 * MIN },
    { "token dead three times: invalid", { Q_UP_AUTH, Q_UP_AUTH, Q_UP_AUTH }, 0, ACCOUNT_COOLING, ACCOUNT_COOLING,
      ACCOUNT_INVALID, 15 * MIN },
    { "barred: 15 min", { Q_UP_BARRED }, 0, ACCOUNT_COOLING, ACCOUNT_COOLING, ACCOUNT_ACTIVE, 15 * MIN },
    { "barred twice: invalid", { Q_UP_BARRED, Q_UP_BARRED }, 0, ACCOUNT_COOLING, ACCOUNT_COOLING, ACCOUNT_INVALID,
      15 * MIN },
    { "success between: the row starts anew", { Q_UP_AUTH, Q_UP_AUTH, Q_OK, Q_UP_AUTH }, 0, ACCOUNT_COOLING,
      ACCOUNT_COOLING, ACCOUNT_ACTIVE, 15 * MIN },
    { "quota with hours: this feature only", { Q_UP_QUOTA }, 4 * 3600, ACCOUNT_LIMITED, ACCOUNT_ACTIVE, ACCOUNT_ACTIVE,
      4 * 60 * MIN },
    { "too fast: a minute", { Q_UP_BUSY }, 0, ACCOUNT_COOLING, ACCOUNT_ACTIVE, ACCOUNT_ACTIVE, MIN },
    { "too fast with Retry-After", { Q_UP_BUSY }, 7, ACCOUNT_COOLING, ACCOUNT_ACTIVE, ACCOUNT_ACTIVE, 7000 },
    { "D20: said again while resting does not lengthen", { Q_UP_BUSY, Q_UP_BUSY, Q_UP_BUSY, Q_UP_BUSY }, 0,
      ACCOUNT_COOLING, ACCOUNT_ACTIVE, ACCOUNT_ACTIVE, MIN },
    { "captcha: 15 min, all features", { Q_UP_CHALLENGE }, 0, ACCOUNT_COOLING, ACCOUNT_COOLING, ACCOUNT_ACTIVE,
      15 * MIN },
    { "two internal errors: nothing", { Q_UP_ERROR, Q_UP_ERROR }, 0, ACCOUNT_ACTIVE, ACCOUNT_ACTIVE, ACCOUNT_ACTIVE, 0 },
    { "three internal errors: 15 min", { Q_UP_ERROR, Q_UP_ERROR, Q_UP_ERROR }, 0, ACCOUNT_COOLING, ACCOUNT_COOLING,
      ACCOUNT_ACTIVE, 15 * MIN },
    { "three transport failures of any kind: 5 min", { Q_UP_UNREACHABLE, Q_PROXY, Q_UP_CONNECT_TIME }, 0,
      ACCOUNT_COOLING, ACCOUNT_COOLING, ACCOUNT_ACTIVE, 5 * MIN },
    { "wrong password is final", { Q_UP_BAD_LOGIN }, 0, ACCOUNT_ACTIVE, ACCOUNT_ACTIVE, ACCOUNT_INVALID, 0 },
    { "empty and slow answers hold nothing", { Q_UP_EMPTY, Q_UP_FIRST_TIME, Q_UP_EMPTY, Q_UP_IDLE_TIME }, 0,
      ACCOUNT_ACTIVE, ACCOUNT_ACTIVE, ACCOUNT_ACTIVE, 0 },
  };
  for(size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    const struct book_row *r = &rows[i];
    struct account *a = fresh();
    t_row = r->name;
    for(int k = 0; k < 4 && (k == 0 || r->how[k]); k++) account_book(a, FEATURE_CHAT, r->how[k], "w", r->wait_s, T0);
    CHECK_INT(a->features[FEATURE_CHAT].state, r->chat);
    CHECK_INT(a->features[FEATURE_IMAGE].state, r->image);
    CHECK_INT(a->whole, r->whole);
    if(r->rest_ms) CHECK_INT(a->features[FEATURE_CHAT].until_ms, T0 + r->rest_ms);
    int64_t until;
    enum q_status why;
    bool usable = account_usable(a, FEATURE_CHAT, T0 + r->rest_ms - 1, &until, &why);
    if(r->rest_ms) CHECK(!usable);
    CHECK_INT(account_usable(a, FEATURE_CHAT, T0 + r->rest_ms, &until, &why), r->whole == ACCOUNT_ACTIVE);
    account_free(a);
  }
}

static void t_busy_doubles_once_per_rest(void)
{
  static const int64_t rests[] = { MIN, 2 * MIN, 4 * MIN, 8 * MIN, 15 * MIN, 15 * MIN };
  struct account *a = fresh();
  int64_t now = T0, until;
  enum q_status why;
  for(size_t i = 0; i < sizeof rests / sizeof rests[0]; i++) {
    for(int client_retry = 0; client_retry < 5; client_retry++)
      account_book(a, FEATURE_CHAT, Q_UP_BUSY, "", 0, now + client_retry);
    CHECK_INT(a->features[FEATURE_CHAT].until_ms, now + rests[i]);
    now += rests[i];
    CHECK(account_usable(a, FEATURE_CHAT, now, &until, &why));
  }
  account_book(a, FEATURE_CHAT, Q_OK, "", 0, now);
  account_book(a, FEATURE_CHAT, Q_UP_BUSY, "", 0, now);
  CHECK_INT(a->features[FEATURE_CHAT].until_ms, now + MIN);
  account_free(a);
}

static void t_quota_return(void)
{
  /* 2026-03-04 00:09:59 UTC+8 returns at 00:10 of the same day, 00:10 at that of the next. */
  int64_t midnight = 1772553600000; /* 2026-03-04 00:00 UTC+8 = 2026-03-03 16:00 UTC */
  CHECK_INT(account_quota_return_ms(midnight + 9 * MIN + 59000), midnight + 10 * MIN);
  CHECK_INT(account_quota_return_ms(midnight + 10 * MIN), midnight + 24 * 60 * MIN + 10 * MIN);
  CHECK_INT(account_quota_return_ms(midnight + 15 * 60 * MIN), midnight + 24 * 60 * MIN + 10 * MIN);
}

static void t_rest_never_shortened(void)
{
  struct account *a = fresh();
  account_book(a, FEATURE_CHAT, Q_UP_QUOTA, "used up", 3600, T0);
  account_book(a, FEATURE_CHAT, Q_UP_CHALLENGE, "", 0, T0);
  CHECK_INT(a->features[FEATURE_CHAT].until_ms, T0 + 3600 * 1000);
  CHECK_INT(a->features[FEATURE_CHAT].why, Q_UP_QUOTA);
  CHECK_Z(a->features[FEATURE_CHAT].words, "used up");
  CHECK_INT(a->features[FEATURE_IMAGE].until_ms, T0 + 15 * MIN);
  account_free(a);
}

static void t_new_token_revives(void)
{
  struct account *a = fresh();
  struct secret *token = secret_new(S("tok"));
  account_set_whole(a, ACCOUNT_EXPIRED, Q_UP_AUTH, "Token has expired");
  account_set_token(a, token, T0, NULL);
  CHECK_INT(a->whole, ACCOUNT_ACTIVE);
  CHECK_INT(a->token_no, 1);
  account_set_whole(a, ACCOUNT_DISABLED, Q_OK, NULL);
  account_set_token(a, token, T0, NULL);
  CHECK_INT(a->whole, ACCOUNT_DISABLED); /* the operator's word stays */
  secret_unref(token);
  account_free(a);
}

static void t_names(void)
{
  for(int f = 0; f < FEATURE_COUNT; f++) CHECK_INT(feature_by_name(str_z(feature_name((enum feature)f))), f);
  for(int s = 0; s < ACCOUNT_STATE_COUNT; s++)
    CHECK_INT(account_state_by_name(str_z(account_state_name((enum account_state)s))), s);
  CHECK_INT(feature_by_name(S("nothing")), FEATURE_COUNT);
}

static void t_label_hides_the_name(void)
{
  struct account *a = fresh();
  CHECK(strstr(a->label, "example") == NULL);
  CHECK_INT(strlen(a->label), 8);
  account_free(a);
}

static void t_no_leak_under_faults(void)
{
  long base = mem_live(), points = 0;
  for(long n = 0;; n++, points++) {
    fault_arm(n, true);
    struct account *a = account_new(S("ok@example.org"), S("pw"), S("http://p:1"));
    if(a) account_book(a, FEATURE_CHAT, Q_UP_CHALLENGE, "words", 0, T0);
    bool hit = fault_disarm();
    account_free(a);
    CHECK_INT(mem_live(), base);
    if(!hit) break;
  }
  printf("fault points tried: %ld\n", points);
  CHECK(points > 3);
}

T_MAIN(T(t_rows), T(t_busy_doubles_once_per_rest), T(t_quota_return), T(t_rest_never_shortened), T(t_new_token_revives),
       T(t_names), T(t_label_hides_the_name), T(t_no_leak_under_faults))
