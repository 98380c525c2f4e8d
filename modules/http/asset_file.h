/* asset_file.h - a row of the table that tools/mkassets.c writes. Threads: constant data. */
#ifndef Q2A_HTTP_ASSET_FILE_H
#define Q2A_HTTP_ASSET_FILE_H

struct asset_file {
  const char *path, *type, *etag;
  const unsigned char *gz;  /* gzip */
  unsigned gz_n;
  int hashed;               /* the name changes with the content: may be cached for ever */
};

#endif
