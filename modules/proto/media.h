/* media.h - what pictures, videos, sounds and documents are, told by their first bytes; their names, endings and sizes.
 *
 * Threads: pure. Memory: nothing is kept. Bytes come from clients and from strangers' servers: every read is bounded. */
#ifndef Q2A_PROTO_MEDIA_H
#define Q2A_PROTO_MEDIA_H

#include "proto/chat_req.h"

enum { MEDIA_NAME_MAX = 100, MEDIA_MIME_MAX = 80 };

/* What the bytes are. kinds is a set of 1 << enum media_kind: a container may hold a video or a sound alone. mime NULL:
 * nothing that is known. text: readable text of no certain kind (text/plain, text/html, image/svg+xml). */
struct media_found { const char *mime; unsigned kinds; bool text; };
struct media_found media_detect(struct str bytes);

/* Joins the bytes with what was declared: the bytes decide, a declared type or the name's ending stands in where they say
 * nothing. A picture sent as a document is a picture, a PDF sent as a picture is a document. */
struct media_what { enum media_kind kind; char mime[MEDIA_MIME_MAX]; };
/* False: this cannot be what the part claims; words tell what it seems to be, as in "HTML text". */
bool media_judge(struct str bytes, enum media_kind want, struct str declared, struct str name, struct media_what *out,
                 char words[80]) Q_MUST_USE;

/* Width and height in pixels of a PNG, JPEG, GIF, WebP or BMP; false: not told by these bytes. */
bool media_size(struct str bytes, int64_t *w, int64_t *h);
/* What a picture costs: one token for each 28 x 28 pixels, 4 to 16384; 1024 for one of unknown size (w 0). */
int64_t media_tokens(int64_t w, int64_t h);

const char *media_ext(struct str mime);       /* "png"; "" if unknown */
const char *media_of_ext(struct str name);    /* by the ending of a name: "text/markdown"; NULL if unknown */
const char *media_kind_name(enum media_kind k); /* "image", for people */
/* A file's name as the upstream takes it: no folders, no control characters, valid UTF-8, at most MEDIA_NAME_MAX bytes, an
 * ending; made up from the type where nothing is left. */
void media_name(struct str raw, const struct media_what *what, char out[MEDIA_NAME_MAX + 1]);

#endif
