#!/bin/sh
# The lint finds nothing in the tree, and every rule of it fires on a snippet that breaks it.
cd "$(dirname "$0")/.." || exit 1
lint=build/tools/lint
passed=0 failed=0
check() { if [ "$2" = 0 ]; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAILED $1"; fi; }
$lint .
check "the tree is clean" $?
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
mkdir -p "$dir/modules/base" "$dir/modules/proto" "$dir/modules/http" "$dir/modules/domain"
fires() { # words of the finding, file, line
  rm -f "$dir"/modules/*/*
  printf '%s\n' "$3" > "$dir/modules/$2"
  out=$($lint "$dir")
  [ $? -ne 0 ] && echo "$out" | grep -q "$1"
  check "rule: $1" $?
}
fires 'arrow to the right' proto/a.c '#include "domain/pool.h"'
fires 'belongs to base/mem.c' proto/a.c 'void *f(void) { return malloc(1); }'
fires 'is banned' base/a.c 'void f(char *a) { strcpy(a, "x"); }'
fires 'belongs to net/' domain/a.c 'int f(void) { return socket(1, 2, 3); }'
fires 'civetweb' http/a.c 'void f(void) { mg_stop(0); }'
fires 'LMDB' domain/a.c 'void f(void) { mdb_env_close(0); }'
fires 'a writable global' base/a.c 'static int counter;'
fires 'Threads:' base/a.h '/* a.h - nothing */'
fires 'a tab' base/a.c "$(printf '\tint a;')"
fires 'unfinished' base/a.c "/* TO""DO later */"
rm -f "$dir"/modules/*/*
printf 'int f(void);' > "$dir/modules/base/a.c"
$lint "$dir" | grep -q 'no newline'
check "rule: newline at the end" $?
printf 'void *f(void) { return malloc(1); } /* lint: ok */\n' > "$dir/modules/base/a.c"
$lint "$dir" > /dev/null
check "a visible comment silences" $?
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
