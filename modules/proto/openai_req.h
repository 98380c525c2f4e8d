/* openai_req.h - a request of any protocol in the words of an OpenAI-compatible upstream (official keys on /v1, api 9.1).
 *
 * Threads: pure. Memory: relay_req_free() returns what openai_req() made, in either case; its model borrows from r.
 * Time: linear in the request; content sent as base64 is decoded and encoded once.
 * Said: system messages as one in front (the model family's templates know no other place); text, pictures, videos, sounds and
 *       documents as content parts, documents of text as text; calls and their results natively, with made-up ids where a client
 *       sent none; pictures among a tool's results in a user message behind the results, where alone they may stand; an assistant's
 *       text at the end as the vendor's `partial`: it is continued. A custom tool is a function with one text `input`.
 * Sampling (temperature, top_p, top_k, presence_penalty, seed) is passed on: this upstream has what the web chat lacks.
 * The vendor's default for parallel_tool_calls is false, that of our clients true: it is always told. */
#ifndef Q2A_PROTO_OPENAI_REQ_H
#define Q2A_PROTO_OPENAI_REQ_H

#include "proto/relay_req.h"

/* stops: the upstream is told of the stop strings; without, they are for the reader of the answer (an upstream does not tell which
 * of them it met). Q_NOMEM, or Q_BAD_MEDIA with the path of a part whose base64 is none. */
enum q_status openai_req(const struct chat_req *r, bool stops, struct relay_req *out, struct q_error *e) Q_MUST_USE;

#endif
