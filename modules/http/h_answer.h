/* h_answer.h - the HTTP side of an answer that a chat or a relay writes.
 *
 * Threads: h_answer_to() on the desk or a job; the face it gives runs on the client's pump. Memory: borrows from the request. */
#ifndef Q2A_HTTP_H_ANSWER_H
#define Q2A_HTTP_H_ANSWER_H

#include "domain/answer.h"
#include "http/req.h"

struct answer_to h_answer_to(struct req *q, bool anthropic); /* anthropic: headers and statuses are Anthropic's */

#endif
