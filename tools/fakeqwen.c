/* fakeqwen.c - a strict, fast stand-in for the upstream: sign-in, tokens, models, chats and completions, pictures, videos,
 * uploads, results, OAuth and the two OpenAI-compatible APIs, over TLS and plain HTTP. It serves the tests, the demo and the
 * benchmark, and shares no parser with the gateway: a mistake made twice would cancel out. One thread, one epoll, loopback
 * only; SIGTERM ends it at once. The parts, in the order in which they build on each other, lie in tools/fake/ and are
 * included below.
 *
 *   fakeqwen [--port P] [--plain] [--plain-port Q] [--cert PEM --key PEM] [--accounts N] [--port-file FILE]
 *            [--cpu N] [--rate EVENTS_PER_S] [--pace-ms N]
 *
 * --port speaks TLS, with --plain HTTP; --plain-port speaks HTTP beside it. Port 0 picks one; the port file gets
 * "<port> <plain port>", -1 for none. --rate is the pace of streams that name none, --pace-ms the step of the timed
 * scenarios (200). The certificate is one for all names; the key is EC or RSA.
 *
 * HOSTS are told apart by name: chat.qwen.ai, auth.qwen.ai, cdn.qwenlm.ai (results), the bucket
 *   qwen-webui-prod.oss-accelerate.aliyuncs.com (and .oss-ap-southeast-1.), portal.qwen.ai, dashscope.aliyuncs.com (and
 *   dashscope-intl.). A name without a dot and an address are all of them at once. Any other name, as img.example.test, is
 *   a site of the world, where clients keep their pictures.
 * ACCOUNTS: ok@example.org, second@example.org, limited@example.org (media quota used up), all "correct horse";
 *   colon@example.org "pa:ss@word#1"; bad@example.org (always 401); challenge@example.org (HTML); with --accounts N
 *   also user<i>@example.org, password pw-<i>, i from 0 to N. Tokens are JWT, HS256 with the key "fake". Two are
 *   fixed and belong to ok@: one good until 2100, one that ended in 2001.
 * MODELS: qwen3.7-plus (hybrid, search, pictures, videos), qwen3-max, qwen3.7-max (text, no thinking), qwen3-vl-plus
 *   (vision), qwen3-coder-plus (text), bare-model, gone-model (inactive), qwen-max-latest (not listed, but served).
 *
 * SCENARIOS of completions. One is taken from the script queue first, then from the model's "#name", then from the last
 *   "[[scenario:name key=value ...]]" in the prompt; values hold no blanks. Else it is "normal": "Hello, 世界! This is the
 *   fake upstream." in five deltas; in a chat of type t2i, image_edit or t2v it is image, image_edit or video.
 *   Plain text: normal echo thinking thinking_detail think_only search search_old unknown_phase finish_then_more repeat
 *     cumulative two_ids late_usage no_usage, say (b64= the text, step= bytes a delta (16), ms= between them, think_b64=
 *     think_step= thoughts before it, end=0 no finish; when= and then= in base64: once the prompt holds the former, the
 *     latter is said)
 *   Tools: tool_text tool_text_fenced tool_text_two tool_text_broken tool_text_think (name= args= tag=), native_call
 *     (name= args= phase= object=1), tool_missing ("Tool x does not exist."; name= more=1)
 *   Framing: crlf no_space no_final_blank with_done multi_line malformed split1 split7 split_crlf split_char_delta gzip
 *     gzip_bad huge too_huge deep (n=)
 *   Faults: slow (s= ms= quiet=1), stall (created, then silence), stall_head (only the head), stall_midway, drop (three
 *     deltas, reset), drop_clean, drop_early (no answer), empty, created_only, err_in_stream, err_midway, fail_in_sse
 *     (after=), moderation (after= ms=), expired (once), in_progress (twice)
 *   Pictures: image (n= list=1 phase= ms=), image_two, image_edit, image_foreign (evil.example.test), image_captcha,
 *     image_tool (n= file=1 ms=), image_inline (within a text), image_markdown, image_none (chat detail has it after
 *     polls= (3) looks), image_refusal, image_text. All: host=, u= (the folder, see cdn), url= (base64, replaces it)
 *   Videos: video (JSON with a task; polls= (3), where=messages|output|data|flat|flat_output|camel|result, shape=v2,
 *     wait= and word= the words of its states), video_fail (why= in base64), video_sse. host=, u=, url= as above.
 *   Every scenario takes drop_after=, fin_after= or hold_after=: so many events, then a reset, an end without the last
 *     chunk, or silence; with full=1 chat detail tells the whole answer, else as much as was sent.
 *   No streams (table `fixed`): 401 403 403_banned 413 429 429_retry_after 500 502_html 503 504_html quota (RateLimited
 *     with num) quota_flat quota_allocated rate_limited parallel internal too_long not_found no_model validation junk
 *     no_token html html_200 html_405 html_as_sse punish oss_expired oss_key oss_signature oss_503 json_answer. These, and
 *     "slow ms=", stall, stall_head, drop, drop_early and expired, can be scripted for every endpoint.
 *   For the load generator: "stream n= ms= size= seed=" sends n deltas, one each ms (0: as fast as it is read). Delta i
 *     is "<seed>.<i> ", padded with the letter 'a' + (seed + i) % 26 to size bytes. "stamp n= ms=" sends
 *     "t=<microseconds of CLOCK_MONOTONIC when sent> ".
 *
 * CHECKED of a completion: chat and account, one user message, seconds as timestamps, stream (true; t2v may say false),
 *   the kind of turn in all its places and that of pictures and videos against the chat's, size (a ratio), no thinking
 *   for pictures, and each file: uploaded by this account, documents parsed, members consistent, or a result of the cdn.
 * RESULTS: https://cdn.qwenlm.ai/output/<folder>/... wants a key in its query and gives a 1x1 PNG or a tiny MP4 by the name's
 *   ending; HEAD and Range work. SITES: /cat.png /cat.gif /clip.mp4 /sound.wav /doc.pdf /note.txt, or any name so ending.
 *   As a site's path, or as a folder of the cdn: html, mislabel (HTML as image/png), octet (no type), empty, notfound, 403,
 *   500, big or big.bin (n= (64 MiB) type= chunked=1; byte i is 'a' + i % 26), short (n= of twice as many), drop (half, then
 *   a reset), hang, hang_body, drip (a byte each ms= (50)), slow (ms= (1000)), redirect (to= status=), evil (to
 *   evil.example.test), loop, nolength (ends with the connection), gzip.
 * OAUTH: device/code, authorize (by a web token), token: PKCE checked, a code good once, refresh tokens rotate. Of ok@ from the
 *   start: cli-access-of-ok, cli-access-stale, cli-refresh-of-ok.
 * PORTAL /v1/chat/completions wants such an access token and one system message, first, a part array; models coder-model,
 *   vision-model, qwen3-coder-plus, qwen3-coder-flash, qwen3-vl-plus. DASHSCOPE /compatible-mode/v1/{chat/completions,models,
 *   embeddings} wants the key sk-fake-dashscope or sk-fake-second (sk-fake-unpaid: Arrearage); qwen-plus, qwen-max,
 *   qwen-turbo, qwen3-max, qwen3.7-plus, qwen3-coder-plus, qwen3-32b (no thinking unless streamed), qwen-vl-plus,
 *   text-embedding-v3 and -v4 (element i of a text of n bytes is ((n * 31 + i * 7) % 2000 - 1000) / 1000).
 *   Their scenarios, chosen as those of completions ("portal" and "dashscope" are the queues): normal echo thinking (also
 *   by enable_thinking) say (b64= think_b64= step= ms= when= then=) tool_call (name= args= n= step= b64=) length empty
 *   no_role no_done no_finish no_usage usage_always err_midway slow (ms= quiet=1) stall stall_midway drop drop_clean;
 *   drop_after= and its like; table `oa_fixed`: 401 insufficient_quota insufficient_quota_403 rate throttling 429_empty
 *   429_retry_after invalid inspection arrearage too_long denied unpurchased no_model timeout 413 500 503; table `fixed`.
 *   Usage comes when stream_options asks for it.
 * UPLOADS: getstsToken v2 (enveloped) and v1 (flat); PUT to the bucket with signature V4 or V1, recomputed, 403 with both
 *   strings when it differs; files/parse and files/parse/status (running parse_polls times, then parse_word).
 *
 * CONTROL, on every port:
 *   GET  /__stats    counters; "bad" counts faults of the caller, "leaks" web tokens and cookies shown to other hosts,
 *                    "polls_early" OAuth polls before their time, "accounts" the parallel turns of those that had any
 *   GET  /__log      [?n=&heads=1&bodies=1] the last requests: t_ms, host, method, path, email, chat_id, scenario;
 *                    completions also have files: url, name, type, showType, file_class, file_type, id, status as sent,
 *                    file_id and bytes of the upload, part (it was a content part)
 *   GET  /__body     the body of the last POST, whole (the log keeps 64 KiB of each)
 *   GET  /__files    the uploads: id, email, kind, name, path, content_type, declared, size, put, puts, signature,
 *                    sha256, parses, polls, parsed. The bytes: GET of the file's URL
 *   POST /__sign     {"version":"V4","secret","bucket","region","path","type","date","token"}: the signature and its strings
 *   POST /__reset    counters, log, scripts, switches, files and chats as at the start; tokens stay good
 *   POST /__script   {"completions":["429","slow ms=500"],"signin":[..]}: one per request; keys as in /__stats: signin
 *                    exchange auths models chats_new chats_list chat_detail deletes completions stops sts put file
 *                    parse parse_status tasks cdn media device authorize token portal dashscope api_models embeddings
 *   POST /__switch   signin_v1, signin_v2, sts_v1, sts_v2, parse (200, 404), auth_status (200, 401), new_ms, signin_ms
 *                    (delays), exchange (true: only access tokens of 900 s are good), gzip (true: JSON comes packed),
 *                    filesize (any, string, number), filetype (file, document: what a document is called), endpoint
 *                    (plain, https, bucket, missing), sts_life_s (3600), parse_polls (2), parse_word (success; ""
 *                    sends no status), parse_by_id (true: an object), detail_plain (true: no content_list),
 *                    oauth_interval (1 s; 0: not told), oauth_pending (0: so many polls after the approval), oauth_slow
 *                    (true: one slow_down first), oauth_life_s (900), oauth_expires_s (21600), oauth_keep (true: no new
 *                    refresh token), resource_url ("portal.qwen.ai"; "": not told), withdrawn (true: as since April 2026)
 *   POST /__revoke   all web tokens die; {"kind":"access"}: access tokens only; "cli": CLI access tokens; "cli_all" */
#include <arpa/inet.h>
#include <bearssl.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

#define NELEM(a) (sizeof(a) / sizeof *(a))

#include "fake/json.c"
#include "fake/http.c"
#include "fake/world.c"
#include "fake/conn.c"
#include "fake/answer.c"
#include "fake/scenarios.c"
#include "fake/files.c"
#include "fake/chat.c"
#include "fake/sites.c"
#include "fake/oauth.c"
#include "fake/openai.c"
#include "fake/control.c"

/* ---------- requests ---------- */

enum { HOST_CHAT = 1, HOST_AUTH = 2, HOST_BUCKET = 4, HOST_CDN = 8, HOST_MEDIA = 16, HOST_PORTAL = 32, HOST_API = 64 };
enum { FREE, GUEST, KEPT }; /* who may call: anyone, anyone without a bad token, accounts */

static const struct route {
  const char *method, *path;
  bool below; /* a prefix */
  enum endpoint ep;
  int hosts, who;
  void (*serve)(struct conn *c, const struct req *r, int who, struct entry *log);
} routes[] = {
  { "POST", "/api/v2/chat/completions", false, EP_COMPLETIONS, HOST_CHAT, KEPT, h_completions },
  { "POST", "/api/v2/chats/new", false, EP_NEW, HOST_CHAT, KEPT, h_new },
  { "POST", "/api/v2/chat/completions/stop", false, EP_STOP, HOST_CHAT, KEPT, h_stop },
  { "DELETE", "/api/v2/chats/", true, EP_DELETE, HOST_CHAT, KEPT, h_delete },
  { "POST", "/api/v1/auths/signin", false, EP_SIGNIN, HOST_CHAT, FREE, h_signin_v1 },
  { "POST", "/api/v2/auths/signin", false, EP_SIGNIN, HOST_CHAT, FREE, h_signin_v2 },
  { "GET", "/api/v2/auths/refresh", false, EP_EXCHANGE, HOST_AUTH, FREE, h_exchange },
  { "GET", "/api/v1/auths/", false, EP_AUTHS, HOST_CHAT, KEPT, h_user_v1 },
  { "GET", "/api/v2/auths/", false, EP_AUTHS, HOST_AUTH, KEPT, h_user_v2 },
  { "GET", "/api/v2/user/info", false, EP_AUTHS, HOST_CHAT, KEPT, h_user_v2 },
  { "GET", "/api/models", false, EP_MODELS, HOST_CHAT, GUEST, h_models_v1 },
  { "GET", "/api/v2/models/", false, EP_MODELS, HOST_CHAT, GUEST, h_models_v2 },
  { "GET", "/api/v2/models", false, EP_MODELS, HOST_CHAT, GUEST, h_models_v2 },
  { "GET", "/api/v2/chats/", false, EP_LIST, HOST_CHAT, KEPT, h_list },
  { "GET", "/api/v2/chats/", true, EP_DETAIL, HOST_CHAT, KEPT, h_detail },
  { "POST", "/api/v1/files/getstsToken", false, EP_STS, HOST_CHAT, KEPT, h_sts_v1 },
  { "POST", "/api/v2/files/getstsToken", false, EP_STS, HOST_CHAT, KEPT, h_sts_v2 },
  { "POST", "/api/v2/files/parse", false, EP_PARSE, HOST_CHAT, KEPT, h_parse },
  { "POST", "/api/v2/files/parse/status", false, EP_PARSE_STATUS, HOST_CHAT, KEPT, h_parse_status },
  { "GET", "/api/v1/tasks/status/", true, EP_TASK, HOST_CHAT, KEPT, h_task },
  { "GET", "/api/v2/chat/", true, EP_FILE, HOST_CHAT, KEPT, h_chat_file },
  { "POST", "/api/v1/oauth2/device/code", false, EP_DEVICE, HOST_CHAT, FREE, h_device },
  { "POST", "/api/v2/oauth2/authorize", false, EP_AUTHORIZE, HOST_CHAT, KEPT, h_authorize },
  { "POST", "/api/v1/oauth2/token", false, EP_TOKEN, HOST_CHAT, FREE, h_token },
  { "POST", "/v1/chat/completions", false, EP_PORTAL, HOST_PORTAL, FREE, h_portal },
  { "POST", "/compatible-mode/v1/chat/completions", false, EP_DASHSCOPE, HOST_API, FREE, h_dashscope },
  { "GET", "/compatible-mode/v1/models", false, EP_API_MODELS, HOST_API, FREE, h_api_models },
  { "POST", "/compatible-mode/v1/embeddings", false, EP_EMBEDDINGS, HOST_API, FREE, h_embeddings },
  { "GET", "/output/", true, EP_CDN, HOST_CDN, FREE, h_cdn },
  { "HEAD", "/output/", true, EP_CDN, HOST_CDN, FREE, h_cdn },
  { "PUT", "/", true, EP_PUT, HOST_BUCKET, FREE, h_put },
  { "GET", "/00000000-0000-4000-8000-", true, EP_FILE, HOST_BUCKET, FREE, h_file },
  { "GET", "/", true, EP_MEDIA, HOST_MEDIA, FREE, h_media },
  { "HEAD", "/", true, EP_MEDIA, HOST_MEDIA, FREE, h_media },
};

/* Which of the upstream's hosts a name is. A name without a dot, or an address, may be all of them; any other is a
 * site of the world, where clients keep their pictures. */
static int host_kind(struct span h)
{
  static const struct {
    const char *name;
    int kind;
  } names[] = { { "chat.qwen.ai", HOST_CHAT },
                { "auth.qwen.ai", HOST_AUTH },
                { "cdn.qwenlm.ai", HOST_CDN },
                { "qwen-webui-prod.oss-accelerate.aliyuncs.com", HOST_BUCKET },
                { "qwen-webui-prod.oss-ap-southeast-1.aliyuncs.com", HOST_BUCKET },
                { "portal.qwen.ai", HOST_PORTAL },
                { "dashscope.aliyuncs.com", HOST_API },
                { "dashscope-intl.aliyuncs.com", HOST_API } };
  const char *colon = memchr(h.p, ':', h.n);
  if(colon) h.n = (size_t)(colon - h.p);
  for(size_t i = 0; i < NELEM(names); i++)
    if(same_word(h, names[i].name)) return names[i].kind;
  bool letters = false;
  for(size_t i = 0; i < h.n; i++) letters = letters || (h.p[i] | 32) >= 'a';
  if(letters && memchr(h.p, '.', h.n) && h.p[0] != '[') return HOST_MEDIA;
  return HOST_CHAT | HOST_AUTH | HOST_BUCKET | HOST_CDN | HOST_MEDIA | HOST_PORTAL | HOST_API;
}

static const char *body_fault(const struct req *r, bool form)
{
  struct span media = r->type;
  const char *semi = media.n ? memchr(media.p, ';', media.n) : NULL;
  if(semi) media.n = (size_t)(semi - media.p);
  if(form) return same_word(media, "application/x-www-form-urlencoded") ? NULL : "the content type is application/x-www-form-urlencoded";
  if(!same_word(media, JSON)) return "the content type of a POST is application/json";
  if(!js_read(r->body)) return "the body is no JSON in UTF-8";
  return js_kind_is(0, JS_OBJECT) ? NULL : "the body is no object";
}

/* A web token or cookie has no business with any other host than the chat's and its sign-in. */
static bool leaks(const struct req *r, const struct route *to)
{
  if(to->hosts & (HOST_CHAT | HOST_AUTH)) return false;
  struct span t = bearer_of(r);
  struct token *k = token_find(t);
  bool api = to->hosts & (HOST_PORTAL | HOST_API);
  return r->cookie.n || (k && (k->kind < TOKEN_CLI || to->hosts == HOST_API)) || (t.n && !api);
}

static void serve(struct conn *c, const struct req *r)
{
  if(span_starts(r->path, "/__")) {
    control(r);
    return;
  }
  stat_.requests++;
  struct entry *log = log_request(r);
  bool post = span_is(r->method, "POST");
  head_only = span_is(r->method, "HEAD");
  const struct route *to = NULL;
  int host = host_kind(r->host);
  for(size_t i = 0; i < NELEM(routes) && !to; i++)
    if((routes[i].hosts & host) && span_is(r->method, routes[i].method) &&
       (routes[i].hosts != HOST_MEDIA || host == HOST_MEDIA || media_known(r->path)) &&
       (routes[i].below ? span_starts(r->path, routes[i].path) : span_is(r->path, routes[i].path))) to = &routes[i];
  const char *why = post ? body_fault(r, to && (to->ep == EP_DEVICE || to->ep == EP_TOKEN)) : NULL;
  if(why) {
    stat_.bad++;
    reply_json(422, "{\"detail\":\"%s\"}", why);
    return;
  }
  stat_.by[to ? to->ep : EP_OTHER]++;
  if(!to) {
    reply_json(404, "{\"detail\":\"Not Found\"}");
    return;
  }
  if(leaks(r, to)) stat_.leaks++;
  int who = to->who == FREE ? NOBODY : authorized(r);
  if(who == NOBODY && (to->who == KEPT || (to->who == GUEST && (r->auth.n || cookie_value(r->cookie, "token").n)))) {
    reply_unauthorized();
    return;
  }
  log->account = who;
  char name[48] = "";
  const char *args = "";
  size_t from = wire.n;
  int later = 0;
  bool late = to->ep == EP_COMPLETIONS || to->ep == EP_PORTAL || to->ep == EP_DASHSCOPE; /* scripts of theirs come after the checks */
  if(!late && script_next(to->ep, name, sizeof name, &args)) {
    memcpy(log->scenario, name, sizeof log->scenario);
    if(strcmp(name, "expired") == 0 && caller) {
      caller->dead = true;
      reply_unauthorized();
      return;
    }
    if(strcmp(name, "slow") == 0) later = (int)param(args, "ms", 5 * pace_ms);
    else if(reply_fixed(c, name)) return;
  }
  if(to->ep == EP_SIGNIN && set.signin_ms > later) later = set.signin_ms;
  to->serve(c, r, who, log);
  turn_later(c, from, later);
}

/* Serves one request if all of it is there. Returns the bytes used, 0: more is needed. */
static size_t serve_one(struct conn *c, const char *p, size_t n)
{
  static struct buf body;
  const char *end = memmem(p, n < HEAD_MAX ? n : HEAD_MAX, "\r\n\r\n", 4), *why = NULL;
  struct req r = { .length = -1 };
  size_t used = 0;
  if(!end && n < HEAD_MAX) return 0;
  if(end) {
    r.head = (struct span){ p, (size_t)(end + 4 - p) };
    why = head_read(&r);
    if(!why && r.length > BODY_MAX) why = "the body is too long";
  } else {
    why = "the head is too long";
  }
  if(!why && r.chunked) {
    int64_t k = chunks_read(end + 4, p + n, &body);
    if(k < 0) why = "bad chunks";
    if(k > 0) used = r.head.n + (size_t)k;
    r.body = (struct span){ body.p, body.n };
  } else if(!why) {
    size_t whole = r.head.n + (size_t)(r.length > 0 ? r.length : 0);
    if(n < whole) c->need = whole;
    else used = whole;
    r.body = (struct span){ end + 4, whole - r.head.n };
  }
  if(why) {
    stat_.bad++;
    reply_json(400, "{\"detail\":\"%s\"}", why);
    c->close_after = true;
    return n;
  }
  if(!used) {
    if(r.expect && n == r.head.n) buf_text(&wire, "HTTP/1.1 100 Continue\r\n\r\n");
    return 0;
  }
  c->need = 0;
  if(r.close) c->close_after = true;
  caller = NULL;
  serve(c, &r);
  buf_shrink(&body);
  return used;
}

/* Serves what can be served of `from`, keeps the rest. A request waits while an answer is under way. */
static void conn_input(struct conn *c, struct buf *from)
{
  size_t used = 0;
  while(!c->dead && !c->closing && !c->close_after && c->turn == TURN_NONE && used < from->n &&
        from->n - used >= c->need) {
    size_t k = serve_one(c, from->p + used, from->n - used);
    if(!k) break;
    used += k;
  }
  conn_write(c, wire.p, wire.n);
  wire.n = 0;
  buf_shrink(&wire);
  if(!c->dead && c->close_after && c->turn == TURN_NONE) conn_close(c);
  if(c->dead || c->closing) {
    from->n = 0;
  } else if(from == &c->in) {
    buf_cut(from, used);
    buf_shrink(from);
  } else {
    buf_add(&c->in, from->p + used, from->n - used);
    from->n = 0;
  }
  if(!c->dead && c->turn != TURN_NONE && c->in.n > IN_BEHIND_MAX) conn_drop(c, false);
}

/* Reads until the socket has no more; `all`: also what a short read leaves, for a peer that has closed. */
static void conn_read(struct conn *c, bool all)
{
  static char cipher[65536];
  for(;;) {
    struct buf *to = c->in.n ? &c->in : &rx;
    size_t want = c->tls ? sizeof cipher : to == &rx ? RX_SIZE : 65536;
    char *at = c->tls ? cipher : buf_room(to, want);
    ssize_t n = recv(c->fd, at, want, 0);
    if(n < 0 && errno == EINTR) continue;
    if(n < 0 && errno == EAGAIN) return;
    if(n <= 0) {
      conn_drop(c, false);
      return;
    }
    if(c->tls) {
      struct buf *source = NULL;
      if(c->cipher.n) {
        buf_add(&c->cipher, cipher, (size_t)n);
        source = &c->cipher;
      }
      size_t used = tls_feed(c, source ? source->p : cipher, source ? source->n : (size_t)n, to);
      if(c->dead) {
        rx.n = 0;
        return;
      }
      tls_count(c->tls);
      if(source) buf_cut(source, used);
      else if(used < (size_t)n) buf_add(&c->cipher, cipher + used, (size_t)n - used);
    } else {
      to->n += (size_t)n;
    }
    if(c->closing) to->n = 0;
    else if(to->n) conn_input(c, to);
    if(c->dead) return;
    if(c->tls && br_ssl_engine_current_state(&c->tls->sc.eng) == BR_SSL_CLOSED) {
      conn_drop(c, false);
      return;
    }
    if((size_t)n < want && !all) return;
  }
}

static void conn_timer(struct conn *c)
{
  if(c->closing) {
    conn_drop(c, false);
    return;
  }
  undue(c);
  if(c->turn == TURN_STREAM || c->turn == TURN_FILL) {
    if(c->turn == TURN_FILL) fill_go(c);
    else stream_go(c);
    conn_write(c, wire.p, wire.n);
    wire.n = 0;
  } else if(c->turn == TURN_STEPS) {
    turn_step(c);
  }
  if(c->dead || c->closing || c->turn != TURN_NONE) return;
  if(c->close_after) conn_close(c);
  else if(c->in.n) conn_input(c, &c->in);
}

static void conn_new(int listener, bool tls)
{
  for(int i = 0; i < 64; i++) {
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if(fd < 0) return;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
    struct conn *c = spare;
    if(c) spare = c->next;
    else c = must(calloc(1, sizeof *c));
    c->fd = fd;
    c->chat = NOBODY;
    c->next = NULL;
    c->tls = tls ? tls_new() : NULL;
    open_n++;
    struct epoll_event e = { .events = EPOLLIN | EPOLLOUT | EPOLLET | EPOLLRDHUP, .data.ptr = c };
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &e);
  }
}

/* ---------- start ---------- */

static int listen_on(int *port)
{
  struct sockaddr_in a = { .sin_family = AF_INET,
                           .sin_port = htons((uint16_t)*port),
                           .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
  socklen_t n = sizeof a;
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if(fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int)) ||
     bind(fd, (struct sockaddr *)&a, sizeof a) || listen(fd, 8192) || getsockname(fd, (struct sockaddr *)&a, &n)) {
    fprintf(stderr, "fakeqwen: cannot listen on port %d: %s\n", *port, strerror(errno));
    exit(69);
  }
  *port = ntohs(a.sin_port);
  return fd;
}

static void pem_take(void *ctx, const void *p, size_t n)
{
  buf_add(ctx, p, n);
}

static void pem_read(const char *path, bool key)
{
  br_pem_decoder_context pem;
  char text[4096];
  struct buf der = { NULL, 0, 0 };
  size_t n;
  bool wanted = false;
  FILE *f = fopen(path, "rb");
  if(!f) {
    fprintf(stderr, "fakeqwen: cannot read %s\n", path);
    exit(1);
  }
  br_pem_decoder_init(&pem);
  while((n = fread(text, 1, sizeof text, f)) > 0)
    for(size_t at = 0; at < n;) {
      at += br_pem_decoder_push(&pem, text + at, n - at);
      int e = br_pem_decoder_event(&pem);
      if(e == BR_PEM_BEGIN_OBJ) {
        const char *name = br_pem_decoder_name(&pem);
        wanted = key ? strstr(name, "PRIVATE KEY") != NULL : strcmp(name, "CERTIFICATE") == 0;
        der.n = 0;
        br_pem_decoder_setdest(&pem, pem_take, &der);
      } else if(e == BR_PEM_END_OBJ && wanted && key) {
        br_skey_decoder_init(&skey);
        br_skey_decoder_push(&skey, der.p, der.n);
      } else if(e == BR_PEM_END_OBJ && wanted) {
        chain = must(realloc(chain, (chain_n + 1) * sizeof *chain));
        unsigned char *copy = must(malloc(der.n));
        memcpy(copy, der.p, der.n);
        chain[chain_n++] = (br_x509_certificate){ copy, der.n };
      }
    }
  fclose(f);
  free(der.p);
  if(key ? br_skey_decoder_last_error(&skey) != 0 : chain_n == 0) {
    fprintf(stderr, "fakeqwen: nothing of use in %s\n", path);
    exit(1);
  }
}

struct options {
  int port, plain_port, accounts, cpu, rate, pace;
  bool plain;
  const char *cert, *key, *port_file;
};

static void options_read(struct options *o, int argc, char **argv)
{
  const struct { const char *name; int *number; const char **text; } known[] = {
    { "--port", &o->port, NULL }, { "--plain-port", &o->plain_port, NULL }, { "--accounts", &o->accounts, NULL },
    { "--cpu", &o->cpu, NULL }, { "--rate", &o->rate, NULL }, { "--pace-ms", &o->pace, NULL },
    { "--cert", NULL, &o->cert }, { "--key", NULL, &o->key }, { "--port-file", NULL, &o->port_file } };
  for(int i = 1; i < argc; i++) {
    size_t k = 0;
    if(strcmp(argv[i], "--plain") == 0) {
      o->plain = true;
      continue;
    }
    while(k < NELEM(known) && strcmp(argv[i], known[k].name) != 0) k++;
    if(k == NELEM(known) || i + 1 == argc) {
      fprintf(stderr, "fakeqwen: %s: unknown, or without a value; see the head of fakeqwen.c\n", argv[i]);
      exit(2);
    }
    i++;
    if(known[k].text) *known[k].text = argv[i];
    else *known[k].number = (int)strtol(argv[i], NULL, 10);
  }
}

static void world_make(int more)
{
  char email[64], password[64];
  account_add("ok@example.org", "correct horse"); /* ACCOUNT_OK, owner of the fixed tokens */
  account_add("second@example.org", "correct horse");
  account_add("bad@example.org", "correct horse");
  account_add("challenge@example.org", "correct horse");
  account_add("limited@example.org", "correct horse");
  account_add("colon@example.org", "pa:ss@word#1");
  for(int i = 0; more > 0 && i <= more; i++) {
    snprintf(email, sizeof email, "user%d@example.org", i);
    snprintf(password, sizeof password, "pw-%d", i);
    account_add(email, password);
  }
  static const char head[] =
      "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJpZCI6IjAwMDAwMDAwLTAwMDAtNDAwMC04MDAwLTAwMDAwMDAwMDAwMSIsImxhc3RfcGFzc3"
      "dvcmRfY2hhbmdlIjoxNzYwMDAwMDAwLCJleHAi";
  char text[400];
  snprintf(text, sizeof text, "%s%s", head, "OjQxMDI0NDQ4MDB9.W9t7CCW2z8DA2DR972SccfQ2mAT283Id1XCrmRoT36A");
  token_add(text, ACCOUNT_OK, TOKEN_SESSION, 4102444800);
  snprintf(text, sizeof text, "%s%s", head, "OjEwMDAwMDAwMDB9.F8eCgGTZRTYX-to7zWO-jPhNIyclVhmgsUaQeqaYick");
  token_add(text, ACCOUNT_OK, TOKEN_SESSION, 1000000000);
  token_add("cli-access-of-ok", ACCOUNT_OK, TOKEN_CLI, 4102444800);
  token_add("cli-access-stale", ACCOUNT_OK, TOKEN_CLI, 1000000000);
  token_add("cli-refresh-of-ok", ACCOUNT_OK, TOKEN_CLI_REFRESH, 4102444800);
}

static struct listener { int fd, port; bool tls; } listeners[2];

static void loop(void) __attribute__((noreturn));
static void loop(void)
{
  static struct epoll_event batch[512];
  for(;;) {
    int64_t now = now_us(), left = heap_n ? heap[1].at - now : 0;
    if(left < 0) left = 0;
    struct timespec wait = { (time_t)(left / 1000000), (long)(left % 1000000) * 1000 };
    int n = epoll_pwait2(epoll_fd, batch, NELEM(batch), heap_n ? &wait : NULL, NULL);
    if(n < 0 && errno == ENOSYS)
      n = epoll_wait(epoll_fd, batch, NELEM(batch), heap_n ? (int)((left + 999) / 1000) : -1);
    for(int i = 0; i < n; i++) {
      struct conn *c = batch[i].data.ptr;
      struct listener *l = batch[i].data.ptr;
      unsigned what = batch[i].events;
      if(l == &listeners[0] || l == &listeners[1]) {
        conn_new(l->fd, l->tls);
      } else {
        if(!c->dead && (what & EPOLLERR)) conn_drop(c, false);
        if(!c->dead && (what & EPOLLOUT)) conn_writable(c);
        if(!c->dead && (what & (EPOLLIN | EPOLLRDHUP | EPOLLHUP))) conn_read(c, what & (EPOLLRDHUP | EPOLLHUP));
      }
    }
    now = now_us();
    for(int i = 0; i < 4096 && heap_n && heap[1].at <= now; i++) conn_timer(heap[1].c);
    bury();
  }
}

int main(int argc, char **argv)
{
  struct options o = { .port = -1, .plain_port = -1, .cpu = -1 };
  struct rlimit limit;
  options_read(&o, argc, argv);
  if(o.port < 0 && o.plain_port < 0) {
    fprintf(stderr, "fakeqwen: --port or --plain-port is needed; see the head of fakeqwen.c\n");
    return 2;
  }
  if(o.rate > 0) rate_ms = o.rate < 1000 ? 1000 / o.rate : 1;
  if(o.pace > 0) pace_ms = o.pace;
  if(o.cpu >= 0) {
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    CPU_SET((unsigned)o.cpu, &cpus);
    if(sched_setaffinity(0, sizeof cpus, &cpus)) fprintf(stderr, "fakeqwen: no CPU %d here, going on\n", o.cpu);
  }
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  signal(SIGPIPE, SIG_IGN);
  started_us = now_us();
  entries = must(calloc(LOG_MAX, sizeof *entries));
  raw = must(malloc(RAW_MAX));
  buf_room(&rx, RX_SIZE);
  world_make(o.accounts);
  c_reset();
  normal_make();
  sites_make();
  if(o.port >= 0 && !o.plain) {
    if(!o.cert || !o.key) {
      fprintf(stderr, "fakeqwen: --port needs --cert and --key, or --plain\n");
      return 2;
    }
    pem_read(o.cert, false);
    pem_read(o.key, true);
    br_ssl_session_cache_lru_init(&sessions, session_store, sizeof session_store);
  }
  epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  for(int i = 0; i < 2; i++) {
    struct listener *l = &listeners[i];
    *l = (struct listener){ .fd = -1, .port = i ? o.plain_port : o.port, .tls = !i && !o.plain };
    if(l->port < 0) continue;
    l->fd = listen_on(&l->port);
    struct epoll_event e = { .events = EPOLLIN, .data.ptr = l };
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, l->fd, &e);
  }
  if(o.port_file) {
    FILE *f = fopen(o.port_file, "w");
    if(!f || fprintf(f, "%d %d\n", listeners[0].port, listeners[1].port) < 0 || fclose(f)) {
      fprintf(stderr, "fakeqwen: cannot write %s\n", o.port_file);
      return 1;
    }
  }
  loop();
}
