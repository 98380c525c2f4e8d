#include "proto/video_task.h"

struct str video_task_id(const struct json *root)
{
  static const char *const paths[] = { "data.output.task_id", "data.task_id", "output.task_id", "task_id", "taskId", "result.task_id" };
  struct str id = STR_NONE;
  const struct json *messages = json_path(root, "data.messages");
  if(json_is(messages, JSON_ARRAY))
    for json_each(m, messages)
      if(!id.n) id = json_str(json_path(m, "extra.wanx.task_id"));
  for(size_t i = 0; i < sizeof paths / sizeof paths[0] && !id.n; i++) id = json_str(json_path(root, paths[i]));
  return id;
}

static bool video_task_word(struct str word, const char *const *words)
{
  for(; *words; words++)
    if(str_ieq(word, str_z(*words))) return true;
  return false;
}

bool video_task_read(const struct json *root, struct video_task *t)
{
  static const char *const done[] = { "success", "succeeded", "finished", "completed", NULL };
  static const char *const waits[] = { "pending", "queued", "running", "processing", NULL };
  const struct json *data = json_get(root, "data");
  *t = (struct video_task){ .state = VIDEO_TASK_FAILED };
  if(json_absent(json_get(data, "task_status"))) data = root;
  struct str status = str_trim(json_str(json_get(data, "task_status")));
  if(!status.n) return false;
  if(video_task_word(status, done)) t->state = VIDEO_TASK_DONE;
  else if(video_task_word(status, waits)) t->state = VIDEO_TASK_WAITS;
  if(t->state == VIDEO_TASK_DONE) t->url = str_trim(json_str(json_get(data, "content")));
  if(t->state == VIDEO_TASK_FAILED) t->words = json_str(json_get(data, "message"));
  return true;
}

static void video_object_time(struct strbuf *b, const char *name, int64_t s)
{
  strbuf_fmt(b, ",\"%s\":", name);
  if(s) strbuf_int(b, s);
  else strbuf_lit(b, "null");
}

void video_object_write(const struct video_object *v, struct strbuf *b)
{
  static const char *const words[] = { "queued", "in_progress", "completed", "failed" };
  strbuf_fmt(b, "{\"id\":\"%s\",\"object\":\"video\",\"model\":", v->id);
  strbuf_json(b, v->model);
  strbuf_fmt(b, ",\"status\":\"%s\",\"progress\":%d", words[v->status], v->status == VIDEO_COMPLETED ? 100 : 0); /* the upstream tells none between */
  video_object_time(b, "created", v->created_s);
  video_object_time(b, "created_at", v->created_s);
  video_object_time(b, "completed_at", v->completed_s);
  strbuf_lit(b, ",\"expires_at\":null,\"prompt\":");
  strbuf_json(b, v->prompt);
  strbuf_fmt(b, ",\"seconds\":\"%d\",\"size\":", v->seconds);
  strbuf_json(b, v->size);
  strbuf_lit(b, ",\"error\":");
  if(v->status == VIDEO_FAILED && v->error) {
    strbuf_fmt(b, "{\"code\":\"%s\",\"message\":", status_row(v->error->st)->code);
    strbuf_json(b, str_z(v->error->msg));
    strbuf_addc(b, '}');
  } else {
    strbuf_lit(b, "null");
  }
  strbuf_lit(b, ",\"remixed_from_video_id\":null");
  if(v->status == VIDEO_COMPLETED) {
    strbuf_lit(b, ",\"data\":[{\"url\":");
    strbuf_json(b, v->url);
    strbuf_lit(b, "}]");
  }
  strbuf_addc(b, '}');
}
