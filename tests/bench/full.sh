#!/bin/sh
# full.sh - what many accounts and keys cost (part of make bench): one gateway with 10 accounts and one key, another with 2,000 accounts
# and 1,000 keys that have limits, both with a store on disk and on the same core; runs of plain chats go to the one and the other in turns.
# The figure is the median of the ratios of CPU per chat. FULL_ROUNDS, FULL_CHATS: how many runs, how many chats in each.
# Figures: "name value unit" on standard output. Exit: non-zero when an answer was wrong.
set -u
cd "$(dirname "$0")/../.." || exit 1
out=$PWD/build/bench/full
rm -rf "$out" && mkdir -p "$out" || exit 1
. tests/bench/lib.sh
rounds=${FULL_ROUNDS:-9}
chats=${FULL_CHATS:-3000}
fill=$PWD/build/fill
base_port=$((base_port + 12))
pick_cores
build_load
[ -x "$bin" ] && [ -x "$fake" ] && [ -x "$fill" ] || die "make build/qwen2api build/fakeqwen build/fill first"
start_fake "$on1" 2000

# full_env NAME PORT: as gateway_env, with a store.
full_env() {
  gateway_env tls 1 "$2" | grep -v -e '^ACCOUNTS=' -e '^DATA_SAVE_MODE=' -e '^SSL_CERT_FILE='
  echo "DATA_SAVE_MODE=file"
  echo "DATA_DIR=$out/$1"
  echo "SSL_CERT_FILE=$out/certs/ca.pem"
  echo "AUTO_REFRESH=false"
}

# full_start NAME ACCOUNTS KEYS PORT: fills a store and starts a gateway on it.
full_start() {
  mkdir -p "$out/$1"
  # shellcheck disable=SC2046
  env -i PATH="$PATH" $(full_env "$1" "$4") "$fill" "$fake_plain" "$2" "$3" || die "could not fill the store of $1"
  # shellcheck disable=SC2046
  ( cd "$out/$1" && exec env -i PATH="$PATH" $(full_env "$1" "$4") $on0 "$bin" ) >"$out/$1.log" 2>&1 &
  full_pid=$!
  pids="$pids $full_pid"
  i=0
  until "$load" get --port "$4" >/dev/null 2>&1; do
    i=$((i + 1))
    [ $i -lt 200 ] && kill -0 "$full_pid" 2>/dev/null || die "the gateway did not start, see $out/$1.log"
    sleep 0.05
  done
}

full_start few 10 0 "$base_port"
few=$full_pid
full_start many 2000 1000 $((base_port + 1))
many=$full_pid
sleep 2
"$load" mem --pid "$few" --prefix few.
"$load" mem --pid "$many" --prefix full.

# run NAME PORT KEY PID SEED: CPU per chat in us
run() {
  $on1 "$load" chat --port "$2" --key "$3" --pid "$4" --direct-port "$fake_plain" --n "$chats" --clients 32 --warm 200 --seed "$5" --prefix "$1." \
    >"$out/$1.txt" 2>"$out/load.err" || { tail -5 "$out/load.err" >&2; die "$1: wrong answers"; }
  awk -v n="$1.chat_cpu" '$1 == n { print $2 }' "$out/$1.txt"
}

seed=100000
: >"$out/ratios"
run few "$base_port" "$key" "$few" $seed >/dev/null && run full $((base_port + 1)) sk-fill-0 "$many" $((seed + 10000)) >/dev/null # warm
i=0
while [ $i -lt "$rounds" ]; do
  i=$((i + 1))
  seed=$((seed + 20000))
  a=$(run few "$base_port" "$key" "$few" $seed) || exit 1
  b=$(run full $((base_port + 1)) sk-fill-0 "$many" $((seed + 10000))) || exit 1
  echo "$a $b" | awk '{ printf "%.3f %s %s\n", $2 / $1, $1, $2 }' >>"$out/ratios"
done
sort -n "$out/ratios" | awk '{ r[NR] = $1; a[NR] = $2; b[NR] = $3 } END { m = int((NR + 1) / 2); printf "full.chat_ratio %s x\nfew.chat_cpu %s us\nfull.chat_cpu %s us\n", r[m], a[m], b[m] }'
"$load" mem --pid "$many" --prefix full_after.
end_pid "$few" || die "the gateway ended with $?"
end_pid "$many" || die "the gateway ended with $?"
end_pid "$fake_pid" || : # ended by the signal
