#include "proto/qwen_req.h"

static void qwen_req_flag(struct strbuf *out, bool on)
{
  strbuf_addz(out, on ? "true" : "false");
}

static void qwen_req_features(const struct qwen_turn *t, struct strbuf *out)
{
  strbuf_lit(out, "{\"thinking_enabled\":");
  qwen_req_flag(out, t->think != QWEN_THINK_OFF);
  strbuf_lit(out, ",\"output_schema\":\"phase\",\"research_mode\":\"normal\",\"auto_thinking\":");
  qwen_req_flag(out, t->think == QWEN_THINK_AUTO);
  if(!t->plain) {
    static const char *const modes[] = { "Fast", "Thinking", "Auto" };
    strbuf_lit(out, ",\"thinking_mode\":\"");
    strbuf_addz(out, modes[t->think]);
    strbuf_addc(out, '"');
    if(t->think != QWEN_THINK_OFF && t->think_budget > 0) {
      strbuf_lit(out, ",\"thinking_budget\":");
      strbuf_int(out, t->think_budget);
    }
  }
  strbuf_lit(out, ",\"thinking_format\":");
  strbuf_addz(out, t->summary ? "\"summary\"" : "\"detail\"");
  strbuf_lit(out, ",\"auto_search\":");
  qwen_req_flag(out, t->kind == CHAT_SEARCH);
  strbuf_addc(out, '}');
}

const char *qwen_req_kind(enum chat_kind kind)
{
  static const char *const names[] = { "t2t", "t2t", "search", "t2i", "image_edit", "t2v" };
  return names[kind];
}

void qwen_req_completion(const struct qwen_turn *t, struct strbuf *out)
{
  struct str type = str_z(qwen_req_kind(t->kind));
  strbuf_lit(out, "{\"stream\":");
  qwen_req_flag(out, t->stream);
  strbuf_lit(out, ",\"version\":\"2.1\",\"incremental_output\":true,\"chat_id\":");
  strbuf_json(out, t->chat_id);
  strbuf_lit(out, ",\"chat_mode\":\"normal\",\"model\":");
  strbuf_json(out, t->model);
  strbuf_lit(out, ",\"parent_id\":null,\"messages\":[{\"fid\":");
  strbuf_json(out, t->fid);
  strbuf_lit(out, ",\"parentId\":null,\"childrenIds\":[");
  strbuf_json(out, t->child);
  strbuf_lit(out, "],\"role\":\"user\",\"content\":");
  strbuf_adds(out, t->prompt_json);
  strbuf_lit(out, ",\"user_action\":\"chat\",\"files\":");
  if(t->files_json.n) strbuf_adds(out, t->files_json);
  else strbuf_lit(out, "[]");
  strbuf_lit(out, ",\"timestamp\":");
  strbuf_int(out, t->wall_s);
  strbuf_lit(out, ",\"models\":[");
  strbuf_json(out, t->model);
  strbuf_lit(out, "],\"chat_type\":");
  strbuf_json(out, type);
  strbuf_lit(out, ",\"sub_chat_type\":");
  strbuf_json(out, type);
  strbuf_lit(out, ",\"parent_id\":null,\"feature_config\":");
  qwen_req_features(t, out);
  strbuf_lit(out, ",\"extra\":{\"meta\":{\"subChatType\":");
  strbuf_json(out, type);
  strbuf_lit(out, "}}}]");
  if(t->size) {
    strbuf_lit(out, ",\"size\":");
    strbuf_json(out, str_z(t->size));
  }
  strbuf_lit(out, ",\"timestamp\":");
  strbuf_int(out, t->wall_s);
  strbuf_addc(out, '}');
}

void qwen_req_new_chat(struct str model, const char *chat_type, int64_t wall_ms, struct strbuf *out)
{
  strbuf_lit(out, "{\"title\":\"New Chat\",\"models\":[");
  strbuf_json(out, model);
  strbuf_lit(out, "],\"chat_mode\":\"normal\",\"chat_type\":");
  strbuf_json(out, str_z(chat_type));
  strbuf_lit(out, ",\"timestamp\":");
  strbuf_int(out, wall_ms);
  strbuf_lit(out, ",\"project_id\":\"\"}");
}

void qwen_req_stop(struct str chat_id, struct str response_id, struct strbuf *out)
{
  strbuf_lit(out, "{\"chat_id\":");
  strbuf_json(out, chat_id);
  if(response_id.n) {
    strbuf_lit(out, ",\"response_id\":");
    strbuf_json(out, response_id);
  }
  strbuf_addc(out, '}');
}

void qwen_req_signin(struct str email, struct str password_hex, bool v2, struct strbuf *out)
{
  strbuf_lit(out, "{\"email\":");
  strbuf_json(out, email);
  strbuf_lit(out, ",\"password\":");
  strbuf_json(out, password_hex);
  if(v2) strbuf_lit(out, ",\"login_type\":\"email\"");
  strbuf_addc(out, '}');
}

void qwen_req_timezone(int64_t wall_s, int offset_min, struct strbuf *out)
{
  static const char days[] = "SunMonTueWedThuFriSat", months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
  int64_t local = wall_s + (int64_t)offset_min * 60, day = local / 86400 - (local % 86400 < 0), s = local - day * 86400;
  /* Civil date of a day number, from the eras of 400 years. */
  int64_t z = day + 719468, era = z / 146097, doe = z - era * 146097;
  int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365, doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
  int64_t mp = (5 * doy + 2) / 153, d = doy - (153 * mp + 2) / 5 + 1, m = mp < 10 ? mp + 3 : mp - 9;
  int64_t y = yoe + era * 400 + (m <= 2);
  int off = offset_min < 0 ? -offset_min : offset_min;
  strbuf_fmt(out, "%.3s %.3s %02d %04d %02d:%02d:%02d GMT%c%02d%02d", days + (day + 4) % 7 * 3, months + (m - 1) * 3, (int)d,
             (int)y, (int)(s / 3600), (int)(s / 60 % 60), (int)(s % 60), offset_min < 0 ? '-' : '+', off / 60, off % 60);
}
