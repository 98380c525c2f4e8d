/* gzip bodies: at every split, bounded, checked to their last byte. */
#include "proto/inflate.h"

#include <zlib.h>

#include "base/mem.h"
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

/* Byte by byte each byte of text comes out as soon as the packer has flushed it; what follows the end is left alone. */
static void t_flushed_pieces_come_at_once(void)
{
  unsigned char packed[2000];
  static const char *const texts[] = { "data: one\n\n", "data: two\n\n", "data: three\n\n" };
  z_stream p = { .next_in = NULL };
  struct inflate z = { NULL };
  struct str piece;
  CHECK_INT(deflateInit2(&p, 6, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY), Z_OK);
  CHECK_INT(inflate_init(&z, 1000), Q_OK);
  for(int i = 0; i < 3; i++) {
    struct strbuf out = STRBUF(1000);
    enum q_status st = Q_AGAIN;
    p.next_in = (unsigned char *)(uintptr_t)texts[i];
    p.avail_in = (unsigned)strlen(texts[i]);
    p.next_out = packed;
    p.avail_out = sizeof packed;
    deflate(&p, i == 2 ? Z_FINISH : Z_SYNC_FLUSH);
    size_t n = sizeof packed - p.avail_out;
    memcpy(packed + n, "NEXT", 4);
    for(size_t k = 0; k < n; k++) {
      struct str in = str_of((char *)packed + k, 1);
      while((st = inflate_next(&z, &in, &piece)) == Q_OK) strbuf_adds(&out, piece);
      CHECK(st == Q_AGAIN || (i == 2 && st == Q_EOF));
    }
    CHECK_STR(strbuf_str(&out), str_z(texts[i]));
    CHECK_INT(st, i == 2 ? Q_EOF : Q_AGAIN);
    strbuf_free(&out);
  }
  struct str rest = str_of("NEXT", 4);
  CHECK_INT(inflate_next(&z, &rest, &piece), Q_EOF);
  CHECK_STR(rest, S("NEXT"));
  inflate_free(&z);
  inflate_free(&z); /* twice does no harm */
  deflateEnd(&p);
}

static void t_every_cut_is_no_end(void)
{
  unsigned char packed[2000];
  for(int window = 15; window <= 31; window += 16) {
    struct str in = pack("hello hello hello world", 23, window, packed, sizeof packed);
    for(size_t n = 0; n < in.n; n++) {
      struct strbuf out = STRBUF(1000);
      CHECK_INT(unpack(str_sub(in, 0, n), 0, 1000, &out), Q_AGAIN);
      CHECK(str_starts(S("hello hello hello world"), strbuf_str(&out)));
      strbuf_free(&out);
    }
    for(size_t n = 0; n < in.n; n++) /* a changed byte: never a good end with other words */
      for(int bit = 0; bit < 8; bit++) {
        struct strbuf out = STRBUF(100000);
        packed[n] ^= (unsigned char)(1 << bit);
        if(unpack(in, 0, 50000, &out) == Q_EOF) CHECK_STR(strbuf_str(&out), S("hello hello hello world"));
        packed[n] ^= (unsigned char)(1 << bit);
        strbuf_free(&out);
      }
  }
  struct str exact = pack("12345", 5, 31, packed, sizeof packed);
  struct strbuf out = STRBUF(100);
  CHECK_INT(unpack(exact, 0, 5, &out), Q_EOF); /* the bound is exact */
  strbuf_clear(&out);
  CHECK_INT(unpack(exact, 0, 4, &out), Q_TOO_BIG);
  strbuf_free(&out);
}

static void t_out_of_memory(void)
{
  unsigned char packed[2000];
  struct str in = pack("hello hello hello world", 23, 31, packed, sizeof packed);
  for(long n = 0;; n++) {
    struct inflate z = { NULL };
    struct str left = in, piece;
    fault_arm(n, true);
    enum q_status st = inflate_init(&z, 1000);
    while(!st) st = inflate_next(&z, &left, &piece);
    bool hit = fault_disarm();
    CHECK_INT(st, hit ? Q_NOMEM : Q_EOF);
    inflate_free(&z);
    CHECK_INT(mem_live(), 0);
    if(!hit) break;
  }
}

T_MAIN(T(t_splits), T(t_refused), T(t_flushed_pieces_come_at_once), T(t_every_cut_is_no_end), T(t_out_of_memory))
