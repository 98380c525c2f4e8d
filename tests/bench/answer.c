#include "answer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- JSON: a strict scanner into a static table of nodes ---- */

enum { NODES_MAX = 4096, DEPTH_MAX = 32 };

struct node {
  char type;          /* { [ s(tring) n(umber) t f 0(null) */
  uint32_t from, to;  /* text of the value; of a string, without its quotes */
  int child, next;    /* an object's children are key, value, key, value... */
};

struct json {
  const char *p;
  size_t n, at;
  int used;
};

static struct node nodes[NODES_MAX];

static int json_value(struct json *j, int depth);

static void json_blank(struct json *j)
{
  while(j->at < j->n && (j->p[j->at] == ' ' || j->p[j->at] == '\t' || j->p[j->at] == '\n' || j->p[j->at] == '\r'))
    j->at++;
}

static int json_node(struct json *j, char type)
{
  if(j->used >= NODES_MAX) return -1;
  struct node *n = &nodes[j->used];
  *n = (struct node){ .type = type, .from = (uint32_t)j->at, .child = -1, .next = -1 };
  return j->used++;
}

static bool is_hex(char c)
{
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static int json_string(struct json *j)
{
  if(j->at >= j->n || j->p[j->at] != '"') return -1;
  j->at++;
  int me = json_node(j, 's');
  if(me < 0) return -1;
  for(;;) {
    if(j->at >= j->n) return -1;
    unsigned char c = (unsigned char)j->p[j->at];
    if(c == '"') break;
    if(c < 0x20) return -1;
    j->at++;
    if(c != '\\') continue;
    if(j->at >= j->n) return -1;
    c = (unsigned char)j->p[j->at++];
    if(c == 'u') {
      for(int i = 0; i < 4; i++, j->at++)
        if(j->at >= j->n || !is_hex(j->p[j->at])) return -1;
    } else if(!c || !strchr("\"\\/bfnrt", c)) {
      return -1;
    }
  }
  nodes[me].to = (uint32_t)j->at++;
  return me;
}

static int json_number(struct json *j)
{
  int me = json_node(j, 'n');
  size_t start = j->at;
  if(me < 0) return -1;
  if(j->at < j->n && j->p[j->at] == '-') j->at++;
  size_t digits = j->at;
  while(j->at < j->n && j->p[j->at] >= '0' && j->p[j->at] <= '9') j->at++;
  if(j->at == digits || (j->p[digits] == '0' && j->at > digits + 1)) return -1;
  if(j->at < j->n && j->p[j->at] == '.') {
    size_t frac = ++j->at;
    while(j->at < j->n && j->p[j->at] >= '0' && j->p[j->at] <= '9') j->at++;
    if(j->at == frac) return -1;
  }
  if(j->at < j->n && (j->p[j->at] == 'e' || j->p[j->at] == 'E')) {
    j->at++;
    if(j->at < j->n && (j->p[j->at] == '+' || j->p[j->at] == '-')) j->at++;
    size_t exp = j->at;
    while(j->at < j->n && j->p[j->at] >= '0' && j->p[j->at] <= '9') j->at++;
    if(j->at == exp) return -1;
  }
  nodes[me].from = (uint32_t)start;
  nodes[me].to = (uint32_t)j->at;
  return me;
}

static int json_word(struct json *j, const char *word, char type)
{
  size_t len = strlen(word);
  int me = json_node(j, type);
  if(me < 0 || j->n - j->at < len || memcmp(j->p + j->at, word, len) != 0) return -1;
  j->at += len;
  nodes[me].to = (uint32_t)j->at;
  return me;
}

/* Members of an object or elements of an array, chained below one node. */
static int json_group(struct json *j, char open, char close, int depth)
{
  int me = json_node(j, open), last = -1;
  if(me < 0 || depth > DEPTH_MAX) return -1;
  j->at++;
  json_blank(j);
  if(j->at < j->n && j->p[j->at] == close) {
    nodes[me].to = (uint32_t)++j->at;
    return me;
  }
  for(;;) {
    json_blank(j);
    int first, val;
    if(open == '{') {
      first = json_string(j);
      if(first < 0) return -1;
      json_blank(j);
      if(j->at >= j->n || j->p[j->at++] != ':') return -1;
      val = json_value(j, depth + 1);
      if(val < 0) return -1;
      nodes[first].next = val;
    } else {
      first = val = json_value(j, depth + 1);
      if(val < 0) return -1;
    }
    if(last < 0) nodes[me].child = first;
    else nodes[last].next = first;
    last = val;
    json_blank(j);
    if(j->at >= j->n) return -1;
    char c = j->p[j->at++];
    if(c == close) break;
    if(c != ',') return -1;
  }
  nodes[me].to = (uint32_t)j->at;
  return me;
}

static int json_value(struct json *j, int depth)
{
  json_blank(j);
  if(j->at >= j->n) return -1;
  switch(j->p[j->at]) {
  case '{': return json_group(j, '{', '}', depth);
  case '[': return json_group(j, '[', ']', depth);
  case '"': return json_string(j);
  case 't': return json_word(j, "true", 't');
  case 'f': return json_word(j, "false", 'f');
  case 'n': return json_word(j, "null", '0');
  default: return json_number(j);
  }
}

/* The one value in p[0..n), or false. Its nodes live until the next call; the root is node 0. */
static bool json_read(struct json *j, const char *p, size_t n)
{
  *j = (struct json){ .p = p, .n = n };
  if(json_value(j, 0) < 0) return false;
  json_blank(j);
  return j->at == j->n;
}

/* Node at a path of member names and element numbers, "choices.0.delta"; -1 = not there. */
static int json_at(const struct json *j, int at, const char *path)
{
  while(at >= 0 && *path) {
    size_t len = strcspn(path, ".");
    int kid = nodes[at].child;
    if(nodes[at].type == '{') {
      while(kid >= 0 && (nodes[kid].to - nodes[kid].from != len || memcmp(j->p + nodes[kid].from, path, len) != 0))
        kid = nodes[nodes[kid].next].next;
      at = kid < 0 ? -1 : nodes[kid].next;
    } else if(nodes[at].type == '[') {
      for(long i = strtol(path, NULL, 10); i > 0 && kid >= 0; i--) kid = nodes[kid].next;
      at = kid;
    } else {
      return -1;
    }
    path += len;
    if(*path == '.') path++;
  }
  return at;
}

static bool json_is(const struct json *j, int at, const char *text)
{
  size_t len = strlen(text);
  return at >= 0 && nodes[at].type == 's' && nodes[at].to - nodes[at].from == len &&
         memcmp(j->p + nodes[at].from, text, len) == 0;
}

static bool json_null(int at)
{
  return at >= 0 && nodes[at].type == '0';
}

static int64_t json_int(const struct json *j, int at)
{
  if(at < 0 || nodes[at].type != 'n') return -1;
  int64_t v = 0;
  for(uint32_t i = nodes[at].from; i < nodes[at].to; i++) {
    if(j->p[i] < '0' || j->p[i] > '9' || v > INT64_MAX / 10 - 1) return -1;
    v = v * 10 + (j->p[i] - '0');
  }
  return v;
}

bool answer_json_text(const char *json, size_t n, const char *path, char *out, size_t cap)
{
  struct json j;
  if(!json_read(&j, json, n)) return false;
  int at = json_at(&j, 0, path);
  if(at < 0 || nodes[at].type != 's') return false;
  size_t len = nodes[at].to - nodes[at].from;
  if(len >= cap || memchr(json + nodes[at].from, '\\', len)) return false;
  memcpy(out, json + nodes[at].from, len);
  out[len] = '\0';
  return true;
}

/* ---- the text ---- */

static int wrong(struct answer *a, const char *why)
{
  if(!a->why) a->why = why;
  return -1;
}

static size_t put_number(char *out, uint32_t v)
{
  char rev[10];
  size_t n = 0;
  do rev[n++] = (char)('0' + v % 10), v /= 10;
  while(v);
  for(size_t i = 0; i < n; i++) out[i] = rev[n - 1 - i];
  return n;
}

/* Delta i as the fake makes it: "<seed>.<i> ", then one letter up to the wanted size. */
static size_t delta_text(const struct expect *w, uint32_t i, char out[ANSWER_DELTA_MAX + 32])
{
  size_t n = put_number(out, w->seed);
  out[n++] = '.';
  n += put_number(out + n, i);
  out[n++] = ' ';
  while(n < w->size && n < ANSWER_DELTA_MAX) out[n++] = (char)('a' + (w->seed + i) % 26);
  return n;
}

uint64_t answer_text_len(const struct expect *want)
{
  char d[ANSWER_DELTA_MAX + 32];
  uint64_t sum = 0;
  if(want->stamped) return 0;
  for(uint32_t i = 0; i < want->n; i++) sum += delta_text(want, i, d);
  return sum;
}

static int stamp_text(struct answer *a, const char *p, size_t n, int64_t now_us)
{
  for(size_t i = 0; i < n; i++) {
    char c = p[i];
    if(a->delta_at == 0 && c == 't') {
      a->delta_at = 1, a->stamp_us = 0;
    } else if(a->delta_at == 1 && c == '=') {
      a->delta_at = 2;
    } else if(a->delta_at >= 2 && a->delta_at < 20 && c >= '0' && c <= '9') {
      a->delta_at++, a->stamp_us = a->stamp_us * 10 + (c - '0');
    } else if(a->delta_at > 2 && c == ' ') {
      if(a->stamp_us < a->stamp_last || a->stamp_us > now_us) return wrong(a, "stamp out of order");
      if(a->lag) a->lag(a->lag_arg, now_us - a->stamp_us);
      a->stamp_last = a->stamp_us;
      a->delta_at = 0;
      a->delta_i++;
    } else {
      return wrong(a, "stamp damaged");
    }
  }
  if(a->delta_i > a->want.n) return wrong(a, "more stamps than sent");
  return 0;
}

static int take_text(struct answer *a, const char *p, size_t n, int64_t now_us)
{
  char d[ANSWER_DELTA_MAX + 32];
  if(n == 0) return 0;
  a->events++;
  if(!a->first_us) a->first_us = now_us;
  else if(now_us - a->last_us > a->gap_us) a->gap_us = now_us - a->last_us;
  a->last_us = now_us;
  a->text += n;
  if(a->want.stamped) return stamp_text(a, p, n, now_us);
  while(n > 0) {
    if(a->delta_i >= a->want.n) return wrong(a, "more text than sent");
    size_t len = delta_text(&a->want, a->delta_i, d), cut = len - a->delta_at;
    if(cut > n) cut = n;
    if(memcmp(d + a->delta_at, p, cut) != 0) return wrong(a, "text differs");
    p += cut, n -= cut;
    a->delta_at += (uint32_t)cut;
    if(a->delta_at == len) a->delta_i++, a->delta_at = 0;
  }
  return 0;
}

/* The texts asked for hold no character that JSON must escape, so an escape is a difference. */
static int take_string(struct answer *a, const struct json *j, int at, int64_t now_us)
{
  if(at < 0 || nodes[at].type != 's') return wrong(a, "text is no string");
  return take_text(a, j->p + nodes[at].from, nodes[at].to - nodes[at].from, now_us);
}

static int text_whole(struct answer *a)
{
  if(a->delta_i != a->want.n || a->delta_at != 0) return wrong(a, "text is short");
  return 0;
}

/* ---- OpenAI's shapes ---- */

static int check_usage(struct answer *a, const struct json *j, int at)
{
  int64_t in = json_int(j, json_at(j, at, "prompt_tokens"));
  int64_t out = json_int(j, json_at(j, at, "completion_tokens"));
  int64_t sum = json_int(j, json_at(j, at, "total_tokens"));
  if(in < 0 || out < 0 || in + out != sum) return wrong(a, "usage does not add up");
  return 0;
}

static int check_frame(struct answer *a, const struct json *j, const char *object)
{
  int id = json_at(j, 0, "id");
  int64_t created = json_int(j, json_at(j, 0, "created"));
  if(json_at(j, 0, "error") >= 0) return wrong(a, "error object in the answer");
  if(!json_is(j, json_at(j, 0, "object"), object)) return wrong(a, "object has another name");
  if(a->want.model && !json_is(j, json_at(j, 0, "model"), a->want.model)) return wrong(a, "model has another name");
  if(id < 0 || nodes[id].type != 's' || nodes[id].to - nodes[id].from >= sizeof a->id) return wrong(a, "id missing");
  if(!a->id[0]) {
    memcpy(a->id, j->p + nodes[id].from, nodes[id].to - nodes[id].from);
    a->created = created;
    if(strncmp(a->id, "chatcmpl-", 9) != 0 || created <= 0) return wrong(a, "id or created malformed");
  }
  if(!json_is(j, id, a->id) || created != a->created) return wrong(a, "id or created changed");
  return 0;
}

static int openai_chat(struct answer *a, int64_t now_us)
{
  struct json j;
  if(!json_read(&j, a->hold, a->hold_n)) return wrong(a, "body is no JSON");
  if(check_frame(a, &j, "chat.completion")) return -1;
  int choices = json_at(&j, 0, "choices"), one = json_at(&j, 0, "choices.0");
  if(choices < 0 || one < 0 || nodes[one].next >= 0) return wrong(a, "not exactly one choice");
  if(!json_is(&j, json_at(&j, one, "message.role"), "assistant")) return wrong(a, "role is not assistant");
  if(!json_is(&j, json_at(&j, one, "finish_reason"), "stop")) return wrong(a, "finish_reason is not stop");
  if(check_usage(a, &j, json_at(&j, 0, "usage"))) return -1;
  if(take_string(a, &j, json_at(&j, one, "message.content"), now_us)) return -1;
  return text_whole(a);
}

enum { PART_ROLE, PART_TEXT, PART_USAGE, PART_DONE, PART_END };

static int openai_event(struct answer *a, const char *p, size_t n, int64_t now_us)
{
  struct json j;
  if(n == 6 && memcmp(p, "[DONE]", 6) == 0) {
    if(a->part != PART_DONE) return wrong(a, "[DONE] out of place");
    a->part = PART_END;
    return 0;
  }
  if(!json_read(&j, p, n)) return wrong(a, "event is no JSON");
  if(check_frame(a, &j, "chat.completion.chunk")) return -1;
  int choices = json_at(&j, 0, "choices"), one = json_at(&j, 0, "choices.0");
  if(choices < 0 || nodes[choices].type != '[') return wrong(a, "choices missing");
  if(one < 0) {
    if(a->part != PART_USAGE) return wrong(a, "usage out of place");
    if(check_usage(a, &j, json_at(&j, 0, "usage"))) return -1;
    a->part = PART_DONE;
    return 0;
  }
  int delta = json_at(&j, one, "delta"), role = json_at(&j, delta, "role"), text = json_at(&j, delta, "content");
  int finish = json_at(&j, one, "finish_reason");
  if(nodes[one].next >= 0 || json_int(&j, json_at(&j, one, "index")) != 0) return wrong(a, "not exactly choice 0");
  if(delta < 0 || nodes[delta].type != '{') return wrong(a, "delta missing");
  if(a->part == PART_ROLE) {
    if(!json_is(&j, role, "assistant") || !json_is(&j, text, "") || !json_null(finish))
      return wrong(a, "first chunk is not the role");
    a->part = PART_TEXT;
    return 0;
  }
  if(a->part != PART_TEXT || role >= 0) return wrong(a, "chunk out of place");
  if(json_null(finish)) {
    if(nodes[delta].child < 0 || text < 0) return wrong(a, "chunk without text");
    return take_string(a, &j, text, now_us);
  }
  if(!json_is(&j, finish, "stop") || nodes[delta].child >= 0) return wrong(a, "finish chunk malformed");
  a->part = PART_USAGE;
  return text_whole(a);
}

/* ---- the upstream's shape: only the answer phase matters here ---- */

static int raw_event(struct answer *a, const char *p, size_t n, int64_t now_us)
{
  struct json j;
  if(n == 6 && memcmp(p, "[DONE]", 6) == 0) return 0;
  if(!json_read(&j, p, n)) return wrong(a, "event is no JSON");
  int delta = json_at(&j, 0, "choices.0.delta");
  if(delta < 0 || !json_is(&j, json_at(&j, delta, "phase"), "answer")) return 0;
  if(take_string(a, &j, json_at(&j, delta, "content"), now_us)) return -1;
  if(json_is(&j, json_at(&j, delta, "status"), "finished")) {
    a->part = PART_END;
    return text_whole(a);
  }
  return 0;
}

/* ---- events ---- */

static int hold_add(struct answer *a, const char *p, size_t n)
{
  if(a->hold_n + n > ANSWER_HOLD_MAX) return wrong(a, "answer too long");
  if(a->hold_n + n > a->hold_cap) {
    size_t cap = a->hold_cap ? a->hold_cap * 2 : 512;
    while(cap < a->hold_n + n) cap *= 2;
    char *more = realloc(a->hold, cap);
    if(!more) return wrong(a, "out of memory");
    a->hold = more, a->hold_cap = cap;
  }
  memcpy(a->hold + a->hold_n, p, n);
  a->hold_n += n;
  return 0;
}

enum { LINE_FREE, LINE_DATA, LINE_COMMENT };

static int sse_line(struct answer *a, const char *p, size_t n, int64_t now_us)
{
  bool strict = a->kind == ANSWER_STREAM;
  if(!strict)
    while(n > 0 && (p[n - 1] == '\r' || p[n - 1] == ' ' || p[n - 1] == '\t')) n--;
  if(n == 0) {
    if(strict && a->line == LINE_FREE) return wrong(a, "blank line without an event");
    a->line = LINE_FREE;
    return 0;
  }
  if(p[0] == ':') {
    if(strict && a->line != LINE_FREE) return wrong(a, "comment inside an event");
    a->line = LINE_COMMENT;
    return 0;
  }
  if(a->part == PART_END && strict) return wrong(a, "event after [DONE]");
  if(n < 6 || memcmp(p, "data:", 5) != 0) return strict ? wrong(a, "line is neither data nor comment") : 0;
  if(strict && (a->line != LINE_FREE || p[5] != ' ')) return wrong(a, "data line malformed");
  a->line = LINE_DATA;
  p += 5, n -= 5;
  if(*p == ' ') p++, n--;
  return strict ? openai_event(a, p, n, now_us) : raw_event(a, p, n, now_us);
}

static int take_body(struct answer *a, const char *p, size_t n, int64_t now_us)
{
  if(!a->sse) return hold_add(a, p, n);
  while(n > 0) {
    const char *end = memchr(p, '\n', n);
    if(!end) return hold_add(a, p, n);
    size_t len = (size_t)(end - p);
    int bad;
    if(a->hold_n) {
      bad = hold_add(a, p, len) || sse_line(a, a->hold, a->hold_n, now_us);
      a->hold_n = 0;
    } else {
      bad = sse_line(a, p, len, now_us);
    }
    if(bad) return -1;
    p = end + 1, n -= len + 1;
  }
  return 0;
}

static int finish(struct answer *a, int64_t now_us)
{
  if(a->status != 200) return wrong(a, "status is not 200");
  switch(a->kind) {
  case ANSWER_ANY: return 1;
  case ANSWER_CHAT: return openai_chat(a, now_us) ? -1 : 1;
  case ANSWER_STREAM:
    if(a->hold_n || a->line != LINE_FREE) return wrong(a, "last event is cut");
    return a->part == PART_END ? 1 : wrong(a, "stream ended early");
  case ANSWER_RAW: return a->part == PART_END ? 1 : wrong(a, "stream ended early");
  }
  return -1;
}

/* ---- HTTP ---- */

enum { STEP_HEAD, STEP_LENGTH, STEP_SIZE, STEP_DATA, STEP_DATA_END, STEP_TRAILER, STEP_CLOSE, STEP_OVER };

static bool head_is(const char *line, size_t n, const char *name, const char **val, size_t *len)
{
  size_t k = strlen(name);
  if(n <= k || line[k] != ':' || strncasecmp(line, name, k) != 0) return false;
  line += k + 1, n -= k + 1;
  while(n && *line == ' ') line++, n--;
  *val = line, *len = n;
  return true;
}

static int take_head(struct answer *a)
{
  const char *p = a->hold, *end = a->hold + a->hold_n - 2, *val;
  size_t len;
  bool length = false, first = true;
  while(p < end) {
    const char *cr = memchr(p, '\r', (size_t)(end - p) + 1);
    size_t n = (size_t)(cr - p);
    if(cr[1] != '\n' || memchr(p, '\n', n)) return wrong(a, "head malformed");
    if(first) {
      if(n < 12 || memcmp(p, "HTTP/1.1 ", 9) != 0) return wrong(a, "status line malformed");
      a->status = (p[9] - '0') * 100 + (p[10] - '0') * 10 + (p[11] - '0');
      first = false;
    } else if(head_is(p, n, "content-length", &val, &len)) {
      if(length || len == 0 || len > 12) return wrong(a, "content-length malformed");
      length = true;
      for(a->left = 0; len; val++, len--) {
        if(*val < '0' || *val > '9') return wrong(a, "content-length malformed");
        a->left = a->left * 10 + (*val - '0');
      }
    } else if(head_is(p, n, "transfer-encoding", &val, &len)) {
      if(len != 7 || strncasecmp(val, "chunked", 7) != 0) return wrong(a, "transfer-encoding malformed");
      a->chunked = true;
    } else if(head_is(p, n, "connection", &val, &len)) {
      if(len == 5 && strncasecmp(val, "close", 5) == 0) a->keep = false;
    } else if(head_is(p, n, "content-type", &val, &len)) {
      a->sse = len >= 17 && strncasecmp(val, "text/event-stream", 17) == 0;
    }
    p = cr + 2;
  }
  if(a->chunked && length) return wrong(a, "two body lengths");
  if(a->status == 200 && a->sse != (a->kind == ANSWER_STREAM || a->kind == ANSWER_RAW) && a->kind != ANSWER_ANY)
    return wrong(a, "wrong content-type");
  if(a->status != 200 || a->kind == ANSWER_ANY) a->sse = false;
  a->hold_n = 0;
  if(a->chunked) {
    a->step = STEP_SIZE, a->left = -1;
  } else if(length) {
    a->step = STEP_LENGTH;
  } else {
    a->step = STEP_CLOSE, a->keep = false;
  }
  return 0;
}

static int feed_head(struct answer *a, const char **p, const char *end)
{
  const char *start = *p;
  while(*p < end) {
    const char *nl = memchr(*p, '\n', (size_t)(end - *p));
    *p = nl ? nl + 1 : end;
    if(hold_add(a, start, (size_t)(*p - start))) return -1;
    start = *p;
    if(a->hold_n >= 4 && memcmp(a->hold + a->hold_n - 4, "\r\n\r\n", 4) == 0) return take_head(a);
    if(a->hold_n > 16384) return wrong(a, "head too long");
  }
  return 0;
}

/* Chunk size line: hex digits, CRLF, no extension (neither side of the bench sends one). */
static int feed_size(struct answer *a, const char **p, const char *end)
{
  while(*p < end) {
    char c = *(*p)++;
    if(a->cr != (c == '\n')) return wrong(a, "chunk size malformed");
    if(is_hex(c)) {
      int v = c <= '9' ? c - '0' : (c | 32) - 'a' + 10;
      if(a->left > (1 << 24)) return wrong(a, "chunk too long");
      a->left = (a->left < 0 ? 0 : a->left) * 16 + v;
    } else if(c == '\n') {
      if(a->left < 0) return wrong(a, "chunk size missing");
      a->step = a->left ? STEP_DATA : STEP_TRAILER;
      a->cr = false;
      return 0;
    } else if(c == '\r') {
      a->cr = true;
    } else {
      return wrong(a, "chunk size malformed");
    }
  }
  return 0;
}

int answer_feed(struct answer *a, const char *p, size_t n, int64_t now_us)
{
  const char *end = p + n;
  if(a->why) return -1;
  while(p < end) {
    size_t cut = (size_t)(end - p);
    switch(a->step) {
    case STEP_HEAD:
      if(feed_head(a, &p, end)) return -1;
      break;
    case STEP_SIZE:
      if(feed_size(a, &p, end)) return -1;
      break;
    case STEP_LENGTH:
    case STEP_DATA:
      if((int64_t)cut > a->left) cut = (size_t)a->left;
      if(take_body(a, p, cut, now_us)) return -1;
      p += cut, a->left -= (int64_t)cut;
      if(a->left == 0 && a->step == STEP_DATA) a->step = STEP_DATA_END, a->left = 2;
      break;
    case STEP_DATA_END:
    case STEP_TRAILER:
      if(a->step == STEP_TRAILER && a->left == 0) a->left = 2;
      if(*p++ != (a->left == 2 ? '\r' : '\n')) return wrong(a, "chunk end malformed");
      if(--a->left > 0) break;
      if(a->step == STEP_DATA_END) a->step = STEP_SIZE, a->left = -1;
      else a->step = STEP_OVER;
      break;
    case STEP_CLOSE:
      if(take_body(a, p, cut, now_us)) return -1;
      p += cut;
      break;
    default: return wrong(a, "bytes after the answer");
    }
    if(a->step == STEP_LENGTH && a->left == 0) a->step = STEP_OVER;
  }
  return a->step == STEP_OVER ? finish(a, now_us) : 0;
}

int answer_eof(struct answer *a)
{
  if(a->why) return -1;
  if(a->step == STEP_CLOSE) return finish(a, a->last_us);
  return wrong(a, a->step == STEP_HEAD && a->hold_n == 0 ? "closed without an answer" : "closed early");
}

void answer_begin(struct answer *a, enum answer_kind kind, const struct expect *want)
{
  char *hold = a->hold;
  size_t cap = a->hold_cap;
  void (*lag)(void *, int64_t) = a->lag;
  void *arg = a->lag_arg;
  *a = (struct answer){ .kind = kind, .want = *want, .keep = true, .left = 0, .step = STEP_HEAD, .hold = hold,
                        .hold_cap = cap, .lag = lag, .lag_arg = arg };
}

void answer_free(struct answer *a)
{
  free(a->hold);
  a->hold = NULL;
  a->hold_cap = a->hold_n = 0;
}
