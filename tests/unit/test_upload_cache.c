/* The upload cache, in memory and in the original's folder (api 3.4): both forms of an entry, its life, its bounds. */
#include "domain/upload_cache.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/codec.h"
#include "base/crypt.h"
#include "base/mem.h"
#include "t.h"

#define DAY ((int64_t)24 * 3600 * 1000)
#define NOW ((int64_t)1772616278123)
#define URL "https://b.oss-x.aliyuncs.com/u/9ab1b6fa-bfbd-4208-ba09-de73b82a408a_cat.png"
static const char A[] = "00112233445566aa", Z[] = "ffeeddccbbaa9988";
static char dir[64];

static struct upload_known known(const char *account, const char *url)
{
  struct upload_known k = { .size = 12, .id = "id 1", .mime = "image/png", .name = "ca;t=.png" };
  memcpy(k.account, account, 17);
  str_copy(k.url, sizeof k.url, str_z(url));
  return k;
}

static void folder(void)
{
  strcpy(dir, "/tmp/q2a-cache-XXXXXX");
  if(!mkdtemp(dir)) exit(99);
}

static const char *path_of(const unsigned char *sig, const char *end)
{
  static char path[200];
  char hex[65];
  codec_hex(str_of((const char *)sig, 32), hex);
  snprintf(path, sizeof path, "%s/%s%s", dir, hex, end);
  return path;
}

static void write_file(const unsigned char *sig, const char *end, const char *text, int64_t age_ms)
{
  FILE *f = fopen(path_of(sig, end), "w");
  struct timespec t[2] = { { .tv_sec = (NOW - age_ms) / 1000 }, { .tv_sec = (NOW - age_ms) / 1000 } };
  if(!f) exit(99);
  fputs(text, f);
  fclose(f);
  CHECK(utimensat(AT_FDCWD, path_of(sig, end), t, 0) == 0);
}

static bool there(const unsigned char *sig, const char *end)
{
  return access(path_of(sig, end), F_OK) == 0;
}

static int64_t age_ms(const unsigned char *sig)
{
  struct stat st;
  return stat(path_of(sig, ".txt"), &st) == 0 ? NOW - (int64_t)st.st_mtim.tv_sec * 1000 : -1;
}

static void clean(void)
{
  char cmd[100];
  snprintf(cmd, sizeof cmd, "rm -r %s", dir);
  CHECK(system(cmd) == 0);
}

static void sig_of(int i, unsigned char sig[32])
{
  crypt_sha256(str_of((char *)&i, sizeof i), sig);
}

static void t_sign(void)
{
  /* api 3.4: the signature is the SHA-256 of the base64 text, whatever the length of the content leaves at the end */
  static char bytes[10000];
  for(size_t i = 0; i < sizeof bytes; i++) bytes[i] = (char)(i * 7);
  for(size_t n = 0; n < sizeof bytes; n += n < 20 || n > 9970 || (n > 3050 && n < 3090) ? 1 : 37) {
    struct strbuf text = STRBUF(20000);
    unsigned char want[32], got[32];
    codec_base64(str_of(bytes, n), &text);
    crypt_sha256(strbuf_str(&text), want);
    upload_cache_sign(str_of(bytes, n), got);
    CHECK(memcmp(want, got, 32) == 0);
    strbuf_free(&text);
  }
}

static void t_memory(void)
{
  struct upload_cache *c = upload_cache_new(NULL, NULL);
  struct upload_known k = known(A, URL "?x=1"), got;
  unsigned char sig[32], other[32];
  char holders[4][17];
  sig_of(1, sig);
  sig_of(2, other);
  CHECK(!upload_cache_get(c, sig, A, NOW, &got));
  upload_cache_put(c, sig, &k, NOW);
  CHECK(upload_cache_get(c, sig, A, NOW, &got));
  CHECK_Z(got.url, URL); /* api 3.4: without its query */
  CHECK_Z(got.id, "id 1");
  CHECK_Z(got.name, "ca;t=.png");
  CHECK_INT(got.size, 12);
  CHECK(!upload_cache_get(c, sig, Z, NOW, &got) && !upload_cache_get(c, other, A, NOW, &got)); /* D14: per account */
  k = known(Z, URL "2");
  upload_cache_put(c, sig, &k, NOW);
  CHECK(upload_cache_get(c, sig, Z, NOW, &got) && strcmp(got.url, URL "2") == 0);
  CHECK(upload_cache_get(c, sig, A, NOW, &got) && strcmp(got.url, URL) == 0);
  CHECK_INT(upload_cache_holders(c, sig, holders, 4), 2);
  upload_cache_forget(c, sig, A);
  CHECK(!upload_cache_get(c, sig, A, NOW, &got) && upload_cache_get(c, sig, Z, NOW, &got));
  CHECK(upload_cache_get(c, sig, Z, NOW + 29 * DAY, &got) && upload_cache_get(c, sig, Z, NOW + 58 * DAY, &got)); /* each use counts */
  CHECK(!upload_cache_get(c, sig, Z, NOW + 89 * DAY, &got));
  CHECK_INT(upload_cache_count(c), 0);
  upload_cache_destroy(c);
}

static void t_bound(void)
{
  struct upload_cache *c = upload_cache_new(NULL, NULL);
  struct upload_known k = known(A, URL), got;
  unsigned char sig[32];
  long base = 0;
  for(int i = 0; i < UPLOAD_CACHE_MAX * 2; i++) {
    sig_of(i, sig);
    upload_cache_put(c, sig, &k, NOW);
    sig_of(0, sig);
    if(i) CHECK(upload_cache_get(c, sig, A, NOW, &got)); /* what is used stays */
    if(i == UPLOAD_CACHE_MAX) base = mem_live();
  }
  CHECK_INT(upload_cache_count(c), UPLOAD_CACHE_MAX);
  CHECK_INT(mem_live(), base);
  sig_of(1, sig);
  CHECK(!upload_cache_get(c, sig, A, NOW, &got));
  sig_of(UPLOAD_CACHE_MAX * 2 - 1, sig);
  CHECK(upload_cache_get(c, sig, A, NOW, &got));
  upload_cache_destroy(c);
}

static void t_text(void)
{
  static const struct { const char *text; bool ok; const char *account, *id, *name; } rows[] = {
    { URL, true, "", "9ab1b6fa-bfbd-4208-ba09-de73b82a408a", "" }, { URL "?sig=1\r\n", true, "", "9ab1b6fa-bfbd-4208-ba09-de73b82a408a", "" },
    { URL "\naccount=00112233445566aa;id=x%3By;type=image%2Fpng;name=%E6%97%A5.png;size=5\n", true, A, "x;y", "\xe6\x97\xa5.png" },
    { URL "\naccount=short;id=x", true, "", "x", "" }, { URL "\naccount=../../etc/passwd;new=1", true, "", "9ab1b6fa-bfbd-4208-ba09-de73b82a408a", "" },
    { URL "\naccount=00112233445566aa;id=a%0Ab", true, A, "", "" },
    { "", false, "", "", "" }, { "http://x/y", false, "", "", "" }, { "https://x/a b", false, "", "", "" }, { "javascript:1", false, "", "", "" },
  };
  for(size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct upload_known k;
    CHECK_INT(upload_cache_read(str_z(rows[i].text), &k), rows[i].ok);
    if(!rows[i].ok) continue;
    CHECK_Z(k.url, URL);
    CHECK_Z(k.account, rows[i].account);
    CHECK_Z(k.id, rows[i].id);
    CHECK_Z(k.name, rows[i].name);
  }
  struct strbuf b = STRBUF(2000);
  struct upload_known k = known(A, URL), back;
  upload_cache_text(&k, &b);
  CHECK_STR(strbuf_str(&b), S(URL "\naccount=00112233445566aa;id=id%201;type=image/png;name=ca%3Bt%3D.png;size=12\n"));
  CHECK(upload_cache_read(strbuf_str(&b), &back) && strcmp(back.name, k.name) == 0 && strcmp(back.id, k.id) == 0 && back.size == 12);
  strbuf_free(&b);
}

static void t_files(void)
{
  folder();
  struct upload_cache *c = upload_cache_new(dir, NULL), *d = upload_cache_new(dir, NULL);
  struct upload_known k = known(A, URL "?x"), got;
  unsigned char sig[32], one[32], old[32], used[32], junk[32];
  sig_of(1, sig);
  sig_of(2, one);
  sig_of(3, old);
  sig_of(4, used);
  sig_of(5, junk);
  upload_cache_put(c, sig, &k, NOW);
  CHECK(there(sig, ".txt"));
  upload_cache_load(d, sig, NOW); /* another process */
  CHECK(upload_cache_get(d, sig, A, NOW, &got) && strcmp(got.url, URL) == 0 && strcmp(got.id, "id 1") == 0);
  CHECK(!upload_cache_get(d, sig, Z, NOW, &got));

  write_file(one, ".txt", URL, 0); /* the original's one-line form: any account */
  upload_cache_load(c, one, NOW);
  CHECK(upload_cache_get(c, one, A, NOW, &got) && upload_cache_get(c, one, Z, NOW, &got) && got.account[0] == 0);
  CHECK_Z(got.id, "9ab1b6fa-bfbd-4208-ba09-de73b82a408a");
  k = known(Z, URL "3");
  upload_cache_put(c, one, &k, NOW); /* replaced by an upload */
  CHECK(!upload_cache_get(c, one, A, NOW, &got) && upload_cache_get(c, one, Z, NOW, &got));

  write_file(old, ".txt", URL, 31 * DAY);
  upload_cache_load(c, old, NOW);
  CHECK(!upload_cache_get(c, old, A, NOW, &got) && !there(old, ".txt"));
  write_file(used, ".txt", URL, 29 * DAY);
  upload_cache_load(c, used, NOW);
  CHECK(upload_cache_get(c, used, A, NOW, &got) && age_ms(used) < DAY); /* a use lengthens its life */
  write_file(used, ".txt", URL, 5 * DAY);
  upload_cache_load(c, used, NOW + 2 * DAY); /* known in memory: the file is still marked */
  CHECK(age_ms(used) < 0);

  write_file(junk, ".txt", "not a URL", 0);
  upload_cache_load(c, junk, NOW);
  CHECK(!upload_cache_get(c, junk, A, NOW, &got) && there(junk, ".txt"));
  CHECK(unlink(path_of(junk, ".txt")) == 0 && symlink("/etc/passwd", path_of(junk, ".txt")) == 0);
  upload_cache_load(c, junk, NOW);
  CHECK(!upload_cache_get(c, junk, A, NOW, &got));
  upload_cache_destroy(c);
  upload_cache_destroy(d);
  clean();
}

/* An entry that the upstream refused does not come back from its file, and its file goes unless it is a newer one. */
static void t_forget(void)
{
  folder();
  struct upload_cache *c = upload_cache_new(dir, NULL);
  struct upload_known k = known(A, URL), got;
  unsigned char sig[32], one[32];
  sig_of(1, sig);
  sig_of(2, one);
  upload_cache_put(c, sig, &k, NOW);
  upload_cache_forget(c, sig, A);
  CHECK(!upload_cache_get(c, sig, A, NOW, &got));
  upload_cache_load(c, sig, NOW);
  CHECK(!upload_cache_get(c, sig, A, NOW, &got));
  upload_cache_remove(c, sig);
  CHECK(!there(sig, ".txt"));
  k = known(A, URL "new");
  upload_cache_put(c, sig, &k, NOW);
  CHECK(upload_cache_get(c, sig, A, NOW, &got) && strcmp(got.url, URL "new") == 0);
  upload_cache_remove(c, sig);
  CHECK(there(sig, ".txt"));

  write_file(one, ".txt", URL, 0);
  upload_cache_load(c, one, NOW);
  upload_cache_forget(c, one, Z); /* a one-line entry, refused on any account */
  CHECK(!upload_cache_get(c, one, A, NOW, &got));
  upload_cache_remove(c, one);
  CHECK(!there(one, ".txt"));
  upload_cache_destroy(c);
  clean();
}

static void t_sweep(void)
{
  folder();
  struct upload_cache *c = upload_cache_new(dir, NULL);
  unsigned char v[4][32], sig[32];
  for(int i = 0; i < 4; i++) sig_of(i, v[i]);
  write_file(v[0], ".txt", URL, 31 * DAY);
  write_file(v[1], ".txt", URL, 29 * DAY);
  write_file(v[2], ".00ff.tmp", URL, 2 * DAY); /* of a crash */
  write_file(v[3], ".00ff.tmp", URL, DAY / 2);
  write_file(v[3], ".keep", "somebody else's", 99 * DAY);
  upload_cache_sweep(c, NOW);
  CHECK(!there(v[0], ".txt") && there(v[1], ".txt") && !there(v[2], ".00ff.tmp") && there(v[3], ".00ff.tmp") && there(v[3], ".keep"));
  for(int i = 0; i < UPLOAD_CACHE_FILES_MAX + 3; i++) { /* bounded: the oldest go */
    sig_of(i + 100, sig);
    write_file(sig, ".txt", "", i < 4 ? 20 * DAY + i : 1);
  }
  upload_cache_sweep(c, NOW + DAY / 2);
  CHECK(there(v[1], ".txt")); /* once a day */
  upload_cache_sweep(c, NOW + 2 * DAY);
  int left = 0;
  for(int i = 0; i < UPLOAD_CACHE_FILES_MAX + 3; i++) {
    sig_of(i + 100, sig);
    left += there(sig, ".txt");
  }
  CHECK_INT(left, UPLOAD_CACHE_FILES_MAX);
  CHECK(!there(v[1], ".txt"));
  upload_cache_destroy(c);
  clean();
}

static void t_no_folder(void)
{
  char path[100];
  folder();
  snprintf(path, sizeof path, "%s/deep", dir);
  struct upload_cache *c = upload_cache_new(path, NULL); /* made at the first write */
  struct upload_known k = known(A, URL), got;
  unsigned char sig[32];
  struct stat st;
  sig_of(1, sig);
  upload_cache_put(c, sig, &k, NOW);
  CHECK(stat(path, &st) == 0 && (st.st_mode & 0777) == 0700);
  upload_cache_destroy(c);
  c = upload_cache_new("/proc/nowhere", NULL); /* cannot be written: memory still serves */
  upload_cache_put(c, sig, &k, NOW);
  CHECK(upload_cache_get(c, sig, A, NOW, &got));
  upload_cache_load(c, sig, NOW);
  upload_cache_remove(c, sig);
  upload_cache_destroy(c);
  clean();
}

/* Writers and readers of one folder: nobody ever reads half an entry. */
static atomic_bool stop;
static void *writer(void *arg)
{
  struct upload_cache *c = upload_cache_new(dir, NULL);
  struct upload_known k = known(*(int *)arg ? A : Z, URL);
  unsigned char sig[32];
  sig_of(1, sig);
  for(int i = 0; i < 300; i++) upload_cache_put(c, sig, &k, NOW);
  upload_cache_destroy(c);
  atomic_store(&stop, true);
  return NULL;
}

static void t_several(void)
{
  folder();
  pthread_t t[2];
  int which[2] = { 0, 1 }, seen = 0;
  unsigned char sig[32];
  sig_of(1, sig);
  for(int i = 0; i < 2; i++) CHECK(pthread_create(&t[i], NULL, writer, &which[i]) == 0);
  for(int n = 0; !atomic_load(&stop) || n < 50; n++) {
    struct upload_cache *c = upload_cache_new(dir, NULL);
    struct upload_known got;
    bool was = there(sig, ".txt");
    upload_cache_load(c, sig, NOW);
    bool found = upload_cache_get(c, sig, A, NOW, &got) || upload_cache_get(c, sig, Z, NOW, &got);
    CHECK(found || !was);
    if(found) CHECK_Z(got.name, "ca;t=.png");
    seen += found;
    upload_cache_destroy(c);
  }
  for(int i = 0; i < 2; i++) pthread_join(t[i], NULL);
  CHECK(seen > 0);
  clean();
}

static void t_no_memory(void)
{
  unsigned char sig[32];
  struct upload_known k = known(A, URL), got;
  sig_of(1, sig);
  for(long n = 0;; n++) {
    long base = mem_live();
    fault_arm(n, false);
    struct upload_cache *c = upload_cache_new("/proc/nowhere", NULL);
    if(c) {
      upload_cache_put(c, sig, &k, NOW);
      (void)upload_cache_get(c, sig, A, NOW, &got);
    }
    upload_cache_destroy(c);
    bool hit = fault_disarm();
    CHECK_INT(mem_live(), base);
    if(!hit) break;
  }
}

T_MAIN(T(t_sign), T(t_memory), T(t_bound), T(t_text), T(t_files), T(t_forget), T(t_sweep), T(t_no_folder), T(t_several), T(t_no_memory))
