/* lint.c - what a compiler does not know of this project: layers, names that only one file may use, banned calls.
 * Usage: lint ROOT. A line with the comment "lint: ok" is passed over. Prints file:line: reason; ends with 1 if any. */
#include <ctype.h>
#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_MAX_ = 4096, LONG_MAX_ = 120, WORST = 10 };

static const char *const layers[] = { "base", "proto", "net", "domain", "http", "main" };
static int found;
static struct { char name[160]; int lines; } worst[WORST];

static int layer_of(const char *name)
{
  for(int i = 0; i < 6; i++) {
    size_t n = strlen(layers[i]);
    if(strncmp(name, layers[i], n) == 0 && (name[n] == '/' || name[n] == 0)) return i;
  }
  return -1;
}

static void report(const char *path, int line, const char *why)
{
  printf("%s:%d: %s\n", path, line, why);
  found++;
}

/* The word at p, not a part of a longer name, followed by '(' if call. */
static bool word_in(const char *line, const char *word, bool call)
{
  size_t n = strlen(word);
  for(const char *at = line; (at = strstr(at, word)); at += n) {
    char before = at > line ? at[-1] : ' ';
    if(isalnum((unsigned char)before) || before == '_' || before == '.' || before == '>') continue;
    char after = at[n];
    if(call ? after == '(' : !isalnum((unsigned char)after) && after != '_') return true;
  }
  return false;
}

static bool starts_in(const char *line, const char *prefix) /* a name that begins with prefix */
{
  for(const char *at = line; (at = strstr(at, prefix)); at++)
    if(at == line || (!isalnum((unsigned char)at[-1]) && at[-1] != '_')) return true;
  return false;
}

/* Blanks out comments and texts, so that only code is judged. *in_comment lasts over lines. */
static void only_code(char *s, bool *in_comment)
{
  bool text = false, one = false;
  for(; *s; s++) {
    if(*in_comment) {
      if(s[0] == '*' && s[1] == '/') *in_comment = false, s[0] = s[1] = ' ', s++;
      else *s = ' ';
    } else if(text || one) {
      char end = text ? '"' : '\'';
      if(*s == '\\' && s[1]) s[0] = s[1] = ' ', s++;
      else if(*s == end) text = one = false;
      else *s = ' ';
    } else if(s[0] == '/' && s[1] == '*') {
      *in_comment = true;
      s[0] = s[1] = ' ';
      s++;
    } else if(s[0] == '/' && s[1] == '/') {
      *s = 0;
      return;
    } else if(*s == '"') text = true;
    else if(*s == '\'') one = true;
  }
}

static void calls(const char *path, const char *rel, int n, const char *code)
{
  static const char *const banned[] = { "strcpy", "strcat", "sprintf", "vsprintf", "atoi", "atol", "strtok", "gets", "alloca" };
  static const char *const heap[] = { "malloc", "calloc", "realloc", "free", "strdup", "strndup" };
  static const char *const sockets[] = { "socket", "connect", "accept", "accept4", "bind", "listen", "send", "recv", "epoll_wait", "epoll_ctl",
                                         "getaddrinfo", "setsockopt" };
  char why[160];
  bool server = strcmp(rel, "http/server.c") == 0;
  for(size_t i = 0; i < sizeof banned / sizeof banned[0]; i++)
    if(word_in(code, banned[i], true)) snprintf(why, sizeof why, "%s() is banned", banned[i]), report(path, n, why);
  for(size_t i = 0; i < sizeof heap / sizeof heap[0]; i++)
    if(word_in(code, heap[i], true) && strcmp(rel, "base/mem.c") != 0) snprintf(why, sizeof why, "%s() belongs to base/mem.c", heap[i]), report(path, n, why);
  for(size_t i = 0; i < sizeof sockets / sizeof sockets[0]; i++)
    if(word_in(code, sockets[i], true) && strncmp(rel, "net/", 4) != 0 && strcmp(rel, "main/listen.c") != 0 && !server)
      snprintf(why, sizeof why, "%s() belongs to net/", sockets[i]), report(path, n, why);
  if(starts_in(code, "mg_") && !server) report(path, n, "civetweb (mg_*) is for http/server.c alone");
  if(starts_in(code, "mdb_") && strcmp(rel, "domain/store_lmdb.c") != 0) report(path, n, "LMDB (mdb_*) is for domain/store_lmdb.c alone");
}

static void include(const char *path, const char *rel, int n, const char *line)
{
  const char *q = strchr(line, '"');
  int mine = layer_of(rel), its;
  if(strncmp(line, "#include", 8) != 0 || !q) return;
  its = layer_of(q + 1);
  if(its > mine) report(path, n, "an arrow to the right: base <- proto <- net <- domain <- http <- main");
}

/* A line at the margin that defines data which can be written. */
static bool writable_global(const char *code)
{
  if(strncmp(code, "static ", 7) != 0 || strstr(code, "const") || strchr(code, '(')) return false;
  if(strstr(code, "struct") && strchr(code, '{') && !strchr(code, '=')) return false;
  return strchr(code, ';') != NULL || strchr(code, '=') != NULL;
}

static void file(const char *path, const char *rel, bool module)
{
  char line[LINE_MAX_], code[LINE_MAX_], last = '\n';
  FILE *f = fopen(path, "r");
  int n = 0, function = 0;
  bool in_comment = false, header = strstr(rel, ".h") != NULL, says_threads = false;
  if(!f) return;
  while(fgets(line, sizeof line, f)) {
    size_t len = strlen(line);
    n++;
    last = len ? line[len - 1] : '\n';
    if(len && line[len - 1] == '\n') line[--len] = 0;
    if(strstr(line, "Threads:")) says_threads = true;
    strcpy(code, line);
    bool was_comment = in_comment;
    only_code(code, &in_comment);
    if(strstr(line, "lint: ok")) continue;
    if(strchr(line, '\t')) report(path, n, "a tab");
    if(word_in(line, "TODO", false) || word_in(line, "FIXME", false) || word_in(line, "XXX", false)) report(path, n, "unfinished"); /* lint: ok */
    if(!module) continue;
    include(path, rel, n, line);
    calls(path, rel, n, code);
    if(!was_comment && !header && writable_global(code)) report(path, n, "a writable global");
    if(line[0] == '{') function = n;
    if(line[0] == '}' && function) {
      int size = n - function, at = -1;
      for(int i = 0; i < WORST; i++)
        if(at < 0 || worst[i].lines < worst[at].lines) at = i;
      if(size > worst[at].lines) {
        worst[at].lines = size;
        snprintf(worst[at].name, sizeof worst[at].name, "%.120s:%d", path, function);
      }
      function = 0;
    }
  }
  if(last != '\n') report(path, n, "no newline at the end");
  if(module && header && !says_threads) report(path, 1, "the header does not say \"Threads:\"");
  fclose(f);
}

static void folder(const char *root, const char *sub, bool module)
{
  char dir[1024], path[2048], rel[1024];
  snprintf(dir, sizeof dir, "%s/%s", root, sub);
  DIR *d = opendir(dir);
  if(!d) return;
  for(struct dirent *e; (e = readdir(d));) {
    size_t n = strlen(e->d_name);
    if(n < 3 || e->d_name[n - 2] != '.' || !strchr("ch", e->d_name[n - 1])) continue;
    snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
    snprintf(rel, sizeof rel, "%s/%s", strrchr(sub, '/') ? strrchr(sub, '/') + 1 : sub, e->d_name);
    file(path, rel, module);
  }
  closedir(d);
}

static int by_lines(const void *a, const void *b)
{
  return *(const int *)((const char *)b + sizeof worst[0].name) - *(const int *)((const char *)a + sizeof worst[0].name);
}

int main(int argc, char **argv)
{
  const char *root = argc > 1 ? argv[1] : ".";
  char sub[64];
  for(int i = 0; i < 6; i++) {
    snprintf(sub, sizeof sub, "modules/%s", layers[i]);
    folder(root, sub, true);
  }
  folder(root, "tools", false);
  folder(root, "tools/fake", false);
  folder(root, "tests/unit", false);
  qsort(worst, WORST, sizeof worst[0], by_lines);
  if(argc > 2) /* a report, nothing to fail on */
    for(int i = 0; i < WORST && worst[i].lines; i++) printf("%4d lines  %s\n", worst[i].lines, worst[i].name);
  if(found) printf("lint: %d findings\n", found);
  return found != 0;
}
