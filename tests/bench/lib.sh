# lib.sh - what run.sh and streams.sh share: the load generator built, the fake upstream, the gateway, their ends.
# Sourced from the project's root with $out set: everything made lands below it. Ends only what it started.

bin=${BENCH_BIN:-$PWD/build/qwen2api}
fake=${BENCH_FAKE:-$PWD/build/fakeqwen}
load=$out/load
key=sk-bench-0123456789abcdef
base_port=${BENCH_PORT:-18730}
pids=

say() { echo "$0: $*" >&2; }
die() { say "$*"; exit 1; }

# Ends one process: asks, waits up to 5 s, then insists. Its exit code is the result.
end_pid() {
  kill -TERM "$1" 2>/dev/null
  ( i=0; while [ $i -lt 50 ] && kill -0 "$1" 2>/dev/null; do sleep 0.1; i=$((i + 1)); done
    kill -KILL "$1" 2>/dev/null ) &
  killer=$!
  wait "$1" 2>/dev/null
  end_code=$?
  kill "$killer" 2>/dev/null
  wait "$killer" 2>/dev/null
  pids=$(for p in $pids; do [ "$p" = "$1" ] || echo "$p"; done)
  return $end_code
}

cleanup() {
  code=$?
  trap - EXIT INT TERM
  for p in $pids; do end_pid "$p"; done
  exit $code
}
trap cleanup EXIT
trap 'exit 130' INT TERM

# Two cores of those this process may use: gateway and proxy on the first, fake upstream and load on the second.
pick_cores() {
  cores=$(awk '/^Cpus_allowed_list/ { n = split($2, part, ","); for(i = 1; i <= n; i++) { m = split(part[i], r, "-");
           for(c = r[1]; c <= r[m]; c++) print c } }' /proc/self/status | head -2 | tr '\n' ' ')
  core0=${cores%% *}
  core1=${cores#* }
  core1=${core1%% *}
  [ -n "$core1" ] || core1=$core0
  on0="taskset -c $core0"
  on1="taskset -c $core1"
}

build_load() {
  if [ ! -x "$load" ] || [ -n "$(find tests/bench -name '*.[ch]' -newer "$load")" ]; then
    ${HOSTCC:-cc} -std=gnu11 -O2 -o "$load" tests/bench/load.c tests/bench/answer.c || die "load generator: no build"
  fi
}

# start_fake PIN ACCOUNTS: sets fake_pid, fake_tls, fake_plain.
start_fake() {
  [ -s "$out/certs/ca.pem" ] || tools/mkcerts.sh "$out/certs" >"$out/certs.log" 2>&1 || die "no test certificates"
  rm -f "$out/fake.port"
  $1 "$fake" --port 0 --plain-port 0 --cert "$out/certs/fake.pem" --key "$out/certs/fake.key" \
    --port-file "$out/fake.port" --accounts "$2" >"$out/fake.log" 2>&1 &
  fake_pid=$!
  pids="$pids $fake_pid"
  i=0
  while [ ! -s "$out/fake.port" ]; do
    i=$((i + 1))
    [ $i -lt 100 ] && kill -0 "$fake_pid" 2>/dev/null || die "fake upstream did not start, see $out/fake.log"
    sleep 0.05
  done
  read -r fake_tls fake_plain <"$out/fake.port"
}

account_list() {
  awk -v n="$1" 'BEGIN { for(i = 1; i <= n; i++) printf "%suser%d@example.org:pw-%d", (i > 1 ? "," : ""), i, i }'
}

# All hosts of the upstream are the fake one; uploads are TLS in every kind of run.
resolve_list() {
  for host in chat.qwen.ai auth.qwen.ai qwen-webui-prod.oss-accelerate.aliyuncs.com qwen-webui-prod.oss-ap-southeast-1.aliyuncs.com; do
    printf '%s:443=127.0.0.1:%s,' "$host" "$fake_tls"
  done | sed 's/,$//'
}

# gateway_env tls|plain ACCOUNTS PORT: the settings of a run, one a line, for env(1). All else is as delivered.
# The gateway runs in $out, so that no .env of the source tree reaches it.
gateway_env() {
  cat <<END
LISTEN_ADDRESS=127.0.0.1
SERVICE_PORT=$3
API_KEY=$key
ACCOUNTS=$(account_list "$2")
DATA_SAVE_MODE=none
MAX_INFLIGHT_PER_ACCOUNT=10000
BATCH_LOGIN_CONCURRENCY=20
SHUTDOWN_GRACE=1
SSL_CERT_FILE=certs/ca.pem
UPSTREAM_RESOLVE=$(resolve_list)
END
  if [ "$1" = plain ]; then
    echo "QWEN_CHAT_PROXY_URL=http://127.0.0.1:$fake_plain"
    echo "QWEN_AUTH_URL=http://127.0.0.1:$fake_plain"
  fi
}

# start_gateway PIN tls|plain ACCOUNTS: sets gw_pid, gw_port; returns when it answers.
start_gateway() {
  gw_port=$base_port
  "$load" get --port "$gw_port" >/dev/null 2>&1 && die "port $gw_port is taken (BENCH_PORT chooses another)"
  # shellcheck disable=SC2046
  ( cd "$out" && exec env -i PATH="$PATH" $(gateway_env "$2" "$3" "$gw_port") $1 "$bin" ) \
    >>"$out/gateway-$2.log" 2>&1 &
  gw_pid=$!
  pids="$pids $gw_pid"
  i=0
  until "$load" get --port "$gw_port" >/dev/null 2>&1; do
    i=$((i + 1))
    [ $i -lt 100 ] && kill -0 "$gw_pid" 2>/dev/null || die "gateway did not start, see $out/gateway-$2.log"
    sleep 0.05
  done
}

fake_stat() {
  "$load" get --port "$fake_plain" --path /__stats 2>/dev/null | tr ',{}' '\n\n\n' |
    sed -n "s/^ *\"$1\": *\([0-9]*\).*/\1/p" | head -1
}
