/* mkassets.c - packs the pages: gzips every file of a folder into one sorted C table. Usage: mkassets FOLDER > assets.inc
 *
 * Names other than the page's own get a content hash before their ending, and index.html is rewritten to use them. */
#include <dirent.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { FILES_MAX = 256 };

struct file {
  char name[128], path[160], etag[17];
  unsigned char *text;
  size_t n;
  bool hashed;
};

static struct file files[FILES_MAX];
static int file_n;

static void fail(const char *why, const char *what)
{
  fprintf(stderr, "mkassets: %s %s\n", why, what);
  exit(1);
}

static const struct { const char *ending, *type; } types[] = {
  { ".html", "text/html; charset=utf-8" }, { ".js", "text/javascript; charset=utf-8" }, { ".css", "text/css; charset=utf-8" },
  { ".svg", "image/svg+xml" },             { ".png", "image/png" },                     { ".ico", "image/x-icon" },
  { ".json", "application/json" },         { ".txt", "text/plain; charset=utf-8" },
};

static const char *type_of(const char *name)
{
  const char *dot = strrchr(name, '.');
  for(size_t i = 0; dot && i < sizeof types / sizeof types[0]; i++)
    if(strcmp(dot, types[i].ending) == 0) return types[i].type;
  fail("no content type for", name);
  return NULL;
}

static void read_file(const char *folder, struct file *f)
{
  char path[512];
  snprintf(path, sizeof path, "%s/%s", folder, f->name);
  FILE *in = fopen(path, "rb");
  if(!in) fail("cannot read", path);
  fseek(in, 0, SEEK_END);
  long n = ftell(in);
  rewind(in);
  f->text = malloc((size_t)n + 1);
  f->n = (size_t)n;
  if(!f->text || fread(f->text, 1, f->n, in) != f->n) fail("cannot read", path);
  fclose(in);
}

static void name_by_hash(struct file *f)
{
  uint64_t h = 1469598103934665603u;
  for(size_t i = 0; i < f->n; i++) h = (h ^ f->text[i]) * 1099511628211u;
  snprintf(f->etag, sizeof f->etag, "%016llx", (unsigned long long)h);
  const char *dot = strrchr(f->name, '.');
  bool fixed = strcmp(dot, ".html") == 0 || strcmp(dot, ".ico") == 0 || strcmp(f->name, "favicon.png") == 0;
  f->hashed = !fixed;
  if(fixed) snprintf(f->path, sizeof f->path, "/%s", f->name);
  else snprintf(f->path, sizeof f->path, "/%.*s.%.8s%s", (int)(dot - f->name), f->name, f->etag, dot);
}

/* Replaces "/name" by "/name.hash" in a page. */
static void rewrite(struct file *page)
{
  for(int i = 0; i < file_n; i++) {
    char quoted[sizeof files[i].name + 4], instead[sizeof files[i].path + 4];
    if(!files[i].hashed) continue;
    snprintf(quoted, sizeof quoted, "\"/%.*s\"", (int)sizeof files[i].name, files[i].name);
    snprintf(instead, sizeof instead, "\"%s\"", files[i].path);
    unsigned char *at;
    while((at = memmem(page->text, page->n, quoted, strlen(quoted)))) {
      size_t before = (size_t)(at - page->text), q = strlen(quoted), r = strlen(instead);
      unsigned char *text = malloc(page->n - q + r + 1);
      if(!text) fail("no memory for", page->name);
      memcpy(text, page->text, before);
      memcpy(text + before, instead, r);
      memcpy(text + before + r, at + q, page->n - before - q);
      page->n = page->n - q + r;
      page->text = text;
    }
  }
}

static int by_path(const void *a, const void *b)
{
  return strcmp(((const struct file *)a)->path, ((const struct file *)b)->path);
}

static size_t pack(const struct file *f, int number)
{
  z_stream z = { .next_in = f->text, .avail_in = (unsigned)f->n };
  if(deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 9, Z_DEFAULT_STRATEGY) != Z_OK) fail("cannot pack", f->name);
  size_t cap = deflateBound(&z, f->n) + 64;
  unsigned char *out = malloc(cap);
  z.next_out = out;
  z.avail_out = (unsigned)cap;
  if(!out || deflate(&z, Z_FINISH) != Z_STREAM_END) fail("cannot pack", f->name);
  size_t n = cap - z.avail_out;
  deflateEnd(&z);
  out[9] = 3; /* the system in gzip's head, the same everywhere */
  printf("static const unsigned char asset_%d[] = {", number);
  for(size_t i = 0; i < n; i++) printf("%s%d,", i % 28 ? "" : "\n", out[i]);
  printf("};\n");
  free(out);
  return n;
}

int main(int argc, char **argv)
{
  size_t packed[FILES_MAX];
  DIR *d = argc == 2 ? opendir(argv[1]) : NULL;
  if(!d) fail("usage: mkassets FOLDER, not", argc > 1 ? argv[1] : "nothing");
  for(struct dirent *e; (e = readdir(d));) {
    if(e->d_name[0] == '.' || !strchr(e->d_name, '.')) continue;
    if(file_n == FILES_MAX || strlen(e->d_name) >= sizeof files[0].name) fail("too many files at", e->d_name);
    strcpy(files[file_n].name, e->d_name);
    read_file(argv[1], &files[file_n++]);
  }
  closedir(d);
  for(int i = 0; i < file_n; i++) name_by_hash(&files[i]);
  for(int i = 0; i < file_n; i++)
    if(strstr(files[i].name, ".html")) {
      rewrite(&files[i]);
      name_by_hash(&files[i]);
    }
  qsort(files, (size_t)file_n, sizeof files[0], by_path);
  for(int i = 0; i < file_n; i++) packed[i] = pack(&files[i], i);
  printf("static const struct asset_file assets_files[] = {\n");
  for(int i = 0; i < file_n; i++)
    printf("  { \"%s\", \"%s\", \"%s\", asset_%d, %zu, %d },\n", files[i].path, type_of(files[i].name), files[i].etag, i, packed[i], files[i].hashed);
  printf("};\n");
  return 0;
}
