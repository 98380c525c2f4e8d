/* GET /metrics (api 9.7): each line is read by the rules of the text format 0.0.4, with more models than labels. */
#include "domain/metrics.h"
#include "world.h"

static bool name_char(char c, bool first)
{
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == ':' || (!first && c >= '0' && c <= '9');
}

/* The name at the head of *s, taken off. */
static struct str take_name(struct str *s)
{
  size_t n = 0;
  while(n < s->n && name_char(s->p[n], n == 0)) n++;
  struct str name = str_sub(*s, 0, n);
  *s = str_sub(*s, n, s->n);
  return name;
}

/* {name="value",...}, its value of `want` written out in plain; false: not by the rules. */
static bool take_labels(struct str *s, const char *want, struct strbuf *value)
{
  if(!s->n || s->p[0] != '{') return true;
  do {
    *s = str_sub(*s, 1, s->n);
    struct str label = take_name(s);
    bool mine = str_eq(label, str_z(want));
    if(!label.n || str_chr(label, ':') >= 0 || !str_starts(*s, S("=\""))) return false;
    *s = str_sub(*s, 2, s->n);
    while(s->n && s->p[0] != '"') {
      char c = s->p[0];
      if(c == '\\') {
        *s = str_sub(*s, 1, s->n);
        if(!s->n || !strchr("\\\"n", s->p[0])) return false;
        c = s->p[0] == 'n' ? '\n' : s->p[0];
      }
      if(mine) strbuf_addc(value, c);
      *s = str_sub(*s, 1, s->n);
    }
    *s = str_sub(*s, 1, s->n);
  } while(s->n && s->p[0] == ',');
  if(!s->n || s->p[0] != '}') return false;
  *s = str_sub(*s, 1, s->n);
  return true;
}

static bool is_number(struct str s)
{
  char text[64], *end;
  if(!s.n || s.n >= sizeof text) return false;
  str_copy(text, sizeof text, s);
  (void)strtod(text, &end);
  return *end == 0;
}

enum { MODELS = 300 };
static char names[MODELS][40];

/* How many models a family names; told: those that were asked for among them. */
static int models_of(struct str text, const char *family, const char *label, int *told, unsigned long long *sum)
{
  char seen[MODELS + 1][80];
  int n = 0;
  *told = 0, *sum = 0;
  while(text.n) {
    struct str line = str_cut(&text, '\n'), rest = line, name = take_name(&rest);
    struct strbuf value = STRBUF(1024);
    if(str_eq(name, str_z(family))) {
      CHECK(take_labels(&rest, label, &value));
      int64_t v = 0;
      CHECK(str_int(str_trim(rest), &v));
      *sum += (unsigned long long)v;
      bool known = false;
      for(int i = 0; i < n; i++) known |= str_eq(strbuf_str(&value), str_z(seen[i]));
      if(!known && n <= MODELS) {
        str_copy(seen[n++], sizeof seen[0], strbuf_str(&value));
        for(int i = 0; i < MODELS; i++) *told += str_eq(strbuf_str(&value), str_z(names[i]));
      }
    }
    strbuf_free(&value);
  }
  return n;
}

static void note(struct world *w, const char *model, int status)
{
  struct stats_turn t = { .request_id = "r", .endpoint = "/v1/chat/completions", .code = "", .model = str_z(model), .account = "00000000000000aa", .key = "00000000000000bb",
                          .status = status, .attempts = 1, .first_ms = 10, .total_ms = 20, .in = 3, .out = 7 };
  stats_note(w->app->stats, &t, now_wall_ms(&now_real));
}

static void t_labels(void)
{
  struct world w;
  struct strbuf b = STRBUF(16 << 20);
  int told;
  unsigned long long sum;
  CHECK(world_begin(&w, NULL));
  for(int i = 0; i < MODELS; i++) {
    snprintf(names[i], sizeof names[i], i == 0 ? "a\"b" : i == 1 ? "a\\" : i == 2 ? "a\nb" : i == 3 ? "{x=\"y\"} 1" : "model-%d", i);
    note(&w, names[i], 200);
    note(&w, names[i], 502);
  }
  CHECK(metrics_write(w.app, &b) == Q_OK);
  struct str text = strbuf_str(&b), rest = text;
  CHECK(str_ends(text, S("\n")));
  while(rest.n) {
    struct str line = str_cut(&rest, '\n'), left = line;
    struct strbuf ignored = STRBUF(1024);
    if(line.n && line.p[0] == '#') {
      CHECK(str_starts(line, S("# HELP ")) || str_starts(line, S("# TYPE ")));
      continue;
    }
    bool ok = take_name(&left).n && take_labels(&left, "", &ignored) && left.n && left.p[0] == ' ' && is_number(str_sub(left, 1, left.n));
    if(!ok) T_FAIL("not by the rules: %.*s", STR_F(line));
    strbuf_free(&ignored);
  }
  CHECK_INT(models_of(text, "qwen2api_requests_total", "model", &told, &sum), 101);
  CHECK(told == 100 && sum == MODELS * 2);
  CHECK_INT(models_of(text, "qwen2api_tokens_total", "model", &told, &sum), 101);
  CHECK(told == 100 && sum == MODELS * 2 * 10);
  CHECK_INT(models_of(text, "gen_ai_client_token_usage_count", "gen_ai_request_model", &told, &sum), 101);
  CHECK_INT(models_of(text, "gen_ai_server_request_duration_seconds_count", "gen_ai_request_model", &told, &sum), 101);
  CHECK(str_find(text, S("one@example.org")) < 0 && str_find(text, S("000000000000aa")) < 0 && str_find(text, S("000000000000bb")) < 0 && str_find(text, S("sk-")) < 0);
  strbuf_free(&b);
  world_end(&w);
}

T_MAIN(T(t_labels))
