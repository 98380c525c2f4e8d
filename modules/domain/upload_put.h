/* upload_put.h - brings one content to the upstream for one account: upload token, PUT, and for documents parsing.
 *
 * Threads: jobs only: it blocks. struct upload_ways is locked and shared by all jobs of an app.
 * Time:    one call 20 s, the PUT 60 s and 1 s more per 100 KB, parsing 60 s; 5xx and transport trouble are tried again after 1,
 *          2 and 4 s. It gives up within a second when go_on says no or the app drains (a name look-up excepted).
 * Where:   bytes go over https to <bucket>.oss-<word>.aliyuncs.com at a public address, or to a host that the operator named;
 *          whatever else the upstream's answer says is refused. */
#ifndef Q2A_DOMAIN_UPLOAD_PUT_H
#define Q2A_DOMAIN_UPLOAD_PUT_H

#include "domain/app.h"
#include "proto/chat_req.h"

/* What the upstream was found to want; zeroed: nothing known yet. */
struct upload_ways {
  atomic_bool sts_v1;       /* getstsToken lives at v1 */
  atomic_bool text_size;    /* filesize is a text */
  atomic_bool document;     /* a document is called so */
  atomic_bool sign_v1;      /* the store takes signatures of version 1 only */
};

struct upload_put {
  struct app *app;
  struct upload_ways *ways;
  const struct config *config;
  struct str token, proxy;  /* of the account; proxy empty: the global one */
  struct str headers, cookie; /* of the account, for calls to the web chat's own host alone; may be empty */
  enum media_kind kind;
  struct str bytes, mime, name;
  bool (*go_on)(void *ctx);
  void *ctx;
};

struct upload_put_result {
  enum q_status st;         /* Q_OK; Q_UP_* of the account or the way; Q_UPLOAD_FAILED, Q_BAD_MEDIA (it cannot be parsed),
                               Q_CLIENT_GONE (go_on), Q_SHUTDOWN, Q_NOMEM */
  int wait_s;
  char words[304];          /* the upstream's own, or ours: no secret, no HTML */
  char id[132];
  struct strbuf url;        /* of the file, with its query */
  bool parsed;
};
void upload_put(const struct upload_put *p, struct upload_put_result *out);
void upload_put_free(struct upload_put_result *r);

/* Whether bytes may go to this host. *named: the operator named it, so its address is not looked at. */
bool upload_put_host(const struct config *c, struct str bucket, struct str host, bool *named);

#endif
