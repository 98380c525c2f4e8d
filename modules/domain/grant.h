/* grant.h - CLI grants: OAuth credentials of the coding service, by device code with PKCE, and their renewal.
 *
 * Threads: grant_renew() in a job only, started and kept to one at a time per account by login_renew_grant(); grant_look()
 *          from any thread.
 * Time:    a device flow polls as the service says (5 s) and ends with the code's life (15 min), or at once when the gateway
 *          drains. Memory: secrets are wiped with the builders that held them.
 * The service withdrew its free tier in April 2026: a refusal makes the feature cli of the account rest a day (Q_NO_CLI,
 * "unsupported") and never touches the state of its web chat. Without CLI_OAUTH no web account is probed. */
#ifndef Q2A_DOMAIN_GRANT_H
#define Q2A_DOMAIN_GRANT_H

#include "domain/app.h"

/* Renews the grant of an account unless it was replaced since `no`; a web account without one gets its own, with CLI_OAUTH.
 * Books the outcome in the pool. Q_NO_CLI: refused. */
enum q_status grant_renew(struct app *a, struct account *account, unsigned no) Q_MUST_USE;
/* With CLI_OAUTH: starts a probe for every web account that has a living token, no grant, and no rest of the feature. */
void grant_look(struct app *a, int64_t now_ms);

/* code_challenge of a code_verifier (S256). */
void grant_challenge(struct str verifier, struct strbuf *out);
/* The base address for chats: of a resource_url (a host or a URL, with or without /v1), or of QWEN_CLI_PROXY_URL. */
void grant_base(struct str resource, struct str fallback, struct strbuf *out);
/* A grant is renewed when fewer than 5 minutes remain. */
bool grant_due(const struct lease *l, int64_t now_ms);

#endif
