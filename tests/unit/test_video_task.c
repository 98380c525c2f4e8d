/* The upstream's answers about a video task (upstream 4.3), and the object of api 5.4. */
#include "proto/video_task.h"

#include "t.h"

static const struct { const char *body, *id; } ids[] = {
  { "{\"success\":true,\"data\":{\"chat_id\":\"c1\",\"messages\":[{\"role\":\"assistant\",\"extra\":{\"wanx\":{\"task_id\":\"t1\"}}}]}}", "t1" },
  { "{\"data\":{\"messages\":[{\"extra\":null},{\"extra\":{\"wanx\":{\"task_id\":\"t2\"}}}],\"output\":{\"task_id\":\"no\"}}}", "t2" },
  { "{\"data\":{\"output\":{\"task_id\":\"t3\"},\"task_id\":\"no\"}}", "t3" }, { "{\"data\":{\"task_id\":\"t4\"},\"task_id\":\"no\"}", "t4" },
  { "{\"output\":{\"task_id\":\"t5\"},\"task_id\":\"no\"}", "t5" }, { "{\"task_id\":\"t6\",\"taskId\":\"no\"}", "t6" }, { "{\"taskId\":\"t7\",\"result\":{\"task_id\":\"no\"}}", "t7" },
  { "{\"result\":{\"task_id\":\"t8\"}}", "t8" },
  { "{\"response_id\":\"r1\",\"data\":{\"response_id\":\"r1\",\"message_id\":\"r1\",\"id\":\"x\"}}", "" }, /* never a response id */
  { "{\"task_id\":7}", "" }, { "{\"data\":{\"messages\":{\"extra\":{\"wanx\":{\"task_id\":\"x\"}}}}}", "" }, { "[]", "" }, { "{}", "" },
};

static void t_4_3_task_id_in_its_order(void)
{
  for(size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
    struct arena a = ARENA(1 << 20);
    t_row = ids[i].body;
    CHECK_STR(video_task_id(json_parse(&a, str_z(ids[i].body), 64, NULL)), str_z(ids[i].id));
    arena_free(&a);
  }
  CHECK_INT(video_task_id(NULL).n, 0);
}

static const struct { const char *body; bool known; enum video_task_state state; const char *text; } states[] = {
  { "{\"chat_type\":\"t2v\",\"task_status\":\"running\",\"message\":\"\",\"content\":\"\"}", true, VIDEO_TASK_WAITS, "" },
  { "{\"task_status\":\"pending\"}", true, VIDEO_TASK_WAITS, "" }, { "{\"task_status\":\"queued\"}", true, VIDEO_TASK_WAITS, "" }, { "{\"task_status\":\"Processing\"}", true, VIDEO_TASK_WAITS, "" },
  { "{\"task_status\":\"success\",\"content\":\" https://h/v.mp4 \"}", true, VIDEO_TASK_DONE, "https://h/v.mp4" },
  { "{\"task_status\":\"succeeded\",\"content\":\"u\"}", true, VIDEO_TASK_DONE, "u" }, { "{\"task_status\":\"FINISHED\",\"content\":\"u\"}", true, VIDEO_TASK_DONE, "u" },
  { "{\"task_status\":\"completed\"}", true, VIDEO_TASK_DONE, "" },
  { "{\"task_status\":\"failed\",\"message\":\"why\"}", true, VIDEO_TASK_FAILED, "why" }, { "{\"task_status\":\"exploded\",\"message\":\"why\",\"content\":\"u\"}", true, VIDEO_TASK_FAILED, "why" },
  { "{\"success\":true,\"data\":{\"task_status\":\"success\",\"content\":\"u\"}}", true, VIDEO_TASK_DONE, "u" },
  { "{\"success\":true,\"data\":{\"task_status\":\"running\"},\"task_status\":\"success\"}", true, VIDEO_TASK_WAITS, "" },
  { "{\"success\":true,\"data\":{}}", false, VIDEO_TASK_FAILED, "" }, { "{\"task_status\":null}", false, VIDEO_TASK_FAILED, "" }, { "{\"task_status\":7}", false, VIDEO_TASK_FAILED, "" }, { "[]", false, VIDEO_TASK_FAILED, "" },
};

static void t_4_3_task_states(void)
{
  for(size_t i = 0; i < sizeof states / sizeof states[0]; i++) {
    struct arena a = ARENA(1 << 20);
    struct video_task t;
    t_row = states[i].body;
    CHECK_INT(video_task_read(json_parse(&a, str_z(states[i].body), 64, NULL), &t), states[i].known);
    CHECK_INT(t.state, states[i].state);
    CHECK_STR(t.state == VIDEO_TASK_DONE ? t.url : t.words, str_z(states[i].text));
    arena_free(&a);
  }
}

static void t_5_4_video_object(void)
{
  struct q_error e = Q_ERROR_NONE;
  status_fail(&e, Q_MEDIA_FAILED, NULL, "It \"failed\".");
  struct video_object v = { .id = "video_1", .model = S("m\"1"), .prompt = S("a cat"), .size = S("9:16"), .url = S("https://h/v"), .created_s = 5, .seconds = 5, .error = &e };
  static const char *const want[] = {
    "{\"id\":\"video_1\",\"object\":\"video\",\"model\":\"m\\\"1\",\"status\":\"queued\",\"progress\":0,\"created\":5,\"created_at\":5,\"completed_at\":null,\"expires_at\":null,\"prompt\":\"a cat\",\"seconds\":\"5\",\"size\":\"9:16\",\"error\":null,\"remixed_from_video_id\":null}",
    "{\"id\":\"video_1\",\"object\":\"video\",\"model\":\"m\\\"1\",\"status\":\"in_progress\",\"progress\":0,\"created\":5,\"created_at\":5,\"completed_at\":null,\"expires_at\":null,\"prompt\":\"a cat\",\"seconds\":\"5\",\"size\":\"9:16\",\"error\":null,\"remixed_from_video_id\":null}",
    "{\"id\":\"video_1\",\"object\":\"video\",\"model\":\"m\\\"1\",\"status\":\"completed\",\"progress\":100,\"created\":5,\"created_at\":5,\"completed_at\":9,\"expires_at\":null,\"prompt\":\"a cat\",\"seconds\":\"5\",\"size\":\"9:16\",\"error\":null,\"remixed_from_video_id\":null,\"data\":[{\"url\":\"https://h/v\"}]}",
    "{\"id\":\"video_1\",\"object\":\"video\",\"model\":\"m\\\"1\",\"status\":\"failed\",\"progress\":0,\"created\":5,\"created_at\":5,\"completed_at\":9,\"expires_at\":null,\"prompt\":\"a cat\",\"seconds\":\"5\",\"size\":\"9:16\",\"error\":{\"code\":\"media_failed\",\"message\":\"It \\\"failed\\\".\"},\"remixed_from_video_id\":null}",
  };
  for(int s = VIDEO_QUEUED; s <= VIDEO_FAILED; s++) {
    struct strbuf b = STRBUF(10000);
    v.status = (enum video_status)s;
    v.completed_s = s >= VIDEO_COMPLETED ? 9 : 0;
    video_object_write(&v, &b);
    CHECK_STR(strbuf_str(&b), str_z(want[s]));
    strbuf_free(&b);
  }
}

T_MAIN(T(t_4_3_task_id_in_its_order), T(t_4_3_task_states), T(t_5_4_video_object))
