/* h_answer.h - the HTTP side of an answer that a chat or a relay writes.
 *
 * Threads: h_answer_to() on the desk or a job; the face it gives runs on the client's pump. Memory: borrows from the request. */
#ifndef Q2A_HTTP_H_ANSWER_H
#define Q2A_HTTP_H_ANSWER_H

#include "domain/answer.h"
#include "http/req.h"

/* Whether its key may have this now; `media` pictures or videos. *pass goes to answer_admitted() or, if no answer comes to be, to
 * keys_done(). */
enum q_status h_answer_admit(struct req *q, struct str asked, struct str resolved, int media, struct key_pass *pass, struct q_error *e) Q_MUST_USE;
struct answer_to h_answer_to(struct req *q, bool anthropic); /* anthropic: headers and statuses are Anthropic's */

#endif
