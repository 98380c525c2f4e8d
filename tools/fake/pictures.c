/* ---------- pictures and videos ---------- */

static const struct { const char *ratio; int w, h; } ratios[] = {
  { "1:1", 2048, 2048 }, { "4:3", 2368, 1776 }, { "3:4", 1776, 2368 }, { "16:9", 2688, 1536 }, { "9:16", 1536, 2688 } };
static size_t ratio_now; /* of the request being played */

static const char captcha_url[] = "https://chat.qwen.ai:443//api/v2/chat/completions/_____tmd_____/punish?x5secdata=abc&action=captcha";

/* Where a result lies. u=: the folder, by which the cdn host behaves; host=, url= (base64) change more. */
static const char *result_url(const char *args, const char *type, const char *file, const char *digits, const char *key)
{
  static struct buf url;
  char host[100], folder[40];
  const char *usual = play.name && !strcmp(play.name, "image_foreign") ? "evil.example.test" : "cdn.qwenlm.ai";
  if(param_b64(args, "url", &url)) return url.p;
  if(play.name && !strcmp(play.name, "image_captcha")) return captcha_url;
  url.n = 0;
  buf_fmt(&url, "https://%s/output/%s/%s/%s%.12s/%s?key=%s%.12s", param_word(args, "host", usual, host, sizeof host),
          param_word(args, "u", "u", folder, sizeof folder), type, reply_prefix, digits, file, key, digits);
  *buf_room(&url, 1) = 0;
  return url.p;
}

static const char *picture_url(const char *args, int k, const char *key)
{
  char file[24];
  snprintf(file, sizeof file, "p%d.png", k);
  return result_url(args, "t2i", file, play.c->digits, key);
}

static void image_usage(int n)
{
  static char tail[160];
  snprintf(tail, sizeof tail, ",\"usage\":{\"image_count\":%d,\"width\":%d,\"height\":%d,\"input_tokens\":0,\"output_tokens\":0}",
           n, ratios[ratio_now].w, ratios[ratio_now].h);
  play.tail = tail;
}

/* created, and keep-alive frames for ms= */
static void image_begin(const char *args)
{
  int total = (int)param(args, "ms", 0);
  ev_created();
  ev_alive();
  for(int t = 0; t < total; t += pace_ms) {
    wait_ms(total - t < pace_ms ? total - t : pace_ms);
    ev_alive();
  }
}

/* One frame per picture; n= pictures, phase=, list=1: the content as a list. */
static void sc_image(const char *args, const struct buf *prompt)
{
  static struct buf q;
  char more[80], phase[40];
  int n = (int)param(args, "n", strcmp(play.name, "image_two") ? 1 : 2);
  (void)prompt;
  param_word(args, "phase", strcmp(play.name, "image_edit") ? "image_gen" : "image_edit", phase, sizeof phase);
  snprintf(more, sizeof more, ",\"extra\":{\"output_image_hw\":[[%d,%d]]}", ratios[ratio_now].h, ratios[ratio_now].w);
  image_begin(args);
  for(int i = 1; i <= n; i++) {
    const char *url = picture_url(args, i, "k");
    image_usage(i);
    q.n = 0;
    if(param(args, "list", 0)) buf_text(&q, "[{\"image\":");
    quote(&q, url, strlen(url));
    if(param(args, "list", 0)) buf_text(&q, "}]");
    *buf_room(&q, 1) = 0;
    ev_delta("assistant", phase, q.p, "typing", more);
  }
  play.tail = "";
  ev_stop(phase);
  play_end(STEP_END);
}

/* The tool names each picture twice. file=1: by a path below the chat. */
static void image_tool_frame(const char *args)
{
  static struct buf more;
  int n = (int)param(args, "n", 1);
  more.n = 0;
  buf_text(&more, ",\"name\":\"image_gen_tool\",\"function_id\":\"round_0_1\",\"extra\":{");
  if(param(args, "file", 0)) {
    buf_text(&more, "\"image_list\":[{\"file_path\":\"files/p1.png\"}]");
  } else {
    static const char *const lists[] = { "image_list", "tool_result" }, *const keys[] = { "a", "b" };
    for(int l = 0; l < 2; l++) {
      buf_fmt(&more, "%s\"%s\":[", l ? "," : "", lists[l]);
      for(int i = 1; i <= n; i++) {
        const char *url = picture_url(args, i, keys[l]);
        buf_text(&more, i > 1 ? ",{\"image\":" : "{\"image\":");
        quote(&more, url, strlen(url));
        buf_text(&more, "}");
      }
      buf_text(&more, "]");
    }
  }
  buf_text(&more, "}");
  *buf_room(&more, 1) = 0;
  ev_delta("assistant", "image_gen_tool", "\"\"", "typing",
           ",\"function_id\":\"round_0_1\",\"function_call\":{\"name\":\"image_gen_tool\",\"arguments\":\"{\\\"prompt\\\":\\\"p\\\"}\"}");
  ev_delta("function", "image_gen_tool", "\"\"", "finished", more.p);
}

static void sc_image_tool(const char *args, const struct buf *prompt)
{
  (void)prompt;
  image_begin(args);
  image_tool_frame(args);
  ev_say("answer", "\"Here is \"");
  ev_say("answer", "\"your picture.\"");
  ev_end();
  play_end(STEP_END);
}

/* A text model that draws on its own. */
static void sc_image_inline(const char *args, const struct buf *prompt)
{
  (void)prompt;
  ev_created();
  ev_say("answer", "\"Look: \"");
  image_tool_frame(args);
  ev_say("answer", "\"nice, is it not?\"");
  ev_end();
  play_end(STEP_END);
}

static void sc_image_markdown(const char *args, const struct buf *prompt)
{
  static struct buf text;
  (void)prompt;
  text.n = 0;
  buf_fmt(&text, "Here it is:\n\n![a picture](%s)\n", picture_url(args, 1, "k"));
  image_begin(args);
  say_text("answer", text.p, text.n, 7, 0);
  ev_end();
  play_end(STEP_END);
}

/* No URL in the stream; chat detail has it after polls= (3) looks. */
static void sc_image_none(const char *args, const struct buf *prompt)
{
  static struct buf q;
  const char *url = picture_url(args, 1, "k");
  (void)prompt;
  image_begin(args);
  ev_stop("image_gen");
  play_end(STEP_END);
  q.n = 0;
  quote(&q, url, strlen(url));
  *buf_room(&q, 1) = 0;
  play.mute = play.full = true;
  ev_delta("assistant", "image_gen", q.p, "typing", "");
  play.hidden = (int)param(args, "polls", 3);
}

static void sc_image_refusal(const char *args, const struct buf *prompt)
{
  static const char no[] = "I cannot create this picture: the request violates the content policy (inappropriate content).";
  (void)prompt;
  image_begin(args);
  say_text("answer", no, sizeof no - 1, 9, 0);
  ev_end();
  play_end(STEP_END);
}

static void sc_image_text(const char *args, const struct buf *prompt)
{
  (void)prompt;
  image_begin(args);
  ev_say("answer", "\"What shall \"");
  ev_say("answer", "\"I draw?\"");
  ev_end();
  play_end(STEP_END);
}

static void sc_video_sse(const char *args, const struct buf *prompt)
{
  static struct buf q;
  const char *url = result_url(args, "t2v", "v.mp4", play.c->digits, "k");
  (void)prompt;
  q.n = 0;
  quote(&q, url, strlen(url));
  *buf_room(&q, 1) = 0;
  image_begin(args);
  ev_delta("assistant", "video_gen", "\"\"", "typing", "");
  ev_delta("assistant", "video_gen", q.p, "typing", "");
  ev_stop("video_gen");
  play_end(STEP_END);
}

/* ---- videos as tasks ---- */

struct task { int account; size_t chat; long left; bool fails, orphan; char *args; };
static struct task *tasks;
static size_t task_n, task_cap;
static const char task_prefix[] = "b7c00000-0000-4000-8000-";

/* Begins a task and answers with its id; where=: in which of the places known. */
static void video_start(struct conn *c, const char *args, bool fails)
{
  static const struct { const char *where, *data; } places[] = {
    { "messages", "{\"success\":true,\"request_id\":\"v\",\"data\":{\"chat_id\":\"%s%.12s\",\"parent_id\":\"u1\",\"message_id\":\"%s%.12s\","
                  "\"messages\":[{\"role\":\"assistant\",\"content\":\"\",\"chat_type\":\"t2v\",\"extra\":{\"wanx\":{\"task_id\":\"%s\"}}}]}}" },
    { "output", "{\"success\":true,\"data\":{\"chat_id\":\"%s%.12s\",\"response_id\":\"%s%.12s\",\"output\":{\"task_id\":\"%s\"}}}" },
    { "data", "{\"success\":true,\"data\":{\"chat_id\":\"%s%.12s\",\"response_id\":\"%s%.12s\",\"task_id\":\"%s\"}}" },
    { "flat_output", "{\"chat_id\":\"%s%.12s\",\"response_id\":\"%s%.12s\",\"output\":{\"task_id\":\"%s\"}}" },
    { "flat", "{\"chat_id\":\"%s%.12s\",\"response_id\":\"%s%.12s\",\"task_id\":\"%s\"}" },
    { "camel", "{\"chat_id\":\"%s%.12s\",\"response_id\":\"%s%.12s\",\"taskId\":\"%s\"}" },
    { "result", "{\"chat_id\":\"%s%.12s\",\"response_id\":\"%s%.12s\",\"result\":{\"task_id\":\"%s\"}}" } };
  char where[24], id[CHAT_ID_N + 1], body[800];
  size_t at = 0;
  param_word(args, "where", "messages", where, sizeof where);
  while(at < NELEM(places) - 1 && strcmp(where, places[at].where) != 0) at++;
  if(task_n == task_cap) {
    task_cap = task_cap ? task_cap * 2 : 64;
    tasks = must(realloc(tasks, task_cap * sizeof *tasks));
  }
  tasks[task_n] = (struct task){ .account = chats[c->chat].account, .chat = (size_t)c->chat, .left = param(args, "polls", 3),
                                 .fails = fails, .args = must(strdup(args)) };
  snprintf(id, sizeof id, "%s%012zu", task_prefix, task_n++);
  chats[c->chat].answered = true;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
  int n = snprintf(body, sizeof body, places[at].data, chat_prefix, c->digits, reply_prefix, c->digits, id);
#pragma GCC diagnostic pop
  reply(200, JSON, "", body, (size_t)n);
}

static void h_task(struct conn *c, const struct req *r, int who, struct entry *log)
{
  static struct buf b, why;
  char word[24], digits[CHAT_DIGITS];
  struct span id = { r->path.p + strlen("/api/v1/tasks/status/"), r->path.n - strlen("/api/v1/tasks/status/") };
  size_t n = 0;
  (void)c, (void)log;
  bool known = id.n == CHAT_ID_N && memcmp(id.p, task_prefix, sizeof task_prefix - 1) == 0;
  for(size_t i = sizeof task_prefix - 1; known && i < id.n; i++) {
    known = id.p[i] >= '0' && id.p[i] <= '9';
    n = n * 10 + (size_t)(id.p[i] - '0');
  }
  if(!known || n >= task_n || tasks[n].account != who) {
    reply_json(404, "{\"detail\":\"Task not found\"}");
    return;
  }
  struct task *t = &tasks[n];
  bool enveloped = param_text(t->args, "shape").n, waiting = t->left-- > 0;
  if(!chats[t->chat].alive && waiting && !t->orphan) {
    t->orphan = true;
    stat_.bad++; /* the chat was deleted before its video was done */
  }
  if(t->orphan) t->fails = true, waiting = false;
  digits12(digits, t->chat);
  b.n = 0;
  if(enveloped) buf_text(&b, "{\"success\":true,\"request_id\":\"t\",\"data\":");
  buf_text(&b, "{\"chat_type\":\"t2v\",\"task_status\":\"");
  if(waiting) {
    buf_fmt(&b, "%s\",\"message\":\"\",\"remaining_time\":\"\",\"content\":\"\"}", param_word(t->args, "wait", "running", word, sizeof word));
  } else if(t->fails) {
    if(!param_b64(t->args, "why", &why)) buf_text(&why, t->orphan ? "the chat was deleted" : "why");
    buf_fmt(&b, "%s\",\"message\":", param_word(t->args, "word", "failed", word, sizeof word));
    quote(&b, why.p, why.n);
    buf_text(&b, "}");
  } else {
    play.name = "video";
    const char *url = result_url(t->args, "t2v", "v.mp4", digits, "k");
    buf_fmt(&b, "%s\",\"content\":", param_word(t->args, "word", "success", word, sizeof word));
    quote(&b, url, strlen(url));
    buf_text(&b, "}");
  }
  if(enveloped) buf_text(&b, "}");
  reply(200, JSON, "", b.p, b.n);
}
