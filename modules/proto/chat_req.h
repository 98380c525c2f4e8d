/* chat_req.h - what a request of every protocol is read into; knows no wire format.
 *
 * Threads: pure. Memory: everything borrows from the arena the request was read into. */
#ifndef Q2A_PROTO_CHAT_REQ_H
#define Q2A_PROTO_CHAT_REQ_H

#include "proto/json.h"

enum chat_role { ROLE_SYSTEM, ROLE_USER, ROLE_ASSISTANT, ROLE_TOOL };

enum media_kind { MEDIA_IMAGE, MEDIA_VIDEO, MEDIA_AUDIO, MEDIA_DOCUMENT };

/* A picture, video, sound or document a client sent: by address or with its content. */
struct chat_media {
  enum media_kind kind;
  struct str url;         /* http(s); empty: the content is in data */
  struct str data;        /* base64 text as it was sent, or, with plain, the bytes themselves */
  bool plain;
  struct str mime, name;  /* as declared; may be empty */
  char param[80];         /* path of the part in the request, for errors */
};

struct chat_part {
  struct str text;
  struct chat_media *media; /* NULL: a text part */
};

struct chat_call { struct str id, name, args; }; /* args: the JSON text of an object */

struct chat_msg {
  enum chat_role role;
  struct str name;          /* of a user, or the tool that answered; may be empty */
  struct chat_part *parts;  /* reasoning already dropped */
  int part_n;
  struct chat_call *calls;  /* ROLE_ASSISTANT */
  int call_n;
  struct str call_id;       /* ROLE_TOOL: the call it answers */
  bool failed;              /* ROLE_TOOL: the result is an error */
  bool joined;              /* ROLE_USER, ROLE_TOOL: the client sent it in one message with the turn before */
};
/* All text parts joined with a newline; borrows when there is just one. */
struct str chat_msg_text(const struct chat_msg *m, struct arena *a) Q_MUST_USE; /* p == NULL: out of memory */
/* Gives a message its only text part. */
enum q_status chat_msg_set_text(struct chat_msg *m, struct str text, struct arena *a) Q_MUST_USE;

struct chat_tool {
  struct str name, description;
  const struct json *schema; /* of the arguments; NULL: none given */
  bool strict;               /* arguments are checked against the schema */
  bool custom;               /* Responses "custom": the one argument `input` is raw text */
};
enum tool_choice { TOOL_AUTO, TOOL_OFF, TOOL_REQUIRED, TOOL_NAMED }; /* NAMED: only that tool is in the list */

enum think_wish { THINK_UNSET, THINK_OFF, THINK_ON };
enum think_out { THINK_OUT_DEFAULT, THINK_OUT_FIELD, THINK_OUT_TAGS, THINK_OUT_NONE };
enum usage_wish { USAGE_UNSET, USAGE_NO, USAGE_YES };
enum chat_kind { CHAT_UNSET, CHAT_T2T, CHAT_SEARCH, CHAT_T2I, CHAT_IMAGE_EDIT, CHAT_T2V }; /* chat_type of the request */
enum chat_format { FORMAT_TEXT, FORMAT_JSON, FORMAT_SCHEMA };
enum chat_size { SIZE_NONE, SIZE_1_1, SIZE_4_3, SIZE_3_4, SIZE_16_9, SIZE_9_16 };

enum { CHAT_STOP_MAX = 16, CHAT_TOOLS_MAX = 512, CHAT_IGNORED_MAX = 512 };

struct chat_req {
  struct str model; /* as the client wrote it; empty: the default model */
  struct chat_msg *msgs;
  int msg_n;
  bool stream;
  enum usage_wish include_usage;
  enum think_wish think;
  int think_budget;        /* tokens, 0: none given */
  bool hide_reasoning;     /* the client asked not to be shown any */
  enum think_out think_out; /* reasoning_format */
  bool search;
  enum chat_kind kind;
  struct chat_tool *tools; /* those that may be called, after tool_choice and allowed_tools */
  int tool_n;
  enum tool_choice tool_choice;
  bool one_call;           /* parallel_tool_calls: false */
  bool functions;          /* legacy `functions`: the answer speaks of function_call */
  enum chat_format format;
  const struct json *schema; /* FORMAT_SCHEMA */
  struct str schema_name;
  bool schema_strict;
  int n;                   /* choices, at least 1 */
  enum chat_size size;     /* of a picture or video: `size` or `aspect_ratio` of the request; SIZE_NONE: none given */
  struct str stop[CHAT_STOP_MAX];
  int stop_n;
  int64_t max_tokens;      /* 0: no limit */
  struct str ignored;      /* comma list for x-qwen2api-ignored, at most CHAT_IGNORED_MAX bytes */
  const struct json *given; /* the body it was read from: an upstream with more controls than the web chat may honour some more */
};

#endif
