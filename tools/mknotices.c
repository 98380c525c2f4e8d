/* mknotices.c - joins text files into one C array for `qwen2api licenses`. Usage: mknotices FILE... > notices.inc */
#include <stdio.h>

int main(int argc, char **argv)
{
  printf("static const char notices_text[] = {\n");
  for(int i = 1; i < argc; i++) {
    FILE *f = fopen(argv[i], "rb");
    if(!f) {
      fprintf(stderr, "mknotices: cannot read %s\n", argv[i]);
      return 1;
    }
    for(int c, n = 0; (c = getc(f)) != EOF; n++) printf("%d,%s", c > 127 ? c - 256 : c, n % 24 == 23 ? "\n" : "");
    printf("10,10,\n");
    fclose(f);
  }
  printf("0};\n");
  return 0;
}
