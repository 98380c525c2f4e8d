#!/bin/sh
# streams.sh - 2,000 streams at once through the static binary over TLS: nothing is lost, every text is compared.
#
# Part of make test. Each stream has a text of its own; all are open together before the first may end. Afterwards the
# gateway must still answer and end cleanly. Last line: "N passed, N failed".
set -u
cd "$(dirname "$0")/../.." || exit 1
out=$PWD/build/bench/streams
mkdir -p "$out" || exit 1
. tests/bench/lib.sh

base_port=$((base_port + 4))
streams=${STREAMS:-2000}
passed=0 failed=0
check() {
  if [ "$2" = 0 ]; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "failed: $1"; fi
}

ulimit -n "$(ulimit -Hn)"
rm -f "$out"/gateway-*.log
build_load
[ -x "$bin" ] || die "$bin is missing: make it first"
[ -x "$fake" ] || die "$fake is missing: make it first"
# First the checker: what cannot see a wrong answer proves nothing.
${HOSTCC:-cc} -std=gnu11 -O1 -o "$out/test_answer" tests/bench/test_answer.c tests/bench/answer.c &&
  "$out/test_answer" >"$out/test_answer.txt"
check "the checker sees every wrong answer" $?
grep -v ' passed, ' "$out/test_answer.txt"
passed=$((passed + $(sed -n 's/^\([0-9]*\) passed, .*/\1/p' "$out/test_answer.txt")))

start_fake "" 20
start_gateway "" tls 20

"$load" stream --port "$gw_port" --key "$key" --n "$streams" --ms 200 --size 32 --rate 800 --hold 3 --seed 100 \
  --timeout 90 >"$out/result.txt" 2>&1
check "all $streams streams open at once, none wrong" $?
grep '^load:' "$out/result.txt"
good=$(awk '$1 == "streams" { print $2 }' "$out/result.txt")
good=${good:-0}
passed=$((passed + good))
failed=$((failed + streams - good))
"$load" get --port "$gw_port" >/dev/null
check "gateway answers afterwards" $?
end_pid "$gw_pid"
check "gateway ends with 0" $?
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
