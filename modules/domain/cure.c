#include "domain/cure.h"

enum cure cure_of(enum q_status st)
{
  switch(st) {
  case Q_UP_AUTH: return CURE_TOKEN;
  case Q_UP_IN_PROGRESS:
  case Q_UP_CHAT_GONE: return CURE_FRESH;
  case Q_UP_BODY: return CURE_PLAIN;
  case Q_UP_BARRED:
  case Q_UP_BAD_LOGIN:
  case Q_UP_QUOTA:
  case Q_UP_BUSY:
  case Q_UP_PARALLEL:
  case Q_UP_MODEL_QUOTA:
  case Q_UP_CHALLENGE: return CURE_ACCOUNT;
  case Q_UP_ERROR:
  case Q_UP_UNREACHABLE:
  case Q_UP_TLS:
  case Q_PROXY:
  case Q_UP_CONNECT_TIME:
  case Q_UP_FIRST_TIME:
  case Q_UP_IDLE_TIME:
  case Q_UP_CUT:
  case Q_UP_STOPPED:
  case Q_UP_EMPTY: return CURE_LATER;
  default: return CURE_NONE;
  }
}

int64_t cure_backoff_ms(int64_t first_ms, int retry, uint32_t chance)
{
  int n = retry - 1 > 10 ? 10 : retry - 1;
  int64_t wait = first_ms << (n < 0 ? 0 : n);
  return wait + wait * ((int64_t)(chance % 41) - 20) / 100;
}

int cure_rank(enum q_status st)
{
  switch(st) {
  case Q_UP_QUOTA:
  case Q_UP_MODEL_QUOTA: return 5;
  case Q_UP_BUSY:
  case Q_UP_PARALLEL: return 4;
  case Q_UP_CHALLENGE: return 3;
  case Q_UP_AUTH:
  case Q_UP_BAD_LOGIN:
  case Q_UP_BARRED: return 2;
  default: return 1;
  }
}

void cure_describe(struct q_error *e, enum q_status st, const char *words, int wait_s, bool media)
{
  const char *what;
  switch(st) {
  case Q_UP_AUTH:
  case Q_UP_BAD_LOGIN: what = "The upstream refused the account's sign-in; the operator must renew it"; break;
  case Q_UP_BARRED: what = "The upstream barred the account"; break;
  case Q_UP_QUOTA:
    what = media ? "The account's quota of pictures and videos is used up" : "The account's quota of the day is used up";
    if(media) st = Q_MEDIA_QUOTA;
    break;
  case Q_UP_MODEL_QUOTA: what = "The upstream's quota for this model is used up"; break;
  case Q_UP_BUSY:
  case Q_UP_PARALLEL: what = "The upstream limits the account's requests"; break;
  case Q_UP_CHALLENGE:
    what = "The upstream asks for a captcha and answers nothing; the operator must solve it in a browser, or use "
           "another account or proxy";
    break;
  case Q_UP_EMPTY: what = "The upstream ended without an answer; try again"; break;
  case Q_UP_CUT: what = "The upstream's answer was cut; try again"; break;
  case Q_UP_STOPPED: what = "The answer was stopped on the upstream's side"; break;
  case Q_UP_FIRST_TIME: what = "The upstream sent nothing in time; try again"; break;
  case Q_UP_IDLE_TIME: what = "The upstream fell silent; try again"; break;
  case Q_UP_BODY: what = "The upstream did not understand the request, or its answer has an unknown shape"; break;
  case Q_UP_ERROR: what = "The upstream reported an internal error; try again"; break;
  case Q_UP_IN_PROGRESS:
  case Q_UP_CHAT_GONE: what = "The upstream lost the chat; try again"; break;
  case Q_FILTER: what = "The upstream's content inspection refused the prompt"; break;
  case Q_TOO_LONG: what = "The conversation is too long for the model; shorten it"; break;
  case Q_NO_MODEL: what = "The upstream does not know the model"; break;
  case Q_UP_CONNECT_TIME: what = "Connecting to the upstream took too long"; break;
  case Q_UP_UNREACHABLE: what = "The upstream cannot be reached"; break;
  case Q_UP_TLS: what = "No secure connection to the upstream"; break;
  case Q_PROXY: what = "The proxy cannot be used"; break;
  case Q_NO_CALL: what = "The model made no call of a tool although one was required"; break;
  case Q_BAD_OUTPUT: what = "The model's answer is not the JSON that was asked for"; break;
  case Q_MEDIA_FAILED: what = "The upstream made no picture or video"; break;
  case Q_UPLOAD_FAILED: what = "An attachment could not be brought to the upstream"; break;
  case Q_NOMEM: what = "Out of memory"; break;
  default: what = "The request failed"; break;
  }
  *e = Q_ERROR_NONE;
  size_t n = strlen(words);
  if(n) status_fail(e, st, st == Q_NO_MODEL ? "model" : NULL, "%s: %s", what, words);
  else status_fail(e, st, st == Q_NO_MODEL ? "model" : NULL, "%s.", what);
  e->retry_after_s = wait_s;
}
