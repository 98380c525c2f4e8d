#!/bin/sh
# sanitized.sh [tsan|check]: the end-to-end tests against the program built with a sanitizer; any report is a failure.
cd "$(dirname "$0")/../.." || exit 1
kind=${1:-check}
reports=build/$kind/reports
rm -rf "$reports" && mkdir -p "$reports"
export Q2A_BINARY="$PWD/build/$kind/qwen2api"
# civetweb tells its own threads to end by a plain flag
export TSAN_OPTIONS="suppressions=$PWD/tests/torture/tsan.supp log_path=$PWD/$reports/report exitcode=66 atexit_sleep_ms=0" ASAN_OPTIONS="log_path=$PWD/$reports/report detect_leaks=1"
passed=0 failed=0
suites="chat http responses openai_tools rounds flavours frontends accounts batch access"
[ "$kind" = tsan ] || suites="$suites stats media pictures cli apiway anthropic settings ops store metrics logs canary explain canary_accounts"
for suite in $suites; do
  line=$(timeout 900 tests/e2e/node.sh tests/e2e/$suite.mjs 2>&1 | tee "build/$kind/$suite.log" | grep -E '^[0-9]+ passed, [0-9]+ failed$' | tail -n 1)
  grep FAILED "build/$kind/$suite.log" | cut -c 1-300
  passed=$((passed + $(echo "${line:-0}" | sed 's/ .*//')))
  failed=$((failed + $(echo "${line:-x, 1}" | sed 's/.*, \([0-9]*\).*/\1/')))
done
for r in "$reports"/*; do
  [ -e "$r" ] || continue
  failed=$((failed + 1))
  head -n 40 "$r"
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
