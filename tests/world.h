/* world.h - the whole gateway in one thread: real gate, routes, chat and HTTP client; only the upstream's bytes are scripted.
 *
 * The transport seam gives one end of a socket pair to the gateway, the world plays the upstream on the other. The pump is
 * turned by hand, so a run is the same every time and every fallible call can be made to fail once.
 * Threads: jobs of the app may open connections too; only whoever turns the world reads and answers them.
 * A case is a file (tests/cases): request, the upstream's answer piece by piece, the expected reply. */
#ifndef Q2A_TESTS_WORLD_H
#define Q2A_TESTS_WORLD_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "domain/app.h"
#include "domain/chat.h"
#include "http/routes.h"
#include "proto/json.h"
#include "t.h"

static int64_t world_stall_ms; /* how long a client may take nothing; 0: the gate's default */
enum { WORLD_PEERS = 64, WORLD_PIECES = 256 };

struct world_piece { struct str bytes; int wait_ms; bool close, reset; };

struct world_peer {
  int fd;
  char in[256 * 1024];
  size_t in_n;
  int playing;         /* next piece of the completion's answer, -1 none */
  bool vendor;         /* it is an answer of the official endpoint, below /vendor */
  int64_t at_ms;
};

struct world {
  struct app *app;
  struct desk desk;
  struct transport transport;
  pthread_mutex_t lock; /* guards which places are taken */
  struct world_peer *peers[WORLD_PEERS];
  struct world_piece pieces[WORLD_PIECES], vendor_pieces[32];
  int vendor_n, vendor_calls;
  int piece_n, completions, new_chats, stops, deletes, next_chat, signins;
  const char *task;    /* the answer to a look at a video's task */
  int looks;
  int client;          /* our end of the client's connection */
  struct strbuf reply;
  bool client_closed;
  int quiet;           /* turns without a byte */
};

static int world_open(void *ctx, const void *sa, unsigned n)
{
  struct world *w = ctx;
  int pair[2];
  (void)sa;
  (void)n;
  if(fault_hit() || socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) != 0) {
    errno = ECONNREFUSED;
    return -1;
  }
  struct world_peer *p = calloc(1, sizeof *p);
  p->fd = pair[1];
  p->playing = -1;
  pthread_mutex_lock(&w->lock);
  for(int i = 0; i < WORLD_PEERS && p; i++)
    if(!w->peers[i]) {
      w->peers[i] = p;
      p = NULL;
    }
  pthread_mutex_unlock(&w->lock);
  if(!p) return pair[0];
  free(p);
  close(pair[0]);
  close(pair[1]);
  errno = EMFILE;
  return -1;
}

static long world_read(void *ctx, int fd, void *p, size_t n)
{
  (void)ctx;
  if(fault_hit()) {
    errno = ECONNRESET;
    return -1;
  }
  return read(fd, p, n);
}

static long world_write(void *ctx, int fd, const void *p, size_t n)
{
  (void)ctx;
  if(fault_hit()) {
    errno = EPIPE;
    return -1;
  }
  return send(fd, p, n, MSG_NOSIGNAL);
}

static struct world_peer *world_peer(struct world *w, int i)
{
  pthread_mutex_lock(&w->lock);
  struct world_peer *p = w->peers[i];
  pthread_mutex_unlock(&w->lock);
  return p;
}

static void world_peer_end(struct world *w, int i)
{
  struct world_peer *p = world_peer(w, i);
  pthread_mutex_lock(&w->lock);
  w->peers[i] = NULL;
  pthread_mutex_unlock(&w->lock);
  close(p->fd);
  free(p);
}

static void world_say(struct world_peer *p, struct str s)
{
  while(s.n) {
    ssize_t n = send(p->fd, s.p, s.n, MSG_NOSIGNAL);
    if(n <= 0) return; /* a full or closed pair: the gateway has gone */
    s = str_sub(s, (size_t)n, s.n);
  }
}

static void world_json(struct world_peer *p, const char *json)
{
  char text[1024];
  int n = snprintf(text, sizeof text, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s", strlen(json), json);
  world_say(p, str_of(text, (size_t)n));
}

static int world_pieces(const struct world *w, const struct world_peer *p)
{
  return p->vendor ? w->vendor_n : w->piece_n;
}

static bool world_play(struct world *w, int i)
{
  struct world_peer *p = world_peer(w, i);
  int64_t now = now_mono_ms(&now_real);
  while(p->playing >= 0 && p->playing < world_pieces(w, p) && now >= p->at_ms) {
    struct world_piece *x = p->vendor ? &w->vendor_pieces[p->playing] : &w->pieces[p->playing];
    p->playing++;
    if(x->close || x->reset) {
      world_peer_end(w, i);
      return true;
    }
    p->at_ms = now + x->wait_ms;
    world_say(p, x->bytes);
  }
  return false;
}

/* One whole request of the gateway, answered. */
static void world_serve(struct world *w, int i)
{
  struct world_peer *p = world_peer(w, i);
  struct str in = str_of(p->in, p->in_n);
  ptrdiff_t head = str_find(in, S("\r\n\r\n"));
  if(head < 0) return;
  ptrdiff_t length = str_ifind(str_sub(in, 0, (size_t)head), S("content-length:"));
  size_t body = length < 0 ? 0 : (size_t)strtoul(in.p + length + 15, NULL, 10), whole = (size_t)head + 4 + body;
  if(p->in_n < whole) return;
  char json[200];
  if(str_starts(in, S("POST /api/v2/chats/new "))) {
    w->new_chats++;
    snprintf(json, sizeof json, "{\"success\":true,\"data\":{\"id\":\"chat-%d\"}}", ++w->next_chat);
    world_json(p, json);
  } else if(str_starts(in, S("POST /api/v2/chat/completions?chat_id=chat-"))) {
    w->completions++;
    p->vendor = false;
    p->playing = 0;
    p->at_ms = 0;
  } else if(str_starts(in, S("POST /vendor/"))) {
    w->vendor_calls++;
    p->vendor = true;
    p->playing = 0;
    p->at_ms = 0;
  } else if(str_starts(in, S("POST /api/v2/chat/completions/stop"))) {
    w->stops++;
    world_json(p, "{\"success\":true}");
  } else if(str_starts(in, S("GET /api/v2/chats/chat-"))) {
    w->looks++;
    world_json(p, "{\"success\":false,\"data\":{\"code\":\"CHAT_NOT_FOUND\",\"details\":\"gone\"}}");
  } else if(str_starts(in, S("DELETE /api/v2/chats/chat-"))) {
    w->deletes++;
    world_json(p, "{\"success\":true}");
  } else if(str_starts(in, S("POST /api/v2/auths/signin "))) {
    w->signins++;
    world_json(p, "{\"success\":true,\"data\":{\"token\":\"token-of-the-world\"}}");
  } else if(w->task && str_starts(in, S("GET /api/v1/tasks/status/"))) {
    w->looks++;
    world_json(p, w->task);
  } else {
    T_FAIL("unexpected upstream request %.80s", in.p);
    world_json(p, "{}");
  }
  memmove(p->in, p->in + whole, p->in_n - whole);
  p->in_n -= whole;
}

static void world_turn(struct world *w)
{
  pump_turn(w->app->pumps[0].pump, w->quiet < 8 ? 0 : 1); /* waits only when nothing has moved for some turns */
  w->quiet++;
  for(int i = 0; i < WORLD_PEERS; i++) {
    struct world_peer *p = world_peer(w, i);
    if(!p) continue;
    ssize_t n = read(p->fd, p->in + p->in_n, sizeof p->in - p->in_n);
    if(n == 0 || (n < 0 && errno != EAGAIN)) {
      world_peer_end(w, i);
      continue;
    }
    if(n > 0) p->in_n += (size_t)n, w->quiet = 0;
    if(p->playing < 0) world_serve(w, i);
    if(p->playing >= 0 && !world_play(w, i) && p->playing >= world_pieces(w, p)) p->playing = -1;
  }
  if(w->client >= 0) {
    if(w->reply.cap - w->reply.n < 64 * 1024) { /* not by the builder: the test itself must not meet the fault */
      w->reply.cap = w->reply.cap * 2 + 256 * 1024;
      w->reply.p = realloc(w->reply.p, w->reply.cap);
    }
    ssize_t n = read(w->client, w->reply.p + w->reply.n, 64 * 1024);
    if(n > 0) w->reply.n += (size_t)n, w->quiet = 0;
    if(n == 0 || (n < 0 && errno != EAGAIN)) w->client_closed = true;
  }
}

static void world_request(void *ctx, struct client *c)
{
  struct world *w = ctx;
  desk_serve(&w->desk, c, false);
}

static void world_reject(void *ctx, const struct q_error *e, struct strbuf *out)
{
  desk_reject(&((struct world *)ctx)->desk, e, out);
}

/* more: further settings as NAME=value, NULL at the end. false: out of memory (a fault). */
static bool world_begin(struct world *w, char **more)
{
  char *env[32] = { "API_KEY=sk-world-0123456789,sk-user-0123456789", "DATA_SAVE_MODE=none", "QWEN_CHAT_PROXY_URL=http://127.0.0.1:9", "PM2_INSTANCES=1",
                    "ACCOUNTS=one@example.org:pw,two@example.org:pw", "CHAT_STOCK=0", "CHAT_RETRY_BACKOFF_MS=1", "LOG_LEVEL=ERROR" };
  int n = 8, code;
  while(more && *more && n < 31) env[n++] = *more++;
  struct strbuf errors = STRBUF(65536), warnings = STRBUF(65536);
  struct config_input in = { .envp = env, .file = "/dev/null" };
  struct q_error e = Q_ERROR_NONE;
  *w = (struct world){ .client = -1, .lock = PTHREAD_MUTEX_INITIALIZER, .reply = STRBUF(64 * 1024 * 1024) };
  w->transport = (struct transport){ world_open, world_read, world_write, w };
  struct config *c = config_load(&in, &errors, &warnings);
  if(errors.n) printf("%.*s", (int)errors.n, errors.p);
  strbuf_free(&errors);
  strbuf_free(&warnings);
  if(!c) return false;
  struct app_parts parts = { .transport = &w->transport };
  struct gate_config gate = { .now = &now_real, .body_max = 8 << 20, .bodies_sum_max = 32 << 20, .max_connections = 100, .stall_ms = world_stall_ms,
                              .on_request = world_request, .on_reject = world_reject, .ctx = w };
  if(app_new(&w->app, c, NULL, &parts, &gate, &e, &code)) return false;
  w->desk.app = w->app;
  w->desk.auth = auth_new();
  return w->desk.auth != NULL;
}

static void world_sign_one(void *ctx, struct account *a)
{
  struct secret *token = secret_new(S("token-of-the-world"));
  (void)ctx;
  if(token) account_set_token(a, token, 0, NULL);
  secret_unref(token);
}

static void __attribute__((unused)) world_sign_in(struct world *w)
{
  pool_each(w->app->pool, world_sign_one, NULL);
}

static void world_end(struct world *w)
{
  if(w->client >= 0) close(w->client);
  app_destroy(w->app);
  auth_destroy(w->desk.auth);
  for(int i = 0; i < WORLD_PEERS; i++)
    if(w->peers[i]) world_peer_end(w, i);
  free(w->reply.p);
}

static void world_connect(struct world *w)
{
  int pair[2];
  CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) == 0);
  w->client = pair[1];
  w->client_closed = false;
  strbuf_clear(&w->reply);
  if(gate_take(w->app->pumps[0].gate, pair[0])) {
    close(pair[0]);
    w->client_closed = true;
  }
}

static bool world_reply_done(const struct world *w)
{
  struct str r = strbuf_str(&w->reply);
  ptrdiff_t head = str_find(r, S("\r\n\r\n"));
  if(head < 0) return false;
  struct str body = str_sub(r, (size_t)head + 4, r.n);
  ptrdiff_t length = str_ifind(str_sub(r, 0, (size_t)head), S("content-length: "));
  if(length >= 0) return body.n >= strtoul(r.p + length + 16, NULL, 10);
  return str_ends(body, S("0\r\n\r\n"));
}

/* Sends one chat request and turns the world until the reply is complete or the connection has ended. */
static void world_post(struct world *w, const char *path, struct str json)
{
  char head[256];
  int n = snprintf(head, sizeof head, "POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer sk-world-0123456789\r\nContent-Length: %zu\r\n\r\n", path, json.n);
  int64_t end = now_mono_ms(&now_real) + 10000;
  world_connect(w);
  if(send(w->client, head, (size_t)n, MSG_NOSIGNAL) < 0 || send(w->client, json.p, json.n, MSG_NOSIGNAL) < 0) w->client_closed = true;
  while(!w->client_closed && !world_reply_done(w) && now_mono_ms(&now_real) < end) world_turn(w);
  CHECK(now_mono_ms(&now_real) < end);
  for(int i = 0; i < 5; i++) world_turn(w); /* stops, deletions, burials */
}

static void __attribute__((unused)) world_chat(struct world *w, struct str json)
{
  world_post(w, "/v1/chat/completions", json);
}

/* What a client makes of the reply. */
struct world_said { int status; struct strbuf text, think, calls; char finish[24], code[64]; bool whole; };

static void world_chunk(struct world_said *s, const struct json *root)
{
  struct str code = json_str(json_path(root, "error.code"));
  if(code.n) str_copy(s->code, sizeof s->code, code);
  const struct json *choice = json_path(root, "choices.0");
  const struct json *from = json_get(choice, "delta") ? json_get(choice, "delta") : json_get(choice, "message");
  strbuf_adds(&s->text, json_str(json_get(from, "content")));
  strbuf_adds(&s->think, json_str(json_get(from, "reasoning_content")));
  for json_each(call, json_get(from, "tool_calls")) { /* name and arguments, one behind the other */
    strbuf_adds(&s->calls, json_str(json_path(call, "function.name")));
    strbuf_adds(&s->calls, json_str(json_path(call, "function.arguments")));
  }
  struct str finish = json_str(json_get(choice, "finish_reason"));
  if(finish.n) str_copy(s->finish, sizeof s->finish, finish);
}

static void __attribute__((unused)) world_listen(const struct world *w, struct world_said *s)
{
  struct str r = strbuf_str(&w->reply), line;
  struct arena a = ARENA(64 << 20);
  *s = (struct world_said){ .text = STRBUF(32 << 20), .think = STRBUF(32 << 20), .calls = STRBUF(1 << 20) };
  ptrdiff_t head = str_find(r, S("\r\n\r\n"));
  if(r.n < 12 || head < 0) return;
  s->status = atoi(r.p + 9);
  struct str body = str_sub(r, (size_t)head + 4, r.n), piece;
  if(str_ifind(str_sub(r, 0, (size_t)head), S("transfer-encoding: chunked")) >= 0) {
    struct http1_chunk k = { 0 };
    struct strbuf plain = STRBUF(64 << 20);
    enum q_status st;
    while((st = http1_chunk_next(&k, &body, &piece)) == Q_OK) strbuf_adds(&plain, piece);
    s->whole = st == Q_EOF;
    struct str rest = strbuf_str(&plain);
    bool done = false;
    while(rest.n) {
      line = str_cut(&rest, '\n');
      if(!str_starts(line, S("data: "))) continue;
      line = str_sub(line, 6, line.n);
      if(str_eq(line, S("[DONE]"))) done = true;
      else world_chunk(s, json_parse(&a, line, 64, NULL));
    }
    s->whole &= done;
    strbuf_free(&plain);
  } else {
    const struct json *root = json_parse(&a, body, 64, NULL);
    s->whole = root != NULL;
    world_chunk(s, root);
  }
  arena_free(&a);
}

static void __attribute__((unused)) world_said_free(struct world_said *s)
{
  strbuf_free(&s->text);
  strbuf_free(&s->think);
  strbuf_free(&s->calls);
}

/* ---- cases ---- */

struct world_case { struct arena arena; struct str request, reply; char *env[16]; };

static bool __attribute__((unused)) world_case_read(struct world *w, struct world_case *k, const char *path)
{
  struct strbuf file = STRBUF(4 << 20);
  int fd = open(path, O_RDONLY | O_CLOEXEC), env_n = 0;
  *k = (struct world_case){ .arena = ARENA(64 << 20) };
  if(fd < 0) return false;
  for(;;) {
    char *room = strbuf_room(&file, 65536);
    ssize_t n = room ? read(fd, room, 65536) : 0;
    if(n <= 0) break;
    file.n += (size_t)n;
  }
  close(fd);
  struct str all = arena_str(&k->arena, strbuf_str(&file)), section = STR_NONE;
  strbuf_free(&file);
  w->piece_n = 0;
  while(all.n) {
    struct str line = str_cut(&all, '\n');
    if(str_starts(line, S("--- "))) {
      section = str_sub(line, 4, line.n);
      continue;
    }
    if(!line.n || line.p[0] == '#') continue;
    if(str_eq(section, S("request"))) k->request = line;
    if(str_eq(section, S("reply"))) k->reply = line;
    if(str_eq(section, S("env")) && env_n < 15) k->env[env_n++] = (char *)arena_str(&k->arena, line).p;
    if(!str_eq(section, S("upstream")) || w->piece_n == WORLD_PIECES) continue;
    struct world_piece *x = &w->pieces[w->piece_n];
    if(line.p[0] == '"') {
      *x = (struct world_piece){ .bytes = json_str(json_parse(&k->arena, line, 4, NULL)) };
      w->piece_n++;
    } else if(str_starts(line, S("wait "))) {
      if(w->piece_n) w->pieces[w->piece_n - 1].wait_ms = atoi(line.p + 5);
    } else {
      *x = (struct world_piece){ .close = str_eq(line, S("close")), .reset = str_eq(line, S("reset")) };
      w->piece_n++;
    }
  }
  return k->request.n && k->reply.n;
}

#endif
