/* upload.h - brings a request's attachments to the account that will chat: fetched if need be, uploaded once, parsed.
 *
 * Threads: upload_set_new() on a desk thread or in a job (it may look into CACHE_DIR); a set is locked and shared by
 *          count. A run (struct upload) is owned by its pump. The work is done in app->fetch_jobs and app->upload_jobs,
 *          never in app->jobs: a hundred pictures whose hosts never answer delay no sign-in and no name look-up.
 * Time:    a download 20 s in all; one call to the upstream 20 s, a PUT 60 s and 1 s more per 100 KB; a document is
 *          parsed within 60 s. What is left (upload_leave) or drained gives up within a second.
 * Memory:  a set holds the decoded contents until its last reference; all sets together hold at most UPLOAD_SUM_MAX bytes,
 *          above it new ones are told Q_OVERLOADED. Contents uploaded are shared with the flights that carry them.
 * Where:   a URL whose host is on MEDIA_HOSTS is passed by reference, another one is downloaded once per set (domain/fetch.h).
 *          Bytes go only to https hosts of Aliyun OSS (<bucket>.oss-<word>.aliyuncs.com, port 443, a public address) or to a host
 *          that the operator named in MEDIA_HOSTS or UPSTREAM_RESOLVE, whatever the upstream's answer says.
 * Once:    one content is uploaded once per account and life of the cache (domain/upload_cache.h); two runs that want the
 *          same at the same time share one flight. The account's proxy is used, its extra headers are not. */
#ifndef Q2A_DOMAIN_UPLOAD_H
#define Q2A_DOMAIN_UPLOAD_H

#include "domain/app.h"
#include "proto/chat_req.h"

enum { UPLOAD_FILE_MAX = 100 * 1024 * 1024, UPLOAD_SUM_MAX = 512 * 1024 * 1024 };

struct upload_set;
/* Copies what it needs of the media: decodes, measures, names. Q_BAD_MEDIA (param names the part), Q_TOO_BIG, Q_OVERLOADED,
 * Q_NOMEM: NULL with *e filled. document: text of conversation.txt to go first as one more document, or empty; its failure is
 * told apart (upload.document_failed). n may be 0. */
struct upload_set *upload_set_new(struct app *a, const struct chat_media *const *v, int n, struct str document, struct q_error *e)
  Q_MUST_USE;
struct upload_set *upload_set_ref(struct upload_set *s);
void upload_set_unref(struct upload_set *s); /* takes NULL */
/* Estimate for usage: pictures by their size (1024 while unknown), text documents but conversation.txt by their words. */
int64_t upload_set_tokens(const struct upload_set *s);
/* The account that holds most of these contents already, for pool_want.prefer; "" if none does. Never blocks. */
void upload_prefers(const struct upload_set *s, char account[17]);

struct upload_run;
/* One run for one account. Embedded in its owner; done() comes on the pump exactly once unless upload_leave() was true.
 * files is the owner's to free in any case. */
struct upload {
  void (*done)(struct upload *u);        /* set by the owner */
  enum q_status st;                      /* Q_OK: files is whole.
                                            Q_BAD_MEDIA, Q_MEDIA_REFUSED, Q_OVERLOADED, Q_NOMEM: no account can cure it.
                                            Q_UPLOAD_FAILED: the store of files or the parser failed.
                                            Q_UP_BUSY, Q_UP_QUOTA: of the feature upload, and booked there already: give the
                                            lease back with Q_CLIENT_GONE and take another account (pool_want.uploads).
                                            Q_UP_AUTH, Q_UP_BARRED, Q_UP_CHALLENGE, Q_UP_UNREACHABLE, Q_PROXY ...: the
                                            account's or the way's, as after any call of a chat */
  struct q_error err;                    /* for the client, with param */
  char words[304];                       /* the upstream's own, for the books */
  int wait_s;
  bool document_failed;                  /* st is Q_OK and files whole but for conversation.txt: send the prompt inline */
  struct strbuf files;                   /* JSON array text for the completion's `files` */
  struct upload_run *run;                /* private */
  struct pump_task task;                 /* private */
};
/* Q_OK: done() will come. Q_NOMEM: nothing was started. who: its account is kept readable by the caller until done(). */
enum q_status upload_start(struct upload *u, struct app *a, struct pump *p, struct upload_set *set, const struct lease *who)
  Q_MUST_USE;
/* Gives the run up: true, and done() does not come; false: done() is on its way. */
bool upload_leave(struct upload *u);
/* The upstream refused a file of this set on this account: forgets what the cache knows of it, so that the next run
 * uploads anew. Never blocks. */
void upload_forget(struct app *a, const struct lease *who, struct upload_set *set);

/* All flights and what they share; one per app. */
struct uploads;
struct uploads *uploads_new(struct app *a) Q_MUST_USE;
void uploads_shed(struct uploads *u);    /* memory is short: what is known of earlier uploads is forgotten */
void uploads_destroy(struct uploads *u); /* after fetch_jobs and upload_jobs ended; takes NULL */

#endif
