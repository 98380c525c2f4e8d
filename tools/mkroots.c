/* mkroots.c - turns a PEM bundle of CA certificates into BearSSL trust anchors. Usage: mkroots BUNDLE > roots.inc
 *
 * The output is sorted and free of duplicates, so that it does not depend on the bundle's order. */
#include <bearssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROOTS_MAX = 1000, DER_MAX = 64 * 1024 };

struct bytes { unsigned char *p; size_t n; };

static struct bytes anchors[ROOTS_MAX]; /* the text of one table row each */
static struct bytes der, name;
static int anchor_n;

static void *grow(struct bytes *b, const void *p, size_t n)
{
  b->p = realloc(b->p, b->n + n + 1);
  if(!b->p) exit(1);
  memcpy(b->p + b->n, p, n);
  b->n += n;
  b->p[b->n] = 0;
  return b->p;
}

static void add_der(void *ctx, const void *p, size_t n)
{
  (void)ctx;
  grow(&der, p, n);
}

static void add_name(void *ctx, const void *p, size_t n)
{
  (void)ctx;
  grow(&name, p, n);
}

static void text(struct bytes *b, const char *s)
{
  grow(b, s, strlen(s));
}

static void array(struct bytes *b, const unsigned char *p, size_t n)
{
  char s[8];
  text(b, "(unsigned char *)(const unsigned char[]){"); /* read only, though BearSSL does not say so */
  for(size_t i = 0; i < n; i++) {
    snprintf(s, sizeof s, "%d,", p[i]);
    text(b, s);
  }
  snprintf(s, sizeof s, "}");
  text(b, s);
}

static void number(struct bytes *b, size_t v)
{
  char s[32];
  snprintf(s, sizeof s, ", %zu", v);
  text(b, s);
}

static void certificate(void)
{
  br_x509_decoder_context x;
  struct bytes row = { NULL, 0 };
  name.n = 0;
  br_x509_decoder_init(&x, add_name, NULL);
  br_x509_decoder_push(&x, der.p, der.n);
  const br_x509_pkey *k = br_x509_decoder_get_pkey(&x);
  if(!k || anchor_n == ROOTS_MAX) return;
  text(&row, "{ { ");
  array(&row, name.p, name.n);
  number(&row, name.n);
  text(&row, " }, BR_X509_TA_CA, ");
  if(k->key_type == BR_KEYTYPE_RSA) {
    text(&row, "{ BR_KEYTYPE_RSA, { .rsa = { ");
    array(&row, k->key.rsa.n, k->key.rsa.nlen);
    number(&row, k->key.rsa.nlen);
    text(&row, ", ");
    array(&row, k->key.rsa.e, k->key.rsa.elen);
    number(&row, k->key.rsa.elen);
  } else {
    char curve[32];
    snprintf(curve, sizeof curve, "{ BR_KEYTYPE_EC, { .ec = { %d, ", k->key.ec.curve);
    text(&row, curve);
    array(&row, k->key.ec.q, k->key.ec.qlen);
    number(&row, k->key.ec.qlen);
  }
  text(&row, " } } } },\n");
  anchors[anchor_n++] = row;
}

static int by_text(const void *a, const void *b)
{
  return strcmp((const char *)((const struct bytes *)a)->p, (const char *)((const struct bytes *)b)->p);
}

int main(int argc, char **argv)
{
  FILE *f = argc == 2 ? fopen(argv[1], "rb") : NULL;
  if(!f) {
    fprintf(stderr, "usage: mkroots BUNDLE\n");
    return 1;
  }
  br_pem_decoder_context pem;
  unsigned char buf[4096];
  size_t n;
  br_pem_decoder_init(&pem);
  while((n = fread(buf, 1, sizeof buf, f)) > 0)
    for(size_t at = 0; at < n;) {
      at += br_pem_decoder_push(&pem, buf + at, n - at);
      int e = br_pem_decoder_event(&pem);
      if(e == BR_PEM_BEGIN_OBJ) {
        der.n = 0;
        br_pem_decoder_setdest(&pem, add_der, NULL);
      } else if(e == BR_PEM_END_OBJ && der.n < DER_MAX) {
        certificate();
      }
    }
  fclose(f);
  if(anchor_n == 0) {
    fprintf(stderr, "mkroots: no certificate in %s\n", argv[1]);
    return 1;
  }
  qsort(anchors, (size_t)anchor_n, sizeof anchors[0], by_text);
  printf("static const br_x509_trust_anchor roots_anchors[] = {\n");
  int kept = 0;
  for(int i = 0; i < anchor_n; i++)
    if(i == 0 || by_text(&anchors[i], &anchors[i - 1])) fputs((char *)anchors[i].p, stdout), kept++;
  printf("};\nenum { roots_count = %d };\n", kept);
  return 0;
}
