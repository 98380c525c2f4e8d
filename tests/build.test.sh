#!/bin/sh
# Reproducible: a second build of our own code in another folder gives the same bytes. No mirror's host in the tree.
top=$(cd "$(dirname "$0")/.." && pwd)
passed=0 failed=0
check() { if [ "$2" = 0 ]; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAILED $1"; fi; }
other=$(mktemp -d) || exit 1
trap 'rm -rf "$other"' EXIT
mkdir "$other/elsewhere"
cd "$top" || exit 1
cp -r Makefile LICENSE qwen2api.c modules assets tools "$other/elsewhere/"
mkdir -p "$other/elsewhere/build"
cp -r build/deps "$other/elsewhere/build/deps"
cd "$other/elsewhere" || exit 1
make -s -j2 all >"$other/log" 2>&1
check "a clean build in another folder" $?
cmp -s build/qwen2api "$top/build/qwen2api"
check "byte for byte the same" $?
# make clean takes build/ and leaves what belongs to the user.
for kept in data caches logs; do mkdir -p $kept && echo mine >$kept/file; done
echo 'SERVICE_PORT=3000' >.env
make -s clean
check "make clean" $?
[ ! -e build ] && [ "$(cat data/file caches/file logs/file | grep -c mine)" = 3 ] && [ -s .env ]
check "data/, caches/, logs/ and .env stay" $?
cd "$top" || exit 1
hosts=$( { npm config get registry; apt-get indextargets --format '$(SITE)'; } 2>/dev/null | sed -E 's#^[a-z+]+://##; s#[/:].*##' | grep '\.' | sort -u)
found=0
for h in $hosts; do
  grep -rIlF --exclude-dir=.git --exclude-dir=build --exclude-dir=data --exclude-dir=node_modules --exclude-dir=logs -- "$h" . && found=1
done
check "no host of a package mirror is written anywhere" $found
grep -q '"resolved"' $(find . -name package-lock.json -not -path './build/*' -not -path '*/node_modules/*')
check "no address in a package lock" $((! $?))
./build/qwen2api readme-table > build/readme-table
awk '/<!-- settings -->/ { on = 1; next } /<!-- end of settings -->/ { on = 0 } on' README.md | cmp -s - build/readme-table
check "the README has the table of settings as it is" $?
./build/qwen2api print-env > build/print-env && (cd build && env -i ../build/qwen2api check --config print-env > check.1 && env -i ../build/qwen2api check > check.2 && cmp -s check.1 check.2)
check "print-env, read back, changes nothing" $?
for part in civetweb BearSSL LMDB hiredis zlib musl Vue vue-router vue-i18n "Permission is hereby granted"; do
  ./build/qwen2api licenses | grep -q "$part"
  check "licenses names $part" $?
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
