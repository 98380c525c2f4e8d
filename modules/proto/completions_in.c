#include "proto/completions.h"

static const struct in_idle completions_idle[] = {
  { "temperature", true, IN_NUMBER },       { "top_p", true, IN_NUMBER },
  { "seed", true, IN_NUMBER },              { "presence_penalty", true, IN_NUMBER },
  { "frequency_penalty", true, IN_NUMBER }, { "logit_bias", true, IN_OBJECT },
  { "logprobs", true, IN_NUMBER },          { "user", true, IN_ANY },
};

/* No honest fill-in-the-middle through a chat, and no tokens that are not text. */
static enum q_status completions_refusals(const struct json *body, struct q_error *e)
{
  bool found, echo = false;
  int64_t best = 1;
  if(!json_absent(json_get(body, "suffix")))
    return status_fail(e, Q_UNSUPPORTED, "suffix", "'suffix' is not supported: a chat cannot fill in the middle of a text.");
  enum q_status st = in_bool(body, "echo", &found, &echo, e);
  if(st) return st;
  if(echo) return status_fail(e, Q_UNSUPPORTED, "echo", "'echo' is not supported; put the prompt in front yourself.");
  const struct json *n = json_get(body, "best_of");
  if(!json_absent(n) && !json_int(n, &best)) return in_type(e, "best_of", "a whole number");
  if(best > 1) return status_fail(e, Q_UNSUPPORTED, "best_of", "'best_of' above 1 is not supported; use 'n' and choose.");
  return Q_OK;
}

static enum q_status completions_prompt(const struct json *body, struct str *text, struct q_error *e)
{
  const struct json *prompt = json_get(body, "prompt");
  if(json_absent(prompt)) return status_fail(e, Q_MISSING, "prompt", "'prompt' is missing: send the text to continue.");
  if(json_is(prompt, JSON_ARRAY)) {
    const struct json *first = json_at(prompt, 0);
    if(!first) return status_fail(e, Q_MISSING, "prompt", "'prompt' is empty: send the text to continue.");
    if(!json_is(first, JSON_STRING)) return status_fail(e, Q_UNSUPPORTED, "prompt", "Prompts of tokens are not supported; send the text.");
    if(prompt->count > 1) return status_fail(e, Q_UNSUPPORTED, "prompt", "Only one prompt at a time is supported; send a request for each.");
    prompt = first;
  }
  if(!json_is(prompt, JSON_STRING)) return in_type(e, "prompt", "a string");
  if(!prompt->text.n) return status_fail(e, Q_BAD_VALUE, "prompt", "'prompt' is empty: there is nothing to continue.");
  *text = prompt->text;
  return Q_OK;
}

static enum q_status completions_message(struct arena *a, struct str prompt, struct chat_req *r, struct q_error *e)
{
  static const char words[] = "Continue the text below from its very last character on. Answer with the continuation alone: do not repeat the "
                              "text, do not comment on it, use no quotes or code fence around it.\n\n";
  struct strbuf text = STRBUF(prompt.n + sizeof words);
  strbuf_add(&text, words, sizeof words - 1);
  strbuf_adds(&text, prompt);
  struct str own = text.err ? STR_NONE : arena_str(a, strbuf_str(&text));
  strbuf_free(&text);
  r->msgs = own.p ? arena_alloc(a, sizeof *r->msgs) : NULL;
  if(!r->msgs) return in_no_memory(e);
  r->msgs[0] = (struct chat_msg){ .role = ROLE_USER };
  r->msg_n = 1;
  return chat_msg_set_text(&r->msgs[0], own, a) ? in_no_memory(e) : Q_OK;
}

enum q_status completions_in(struct arena *a, const struct json *body, int n_max, struct chat_req *r, struct q_error *e)
{
  struct str prompt = STR_NONE;
  bool found, on = true;
  *r = (struct chat_req){ .n = 1, .hide_reasoning = true };
  if(!json_is(body, JSON_OBJECT)) return status_fail(e, Q_BAD_TYPE, NULL, "The request body must be a JSON object.");
  const struct json *options = json_get(body, "stream_options");
  enum q_status st = in_text(body, "model", &r->model, e);
  r->model = str_trim(r->model);
  if(!st) st = completions_prompt(body, &prompt, e);
  if(!st) st = completions_refusals(body, e);
  if(!st) st = completions_message(a, prompt, r, e);
  if(!st) st = in_bool(body, "stream", &found, &r->stream, e);
  if(!st && !json_absent(options) && !json_is(options, JSON_OBJECT)) st = in_type(e, "stream_options", "an object");
  if(!st) st = in_bool(body, "stream_options.include_usage", &found, &on, e);
  if(!st && found) r->include_usage = on ? USAGE_YES : USAGE_NO;
  if(!st) st = in_stop(r, json_get(body, "stop"), "stop", e);
  if(!st) st = in_max_tokens(r, json_get(body, "max_tokens"), "max_tokens", e);
  if(!st) st = in_count(r, json_get(body, "n"), "n", n_max, e);
  if(!st) st = in_ignored(a, body, completions_idle, (int)(sizeof completions_idle / sizeof completions_idle[0]), r, e);
  if(!st) st = IN_REST(a, body, NULL, r, e, "model", "prompt", "suffix", "echo", "best_of", "stream", "stream_options", "stop", "max_tokens", "n");
  if(!st) st = in_check(r, "prompt", e);
  return st;
}
