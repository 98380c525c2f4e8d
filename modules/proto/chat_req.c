#include "proto/chat_req.h"

static const char *const chat_req_roles[] = { "System", "User", "Assistant", "Tool" };

/* A line that would pass for the start of a turn is indented, so that a pasted transcript cannot forge turns. */
static bool chat_req_forged(struct str line)
{
  static const struct str marks[] = { { "User:", 5 }, { "Assistant:", 10 }, { "System:", 7 }, { "Tool:", 5 },
                                      { "Current message:", 16 } };
  for(size_t i = 0; i < sizeof marks / sizeof marks[0]; i++)
    if(str_starts(line, marks[i])) return true;
  ptrdiff_t close; /* User (alice): */
  if(!str_starts(line, S("User (")) || (close = str_find(str_sub(line, 0, 200), S("):"))) < 0) return false;
  return true;
}

static void chat_req_text(struct str text, struct strbuf *out)
{
  bool first = true;
  while(text.n || first) {
    ptrdiff_t eol = str_chr(text, '\n');
    struct str line = eol < 0 ? text : str_sub(text, 0, (size_t)eol + 1);
    if(chat_req_forged(line)) strbuf_addc(out, ' ');
    strbuf_adds(out, line);
    text = str_sub(text, line.n, text.n);
    first = false;
  }
}

static void chat_req_turn(const struct chat_msg *m, struct strbuf *out)
{
  if(m->text.n == 0) return;
  strbuf_addz(out, chat_req_roles[m->role]);
  if(m->name.n) {
    strbuf_lit(out, " (");
    for(size_t i = 0; i < m->name.n && i < 64; i++) { /* a name is a word, it cannot end the line or the mark */
      char c = m->name.p[i];
      strbuf_addc(out, (unsigned char)c < 0x20 || c == ')' || c == ':' ? '_' : c);
    }
    strbuf_addc(out, ')');
  }
  strbuf_lit(out, ": ");
  chat_req_text(m->text, out);
  strbuf_addc(out, '\n');
}

void chat_req_fold(const struct chat_req *r, struct strbuf *out)
{
  int first = 0, current = r->msg_n - 1;
  if(r->msg_n == 1 && r->msgs[0].role == ROLE_USER) {
    strbuf_adds(out, r->msgs[0].text);
    return;
  }
  for(; first < r->msg_n && r->msgs[first].role == ROLE_SYSTEM; first++) {
    if(r->msgs[first].text.n == 0) continue;
    if(out->n) strbuf_lit(out, "\n\n");
    strbuf_adds(out, r->msgs[first].text);
  }
  while(current >= first && r->msgs[current].role != ROLE_USER && r->msgs[current].role != ROLE_TOOL) current--;
  bool prefill = r->msgs[r->msg_n - 1].role == ROLE_ASSISTANT;
  if(prefill) current = r->msg_n; /* everything is history; what is asked for is its continuation */
  bool history = false;
  for(int i = first; i < r->msg_n; i++) history |= i != current && r->msgs[i].text.n > 0;
  if(history) {
    if(out->n) strbuf_lit(out, "\n\n");
    strbuf_lit(out, "Conversation so far:\n\n");
    for(int i = first; i < r->msg_n; i++)
      if(i != current) chat_req_turn(&r->msgs[i], out);
    strbuf_addz(out, prefill ? "\nContinue the last message of the assistant exactly where it ends, without repeating it.\n"
                             : "\nAnswer only the current message; the conversation above is its context.\n");
  }
  if(prefill || current < first) return;
  if(out->n) strbuf_addz(out, history ? "\n" : "\n\n");
  strbuf_lit(out, "Current message:\n");
  chat_req_text(r->msgs[current].text, out);
}
