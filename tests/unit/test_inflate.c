/* gzip bodies: at every split, bounded, checked to their last byte. */
#include "proto/inflate.h"

#include <zlib.h>

#include "t.h"

static struct str pack(const char *text, size_t n, int window, unsigned char *out, size_t cap)
{
  z_stream z = { .next_in = (unsigned char *)text, .avail_in = (unsigned)n, .next_out = out, .avail_out = (unsigned)cap };
  deflateInit2(&z, 9, Z_DEFLATED, window, 8, Z_DEFAULT_STRATEGY);
  deflate(&z, Z_FINISH);
  size_t got = cap - z.avail_out;
  deflateEnd(&z);
  return str_of((char *)out, got);
}

static enum q_status unpack(struct str in, size_t split, uint64_t max, struct strbuf *out)
{
  struct inflate z = { NULL };
  struct str parts[2] = { str_sub(in, 0, split), str_sub(in, split, in.n) }, piece;
  enum q_status st = inflate_init(&z, max);
  for(int i = 0; i < 2 && (!st || st == Q_AGAIN); i++)
    while((st = inflate_next(&z, &parts[i], &piece)) == Q_OK) strbuf_adds(out, piece);
  inflate_free(&z);
  return st;
}

static void t_splits(void)
{
  unsigned char packed[2000];
  for(int window = 15; window <= 31; window += 16) { /* zlib and gzip */
    struct str in = pack("hello hello hello world", 23, window, packed, sizeof packed);
    for(size_t k = 0; k <= in.n; k++) {
      struct strbuf out = STRBUF(1000);
      CHECK_INT(unpack(in, k, 1000, &out), Q_EOF);
      CHECK_STR(strbuf_str(&out), S("hello hello hello world"));
      strbuf_free(&out);
    }
  }
}

static void t_refused(void)
{
  static char zeros[1 << 20];
  unsigned char packed[4000];
  struct strbuf out = STRBUF(4 << 20);
  struct str in = pack(zeros, sizeof zeros, 31, packed, sizeof packed);
  CHECK_INT(unpack(in, 0, 1000, &out), Q_TOO_BIG); /* a bomb */
  strbuf_clear(&out);
  CHECK_INT(unpack(in, 0, sizeof zeros, &out), Q_EOF);
  CHECK_INT(out.n, sizeof zeros);
  strbuf_clear(&out);
  CHECK_INT(unpack(str_sub(in, 0, in.n - 1), 0, sizeof zeros, &out), Q_AGAIN); /* cut: never an end */
  packed[in.n - 6] ^= 1;
  strbuf_clear(&out);
  CHECK_INT(unpack(in, 0, sizeof zeros, &out), Q_BAD_VALUE); /* checksum */
  CHECK_INT(unpack(S("no gzip"), 0, 1000, &out), Q_BAD_VALUE);
  strbuf_free(&out);
}

T_MAIN(T(t_splits), T(t_refused))
