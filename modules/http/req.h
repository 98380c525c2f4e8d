/* req.h - one request as a handler sees it; whether it runs on a desk thread or in a job makes no difference.
 *
 * Threads: owned by the thread that serves the request. Memory: everything lives in the client's arena until the answer;
 *          config is a reference that routes.c takes and gives back around the handler.
 * A handler answers exactly once (req_answer, req_fail) or passes the client on (client_adopt); then it returns. */
#ifndef Q2A_HTTP_REQ_H
#define Q2A_HTTP_REQ_H

#include "domain/app.h"
#include "http/reply.h"

struct desk;
struct req {
  struct app *app;
  struct desk *desk;
  struct client *client;
  const struct http1_request *head;
  const struct config *config;
  struct arena *arena;
  struct str method, path, query; /* path: one spelling (proto/url.h) */
  const char *route;              /* static: the path of the table, NULL before it was looked up */
  struct str rest;                /* what a route's '*' stands for */
  struct str body;                /* inflated */
  enum key_kind key;
  char key_id[KEYS_ID];           /* of a valid key: whose stored things it may see */
  const char *id, *peer;          /* peer: of the client, behind trusted proxies as well */
  bool anthropic, api, head_only;
  bool in_job;                    /* the handler may block: so it is for every route of the administrator */
  int64_t delay_ms;               /* the answer waits, holding no thread */
};

/* extra: header lines, or empty. body is copied. */
void req_answer(struct req *q, int status, struct str type, struct str extra, struct str body);
/* asset: static memory, sent as it is behind the head. */
void req_answer_static(struct req *q, int status, struct str type, struct str extra, struct str asset);
void req_fail(struct req *q, const struct q_error *e);
void req_fail_extra(struct req *q, const struct q_error *e, struct str extra); /* with more header lines */
void req_fail_st(struct req *q, enum q_status st, const char *param, const char *words);
/* Reads the body as JSON; answers the trouble itself and returns NULL. */
const struct json *req_json(struct req *q);

#endif
