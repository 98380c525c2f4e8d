#include "net/roots.h"

#include "base/mem.h"

#include "roots.inc"

enum { ROOTS_MAX = 4096, ROOTS_DER_MAX = 64 * 1024, ROOTS_DN_MAX = 8 * 1024 };

struct roots roots_embedded(void)
{
  return (struct roots){ roots_anchors, roots_count, NULL };
}

static void roots_free_anchor(br_x509_trust_anchor *ta)
{
  mem_free(ta->dn.data);
  if(ta->pkey.key_type == BR_KEYTYPE_RSA) {
    mem_free(ta->pkey.key.rsa.n);
    mem_free(ta->pkey.key.rsa.e);
  } else if(ta->pkey.key_type == BR_KEYTYPE_EC) {
    mem_free(ta->pkey.key.ec.q);
  }
}

void roots_free(struct roots *r)
{
  for(size_t i = 0; r->own && i < r->count; i++) roots_free_anchor(&r->own[i]);
  mem_free(r->own);
  *r = (struct roots){ NULL, 0, NULL };
}

static void roots_append(void *ctx, const void *p, size_t n)
{
  strbuf_add(ctx, p, n);
}

static unsigned char *roots_copy(const unsigned char *p, size_t n)
{
  return (unsigned char *)mem_strndup((const char *)p, n);
}

/* One certificate in DER. Q_OK: *ta is filled and owns its parts. Q_BAD_VALUE: not one we can use. */
static enum q_status roots_anchor(br_x509_trust_anchor *ta, struct str der)
{
  br_x509_decoder_context dc;
  struct strbuf dn = STRBUF(ROOTS_DN_MAX);
  enum q_status st = Q_BAD_VALUE;

  memset(ta, 0, sizeof *ta);
  br_x509_decoder_init(&dc, roots_append, &dn);
  br_x509_decoder_push(&dc, der.p, der.n);
  const br_x509_pkey *pk = br_x509_decoder_get_pkey(&dc);
  if(dn.err == Q_NOMEM) st = Q_NOMEM;
  if(!pk || dn.err) goto done;
  ta->flags = br_x509_decoder_isCA(&dc) ? BR_X509_TA_CA : 0;
  ta->dn.data = roots_copy((unsigned char *)dn.p, dn.n);
  ta->dn.len = dn.n;
  ta->pkey.key_type = pk->key_type;
  bool whole = ta->dn.data != NULL;
  if(pk->key_type == BR_KEYTYPE_RSA) {
    const br_rsa_public_key *k = &pk->key.rsa;
    ta->pkey.key.rsa = (br_rsa_public_key){ roots_copy(k->n, k->nlen), k->nlen, roots_copy(k->e, k->elen), k->elen };
    whole = whole && ta->pkey.key.rsa.n && ta->pkey.key.rsa.e;
  } else {
    const br_ec_public_key *k = &pk->key.ec;
    ta->pkey.key.ec = (br_ec_public_key){ k->curve, roots_copy(k->q, k->qlen), k->qlen };
    whole = whole && ta->pkey.key.ec.q;
  }
  st = whole ? Q_OK : Q_NOMEM;
  if(st) roots_free_anchor(ta);

done:
  strbuf_free(&dn);
  return st;
}

static enum q_status roots_add(struct roots *r, size_t *cap, struct str der)
{
  br_x509_trust_anchor ta;
  enum q_status st = roots_anchor(&ta, der);
  if(st == Q_BAD_VALUE) return Q_OK;
  if(st) return st;
  if(r->count == *cap) {
    size_t grown = *cap ? *cap * 2 : 16;
    br_x509_trust_anchor *own = grown > ROOTS_MAX ? NULL : mem_realloc(r->own, grown * sizeof *own);
    if(!own) {
      roots_free_anchor(&ta);
      return Q_NOMEM;
    }
    r->anchors = r->own = own;
    *cap = grown;
  }
  r->own[r->count++] = ta;
  return Q_OK;
}

enum q_status roots_read(struct roots *r, struct str pem, struct q_error *err)
{
  br_pem_decoder_context pc;
  struct strbuf der = STRBUF(ROOTS_DER_MAX);
  enum q_status st = Q_OK;
  size_t cap = 0;
  bool inside = false, closed = false; /* closed: the line end that a file without one lacks was added */

  *r = (struct roots){ NULL, 0, NULL };
  br_pem_decoder_init(&pc);
  while(!st && (pem.n || !closed)) {
    if(!pem.n) {
      pem = S("\n");
      closed = true;
    }
    size_t used = br_pem_decoder_push(&pc, pem.p, pem.n);
    pem = str_sub(pem, used, pem.n);
    switch(br_pem_decoder_event(&pc)) {
      case BR_PEM_BEGIN_OBJ: {
        struct str name = str_z(br_pem_decoder_name(&pc));
        inside = str_eq(name, S("CERTIFICATE")) || str_eq(name, S("X509 CERTIFICATE"));
        strbuf_clear(&der);
        br_pem_decoder_setdest(&pc, inside ? roots_append : NULL, &der);
        break;
      }
      case BR_PEM_END_OBJ:
        if(inside && der.err == Q_NOMEM) st = Q_NOMEM;
        else if(inside && !der.err) st = roots_add(r, &cap, strbuf_str(&der));
        inside = false;
        break;
      case BR_PEM_ERROR:
        inside = false;
        break;
      default:
        break;
    }
  }
  strbuf_free(&der);
  if(!st && !r->count) st = Q_BAD_VALUE;
  if(st) {
    roots_free(r);
    return status_fail(err, st, NULL, st == Q_NOMEM ? "Out of memory while reading the CA certificates."
                                                    : "No CA certificate in PEM form was found.");
  }
  return Q_OK;
}
