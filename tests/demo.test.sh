#!/bin/sh
# The demo shows one streamed chat and prints its address and key.
cd "$(dirname "$0")/.." || exit 1
passed=0 failed=0
check() { if [ "$2" = 0 ]; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAILED $1"; fi; }
out=$(SERVICE_PORT=3917 DEMO_ONCE=1 timeout 30 sh tests/demo.sh 2>&1)
check "it ends well" $?
echo "$out" | grep -q '"content":"upstream."'; check "a chat was streamed" $?
echo "$out" | grep -q '^data: \[DONE\]'; check "to its end" $?
echo "$out" | grep -q 'http://127.0.0.1:3917/v1   key: sk-demo-'; check "address and key" $?
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
