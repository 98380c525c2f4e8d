/* config_item.h - a row of the table of settings; for config.c, config_table.c and settings.c only.
 *
 * Threads: constant. One row is read by the file parser, the environment, the command line, --help, the settings page and the
 * README. */
#ifndef Q2A_DOMAIN_CONFIG_ITEM_H
#define Q2A_DOMAIN_CONFIG_ITEM_H

#include "domain/config.h"

enum config_kind { C_BOOL, C_INT, C_MS, C_SECONDS, C_BYTES, C_MB, C_TEXT, C_LIST, C_ENUM, C_URL, C_OLD };
enum {
  C_START = 1,  /* fixed at start */
  C_SECRET = 2, /* shown masked, stored sealed */
  C_LINES = 4   /* the text may have line breaks: it never goes into a header as it is */
};

struct config_item {
  const char *key;
  enum config_kind kind;
  size_t field;
  const char *def;
  int64_t lo, hi;       /* of numbers; durations in ms, sizes in bytes */
  unsigned flags;
  const char *words;    /* of an enum: "a b c"; of a URL: the schemes */
  const char *text;     /* one line for people */
};

enum { CONFIG_ROWS = 88 };
extern const struct config_item config_items[CONFIG_ROWS];

#endif
