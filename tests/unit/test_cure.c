/* Upstream 8: which trouble is cured how, which of several is told, and that every sentence says what it must. */
#include "domain/cure.h"

#include "t.h"

static void t_cures(void)
{
  static const struct { enum q_status st; enum cure cure; } rows[] = {
    { Q_UP_AUTH, CURE_TOKEN }, { Q_UP_IN_PROGRESS, CURE_FRESH }, { Q_UP_CHAT_GONE, CURE_FRESH }, { Q_UP_BODY, CURE_PLAIN },
    { Q_UP_BARRED, CURE_ACCOUNT }, { Q_UP_QUOTA, CURE_ACCOUNT }, { Q_UP_BUSY, CURE_ACCOUNT }, { Q_UP_PARALLEL, CURE_ACCOUNT },
    { Q_UP_MODEL_QUOTA, CURE_ACCOUNT }, { Q_UP_CHALLENGE, CURE_ACCOUNT }, { Q_UP_ERROR, CURE_LATER }, { Q_UP_EMPTY, CURE_LATER },
    { Q_UP_CUT, CURE_LATER }, { Q_UP_FIRST_TIME, CURE_LATER }, { Q_UP_IDLE_TIME, CURE_LATER }, { Q_UP_UNREACHABLE, CURE_LATER },
    { Q_UP_TLS, CURE_LATER }, { Q_PROXY, CURE_LATER },
    /* what no other attempt would change */
    { Q_FILTER, CURE_NONE }, { Q_TOO_LONG, CURE_NONE }, { Q_NO_MODEL, CURE_NONE }, { Q_NOMEM, CURE_NONE }, { Q_BAD_MEDIA, CURE_NONE },
  };
  for(size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    t_row = status_row(rows[i].st)->name;
    CHECK_INT(cure_of(rows[i].st), rows[i].cure);
  }
}

/* api 12: quota over limits over challenge over sign-in over network. */
static void t_ranks(void)
{
  CHECK(cure_rank(Q_UP_QUOTA) > cure_rank(Q_UP_CHALLENGE) && cure_rank(Q_UP_MODEL_QUOTA) > cure_rank(Q_UP_CHALLENGE));
  CHECK(cure_rank(Q_UP_CHALLENGE) > cure_rank(Q_UP_AUTH) && cure_rank(Q_UP_AUTH) > cure_rank(Q_UP_UNREACHABLE));
  CHECK(cure_rank(Q_UP_BARRED) > cure_rank(Q_UP_ERROR));
}

static void t_words(void)
{
  for(int st = 0; st < Q_STATUS_COUNT; st++) {
    struct q_error e;
    t_row = status_row((enum q_status)st)->name;
    cure_describe(&e, (enum q_status)st, "", 7, false);
    CHECK(e.st == (enum q_status)st && e.retry_after_s == 7);
    CHECK(e.msg[0] >= 'A' && e.msg[0] <= 'Z' && e.msg[strlen(e.msg) - 1] == '.');
    cure_describe(&e, (enum q_status)st, "the upstream's own words", 0, false);
    CHECK(str_ends(str_z(e.msg), S(": the upstream's own words")));
  }
  struct q_error e;
  cure_describe(&e, Q_UP_QUOTA, "", 0, true);
  CHECK_INT(e.st, Q_MEDIA_QUOTA);
  cure_describe(&e, Q_NO_MODEL, "", 0, false);
  CHECK_Z(e.param, "model");
}

T_MAIN(T(t_cures), T(t_ranks), T(t_words))
