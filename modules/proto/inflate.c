#include "proto/inflate.h"

#include <limits.h>
#define ZLIB_CONST
#include <zlib.h>

#include "base/mem.h"

enum { INFLATE_PIECE = 16 * 1024 };

struct inflate_impl {
  z_stream z;
  uint64_t left;
  bool ended;
  unsigned char out[INFLATE_PIECE];
};

static void *inflate_alloc(void *ctx, unsigned n, unsigned size)
{
  (void)ctx;
  return size && n > UINT_MAX / size ? NULL : mem_alloc((size_t)n * size);
}

static void inflate_release(void *ctx, void *p)
{
  (void)ctx;
  mem_free(p);
}

enum q_status inflate_init(struct inflate *z, uint64_t max_out)
{
  struct inflate_impl *i = z->impl = mem_zalloc(sizeof *i);
  if(!i) return Q_NOMEM;
  i->left = max_out;
  i->z.zalloc = inflate_alloc;
  i->z.zfree = inflate_release;
  if(inflateInit2(&i->z, 15 + 32) == Z_OK) return Q_OK; /* 32: gzip or zlib, by its head */
  mem_free(i);
  z->impl = NULL;
  return Q_NOMEM;
}

void inflate_free(struct inflate *z)
{
  if(!z->impl) return;
  inflateEnd(&z->impl->z);
  mem_free(z->impl);
  z->impl = NULL;
}

enum q_status inflate_next(struct inflate *z, struct str *in, struct str *out)
{
  struct inflate_impl *i = z->impl;
  if(i->ended) return Q_EOF;
  unsigned n = in->n > UINT_MAX ? UINT_MAX : (unsigned)in->n;
  i->z.next_in = (const unsigned char *)in->p;
  i->z.avail_in = n;
  i->z.next_out = i->out;
  i->z.avail_out = sizeof i->out;
  int rc = inflate(&i->z, Z_SYNC_FLUSH);
  *in = str_sub(*in, n - i->z.avail_in, in->n);
  size_t got = sizeof i->out - i->z.avail_out;
  if(rc != Z_OK && rc != Z_STREAM_END && rc != Z_BUF_ERROR) return rc == Z_MEM_ERROR ? Q_NOMEM : Q_BAD_VALUE;
  if(got > i->left) return Q_TOO_BIG;
  i->left -= got;
  i->ended = rc == Z_STREAM_END;
  *out = str_of((char *)i->out, got);
  if(got) return Q_OK;
  return i->ended ? Q_EOF : Q_AGAIN;
}
