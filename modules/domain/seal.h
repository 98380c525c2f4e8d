/* seal.h - secrets at rest: AES-256-GCM under a key that is not in the store.
 *
 * Threads: immutable after seal_open(): any. Memory: appends to the caller's builders; keys are wiped at the end.
 * Key: HKDF-SHA-256, salted by the store, of SECRET_KEY (the first seals, all open) or of DATA_DIR/secret.key (0600, 32
 * random bytes, made at the first start), in memory mode of random bytes. A check value in the store finds a wrong one.
 * Text form: base64 of nonce, ciphertext and tag; bound to the record's key, so that values cannot change places. */
#ifndef Q2A_DOMAIN_SEAL_H
#define Q2A_DOMAIN_SEAL_H

#include "domain/config.h"
#include "domain/store.h"

struct seal;
/* NULL with words in *e: 65 sealed with another key, 73 the key file cannot be made. *stale: the store was sealed with an
 * older key of SECRET_KEY; the caller seals everything anew, then calls seal_settle(). */
struct seal *seal_open(struct store *s, const struct config *c, bool *stale, struct q_error *e, int *exit_code) Q_MUST_USE;
void seal_destroy(struct seal *s);
enum q_status seal_settle(struct seal *s, struct store *store) Q_MUST_USE;

enum q_status seal_text(const struct seal *s, struct str record, struct str plain, struct strbuf *out) Q_MUST_USE;
/* Q_BAD_VALUE: damaged, or of another record. The caller wipes what it got. */
enum q_status seal_plain(const struct seal *s, struct str record, struct str sealed, struct strbuf *out) Q_MUST_USE;

#endif
