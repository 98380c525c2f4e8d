/* in.h - what the readers of all protocols' requests share: typed fields, thinking wishes, limits, media parts, tools, and
 * the list of what is accepted and has no effect.
 *
 * Threads: pure. Memory: the arena of the request. Every failure is in *e with the path of the field. */
#ifndef Q2A_PROTO_IN_H
#define Q2A_PROTO_IN_H

#include "proto/chat_req.h"

enum { IN_BUDGET_MAX = 81920, IN_NO_LIMIT = 32768 /* tokens: a larger max_tokens is no limit */ };

enum q_status in_no_memory(struct q_error *e);
enum q_status in_type(struct q_error *e, const char *param, const char *want); /* Q_BAD_TYPE: "'param' must be want." */
/* name may be dotted. *value is untouched when absent. */
enum q_status in_bool(const struct json *body, const char *name, bool *found, bool *value, struct q_error *e) Q_MUST_USE;
/* A text that may be absent (then *out stays). */
enum q_status in_text(const struct json *body, const char *name, struct str *out, struct q_error *e) Q_MUST_USE;

void in_budget(struct chat_req *r, int64_t tokens); /* clamped */
enum q_status in_effort(struct chat_req *r, const struct json *n, const char *param, struct q_error *e) Q_MUST_USE;
/* {"type":"enabled"|"adaptive"|"disabled","budget_tokens":n} */
enum q_status in_thinking(struct chat_req *r, const struct json *n, const char *param, struct q_error *e) Q_MUST_USE;
enum q_status in_stop(struct chat_req *r, const struct json *n, const char *param, struct q_error *e) Q_MUST_USE; /* text or list */
enum q_status in_max_tokens(struct chat_req *r, const struct json *n, const char *param, struct q_error *e) Q_MUST_USE; /* the smaller wins */
enum q_status in_count(struct chat_req *r, const struct json *n, const char *param, int max, struct q_error *e) Q_MUST_USE; /* n: choices */
enum q_status in_size(struct chat_req *r, const struct json *n, const char *param, struct q_error *e) Q_MUST_USE;

/* Fields that are accepted and do nothing. named: told in x-qwen2api-ignored. */
enum in_idle_type { IN_ANY, IN_NUMBER, IN_OBJECT };
struct in_idle { const char *name; bool named; enum in_idle_type type; };
enum q_status in_ignored(struct arena *a, const struct json *body, const struct in_idle *v, int n, struct chat_req *r,
                         struct q_error *e) Q_MUST_USE;
/* One more name at the end of r->ignored; what finds no room is left out. */
enum q_status in_ignore(struct arena *a, struct chat_req *r, const char *name, struct q_error *e) Q_MUST_USE;
/* The same for a name that the client made: "group.name" (group may be NULL), once; one that does not fit a header is left out. */
enum q_status in_ignore_member(struct arena *a, struct chat_req *r, const char *group, struct str name, struct q_error *e) Q_MUST_USE;
/* Names the members of an object that are not null and not among the n known ones. */
enum q_status in_rest(struct arena *a, const struct json *object, const char *group, const char *const *known, int n, struct chat_req *r,
                      struct q_error *e) Q_MUST_USE;
#define IN_REST(a, object, group, r, e, ...) in_rest((a), (object), (group), (const char *const[]){ __VA_ARGS__ }, \
                                                     (int)(sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(char *)), (r), (e))

/* A part list under construction: messages of every protocol are built with it. */
struct in_parts { struct chat_part *v; int n, cap; struct arena *arena; };
enum q_status in_add_text(struct in_parts *p, struct str text, struct q_error *e) Q_MUST_USE;
/* source: a data URI, an http(s) URL, or bare base64 (then mime or the picture's own first bytes must tell what it is).
 * mime and name as declared, may be empty. Q_BAD_MEDIA when it is none of these. */
enum q_status in_add_media(struct in_parts *p, enum media_kind kind, struct str source, struct str mime, struct str name,
                           const char *param, struct q_error *e) Q_MUST_USE;
/* Content that came as text (a plain text document). */
enum q_status in_add_document(struct in_parts *p, struct str text, struct str mime, struct str name, const char *param,
                              struct q_error *e) Q_MUST_USE;

/* One tool to the end of r->tools (room for CHAT_TOOLS_MAX is made at the first). Refuses bad names (empty, above 128 bytes,
 * control characters) and doubles. schema may be NULL or must be an object. */
enum q_status in_add_tool(struct arena *a, struct chat_req *r, const struct chat_tool *t, const char *param, struct q_error *e) Q_MUST_USE;
/* Leaves only the named tools in r->tools. Q_BAD_VALUE: one of them is not there. */
enum q_status in_only_tools(struct chat_req *r, const struct str *names, int n, const char *param, struct q_error *e) Q_MUST_USE;
/* Reasoning at the head of an assistant's text is not part of what it said. */
struct str in_without_think(struct str s);
/* Checks that hold for every protocol, at the end: something to answer, tool_choice that fits. text_free: pictures alone do. */
enum q_status in_check(struct chat_req *r, const char *messages, struct q_error *e) Q_MUST_USE;

#endif
