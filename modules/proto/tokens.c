#include "proto/tokens.h"

enum { TOKENS_CJK = 65 }; /* hundredths */
enum { TOKENS_NONE, TOKENS_LETTERS, TOKENS_PUNCT, TOKENS_SPACE, TOKENS_SPACES, TOKENS_OTHER };

/* What the run under way adds if it ends here; before_word: what follows is a word. */
static int64_t tokens_run(const struct tokens *t, bool before_word)
{
  switch(t->kind) {
  case TOKENS_LETTERS: return 100 + 100 * (int64_t)((t->run - 1) / 6);
  case TOKENS_PUNCT: return 100 * (int64_t)((t->run + 2) / 3);
  case TOKENS_SPACE: return before_word ? 0 : 100;
  case TOKENS_SPACES: return 100;
  case TOKENS_OTHER: return 100 * (int64_t)((t->run + 2) / 3); /* run counts bytes */
  default: return 0;
  }
}

static void tokens_end(struct tokens *t, bool before_word)
{
  t->hundredths += tokens_run(t, before_word);
  t->kind = TOKENS_NONE;
  t->run = 0;
}

static void tokens_ascii(struct tokens *t, unsigned char c)
{
  bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  bool digit = c >= '0' && c <= '9', space = c == ' ' || (c >= 9 && c <= 13);
  if(letter) {
    if(t->kind != TOKENS_LETTERS) tokens_end(t, true);
    t->kind = TOKENS_LETTERS;
    t->run++;
  } else if(digit) {
    tokens_end(t, true);
    t->hundredths += 100;
  } else if(space) {
    if(t->kind == TOKENS_SPACE || t->kind == TOKENS_SPACES) {
      t->kind = TOKENS_SPACES;
    } else {
      tokens_end(t, false);
      t->kind = c == ' ' ? TOKENS_SPACE : TOKENS_SPACES;
    }
    t->run = 1;
  } else {
    if(t->kind != TOKENS_PUNCT || t->cp != c) tokens_end(t, false);
    t->kind = TOKENS_PUNCT;
    t->cp = c;
    t->run++;
  }
}

static void tokens_point(struct tokens *t, uint32_t cp)
{
  bool cjk = (cp >= 0x3040 && cp <= 0x30ff) || (cp >= 0x3400 && cp <= 0x4dbf) || (cp >= 0x4e00 && cp <= 0x9fff) ||
             (cp >= 0xf900 && cp <= 0xfaff) || (cp >= 0x20000 && cp <= 0x3ffff);
  bool hangul = (cp >= 0xac00 && cp <= 0xd7a3) || (cp >= 0x1100 && cp <= 0x11ff) || (cp >= 0x3130 && cp <= 0x318f);
  bool emoji = (cp >= 0x1f000 && cp <= 0x1faff) || (cp >= 0x2600 && cp <= 0x27bf);
  if(cjk || hangul || emoji) {
    tokens_end(t, true);
    t->hundredths += cjk ? TOKENS_CJK : hangul ? 80 : 200;
    return;
  }
  if(t->kind != TOKENS_OTHER) tokens_end(t, true);
  t->kind = TOKENS_OTHER;
  t->run += cp < 0x800 ? 2 : cp < 0x10000 ? 3 : 4;
}

void tokens_push(struct tokens *t, struct str text)
{
  for(size_t i = 0; i < text.n; i++) {
    unsigned char c = (unsigned char)text.p[i];
    if(c < 0x80) {
      t->need = 0;
      tokens_ascii(t, c);
    } else if(c < 0xc0) {
      if(!t->need) continue;
      t->part = t->part << 6 | (c & 63u);
      if(--t->need == 0) tokens_point(t, t->part);
    } else {
      t->need = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : 1;
      t->part = c & (c >= 0xf0 ? 7u : c >= 0xe0 ? 15u : 31u);
    }
  }
}

int64_t tokens_total(const struct tokens *t)
{
  /* An open single space counts as the least that can follow it in its place, so that the total never falls. */
  int64_t open = t->kind == TOKENS_SPACE ? TOKENS_CJK : tokens_run(t, false);
  return (t->hundredths + open + 99) / 100;
}

int64_t tokens_count(struct str text)
{
  struct tokens t = { 0 };
  tokens_push(&t, text);
  return tokens_total(&t);
}
