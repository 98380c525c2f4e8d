#!/bin/sh
# A thousand times kill -9 under load (CRASH_KILLS), in parts, so that each starts with an empty folder; a fifth part is of accounts.
cd "$(dirname "$0")/../.." || exit 1
passed=0 failed=0 part=0
mkdir -p build
while [ $part -lt 5 ]; do
  part=$((part + 1))
  suite=crash
  [ $part -le 4 ] || suite=crash_accounts
  Q2A_KILLS=$((${CRASH_KILLS:-1000} / 4)) timeout 900 tests/e2e/node.sh tests/e2e/$suite.mjs >build/crash.log 2>&1
  line=$(grep -E '^[0-9]+ passed, [0-9]+ failed$' build/crash.log | tail -n 1)
  grep -v -E '^[0-9]+ passed' build/crash.log | cut -c 1-600
  passed=$((passed + $(echo "${line:-0}" | sed 's/ .*//')))
  failed=$((failed + $(echo "${line:-x, 1}" | sed 's/.*, \([0-9]*\).*/\1/')))
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
