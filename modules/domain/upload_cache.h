/* upload_cache.h - which contents the upstream has already, and on whose account: one upload per content and account.
 *
 * Threads: locked. Functions marked "reads" or "writes" touch files: desk threads and jobs only. The others never block.
 * Time:    wall clock milliseconds, passed in. Entries not used for 30 days are gone.
 * Memory:  the UPLOAD_CACHE_MAX entries used last, whatever the folder holds.
 * Files:   with a folder (CACHE_MODE=file) <signature>.txt, the signature being the lowercase hex SHA-256 of the content's
 *          base64 text. First line: the URL without its query. Second line, ours, may be missing:
 *          account=<16 hex>;id=..;type=..;name=..;size=.. with percent-encoded values. Written beside and renamed, so that
 *          several processes may share the folder; what cannot be read as such is left alone. A folder that cannot be
 *          written is told once in the log. */
#ifndef Q2A_DOMAIN_UPLOAD_CACHE_H
#define Q2A_DOMAIN_UPLOAD_CACHE_H

#include "base/log.h"
#include "base/str.h"

enum { UPLOAD_CACHE_MAX = 2000, UPLOAD_CACHE_FILES_MAX = 20000, UPLOAD_SIG = 32 };

/* An upload as it is remembered. account: its id, or "": a one-line entry of another program, tried with any account. */
struct upload_known {
  char account[17], id[132], mime[80], name[104], url[1024];
  int64_t size;
};

struct upload_cache;
struct upload_cache *upload_cache_new(const char *dir, struct log *log) Q_MUST_USE; /* dir NULL: memory only */
void upload_cache_destroy(struct upload_cache *c);                                    /* takes NULL */

void upload_cache_sign(struct str bytes, unsigned char sig[UPLOAD_SIG]); /* without making the base64 text */

/* Reads the content's file into memory, once per process or when memory has nothing of it; marks the file as used. */
void upload_cache_load(struct upload_cache *c, const unsigned char sig[UPLOAD_SIG], int64_t now_ms);
bool upload_cache_get(struct upload_cache *c, const unsigned char sig[UPLOAD_SIG], const char *account, int64_t now_ms,
                      struct upload_known *out);
/* The accounts that have it; how many of at most max. */
int upload_cache_holders(struct upload_cache *c, const unsigned char sig[UPLOAD_SIG], char (*accounts)[17], int max);
/* Writes. url may have a query: it is cut off. What is too long to be kept is not. */
void upload_cache_put(struct upload_cache *c, const unsigned char sig[UPLOAD_SIG], const struct upload_known *k, int64_t now_ms);
/* The upstream refused it: what is known for this account, and a one-line entry, is forgotten and not read again. */
void upload_cache_forget(struct upload_cache *c, const unsigned char sig[UPLOAD_SIG], const char *account);
/* Writes: the file of a forgotten entry goes, unless something newer stands there. */
void upload_cache_remove(struct upload_cache *c, const unsigned char sig[UPLOAD_SIG]);
/* Writes: once a day files that were not used for 30 days go, and the oldest above UPLOAD_CACHE_FILES_MAX. */
void upload_cache_sweep(struct upload_cache *c, int64_t now_ms);
int upload_cache_count(struct upload_cache *c);
void upload_cache_clear(struct upload_cache *c); /* memory only: files stay, and are read again when asked for */
bool upload_cache_on_disk(const struct upload_cache *c);

/* The text of a file and back; for tests. False: none of ours. */
void upload_cache_text(const struct upload_known *k, struct strbuf *out);
bool upload_cache_read(struct str text, struct upload_known *out);

#endif
