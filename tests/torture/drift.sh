#!/bin/sh
# D21: memory after warm-up does not drift. Streams and plain chats run through the static binary over TLS, its private memory
# is looked at after each round; DRIFT_ROUNDS rounds of 16,000 (63 make the million of the design).
set -u
cd "$(dirname "$0")/../.." || exit 1
out=$PWD/build/bench/drift
mkdir -p "$out" || exit 1
. tests/bench/lib.sh
base_port=$((base_port + 8))
rounds=${DRIFT_ROUNDS:-6}
passed=0 failed=0
check() { if [ "$2" = 0 ]; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAILED $1"; fi; }
ulimit -n "$(ulimit -Hn)"
rm -f "$out"/gateway-*.log
build_load
start_fake "" 20
start_gateway "" tls 20
private() { awk '/^Private_(Clean|Dirty)/ { n += $2 } END { print n }' "/proc/$gw_pid/smaps_rollup"; }
seed=0
round() {
  seed=$((seed + 100000))
  "$load" chat --port "$gw_port" --n 15000 --clients 32 --warm 0 --seed $seed --key "$key" >"$out/chat.txt" 2>"$out/load.err" &&
    "$load" stream --port "$gw_port" --n 1000 --ms 100 --size 40 --rate 800 --hold 6 --seed $((seed + 50000)) --timeout 90 --key "$key" >"$out/stream.txt" 2>>"$out/load.err"
}
round && round
check "warm-up" $?
first=$(private)
i=0
while [ $i -lt "$rounds" ]; do
  round || { cat "$out/load.err"; break; }
  i=$((i + 1))
  echo "after $((i * 16000)) more: $(private) KB private, $first KB after the warm-up"
done
check "all rounds whole" $((i != rounds))
last=$(private)
check "no drift: $first KB, then $last KB" $((last > first + 2048))
end_pid "$gw_pid"
check "gateway ends with 0" $?
end_pid "$fake_pid"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
