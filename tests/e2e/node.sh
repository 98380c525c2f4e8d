#!/bin/sh
# Runs one test file with the pinned packages of its folder (tests/e2e, tests/programs): node.sh FILE.mjs [arguments]
# The packages live below build/, the test files are copied beside them so that their imports resolve. Several may run at
# once: one installs, and a file is replaced whole, and only if it differs.
set -eu
top=$(cd "$(dirname "$0")/../.." && pwd)
src=$(cd "$(dirname "$1")" && pwd)
work=$top/build/test/$(basename "$src")
mkdir -p "$work"
(
  flock 9
  if ! cmp -s "$src/package-lock.json" "$work/.installed"; then
    cp "$src/package.json" "$src/package-lock.json" "$src/.npmrc" "$work/"
    (cd "$work" && npm ci --no-audit --no-fund --loglevel=error >&2)
    cp "$src/package-lock.json" "$work/.installed"
  fi
  for file in "$top/tests/e2e/lib.mjs" "$src"/*.mjs; do
    to=$work/$(basename "$file")
    if ! cmp -s "$file" "$to"; then
      cp "$file" "$to.new"
      mv "$to.new" "$to"
    fi
  done
) 9>"$work/.lock"
node=node
for n in "$work"/node_modules/node-linux-*/bin/node; do
  if [ -x "$n" ] && "$n" --version >/dev/null 2>&1; then node=$n; fi
done
Q2A_TOP=$top exec "$node" "$work/$(basename "$1")"
