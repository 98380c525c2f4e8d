#include "proto/relay_out.h"

#include "base/codec.h"
#include "base/mem.h"

enum {
  RELAY_OUT_EVENT_MAX = 4 * 1024 * 1024,
  RELAY_OUT_ARENA_MAX = 128 * 1024 * 1024,
  RELAY_OUT_TEXT_MAX = 64 * 1024 * 1024,
  RELAY_OUT_DEPTH = 64
};

enum q_status relay_out_init(struct relay_out *o, const struct relay_out_set *s)
{
  *o = (struct relay_out){ .set = *s, .arena = ARENA(RELAY_OUT_ARENA_MAX), .usage = STRBUF(64 * 1024), .text = STRBUF(RELAY_OUT_TEXT_MAX),
                           .think = STRBUF(RELAY_OUT_TEXT_MAX), .refusal = STRBUF(RELAY_OUT_TEXT_MAX), .created_s = s->created_s };
  str_copy(o->id, sizeof o->id, str_z(s->id));
  return sse_init(&o->sse, RELAY_OUT_EVENT_MAX);
}

void relay_out_free(struct relay_out *o)
{
  for(int i = 0; i < o->call_n; i++) {
    strbuf_free(&o->calls[i].id);
    strbuf_free(&o->calls[i].name);
    strbuf_free(&o->calls[i].args);
  }
  mem_free(o->calls);
  strbuf_free(&o->usage);
  strbuf_free(&o->text);
  strbuf_free(&o->think);
  strbuf_free(&o->refusal);
  sse_free(&o->sse);
  arena_free(&o->arena);
  *o = (struct relay_out){ .call_n = 0 };
}

/* ---- writing events ---- */

static void relay_out_head(const struct relay_out *o, const char *object, struct strbuf *b)
{
  strbuf_lit(b, "{\"id\":");
  strbuf_json(b, str_z(o->id));
  strbuf_fmt(b, ",\"object\":\"%s\",\"created\":%lld,\"model\":", object, (long long)o->created_s);
  strbuf_json(b, o->set.model);
}

static void relay_out_open(const struct relay_out *o, struct strbuf *b)
{
  strbuf_lit(b, "data: ");
  relay_out_head(o, "chat.completion.chunk", b);
}

static void relay_out_close(const struct relay_out *o, struct strbuf *b)
{
  if(o->set.usage == USAGE_YES) strbuf_lit(b, ",\"usage\":null");
  strbuf_lit(b, "}\n\n");
}

static void relay_out_role(struct relay_out *o, int64_t index, struct strbuf *b)
{
  relay_out_open(o, b);
  strbuf_fmt(b, ",\"choices\":[{\"index\":%lld,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"logprobs\":null,\"finish_reason\":null}]",
             (long long)index);
  relay_out_close(o, b);
}

static void relay_out_finish(struct relay_out *o, int64_t index, struct str why, struct strbuf *b)
{
  relay_out_open(o, b);
  strbuf_fmt(b, ",\"choices\":[{\"index\":%lld,\"delta\":{},\"logprobs\":null,\"finish_reason\":", (long long)index);
  strbuf_json(b, why);
  strbuf_lit(b, "}]");
  relay_out_close(o, b);
}

/* ---- deltas ---- */

static bool relay_out_is_think(const struct json *m)
{
  return str_eq(m->key, S("reasoning_content")) || str_eq(m->key, S("reasoning"));
}

/* Whether a member says something to the client. */
static bool relay_out_says(const struct relay_out *o, const struct json *m)
{
  if(json_absent(m) || str_eq(m->key, S("role"))) return false;
  if(relay_out_is_think(m) && o->set.hide_think) return false;
  if(m->type == JSON_STRING) return m->text.n > 0;
  return m->type != JSON_ARRAY || m->count > 0;
}

/* One entry of tool_calls: what only repeats that the call goes on (an empty id or name) is left out. */
static void relay_out_call(const struct json *call, int at, struct strbuf *b)
{
  bool first = true;
  strbuf_addc(b, '{');
  if(json_absent(json_get(call, "index"))) {
    strbuf_fmt(b, "\"index\":%d", at);
    first = false;
  }
  for json_each(m, call) {
    if(json_absent(m) || (str_eq(m->key, S("id")) && !json_str(m).n) || (str_eq(m->key, S("type")) && !json_str(m).n)) continue;
    if(!first) strbuf_addc(b, ',');
    first = false;
    strbuf_json(b, m->key);
    strbuf_addc(b, ':');
    if(str_eq(m->key, S("function")) && json_is(m, JSON_OBJECT)) {
      bool one = true;
      strbuf_addc(b, '{');
      for json_each(f, m) {
        if(json_absent(f) || (str_eq(f->key, S("name")) && !json_str(f).n)) continue;
        if(!one) strbuf_addc(b, ',');
        one = false;
        strbuf_json(b, f->key);
        strbuf_addc(b, ':');
        json_write(f, b);
      }
      strbuf_addc(b, '}');
    } else {
      json_write(m, b);
    }
  }
  strbuf_addc(b, '}');
}

static void relay_out_delta(const struct relay_out *o, const struct json *delta, struct strbuf *b)
{
  bool first = true;
  strbuf_addc(b, '{');
  for json_each(m, delta) {
    if(!relay_out_says(o, m)) continue;
    if(!first) strbuf_addc(b, ',');
    first = false;
    strbuf_json(b, relay_out_is_think(m) ? S("reasoning_content") : m->key);
    strbuf_addc(b, ':');
    if(str_eq(m->key, S("tool_calls")) && m->type == JSON_ARRAY) {
      int at = 0;
      strbuf_addc(b, '[');
      for json_each(call, m) {
        if(at) strbuf_addc(b, ',');
        relay_out_call(call, at++, b);
      }
      strbuf_addc(b, ']');
    } else {
      json_write(m, b);
    }
  }
  strbuf_addc(b, '}');
}

/* Estimates what a delta costs, for upstreams that tell no usage. */
static void relay_out_weigh(struct relay_out *o, const struct json *delta)
{
  for json_each(m, delta) {
    if(str_eq(m->key, S("content")) || relay_out_is_think(m)) tokens_push(&o->tokens, json_str(m));
    if(!str_eq(m->key, S("tool_calls"))) continue;
    for json_each(call, m) tokens_push(&o->tokens, json_str(json_path(call, "function.arguments")));
  }
}

/* ---- collecting ---- */

static struct relay_call *relay_out_call_at(struct relay_out *o, int64_t index)
{
  if(index < 0 || index >= RELAY_CALLS_MAX || index > o->call_n) return NULL;
  if(!o->calls && !(o->calls = mem_zalloc(RELAY_CALLS_MAX * sizeof *o->calls))) return NULL;
  struct relay_call *c = &o->calls[index];
  if(index == o->call_n) {
    *c = (struct relay_call){ STRBUF(4096), STRBUF(4096), STRBUF(RELAY_OUT_TEXT_MAX) };
    o->call_n++;
  }
  return c;
}

static enum q_status relay_out_collect(struct relay_out *o, const struct json *delta)
{
  const struct json *list = json_get(delta, "tool_calls");
  struct str think = json_str(json_get(delta, "reasoning_content"));
  int at = 0;
  if(!think.n) think = json_str(json_get(delta, "reasoning"));
  strbuf_adds(&o->text, json_str(json_get(delta, "content")));
  strbuf_adds(&o->refusal, json_str(json_get(delta, "refusal")));
  if(!o->set.hide_think) strbuf_adds(&o->think, think);
  if(json_is(list, JSON_ARRAY))
    for json_each(call, list) {
      int64_t index = at++;
      (void)json_int(json_get(call, "index"), &index);
      struct relay_call *c = relay_out_call_at(o, index);
      if(!c) return Q_NOMEM;
      if(!c->id.n) strbuf_adds(&c->id, json_str(json_get(call, "id")));
      if(!c->name.n) strbuf_adds(&c->name, json_str(json_path(call, "function.name")));
      strbuf_adds(&c->args, json_str(json_path(call, "function.arguments")));
      if(c->id.err || c->name.err || c->args.err) return Q_NOMEM;
    }
  return o->text.err ? o->text.err : o->think.err ? o->think.err : o->refusal.err;
}

/* ---- one event ---- */

static enum q_status relay_out_choice(struct relay_out *o, const struct json *root, const struct json *choice, struct strbuf *b)
{
  const struct json *delta = json_get(choice, "delta");
  int64_t index = 0;
  bool says = false;
  struct str finish = json_str(json_get(choice, "finish_reason"));
  if(json_absent(delta)) delta = json_get(choice, "message");
  if(!json_int(json_get(choice, "index"), &index) || index < 0 || index > 63) index = 0;
  uint64_t bit = 1ull << index;
  if(o->finished & bit) finish = STR_NONE;
  if(json_is(delta, JSON_OBJECT))
    for json_each(m, delta) says |= relay_out_says(o, m);
  relay_out_weigh(o, json_is(delta, JSON_OBJECT) ? delta : NULL);
  o->any_calls |= !json_absent(json_get(delta, "tool_calls")) && json_get(delta, "tool_calls")->count > 0;
  o->shown |= says;
  if(finish.n) o->finished |= bit;
  if(finish.n && index == 0) str_copy(o->finish, sizeof o->finish, finish);
  if(!o->set.stream) return index == 0 ? relay_out_collect(o, delta) : Q_OK;
  if(!says && (!finish.n || !(o->begun & bit))) return Q_OK; /* a finish without any word is judged at the end */
  if(!(o->begun & bit)) relay_out_role(o, index, b);
  o->begun |= bit;
  relay_out_open(o, b);
  for json_each(m, root) { /* what else the event tells */
    static const struct str ours[] = { { "id", 2 }, { "object", 6 }, { "created", 7 }, { "model", 5 }, { "choices", 7 }, { "usage", 5 },
                                       { "request_id", 10 } };
    bool known = json_absent(m);
    for(size_t i = 0; i < sizeof ours / sizeof ours[0]; i++) known |= str_eq(m->key, ours[i]);
    if(known) continue;
    strbuf_addc(b, ',');
    strbuf_json(b, m->key);
    strbuf_addc(b, ':');
    json_write(m, b);
  }
  strbuf_fmt(b, ",\"choices\":[{\"index\":%lld,\"delta\":", (long long)index);
  relay_out_delta(o, delta, b);
  strbuf_lit(b, ",\"logprobs\":");
  if(json_absent(json_get(choice, "logprobs"))) strbuf_lit(b, "null");
  else json_write(json_get(choice, "logprobs"), b);
  strbuf_lit(b, ",\"finish_reason\":");
  if(finish.n) strbuf_json(b, finish);
  else strbuf_lit(b, "null");
  strbuf_lit(b, "}]");
  relay_out_close(o, b);
  if(finish.n) o->told |= bit;
  return Q_OK;
}

static void relay_out_usage(struct relay_out *o, const struct json *usage)
{
  struct usage *u = &o->counts;
  if(!json_is(usage, JSON_OBJECT)) return;
  strbuf_clear(&o->usage);
  json_write(usage, &o->usage);
  u->known = true;
  if(!json_int(json_get(usage, "prompt_tokens"), &u->prompt)) (void)json_int(json_get(usage, "input_tokens"), &u->prompt);
  if(!json_int(json_get(usage, "completion_tokens"), &u->completion)) (void)json_int(json_get(usage, "output_tokens"), &u->completion);
}

static enum q_status relay_out_root(struct relay_out *o, const struct json *root, struct strbuf *b, struct relay_err *e)
{
  const struct json *choices = json_get(root, "choices");
  struct str id = json_str(json_get(root, "id"));
  int64_t created = 0;
  if(!json_is(root, JSON_OBJECT)) return Q_OK; /* one bad event ends nothing */
  if(!json_is(choices, JSON_ARRAY)) {
    relay_err_event(e, root);
    if(e->st) return e->st;
  }
  if(!o->any_event) {
    if(id.n && id.n < sizeof o->id) str_copy(o->id, sizeof o->id, id);
    if(json_int(json_get(root, "created"), &created) && created > 0) o->created_s = created;
  }
  o->any_event = true;
  relay_out_usage(o, json_get(root, "usage"));
  enum q_status st = Q_OK;
  if(json_is(choices, JSON_ARRAY))
    for json_each(choice, choices)
      if(!st) st = relay_out_choice(o, root, choice, b);
  return st;
}

/* The data of one event. Text that is no JSON ends nothing, but want of memory must not pass for it. */
static enum q_status relay_out_event(struct relay_out *o, struct str data, struct strbuf *b, struct relay_err *e)
{
  struct json_error where = { .expected = NULL };
  if(!data.n) return Q_OK;
  const struct json *root = json_parse(&o->arena, data, RELAY_OUT_DEPTH, &where);
  enum q_status st = !root && !where.expected ? Q_NOMEM : relay_out_root(o, root, b, e);
  arena_reset(&o->arena);
  return st;
}

enum q_status relay_out_push(struct relay_out *o, struct str in, struct strbuf *b, struct relay_err *e)
{
  *e = (struct relay_err){ .st = Q_OK };
  while(in.n) {
    struct str data;
    size_t used = 0;
    enum q_status st = sse_push(&o->sse, in.p, in.n, &used, &data);
    in = str_sub(in, used, in.n);
    if(st == Q_AGAIN) break;
    if(st == Q_TOO_BIG) continue; /* one event too large is dropped, the stream goes on */
    if(!st && str_eq(str_trim(data), S("[DONE]"))) {
      o->done = true;
      return Q_EOF;
    }
    if(!st) st = relay_out_event(o, data, b, e);
    if(!st && b->err) st = b->err;
    if(st) {
      e->st = st;
      return st;
    }
  }
  return Q_AGAIN;
}

enum q_status relay_out_whole(struct relay_out *o, struct str body, struct strbuf *b, struct relay_err *e)
{
  *e = (struct relay_err){ .st = Q_OK };
  struct json_error where = { .expected = NULL };
  const struct json *root = json_parse(&o->arena, body, RELAY_OUT_DEPTH, &where);
  enum q_status st = json_is(json_get(root, "choices"), JSON_ARRAY) ? Q_OK : !root && !where.expected ? Q_NOMEM : Q_UP_BODY;
  if(st && root) {
    relay_err_event(e, root);
    if(e->st) st = e->st;
  }
  if(!st) st = relay_out_root(o, root, b, e);
  arena_reset(&o->arena);
  if(!st && b->err) st = b->err;
  e->st = st;
  o->done = !st;
  return st ? st : Q_EOF;
}

/* ---- the end ---- */

static void relay_out_tell_usage(struct relay_out *o, struct strbuf *b)
{
  if(o->usage.n && !o->usage.err) {
    strbuf_adds(b, strbuf_str(&o->usage));
    return;
  }
  strbuf_fmt(b, "{\"prompt_tokens\":%lld,\"completion_tokens\":%lld,\"total_tokens\":%lld}", (long long)o->counts.prompt,
             (long long)o->counts.completion, (long long)(o->counts.prompt + o->counts.completion));
}

static void relay_out_object(struct relay_out *o, struct strbuf *b)
{
  relay_out_head(o, "chat.completion", b);
  strbuf_lit(b, ",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":");
  if(o->call_n && !o->text.n) strbuf_lit(b, "null");
  else strbuf_json(b, strbuf_str(&o->text));
  strbuf_lit(b, ",\"refusal\":");
  if(o->refusal.n) strbuf_json(b, strbuf_str(&o->refusal));
  else strbuf_lit(b, "null");
  if(o->think.n) {
    strbuf_lit(b, ",\"reasoning_content\":");
    strbuf_json(b, strbuf_str(&o->think));
  }
  for(int i = 0; i < o->call_n; i++) {
    const struct relay_call *c = &o->calls[i];
    strbuf_addz(b, i ? ",{\"id\":" : ",\"tool_calls\":[{\"id\":");
    strbuf_json(b, strbuf_str(&c->id));
    strbuf_lit(b, ",\"type\":\"function\",\"function\":{\"name\":");
    strbuf_json(b, strbuf_str(&c->name));
    strbuf_lit(b, ",\"arguments\":");
    strbuf_json(b, strbuf_str(&c->args));
    strbuf_lit(b, "}}");
  }
  if(o->call_n) strbuf_addc(b, ']');
  strbuf_lit(b, "},\"logprobs\":null,\"finish_reason\":");
  strbuf_json(b, str_z(o->finish));
  strbuf_lit(b, "}],\"usage\":");
  relay_out_tell_usage(o, b);
  strbuf_lit(b, ",\"system_fingerprint\":null}");
}

/* The last event may lack its blank line. */
static enum q_status relay_out_last_event(struct relay_out *o, struct strbuf *b, struct relay_err *e)
{
  struct str data;
  if(o->done || sse_finish(&o->sse, &data) != Q_OK) return Q_OK;
  if(str_eq(str_trim(data), S("[DONE]"))) {
    o->done = true;
    return Q_OK;
  }
  return relay_out_event(o, data, b, e);
}

enum q_status relay_out_end(struct relay_out *o, struct strbuf *b, struct relay_err *e)
{
  *e = (struct relay_err){ .st = Q_OK };
  enum q_status st = relay_out_last_event(o, b, e);
  bool ended = o->done || (o->finished & 1);
  /* A length or filter that left no room for a word is an answer; a plain stop without one is a glitch. */
  bool empty = !o->shown && (!o->finish[0] || strcmp(o->finish, "stop") == 0 || strcmp(o->finish, "tool_calls") == 0);
  if(!st && !ended && (o->shown || o->any_event)) st = Q_UP_CUT;
  if(!st && empty) st = Q_UP_EMPTY;
  if(st) {
    e->st = st;
    return st;
  }
  if(!o->counts.known) {
    o->counts.prompt = o->set.prompt_tokens;
    o->counts.completion = tokens_total(&o->tokens);
  }
  if(!o->finish[0]) str_copy(o->finish, sizeof o->finish, o->any_calls ? S("tool_calls") : S("stop"));
  if(!o->set.stream) {
    relay_out_object(o, b);
    return e->st = b->err;
  }
  if(!o->begun) relay_out_role(o, 0, b);
  for(int i = 0; i < 64; i++) {
    uint64_t bit = 1ull << i;
    if(((o->begun & bit) || (i == 0 && !o->begun)) && !(o->told & bit)) relay_out_finish(o, i, str_z(o->finish), b);
  }
  if(o->set.usage != USAGE_NO) {
    relay_out_open(o, b);
    strbuf_lit(b, ",\"choices\":[],\"usage\":");
    relay_out_tell_usage(o, b);
    strbuf_lit(b, "}\n\n");
  }
  strbuf_lit(b, "data: [DONE]\n\n");
  return e->st = b->err;
}

/* ---- embeddings ---- */

static void relay_out_floats(const struct json *list, struct strbuf *raw, struct strbuf *b)
{
  strbuf_clear(raw);
  for json_each(m, list) {
    double v = 0;
    (void)json_number(m, &v);
    float f = (float)v;
    uint32_t bits;
    memcpy(&bits, &f, 4);
    for(int i = 0; i < 4; i++) strbuf_addc(raw, (char)(bits >> (8 * i) & 0xff));
  }
  strbuf_addc(b, '"');
  codec_base64(strbuf_str(raw), b);
  strbuf_addc(b, '"');
}

static void relay_out_vector(const struct json *entry, bool base64, struct strbuf *raw, struct strbuf *b)
{
  bool first = true;
  strbuf_addc(b, '{');
  for json_each(m, entry) {
    if(!first) strbuf_addc(b, ',');
    first = false;
    strbuf_json(b, m->key);
    strbuf_addc(b, ':');
    if(base64 && str_eq(m->key, S("embedding")) && m->type == JSON_ARRAY) relay_out_floats(m, raw, b);
    else json_write(m, b);
  }
  strbuf_addc(b, '}');
}

enum q_status relay_out_embeddings(struct str body, struct str model, bool base64, struct usage *told, struct strbuf *b)
{
  struct arena a = ARENA(256u * 1024 * 1024);
  struct strbuf raw = STRBUF(1024 * 1024);
  const struct json *root = json_parse(&a, body, RELAY_OUT_DEPTH, NULL), *data = json_get(root, "data");
  enum q_status st = json_is(data, JSON_ARRAY) && data->count ? Q_OK : Q_UP_BODY;
  if(!st) {
    bool first = true;
    strbuf_lit(b, "{\"object\":\"list\",\"data\":[");
    for json_each(m, data) {
      if(!first) strbuf_addc(b, ',');
      first = false;
      relay_out_vector(m, base64, &raw, b);
    }
    strbuf_lit(b, "],\"model\":");
    strbuf_json(b, model);
    strbuf_lit(b, ",\"usage\":");
    const struct json *usage = json_get(root, "usage");
    if(json_is(usage, JSON_OBJECT)) json_write(usage, b);
    else strbuf_lit(b, "{\"prompt_tokens\":0,\"total_tokens\":0}");
    strbuf_addc(b, '}');
    told->known = json_int(json_get(usage, "prompt_tokens"), &told->prompt) || json_int(json_get(usage, "total_tokens"), &told->prompt);
    if(!told->known || told->prompt < 0) told->prompt = 0;
    st = b->err ? b->err : raw.err;
  }
  strbuf_free(&raw);
  arena_free(&a);
  return st;
}
