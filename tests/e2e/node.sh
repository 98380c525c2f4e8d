#!/bin/sh
# Runs one end-to-end test file with the pinned client libraries: node.sh FILE.mjs [arguments]
# The libraries live below build/, the test files are copied beside them so that their imports resolve.
set -eu
top=$(cd "$(dirname "$0")/../.." && pwd)
work=$top/build/test/e2e
mkdir -p "$work"
if ! cmp -s "$top/tests/e2e/package-lock.json" "$work/.installed"; then
  cp "$top/tests/e2e/package.json" "$top/tests/e2e/package-lock.json" "$top/tests/e2e/.npmrc" "$work/"
  (cd "$work" && npm ci --no-audit --no-fund --loglevel=error >&2)
  cp "$top/tests/e2e/package-lock.json" "$work/.installed"
fi
cp "$top"/tests/e2e/*.mjs "$work/"
node=node
for n in "$work"/node_modules/node-linux-*/bin/node; do
  if [ -x "$n" ] && "$n" --version >/dev/null 2>&1; then node=$n; fi
done
Q2A_TOP=$top exec "$node" "$work/$(basename "$1")"
