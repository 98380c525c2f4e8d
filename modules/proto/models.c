#include "proto/models.h"

#include <stdatomic.h>
#include <stdio.h>
#include <strings.h>

#include "base/mem.h"
#include "proto/json.h"

enum { MODELS_MAX = 500, MODELS_ARENA_MAX = 64 * 1024 * 1024, MODELS_ID_MAX = 160 };
#define MODELS_CREATED 1677610602

struct models {
  atomic_int refs;
  struct arena arena;
  int n, cap;
  struct model *v;
};

/* ---- reading: every member may be missing, null, a bool, a number or a text ---- */

static bool models_ability(const struct json *meta, const char *name)
{
  char path[64];
  snprintf(path, sizeof path, "abilities.%s", name);
  const struct json *ability = json_path(meta, path);
  snprintf(path, sizeof path, "capabilities.%s", name);
  return json_true(ability) || json_true(json_path(meta, path));
}

static bool models_listed(const struct json *list, const char *word)
{
  if(json_is(list, JSON_ARRAY))
    for json_each(m, list)
      if(str_eq(json_str(m), str_z(word))) return true;
  return false;
}

static int64_t models_int(const struct json *n)
{
  int64_t v;
  return json_int(n, &v) && v > 0 ? v : 0;
}

/* Ids go into header lines and URLs of clients: visible ASCII without quotes. */
static bool models_id_ok(struct str id)
{
  for(size_t i = 0; i < id.n; i++)
    if(id.p[i] <= ' ' || id.p[i] >= 0x7f || id.p[i] == '"' || id.p[i] == '\\') return false;
  return id.n > 0 && id.n <= MODELS_ID_MAX;
}

static bool models_entry(struct models *m, const struct json *e)
{
  const struct json *info = json_get(e, "info"), *meta = json_get(info, "meta"), *types = json_get(meta, "chat_type");
  const struct json *active = json_get(info, "is_active"), *skip = json_path(meta, "think_skip.enable");
  bool on = true;
  struct str id = json_str(json_get(e, "id")), name = json_str(json_get(e, "name"));
  if(!id.n) id = json_str(json_get(info, "id"));
  if(!name.n) name = json_str(json_get(info, "name"));
  if(!models_id_ok(id) || (!json_absent(active) && (json_bool(active, &on) || json_is(active, JSON_NUMBER)) && !json_true(active)))
    return true;
  struct model x = { .id = arena_str(&m->arena, id), .name = arena_str(&m->arena, name.n ? name : id) };
  if(!x.id.p || !x.name.p) return false;
  int64_t created = models_int(json_get(info, "created_at"));
  x.created_s = created ? created : MODELS_CREATED;
  x.context = models_int(json_get(meta, "max_context_length"));
  x.max_output = models_int(json_get(meta, "max_generation_length"));
  x.thinking = models_ability(meta, "thinking");
  x.always_thinks = x.thinking && skip && !json_true(skip) && !json_absent(skip);
  x.search = models_listed(types, "search");
  x.image = models_listed(types, "t2i");
  x.image_edit = models_listed(types, "image_edit");
  x.video = models_listed(types, "t2v");
  x.deep_research = models_listed(types, "deep_research");
  x.vision = models_ability(meta, "vision");
  x.document = models_ability(meta, "document");
  x.video_in = models_ability(meta, "video");
  x.audio = models_ability(meta, "audio");
  m->v[m->n++] = x;
  return true;
}

static struct models *models_new(int cap)
{
  struct models *m = mem_zalloc(sizeof *m);
  if(!m) return NULL;
  atomic_init(&m->refs, 1);
  m->arena = ARENA(MODELS_ARENA_MAX);
  m->cap = cap;
  m->v = arena_alloc(&m->arena, (size_t)(cap ? cap : 1) * sizeof *m->v);
  if(m->v) return m;
  models_unref(m);
  return NULL;
}

struct models *models_read(struct str body)
{
  struct arena a = ARENA(MODELS_ARENA_MAX);
  const struct json *root = json_parse(&a, body, 64, NULL), *list = json_get(root, "data");
  if(!json_is(list, JSON_ARRAY)) list = json_path(root, "data.data");
  if(!json_is(list, JSON_ARRAY)) list = json_get(root, "models");
  if(!json_is(list, JSON_ARRAY)) list = NULL;
  int count = list ? list->count < MODELS_MAX ? list->count : MODELS_MAX : 0;
  struct models *m = count ? models_new(count) : NULL;
  bool ok = m != NULL;
  if(ok)
    for json_each(e, list)
      if(m->n < count && ok) ok = models_entry(m, e);
  if(m && (!ok || m->n == 0)) {
    models_unref(m);
    m = NULL;
  }
  arena_free(&a);
  return m;
}

struct models *models_builtin(void)
{
  static const struct { const char *id, *name; bool thinking, search, media; } rows[] = {
    { "qwen3.7-plus", "Qwen3.7-Plus", true, true, true },  { "qwen3.7-max", "Qwen3.7-Max", true, true, false },
    { "qwen3.6-plus", "Qwen3.6-Plus", true, true, true },  { "qwen3-max", "Qwen3-Max", true, true, true },
    { "qwen3-coder-plus", "Qwen3-Coder", false, true, false },
  };
  int n = (int)(sizeof rows / sizeof rows[0]);
  struct models *m = models_new(n);
  for(int i = 0; m && i < n; i++)
    m->v[m->n++] = (struct model){ .id = str_z(rows[i].id), .name = str_z(rows[i].name), .created_s = MODELS_CREATED,
                                   .thinking = rows[i].thinking, .search = rows[i].search, .image = rows[i].media,
                                   .image_edit = rows[i].media, .video = rows[i].media };
  return m;
}

struct models *models_ref(struct models *m)
{
  if(m) atomic_fetch_add_explicit(&m->refs, 1, memory_order_relaxed);
  return m;
}

void models_unref(struct models *m)
{
  if(!m || atomic_fetch_sub_explicit(&m->refs, 1, memory_order_acq_rel) != 1) return;
  arena_free(&m->arena);
  mem_free(m);
}

int models_count(const struct models *m)
{
  return m->n;
}

const struct model *models_at(const struct models *m, int i)
{
  return i >= 0 && i < m->n ? &m->v[i] : NULL;
}

/* ---- from a name to a model ---- */

/* What follows an id in lists, and what it asks for. */
static const struct { const char *suffix; unsigned variant; } models_variants[] = {
  { "", 0 }, { "-thinking", MODEL_THINKING }, { "-search", MODEL_SEARCH }, { "-thinking-search", MODEL_THINKING | MODEL_SEARCH },
  { "-image", MODEL_IMAGE }, { "-image-edit", MODEL_IMAGE_EDIT }, { "-video", MODEL_VIDEO },
};
enum { MODELS_VARIANTS = sizeof models_variants / sizeof models_variants[0], MODELS_DEEP_RESEARCH = 1 << 16 /* not offered */ };

static const struct { struct str suffix; unsigned variant; } models_suffixes[] = { /* longest first */
  { { "-thinking-search", 16 }, MODEL_THINKING | MODEL_SEARCH },
  { { "-search-thinking", 16 }, MODEL_THINKING | MODEL_SEARCH },
  { { "-deep-research", 14 }, MODELS_DEEP_RESEARCH },
  { { "-image-edit", 11 }, MODEL_IMAGE_EDIT },
  { { "-thinking", 9 }, MODEL_THINKING },
  { { "-search", 7 }, MODEL_SEARCH },
  { { "-image", 6 }, MODEL_IMAGE },
  { { "-video", 6 }, MODEL_VIDEO },
};

bool models_can(const struct model *x, unsigned variant)
{
  return (!(variant & MODEL_THINKING) || x->thinking) && (!(variant & MODEL_SEARCH) || x->search) && (!(variant & MODEL_IMAGE) || x->image) &&
         (!(variant & MODEL_IMAGE_EDIT) || x->image_edit) && (!(variant & MODEL_VIDEO) || x->video) && !(variant & MODELS_DEEP_RESEARCH);
}

/* Which row of models_variants a pick is. */
static int models_row(unsigned variant)
{
  int k = MODELS_VARIANTS - 1;
  while(k > 0 && models_variants[k].variant != variant) k--;
  return k;
}

static const struct model *models_exact(const struct models *m, struct str name)
{
  for(int i = 0; i < m->n; i++)
    if(str_eq(m->v[i].id, name)) return &m->v[i];
  return NULL;
}

static const struct model *models_loose(const struct models *m, struct str name)
{
  for(int i = 0; i < m->n; i++)
    if(str_ieq(m->v[i].id, name)) return &m->v[i];
  for(int i = 0; i < m->n; i++)
    if(str_ieq(m->v[i].name, name)) return &m->v[i];
  return NULL;
}

static bool models_alike(struct str pattern, struct str name)
{
  ptrdiff_t star = str_chr(pattern, '*');
  if(star < 0) return str_ieq(pattern, name);
  struct str head = str_sub(pattern, 0, (size_t)star), tail = str_sub(pattern, (size_t)star + 1, pattern.n);
  if(name.n < head.n + tail.n || !str_istarts(name, head)) return false;
  return str_ieq(str_sub(name, name.n - tail.n, tail.n), tail);
}

/* Without "qwen/", "models/openai/": a vendor in front says nothing. Stops at the first name that is an id. */
static struct str models_bare(const struct models *m, struct str name)
{
  ptrdiff_t slash;
  while(!models_exact(m, name) && (slash = str_chr(name, '/')) >= 0 && (size_t)slash + 1 < name.n)
    name = str_sub(name, (size_t)slash + 1, name.n);
  return name;
}

/* Follows MODEL_ALIASES; a chain is at most as long as the table. */
static struct str models_alias(const struct models *m, const struct models_want *w, struct str name)
{
  for(int hops = 0; hops < 8 && !models_exact(m, name); hops++) {
    int i = 0;
    while(i < w->alias_n && !models_alike(str_z(w->alias_from[i]), name)) i++;
    if(i == w->alias_n) return name;
    name = str_z(w->alias_to[i]);
  }
  return name;
}

/* qwen-max-latest and the like: the newest of the family, else the flagship. */
static const struct model *models_family(const struct models *m, struct str name)
{
  static const struct { struct str name, word; } families[] = {
    { { "qwen-max-latest", 15 }, { "-max", 4 } }, { { "qwen-plus-latest", 16 }, { "-plus", 5 } },
    { { "qwen-turbo-latest", 17 }, { "-turbo", 6 } },
  };
  for(size_t i = 0; i < sizeof families / sizeof families[0]; i++) {
    const struct model *best = NULL;
    if(!str_ieq(name, families[i].name)) continue;
    for(int k = 0; k < m->n; k++)
      if(str_ends(m->v[k].id, families[i].word) && (!best || m->v[k].created_s > best->created_s)) best = &m->v[k];
    return best ? best : models_at(m, 0);
  }
  return NULL;
}

static const struct model *models_base(const struct models *m, struct str name)
{
  const struct model *x = models_loose(m, name);
  return x ? x : models_family(m, name);
}

static int models_distance(struct str a, struct str b)
{
  enum { N = 64 };
  int row[N + 1];
  if(a.n > N || b.n > N) return 1000;
  for(size_t j = 0; j <= b.n; j++) row[j] = (int)j;
  for(size_t i = 1; i <= a.n; i++) {
    int diagonal = row[0];
    row[0] = (int)i;
    for(size_t j = 1; j <= b.n; j++) {
      int up = row[j], change = diagonal + ((a.p[i - 1] | 32) != (b.p[j - 1] | 32));
      int least = up < row[j - 1] ? up + 1 : row[j - 1] + 1;
      row[j] = change < least ? change : least;
      diagonal = up;
    }
  }
  return row[b.n];
}

static enum q_status models_unknown(const struct models *m, struct str name, struct q_error *e)
{
  char near[300] = "";
  size_t n = 0;
  bool used[MODELS_MAX] = { false };
  name = str_sub(name, 0, 80);
  for(int k = 0; k < 3 && k < m->n; k++) {
    int best = -1, least = 1000;
    for(int i = 0; i < m->n; i++) {
      int d = models_distance(m->v[i].id, name);
      if(!used[i] && d < least) least = d, best = i;
    }
    if(best < 0 || n + m->v[best].id.n + 3 > sizeof near) break;
    used[best] = true;
    n += (size_t)snprintf(near + n, sizeof near - n, "%s%.*s", n ? ", " : "", STR_F(m->v[best].id));
  }
  return status_fail(e, Q_NO_MODEL, "model", "The model '%.*s' does not exist. Near names: %s.", STR_F(name), near);
}

static enum q_status models_lacks(const struct model *x, struct str suffix, struct q_error *e)
{
  char have[200] = "";
  size_t n = 0;
  for(int k = 1; k < MODELS_VARIANTS; k++)
    if(models_can(x, models_variants[k].variant)) n += (size_t)snprintf(have + n, sizeof have - n, "%s%s", n ? ", " : "", models_variants[k].suffix);
  return status_fail(e, Q_BAD_VARIANT, "model", "The model '%.*s' has no variant '%.*s'. It has: %s.", STR_F(x->id), STR_F(suffix),
                     n ? have : "only the plain model");
}

static enum q_status models_take(struct models_pick *p, const struct model *x, unsigned variant, struct str suffix, struct q_error *e)
{
  bool forced = (variant & MODEL_THINKING) && x->always_thinks;
  if(!models_can(x, forced ? variant & ~(unsigned)MODEL_THINKING : variant)) return models_lacks(x, suffix, e);
  p->model = x;
  p->variant = variant;
  str_copy(p->id, sizeof p->id, x->id);
  return Q_OK;
}

enum q_status models_need(const struct models_pick *p, unsigned variant, struct q_error *e)
{
  if(!p->model || models_can(p->model, variant)) return Q_OK;
  return models_lacks(p->model, str_z(models_variants[models_row(variant)].suffix), e);
}

const struct model *models_first(const struct models *m, unsigned variant)
{
  for(int i = 0; i < m->n; i++)
    if(models_can(&m->v[i], variant)) return &m->v[i];
  return NULL;
}

enum q_status models_pick(const struct models *m, const struct models_want *w, struct models_pick *p, struct q_error *e)
{
  *p = (struct models_pick){ .model = NULL };
  struct str name = str_trim(w->name.n ? w->name : w->fallback);
  const struct model *x;
  if(!name.n) return models_take(p, models_at(m, 0), 0, STR_NONE, e);
  if((x = models_exact(m, name))) return models_take(p, x, 0, STR_NONE, e);
  struct str bare = models_bare(m, name);
  if((x = models_exact(m, bare))) return models_take(p, x, 0, STR_NONE, e);
  struct str alias = models_alias(m, w, name); /* an alias may name the vendor as well */
  if(str_eq(alias, name)) alias = models_alias(m, w, bare);
  name = models_bare(m, alias);
  if((x = models_exact(m, name))) return models_take(p, x, 0, STR_NONE, e);
  if((x = models_loose(m, name))) return models_take(p, x, 0, STR_NONE, e);
  for(size_t i = 0; i < sizeof models_suffixes / sizeof models_suffixes[0]; i++) {
    struct str suffix = models_suffixes[i].suffix;
    if(name.n <= suffix.n || !str_ieq(str_sub(name, name.n - suffix.n, suffix.n), suffix)) continue;
    struct str base = models_alias(m, w, str_sub(name, 0, name.n - suffix.n));
    if(!(x = models_base(m, base))) continue;
    return models_take(p, x, models_suffixes[i].variant, suffix, e);
  }
  if((x = models_family(m, name))) return models_take(p, x, 0, STR_NONE, e);
  if(w->list_known || !models_id_ok(name)) return models_unknown(m, name, e);
  str_copy(p->id, sizeof p->id, name);
  return Q_OK;
}

enum q_status models_pick_claude(const struct models *m, const struct models_want *w, struct models_pick *p, struct q_error *e)
{
  struct models_want known = *w, instead = *w;
  struct str name = models_bare(m, str_trim(w->name));
  known.list_known = true;
  enum q_status st = models_pick(m, &known, p, e);
  if(st != Q_NO_MODEL) return st;
  if(!str_istarts(name, S("claude-"))) return models_pick(m, w, p, e);
  instead.name = w->fallback;
  st = models_pick(m, &instead, p, e);
  for(size_t i = 0; !st && p->model && i < sizeof models_suffixes / sizeof models_suffixes[0]; i++) {
    struct str suffix = models_suffixes[i].suffix;
    if(models_suffixes[i].variant && str_ends(name, suffix)) return models_take(p, p->model, p->variant | models_suffixes[i].variant, suffix, e);
  }
  return st;
}

/* ---- lists for clients ---- */

static void models_join(struct strbuf *b, struct str s, const char *suffix)
{
  strbuf_addc(b, '"');
  strbuf_json_body(b, s);
  strbuf_addz(b, suffix);
  strbuf_addc(b, '"');
}

static void models_flag(struct strbuf *b, const char *name, bool on)
{
  strbuf_fmt(b, "\"%s\":%s,", name, on ? "true" : "false");
}

static void models_entry_write(const struct model *x, const char *suffix, struct strbuf *b)
{
  strbuf_lit(b, "{\"id\":");
  models_join(b, x->id, suffix);
  strbuf_lit(b, ",\"object\":\"model\",\"created\":");
  strbuf_int(b, x->created_s);
  strbuf_lit(b, ",\"owned_by\":\"qwen\",\"name\":");
  models_join(b, x->name, suffix);
  strbuf_lit(b, ",\"display_name\":");
  strbuf_json(b, x->name);
  strbuf_lit(b, ",\"upstream_id\":");
  strbuf_json(b, x->id);
  if(x->context) strbuf_fmt(b, ",\"context_length\":%lld", (long long)x->context);
  if(x->max_output) strbuf_fmt(b, ",\"max_output_tokens\":%lld", (long long)x->max_output);
  strbuf_lit(b, ",\"capabilities\":{");
  models_flag(b, "thinking", x->thinking);
  models_flag(b, "search", x->search);
  models_flag(b, "vision", x->vision);
  models_flag(b, "image", x->image);
  models_flag(b, "image_edit", x->image_edit);
  models_flag(b, "video", x->video);
  models_flag(b, "deep_research", x->deep_research);
  strbuf_lit(b, "\"tools\":\"none\"}}");
}

void models_write(const struct models *m, bool simple, struct strbuf *b)
{
  bool first = true;
  strbuf_lit(b, "{\"object\":\"list\",\"data\":[");
  for(int i = 0; i < m->n; i++)
    for(int k = 0; k < (simple ? 1 : MODELS_VARIANTS); k++) {
      if(!models_can(&m->v[i], models_variants[k].variant)) continue;
      if(!first) strbuf_addc(b, ',');
      first = false;
      models_entry_write(&m->v[i], models_variants[k].suffix, b);
    }
  strbuf_lit(b, "]}");
}

void models_write_one(const struct models *m, const struct models_pick *p, struct strbuf *b)
{
  (void)m;
  struct model named = { .id = str_z(p->id), .name = str_z(p->id), .created_s = MODELS_CREATED };
  models_entry_write(p->model ? p->model : &named, models_variants[models_row(p->variant)].suffix, b);
}

static void models_anthropic_entry(const struct model *x, const char *suffix, struct strbuf *b)
{
  int64_t day = x->created_s / 86400, z = day + 719468, era = z / 146097, doe = z - era * 146097;
  int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365, doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
  int64_t mp = (5 * doy + 2) / 153, d = doy - (153 * mp + 2) / 5 + 1, mon = mp < 10 ? mp + 3 : mp - 9, y = yoe + era * 400 + (mon <= 2);
  int64_t s = x->created_s % 86400;
  strbuf_lit(b, "{\"type\":\"model\",\"id\":");
  models_join(b, x->id, suffix);
  strbuf_lit(b, ",\"display_name\":");
  models_join(b, x->name, suffix);
  strbuf_fmt(b, ",\"created_at\":\"%04d-%02d-%02dT%02d:%02d:%02dZ\"}", (int)y, (int)mon, (int)d, (int)(s / 3600), (int)(s / 60 % 60), (int)(s % 60));
}

void models_write_anthropic(const struct models *m, bool simple, struct strbuf *b)
{
  const char *last_suffix = "";
  bool first = true;
  strbuf_lit(b, "{\"data\":[");
  for(int i = 0; i < m->n; i++)
    for(int k = 0; k < (simple ? 1 : MODELS_VARIANTS); k++) {
      if(!models_can(&m->v[i], models_variants[k].variant)) continue;
      if(!first) strbuf_addc(b, ',');
      first = false;
      last_suffix = models_variants[k].suffix;
      models_anthropic_entry(&m->v[i], last_suffix, b);
    }
  strbuf_lit(b, "],\"has_more\":false,\"first_id\":");
  models_join(b, m->v[0].id, "");
  strbuf_lit(b, ",\"last_id\":");
  models_join(b, m->v[m->n - 1].id, last_suffix);
  strbuf_addc(b, '}');
}

void models_write_anthropic_one(const struct models *m, const struct models_pick *p, struct strbuf *b)
{
  (void)m;
  struct model named = { .id = str_z(p->id), .name = str_z(p->id), .created_s = MODELS_CREATED };
  models_anthropic_entry(p->model ? p->model : &named, models_variants[models_row(p->variant)].suffix, b);
}
