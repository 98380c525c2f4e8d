/* upload_set.h - what the parts of uploading share: contents, sets of them, the flights, and their one lock. Private to
 * domain/upload*.c; the contract is domain/upload.h.
 *
 * Threads: everything here is guarded by uploads.lock, but what is marked constant. The lock is held for a few instructions
 *          only; the pool's and the jobs' locks may be taken inside it, never the other way round. */
#ifndef Q2A_DOMAIN_UPLOAD_SET_H
#define Q2A_DOMAIN_UPLOAD_SET_H

#include "domain/upload.h"
#include "domain/upload_cache.h"
#include "domain/upload_put.h"
#include "proto/media.h"

enum { UPLOAD_FILES_MAX = 500, UPLOAD_FETCH_MS = 20 * 1000 };

/* The bytes of a content; constant after birth, shared by sets and flights. */
struct upload_blob {
  atomic_int refs;
  struct uploads *owner;
  struct strbuf bytes;
  size_t booked;           /* of the sum */
};

enum upload_state { UPLOAD_READY, UPLOAD_REFERENCE, UPLOAD_REMOTE, UPLOAD_FETCHING, UPLOAD_FAILED };
struct upload_item {
  enum upload_state state;
  struct media_what what;  /* REMOTE: as declared */
  char name[MEDIA_NAME_MAX + 1], param[80];
  bool document;           /* conversation.txt */
  int64_t tokens;
  unsigned char sig[UPLOAD_SIG];
  struct upload_blob *blob; /* READY */
  char *url, *raw_name;    /* constant: of a remote one, or NULL */
  struct q_error err;      /* FAILED */
  struct job job;          /* FETCHING: holds a reference to the set */
  struct secret *proxy;
  struct upload_set *set;  /* constant */
};

struct upload_set {
  atomic_int refs;
  struct app *app;
  struct uploads *owner;
  struct upload_run *runs;
  int n;                   /* constant */
  struct upload_item items[];
};

/* One content of a run: what it waits for, and where it is once it is there. */
enum upload_wait { SLOT_FETCH, SLOT_FLIGHT, SLOT_DONE, SLOT_LOST };
struct upload_slot {
  enum upload_wait wait;
  struct upload_run *run;
  struct upload_flight *flight;
  struct upload_slot *next, **at; /* SLOT_FLIGHT: of the flight */
  struct strbuf url;
  char id[132];
  bool parsed;
};

struct upload_run {
  struct upload *u;
  struct app *app;
  struct pump *pump;
  struct upload_set *set;
  struct upload_run *next, **at;  /* of the set */
  struct account *account;
  struct secret *token, *proxy, *headers, *cookie;
  unsigned token_no;
  char holder[17];
  int pending;
  bool posted;                    /* done() is on its way */
  struct upload_slot slots[];
};

/* One content on its way to one account. */
struct upload_flight {
  struct job job;
  struct uploads *owner;
  struct upload_flight *next;
  unsigned char sig[UPLOAD_SIG];
  struct account *account;        /* kept */
  struct secret *token, *proxy, *headers, *cookie;
  unsigned token_no;
  char holder[17], mime[MEDIA_MIME_MAX], name[MEDIA_NAME_MAX + 1];
  enum media_kind kind;
  struct upload_blob *blob;
  struct upload_slot *slots;      /* who waits for it */
  bool over;                      /* it gives up: nobody joins */
};

struct uploads {
  struct app *app;
  pthread_mutex_t lock;
  size_t sum;                     /* bytes of all contents, those being fetched included */
  struct upload_flight *flights;
  struct upload_cache *cache;     /* guards itself */
  struct upload_ways ways;        /* guards itself */
};

bool upload_book(struct uploads *u, size_t n);     /* false: the sum would be too large */
void upload_unbook(struct uploads *u, size_t n);
/* Takes bytes over (they are emptied); booked bytes were booked for them. NULL: out of memory, nothing changed. */
struct upload_blob *upload_blob_new(struct uploads *u, struct strbuf *bytes, size_t booked) Q_MUST_USE;
struct upload_blob *upload_blob_ref(struct upload_blob *b);
void upload_blob_unref(struct upload_blob *b);     /* takes NULL */
/* Judges a content and names it: fills what, name, tokens and sig of *i. Q_BAD_MEDIA. */
enum q_status upload_item_take(struct upload_item *i, struct str bytes, struct str declared, struct str name, struct q_error *e)
  Q_MUST_USE;
/* Starts to fetch item k; with the lock held. */
enum q_status upload_fetch(struct upload_set *s, int k, const struct upload_run *r) Q_MUST_USE;
/* Goes on with slot k of a run whose content is ready or has failed; with the lock held. */
void upload_go(struct upload_run *r, int k);

#endif
