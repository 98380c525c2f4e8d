#include "proto/resp.h"

#include <read.h>

#include "base/arena.h"
#include "base/mem.h"

struct resp_reader {
  redisReader *reader;
  struct arena arena; /* of the reply that is being read, or was given last */
  size_t reply_max;
  bool given;
};

/* Elements are made in their place of the parent's list, so that a reply is one tree of arena memory. */
static struct resp *resp_new(const redisReadTask *t, enum resp_kind kind)
{
  struct resp_reader *r = t->privdata;
  struct resp *at = t->parent ? &((struct resp *)t->parent->obj)->items[t->idx] : arena_alloc(&r->arena, sizeof *at);
  if(at) at->kind = kind;
  return at;
}

static void *resp_text(const redisReadTask *t, char *p, size_t n)
{
  struct resp_reader *r = t->privdata;
  enum resp_kind kind = t->type == REDIS_REPLY_STATUS ? RESP_STATUS : t->type == REDIS_REPLY_ERROR ? RESP_ERROR : RESP_TEXT;
  struct resp *at = resp_new(t, kind);
  if(at) at->text = arena_str(&r->arena, str_of(p, n));
  return at && at->text.p ? at : NULL;
}

static void *resp_list(const redisReadTask *t, size_t n)
{
  struct resp_reader *r = t->privdata;
  int depth = 0;
  for(const redisReadTask *up = t->parent; up; up = up->parent) depth++;
  if(depth >= RESP_DEPTH_MAX || n > r->reply_max / sizeof(struct resp)) return NULL;
  struct resp *at = resp_new(t, RESP_LIST);
  if(!at) return NULL;
  at->n = n;
  at->items = n ? arena_alloc(&r->arena, n * sizeof *at->items) : NULL;
  return n && !at->items ? NULL : at;
}

static void *resp_int(const redisReadTask *t, long long v)
{
  struct resp *at = resp_new(t, RESP_INT);
  if(at) at->number = v;
  return at;
}

static void *resp_double(const redisReadTask *t, double v, char *p, size_t n)
{
  (void)v;
  return resp_text(t, p, n);
}

static void *resp_nil(const redisReadTask *t)
{
  return resp_new(t, RESP_NIL);
}

static void *resp_bool(const redisReadTask *t, int v)
{
  return resp_int(t, v);
}

static void resp_forget(void *reply)
{
  (void)reply; /* the arena has it */
}

struct resp_reader *resp_reader_new(size_t reply_max)
{
  static const redisReplyObjectFunctions makers = { resp_text, resp_list, resp_int, resp_double, resp_nil, resp_bool, resp_forget };
  struct resp_reader *r = mem_zalloc(sizeof *r);
  if(!r) return NULL;
  r->reply_max = reply_max;
  r->arena = ARENA(2 * reply_max);
  r->reader = redisReaderCreateWithFunctions((redisReplyObjectFunctions *)&makers);
  if(!r->reader) {
    mem_free(r);
    return NULL;
  }
  r->reader->privdata = r;
  r->reader->maxelements = (long long)(reply_max / sizeof(struct resp));
  return r;
}

void resp_reader_destroy(struct resp_reader *r)
{
  if(!r) return;
  redisReaderFree(r->reader);
  arena_free(&r->arena);
  mem_free(r);
}

enum q_status resp_feed(struct resp_reader *r, const char *p, size_t n)
{
  if(n > r->reply_max || r->reader->len - r->reader->pos > r->reply_max - n) return Q_TOO_BIG;
  return redisReaderFeed(r->reader, p, n) == 0 ? Q_OK : r->reader->err == REDIS_ERR_OOM ? Q_NOMEM : Q_BAD_VALUE;
}

enum q_status resp_next(struct resp_reader *r, const struct resp **out)
{
  void *reply = NULL;
  if(r->given) {
    arena_reset(&r->arena);
    r->given = false;
  }
  if(redisReaderGetReply(r->reader, &reply) != 0) return r->reader->err == REDIS_ERR_OOM ? Q_TOO_BIG : Q_BAD_VALUE;
  *out = reply;
  r->given = reply != NULL;
  return reply ? Q_OK : Q_AGAIN;
}

const struct resp *resp_at(const struct resp *r, size_t i)
{
  static const struct resp nil = { .kind = RESP_NIL };
  return r->kind == RESP_LIST && i < r->n ? &r->items[i] : &nil;
}

void resp_command(struct strbuf *b, int n, const struct str *args)
{
  strbuf_fmt(b, "*%d\r\n", n);
  for(int i = 0; i < n; i++) {
    strbuf_fmt(b, "$%zu\r\n", args[i].n);
    strbuf_adds(b, args[i]);
    strbuf_lit(b, "\r\n");
  }
}
