/* Heads and chunked bodies from any bytes; slices stay inside the input, an early cut never turns good into refused. */
#include "proto/http1.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
  struct http1_request r, half;
  struct http1_response s;
  size_t seen = 0;
  struct str in = str_of((const char *)p, n), piece;
  enum q_status st = http1_request(in, &seen, &r);
  if(!st) {
    if(r.head_n > n || r.target.p < in.p || r.target.p + r.target.n > in.p + n) __builtin_trap();
    for(int i = 0; i < r.headers.n; i++)
      if(r.headers.v[i].value.p < in.p || r.headers.v[i].value.p + r.headers.v[i].value.n > in.p + n) __builtin_trap();
    seen = 0;
    if(http1_request(str_sub(in, 0, r.head_n - 1), &seen, &half) != Q_AGAIN) __builtin_trap();
  }
  seen = 0;
  if(!http1_response(in, &seen, false, &s) && s.head_n > n) __builtin_trap();
  struct http1_chunk c = { 0 };
  size_t total = 0;
  while((st = http1_chunk_next(&c, &in, &piece)) == Q_OK) total += piece.n;
  if(total > n) __builtin_trap();
  return 0;
}
