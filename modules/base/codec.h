/* codec.h - bytes to text and back: base64, hex, percent.
 *
 * Threads: pure. Memory: appends to the caller's builder. Decoders return false on text that is none, and append
 * nothing useful then. */
#ifndef Q2A_BASE_CODEC_H
#define Q2A_BASE_CODEC_H

#include "base/str.h"

void codec_base64(struct str bytes, struct strbuf *out);         /* padded, standard alphabet */
void codec_base64url(struct str bytes, struct strbuf *out);      /* without padding */
bool codec_unbase64(struct str text, struct strbuf *out);        /* both alphabets, white space and missing padding */
void codec_hex(struct str bytes, char *out);                     /* 2 n lowercase digits and NUL */
bool codec_unhex(struct str text, unsigned char *out);           /* n / 2 bytes */
void codec_percent(struct str s, const char *plain, struct strbuf *out); /* keeps A-Za-z0-9 and those in plain */
bool codec_unpercent(struct str s, bool plus_is_space, struct strbuf *out);
bool codec_is_utf8(struct str s);

#endif
