/* files.h - the upstream's words about uploads: the upload token it hands out, the file objects of a completion, and how far
 * a document is parsed.
 *
 * Threads: pure. Memory: texts of a files_token borrow from the arena; the writer appends to the caller's builder. */
#ifndef Q2A_PROTO_FILES_H
#define Q2A_PROTO_FILES_H

#include "proto/chat_req.h"

/* An upload token: what may be written, where, and with which key for how long. */
struct files_token {
  struct str key_id, secret, token;  /* secret: never to a log */
  struct str id, path, url, bucket;
  struct str region;                 /* without "oss-" */
  char host[256];                    /* <bucket>.<endpoint>; whether bytes may go there is for the caller to judge */
};
/* Reads an answer to getstsToken, enveloped or flat. Q_UP_BODY: something needed is missing or no plain text. */
enum q_status files_read_token(struct arena *a, struct str body, struct files_token *out) Q_MUST_USE;

/* The body of getstsToken. text_size: filesize as a text. document: documents are called "document", not "file". */
void files_ask_token(struct str name, int64_t size, enum media_kind kind, bool text_size, bool document, struct strbuf *out);

struct files_entry {
  enum media_kind kind;
  struct str id, url, name, mime, user; /* user: id of the upstream's user, may be empty */
  int64_t size, now_ms;
  bool parsed;                          /* a document that the upstream has read */
  char item[37], task[37];              /* fresh UUIDs */
};
void files_write(const struct files_entry *f, struct strbuf *out);

enum files_parse { FILES_WAITING, FILES_READY, FILES_BROKEN, FILES_UNTOLD };
/* What an answer to files/parse or files/parse/status says of a file: a list, an object by id, or flat. UNTOLD: no status. */
enum files_parse files_parse_state(struct str body, struct str id);

/* The <Code> of the store's XML error, "" if there is none; letters and digits only. */
void files_store_code(struct str body, char code[64]);
/* The file's id out of its URL (".../<uuid>_<name>"); empty if it is not there. */
struct str files_id_of_url(struct str url);

#endif
