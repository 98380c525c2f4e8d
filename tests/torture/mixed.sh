#!/bin/sh
# A long storm of all kinds of requests, whose clients leave at any moment, against the program built with the address sanitizer and
# then with the thread sanitizer; any report is a failure. MIXED_SECONDS and MIXED_CLIENTS: how long, how many at once.
cd "$(dirname "$0")/../.." || exit 1
passed=0 failed=0
for kind in ${MIXED_KINDS:-check tsan}; do
  reports=$PWD/build/$kind/mixed
  rm -rf "$reports" && mkdir -p "$reports"
  line=$(Q2A_BINARY="$PWD/build/$kind/qwen2api" Q2A_STORM_SECONDS=${MIXED_SECONDS:-150} Q2A_STORM_CLIENTS=${MIXED_CLIENTS:-250} \
    TSAN_OPTIONS="suppressions=$PWD/tests/torture/tsan.supp log_path=$reports/report exitcode=66 atexit_sleep_ms=0" \
    ASAN_OPTIONS="log_path=$reports/report detect_leaks=1" \
    timeout 900 tests/e2e/node.sh tests/e2e/hostile.mjs 2>&1 | tee "build/$kind/mixed.log" | grep -E '^[0-9]+ passed, [0-9]+ failed$' | tail -n 1)
  grep FAILED "build/$kind/mixed.log" | cut -c 1-600
  passed=$((passed + $(echo "${line:-0}" | sed 's/ .*//')))
  failed=$((failed + $(echo "${line:-x, 1}" | sed 's/.*, \([0-9]*\).*/\1/')))
  for r in "$reports"/*; do
    [ -e "$r" ] || continue
    failed=$((failed + 1))
    head -n 60 "$r"
  done
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
