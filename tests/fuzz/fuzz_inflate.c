/* Any bytes as gzip: an end, or a refusal, within the bound. */
#include "proto/inflate.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
  struct inflate z = { NULL };
  struct str in = str_of((const char *)p, n), piece;
  size_t total = 0;
  if(inflate_init(&z, 100000)) return 0;
  while(inflate_next(&z, &in, &piece) == Q_OK)
    if((total += piece.n) > 100000) __builtin_trap();
  inflate_free(&z);
  return 0;
}
