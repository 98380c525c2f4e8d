/* h_cli.h - what the CLI routes and the official keys lend to other handlers.
 *
 * Threads: desk or job, as req.h. */
#ifndef Q2A_HTTP_H_CLI_H
#define Q2A_HTTP_H_CLI_H

#include "http/h_start.h"
#include "http/req.h"
#include "proto/models.h"

/* A request of /v1 whose model no usable web account offers, but an api account with `chat` in serves does: it goes there, with
 * native tools. true: it is answered or on its way, the handler returns. */
bool h_cli_takes(struct req *q, const struct json *body); /* a chat completion: as it came */
bool h_cli_serves(struct req *q, const struct chat_req *r, const struct h_way *way); /* any protocol: read, and told by the way's writers */

/* The name under which a key would serve such a request; empty: none does, or the web. */
struct str h_cli_key_model(struct req *q, struct str name, struct str fallback, bool anthropic);

/* Models of those accounts that the web list lacks: entries at the end of a complete GET /v1/models body, or one of them.
 * anthropic: in its shape. */
void h_cli_add_models(struct app *a, const struct models *m, bool anthropic, struct strbuf *body);
bool h_cli_one_model(struct app *a, const struct models *m, struct str id, bool anthropic, struct strbuf *body);

#endif
