/* ---------- accounts, tokens, chats ---------- */

enum { ACCOUNT_OK = 0, NOBODY = -1 };
enum { CHAT_T2I = 2, CHAT_EDIT, CHAT_T2V, CHAT_RESEARCH }; /* places in chat_types */
enum token_kind { TOKEN_SESSION, TOKEN_REFRESH, TOKEN_ACCESS, TOKEN_CLI, TOKEN_CLI_REFRESH };
enum { CHAT_DIGITS = 12, CHAT_ID_N = 36 };

struct account {
  char email[64], password[64];
  int running, max_running;
  long signins;
  bool refuses, challenged, no_media; /* what its name promises */
  bool expired;                       /* has played "expired" */
};
struct token { const char *text; size_t n; int account; enum token_kind kind; bool dead; int64_t expires_s; };
/* What the chat detail tells of an answer that was not the usual one: its content_list. */
struct kept { char *list, *plain; size_t n, plain_n; int hidden; }; /* hidden: looks that do not show it yet */
struct chat {
  int account;
  uint32_t created_s;
  struct conn *conn;
  int64_t free_us;
  struct kept *kept;
  uint8_t type;
  bool alive, answered;
};

static struct account *accounts;
static int account_n;
static struct token *tokens;
static size_t token_n, token_cap;
static uint32_t *token_table; /* open addressing: number + 1 */
static size_t token_slots;
static struct chat *chats;
static size_t chat_n, chat_cap;
static const char chat_prefix[] = "6a1d9a5e-0000-4000-8000-", reply_prefix[] = "5e5d0000-0000-4000-8000-";
static const char *const chat_types[] = {
  "t2t", "search", "t2i", "image_edit", "t2v", "deep_research", "artifacts", "web_dev", "learn", "slides", "travel"
};

static void account_add(const char *email, const char *password)
{
  accounts = must(realloc(accounts, (size_t)(account_n + 1) * sizeof *accounts));
  struct account *a = &accounts[account_n++];
  *a = (struct account){ .refuses = strncmp(email, "bad@", 4) == 0, .challenged = strncmp(email, "challenge@", 10) == 0,
                         .no_media = strncmp(email, "limited@", 8) == 0 };
  snprintf(a->email, sizeof a->email, "%s", email);
  snprintf(a->password, sizeof a->password, "%s", password);
}

/* The signature at a token's end is as good as random. */
static size_t token_hash(const char *p, size_t n)
{
  uint64_t h = n;
  for(size_t i = n > 16 ? n - 16 : 0; i < n; i++) h = (h ^ (unsigned char)p[i]) * 1099511628211u;
  return (size_t)(h ^ h >> 29);
}

static struct token *token_find(struct span t)
{
  if(!token_slots || !t.n) return NULL;
  for(size_t at = token_hash(t.p, t.n) % token_slots; token_table[at]; at = (at + 1) % token_slots) {
    struct token *k = &tokens[token_table[at] - 1];
    if(k->n == t.n && memcmp(k->text, t.p, t.n) == 0) return k;
  }
  return NULL;
}

static void token_place(size_t i)
{
  size_t at = token_hash(tokens[i].text, tokens[i].n) % token_slots;
  while(token_table[at]) at = (at + 1) % token_slots;
  token_table[at] = (uint32_t)i + 1;
}

static const char *token_add(const char *text, int account, enum token_kind kind, int64_t expires_s)
{
  if(token_n == token_cap) {
    token_cap = token_cap ? token_cap * 2 : 512;
    tokens = must(realloc(tokens, token_cap * sizeof *tokens));
    token_slots = token_cap * 2;
    free(token_table);
    token_table = must(calloc(token_slots, sizeof *token_table));
    for(size_t i = 0; i < token_n; i++) token_place(i);
  }
  tokens[token_n] = (struct token){ .text = must(strdup(text)), .n = strlen(text), .account = account, .kind = kind,
                                    .expires_s = expires_s };
  token_place(token_n);
  return tokens[token_n++].text;
}

static void b64_put(const void *from, size_t n, const char *d, struct buf *out)
{
  const unsigned char *p = from;
  for(size_t i = 0; i < n; i += 3) {
    unsigned v = (unsigned)p[i] << 16 | (i + 1 < n ? (unsigned)p[i + 1] << 8 : 0) | (i + 2 < n ? p[i + 2] : 0u);
    buf_add(out, (char[4]){ d[v >> 18], d[v >> 12 & 63], d[v >> 6 & 63], d[v & 63] }, i + 2 < n ? 4 : n - i + 1);
  }
}

static void b64url(const void *from, size_t n, struct buf *out)
{
  b64_put(from, n, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", out);
}

/* The usual alphabet, padded. */
static void b64(const void *from, size_t n, struct buf *out)
{
  b64_put(from, n, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", out);
  if(n % 3) buf_add(out, "==", 3 - n % 3);
}

/* Either alphabet; other characters are passed over. With a 0 after the end. */
static void b64_decode(struct span s, struct buf *out)
{
  unsigned v = 0, bits = 0;
  out->n = 0;
  for(size_t i = 0; i < s.n; i++) {
    char c = s.p[i];
    int d = c >= 'A' && c <= 'Z' ? c - 'A' : c >= 'a' && c <= 'z' ? c - 'a' + 26 : c >= '0' && c <= '9' ? c - '0' + 52
            : c == '+' || c == '-' ? 62 : c == '/' || c == '_' ? 63 : -1;
    if(d < 0) continue;
    v = v << 6 | (unsigned)d;
    if((bits += 6) >= 8) {
      bits -= 8;
      buf_add(out, &(char){ (char)(v >> bits) }, 1);
    }
  }
  *buf_room(out, 1) = 0;
}

static void hmac(const br_hash_class *kind, const void *key, size_t key_n, const void *text, size_t n, unsigned char *out)
{
  br_hmac_key_context k;
  br_hmac_context h;
  br_hmac_key_init(&k, kind, key, key_n);
  br_hmac_init(&h, &k, 0);
  br_hmac_update(&h, text, n);
  br_hmac_out(&h, out);
}

static void sha256(const void *p, size_t n, unsigned char *out)
{
  br_sha256_context s;
  br_sha256_init(&s);
  br_sha256_update(&s, p, n);
  br_sha256_out(&s, out);
}

static void hex_put(const unsigned char *p, size_t n, bool upper, struct buf *out)
{
  for(size_t i = 0; i < n; i++) buf_fmt(out, upper ? "%02X" : "%02x", p[i]);
}

/* A JWT, HS256 with the key "fake", claims as the real one's. */
static const char *token_make(int account, enum token_kind kind, int64_t life_s)
{
  static struct buf t;
  char claims[256];
  unsigned char mac[32];
  int64_t exp = wall_s() + life_s;
  static const char *const types[] = { "", "\"type\":\"refresh_token\",", "\"type\":\"access_token\",", "", "" };
  int n = snprintf(
      claims, sizeof claims,
      "{\"id\":\"00000000-0000-4000-8000-%012d\",\"last_password_change\":1760000000,\"n\":%zu,%s\"exp\":%lld}",
      account + 1, token_n, types[kind], (long long)exp);
  t.n = 0;
  b64url("{\"alg\":\"HS256\",\"typ\":\"JWT\"}", 27, &t);
  buf_text(&t, ".");
  b64url(claims, (size_t)n, &t);
  hmac(&br_sha256_vtable, "fake", 4, t.p, t.n, mac);
  buf_text(&t, ".");
  b64url(mac, 32, &t);
  *buf_room(&t, 1) = 0;
  return token_add(t.p, account, kind, exp);
}

static void chat_forget(struct chat *ch)
{
  if(ch->kept) free(ch->kept->list);
  if(ch->kept) free(ch->kept->plain);
  free(ch->kept);
  ch->kept = NULL;
}

static void digits12(char *out, size_t v)
{
  for(int i = CHAT_DIGITS - 1; i >= 0; i--, v /= 10) out[i] = (char)('0' + v % 10);
}

static struct chat *chat_by_id(struct span id, int who)
{
  if(id.n != CHAT_ID_N || memcmp(id.p, chat_prefix, sizeof chat_prefix - 1) != 0) return NULL;
  size_t n = 0;
  for(const char *d = id.p + sizeof chat_prefix - 1; d < id.p + id.n; d++) {
    if(*d < '0' || *d > '9') return NULL;
    n = n * 10 + (size_t)(*d - '0');
  }
  return n < chat_n && chats[n].alive && chats[n].account == who ? &chats[n] : NULL;
}

/* ---------- counters, switches, scripts, log ---------- */

enum endpoint {
  EP_SIGNIN,
  EP_EXCHANGE,
  EP_AUTHS,
  EP_MODELS,
  EP_NEW,
  EP_LIST,
  EP_DETAIL,
  EP_DELETE,
  EP_COMPLETIONS,
  EP_STOP,
  EP_STS,
  EP_PUT,
  EP_FILE,
  EP_PARSE,
  EP_PARSE_STATUS,
  EP_TASK,
  EP_CDN,
  EP_MEDIA,
  EP_DEVICE,
  EP_AUTHORIZE,
  EP_TOKEN,
  EP_PORTAL,
  EP_DASHSCOPE,
  EP_API_MODELS,
  EP_EMBEDDINGS,
  EP_OTHER,
  EP_N
};
static const char *const endpoint_names[EP_N] = { "signin",      "exchange",   "auths",       "models",
                                                  "chats_new",   "chats_list", "chat_detail", "deletes",
                                                  "completions", "stops",      "sts",         "put",
                                                  "file",        "parse",      "parse_status", "tasks",
                                                  "cdn",         "media",      "device",       "authorize",
                                                  "token",       "portal",     "dashscope",    "api_models",
                                                  "embeddings",  "other" };

static struct { char **entry; size_t at, n; } scripts[EP_N];
static struct {
  int signin_v1, signin_v2, auth_status, new_ms, signin_ms, sts_v1, sts_v2, sts_life_s, parse, parse_polls;
  int oauth_interval, oauth_pending, oauth_life_s, oauth_expires_s;
  bool exchange, gzip, parse_by_id, detail_plain, oauth_slow, oauth_keep, withdrawn;
  char filesize[16], filetype[16], endpoint[16], parse_word[24], resource_url[100];
} set;
static struct {
  long requests, by[EP_N], signins, refused, bad, deleted_all, in_progress, tls_full, tls_resumed, leaks, polls_early;
} stat_;
static long open_n, running_n; /* these live on over a reset */
static int pace_ms = 200, rate_ms = 100;

enum { LOG_MAX = 8192, RAW_MAX = 16 << 20, RAW_BODY_MAX = 65536 };
struct entry {
  int64_t us;
  char method[8], path[200], host[64], scenario[48], chat[CHAT_ID_N + 1];
  int account;
  char *files;     /* those of a completion, JSON */
  uint64_t raw_at; /* in the ring of heads and bodies, counted from the start of time */
  size_t head_n, body_n;
};
static struct entry *entries;
static size_t entry_n; /* of all time */
static char *raw;
static struct buf last_body; /* of the last POST, whole */
static uint64_t raw_n;
static int64_t started_us;

static void raw_add(struct span s)
{
  size_t at = (size_t)(raw_n % RAW_MAX), first = s.n < RAW_MAX - at ? s.n : RAW_MAX - at;
  if(first) memcpy(raw + at, s.p, first);
  if(s.n > first) memcpy(raw, s.p + first, s.n - first);
  raw_n += s.n;
}

static void copy_span(char *out, size_t cap, struct span s)
{
  size_t n = s.n < cap - 1 ? s.n : cap - 1;
  if(n) memcpy(out, s.p, n);
  out[n] = 0;
}

static struct entry *log_request(const struct req *r)
{
  struct entry *e = &entries[entry_n++ % LOG_MAX];
  struct span target = { r->path.p, r->path.n + (r->query.p ? r->query.n + 1 : 0) };
  struct span body = { r->body.p, r->body.n < RAW_BODY_MAX ? r->body.n : RAW_BODY_MAX };
  if(span_is(r->method, "POST")) {
    last_body.n = 0;
    buf_add(&last_body, r->body.p, r->body.n);
  } else {
    body.n = 0; /* an upload; its bytes are kept elsewhere */
  }
  e->us = now_us();
  copy_span(e->method, sizeof e->method, r->method);
  copy_span(e->path, sizeof e->path, target);
  copy_span(e->host, sizeof e->host, r->host);
  e->scenario[0] = e->chat[0] = 0;
  e->account = NOBODY;
  free(e->files);
  e->files = NULL;
  e->raw_at = raw_n;
  e->head_n = r->head.n;
  e->body_n = body.n;
  raw_add(r->head);
  raw_add(body);
  return e;
}

/* The next scripted name of an endpoint, split into name and parameters; these last until the next script. */
static bool script_next(enum endpoint ep, char *name, size_t name_cap, const char **args)
{
  if(scripts[ep].at >= scripts[ep].n) return false;
  const char *z = scripts[ep].entry[scripts[ep].at++], *blank = strchr(z, ' ');
  copy_span(name, name_cap, (struct span){ z, blank ? (size_t)(blank - z) : strlen(z) });
  *args = blank ? blank : "";
  return true;
}
