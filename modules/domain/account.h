/* account.h - one upstream identity: its secrets, and per feature whether it may be used now.
 *
 * Threads: owned by the pool, whose lock guards every field; secrets are immutable and shared by count.
 * Time:    wall clock milliseconds, passed in, because states outlive the process. 0 = none.
 * Memory:  account_new copies; account_free burns the secrets it was the last to hold. */
#ifndef Q2A_DOMAIN_ACCOUNT_H
#define Q2A_DOMAIN_ACCOUNT_H

#include <stdatomic.h>

#include "base/str.h"

/* A text that several threads read while its owner replaces it. */
struct secret {
  atomic_int refs;
  size_t n;
  char text[];
};
struct secret *secret_new(struct str s) Q_MUST_USE; /* NULL on no memory; an empty text is allowed */
struct secret *secret_ref(struct secret *s);         /* takes NULL */
void secret_unref(struct secret *s);                 /* takes NULL; the last one wipes */
static inline struct str secret_str(const struct secret *s) { return s ? str_of(s->text, s->n) : STR_NONE; }

/* web: an e-mail and a password, or a token; it may own a CLI grant besides. cli: an imported grant. api: an official
 * OpenAI-compatible key, which is its token. */
enum account_kind { ACCOUNT_WEB, ACCOUNT_CLI, ACCOUNT_API };
#define ACCOUNT_KINDS 3
const char *account_kind_name(enum account_kind k);
enum account_kind account_kind_by_name(struct str name); /* ACCOUNT_WEB for what is unknown or empty */

/* What an api account may be used for. */
enum { SERVES_CLI = 1, SERVES_EMBEDDINGS = 2, SERVES_CHAT = 4, SERVES_DEFAULT = SERVES_CLI | SERVES_EMBEDDINGS };

/* OAuth credentials of the CLI service. */
struct grant_state {
  struct secret *access, *refresh, *resource; /* resource: the base address as the upstream told it; NULL: the usual one */
  int64_t expires_ms;                         /* 0: unknown */
  unsigned no;                                /* counts replacements */
  int row;                                    /* consecutive failures that may be chance */
};

#define FEATURE_LIST(X) X(CHAT, "chat") X(SEARCH, "search") X(IMAGE, "image") X(VIDEO, "video") \
  X(RESEARCH, "deep_research") X(UPLOAD, "upload") X(CLI, "cli")
enum feature {
#define X(id, name) FEATURE_##id,
  FEATURE_LIST(X)
#undef X
  FEATURE_COUNT
};
const char *feature_name(enum feature f);
enum feature feature_by_name(struct str name); /* FEATURE_COUNT if unknown */

#define ACCOUNT_STATE_LIST(X) X(ACTIVE, "active") X(COOLING, "cooling") X(LIMITED, "limited") \
  X(EXPIRED, "expired") X(INVALID, "invalid") X(DISABLED, "disabled")
enum account_state {
#define X(id, name) ACCOUNT_##id,
  ACCOUNT_STATE_LIST(X)
#undef X
  ACCOUNT_STATE_COUNT
};
const char *account_state_name(enum account_state s);
enum account_state account_state_by_name(struct str name);

struct feature_state {
  enum account_state state; /* ACTIVE, COOLING or LIMITED; the others are the whole account's */
  enum q_status why;
  int64_t until_ms;         /* end of COOLING and LIMITED */
  char *words;              /* the upstream's own, NULL if none */
  int busy_step;            /* how often "too fast" was said after a rest had ended: doubles the next rest */
};

/* What the stored record has, in hashes by part; see account_merge.h: whatever is stored belongs to a part there. */
enum { ACCOUNT_PART_LOGIN, ACCOUNT_PART_TOKEN, ACCOUNT_PART_GRANT, ACCOUNT_PART_WHOLE, ACCOUNT_PARTS };
struct account_marks { uint64_t part[ACCOUNT_PARTS]; int cli_day; int64_t cli_calls, cli_in, cli_out; };

struct pool_entry;
struct account {
  enum account_kind kind;
  char *email;              /* the unique name; a log has only the label */
  char label[16];           /* first letter and a hash of the name */
  char id[17];              /* 16 hex digits of a hash of the name: for records that must not tell it */
  struct secret *password;  /* NULL: a bare token */
  struct secret *token;     /* NULL: not signed in yet */
  struct secret *refresh;   /* session or refresh token for the exchange; NULL if none */
  struct secret *proxy;     /* NULL: the global one. Holds user info, therefore secret */
  struct secret *note;      /* the operator's words; NULL: none */
  struct secret *headers, *cookie; /* the operator's, for every call of this account: lines "Name: value"; text. NULL: none */
  int64_t expires_ms;       /* of the token, 0 unknown */
  int64_t renew_ms;         /* from when on the token is renewed in the background, 0: never. Not stored */
  bool exchange;            /* the token must be exchanged for a short one (seen to work) */
  bool from_env;            /* came from ACCOUNTS, CLI_API_KEY */
  bool unstored;            /* lives as long as the process */
  struct grant_state grant; /* of web and cli */
  struct secret *base;      /* api: the base address, without a slash at its end */
  struct secret *models;    /* api: names, one a line; NULL: not known */
  bool models_given;        /* by the operator, else they were asked for */
  int64_t models_asked_ms;
  unsigned serves;          /* api: SERVES_* */
  int cli_day;              /* the local day that is counted, as 20251124 */
  int64_t cli_calls, cli_in, cli_out; /* of that day */
  enum account_state whole; /* ACTIVE, EXPIRED, INVALID or DISABLED */
  enum q_status whole_why;
  char *whole_words;
  struct feature_state features[FEATURE_COUNT];

  int inflight, cap;        /* cap 0: the configured one; set when the upstream wants one turn at a time */
  int max_inflight;         /* the operator's for this account, 0: the configured one */
  enum q_status error;      /* of the last turn that failed on it, Q_OK: none so far */
  int64_t error_ms;
  char *error_words;
  bool failed;              /* and it was the last turn of all */
  int64_t last_used_ms, last_start_ms, created_ms;
  int transport_row, error_row, auth_row, barred_row; /* consecutive failures of a class */
  unsigned token_no;        /* counts replacements of the token: a refused old one renews nothing */
  bool dirty;               /* differs from the stored record */
  bool saving, merged;      /* a record is being written; another gateway's came meanwhile */
  struct account_marks marks; /* of the stored record */
  long refs;                /* leases; removed accounts live until the last */
  bool removed;
  int64_t removed_ms;
  struct pool_entry *entry; /* its place in the pool */
};

struct account *account_new(struct str email, struct str password, struct str proxy) Q_MUST_USE;
/* An api account. models: names separated by line ends, or empty: its own list is asked for. */
struct account *account_new_api(struct str name, struct str key, struct str base, struct str models, unsigned serves) Q_MUST_USE;
void account_free(struct account *a); /* takes NULL */
/* What a record has, in a new account: secrets are shared. NULL: no memory. */
struct account *account_copy(const struct account *a) Q_MUST_USE;
/* Puts s (a reference of the field's own is taken; NULL: none) in place of what is there. */
void account_put_secret(struct secret **field, struct secret *s);

/* Whether f may be used at now: else *until_ms is when it may be again (0: not by waiting) and *why names the reason.
 * Ends cool-downs whose time has come. */
bool account_usable(struct account *a, enum feature f, int64_t now_ms, int64_t *until_ms, enum q_status *why);

/* Books how a turn on feature f ended (rules: domain/pool.h). words may be "". wait_s as the upstream told, else 0. */
void account_book(struct account *a, enum feature f, enum q_status how, const char *words, int wait_s, int64_t now_ms);
/* Rests one feature, or all with FEATURE_COUNT; never shortens a rest that ends later. */
void account_rest(struct account *a, enum feature f, enum account_state s, enum q_status why, const char *words,
                  int64_t until_ms);
/* A new token: clears EXPIRED and INVALID. expires_ms 0: unknown. Takes a reference of its own. refresh may be NULL. */
void account_set_token(struct account *a, struct secret *token, int64_t expires_ms, struct secret *refresh);
/* From now on: a day before the end of the token, or, if it lives less than two days, half its life. */
void account_plan_renewal(struct account *a, int64_t now_ms);
/* New CLI credentials; ends the rest of the feature. References are taken; refresh and resource may be NULL: the old ones stay. */
void account_set_grant(struct account *a, struct secret *access, int64_t expires_ms, struct secret *refresh, struct secret *resource);
static inline bool account_has_grant(const struct account *a) { return a->grant.access || a->grant.refresh; }
/* Counts a CLI request and tokens on the local day of now_ms. */
void account_count_cli(struct account *a, int64_t now_ms, int64_t calls, int64_t in, int64_t out);
int64_t account_cli_today(const struct account *a, int64_t now_ms);
/* Whether an api account's list has the name; *known (may be NULL): it has a list at all. */
bool account_lists(const struct account *a, struct str model, bool *known);
/* DISABLED is the operator's and ends only by ACTIVE. */
void account_set_whole(struct account *a, enum account_state s, enum q_status why, const char *words);
/* The operator ends the rests of one feature, or with FEATURE_COUNT of all, and then INVALID too. */
void account_clear(struct account *a, enum feature f);
/* 00:10 of the next day in UTC+8, when daily quotas return. */
int64_t account_quota_return_ms(int64_t now_ms);

#endif
