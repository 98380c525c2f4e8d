#!/bin/sh
# run.sh - the benchmark (make bench): gateway on one core; load generator and fake upstream on the other.
#
#   tls     gateway, upstream over TLS       plain   gateway, upstream over plain HTTP
#   nginx   a bare reverse proxy between the load and the same plain upstream, in the same run: what moving the bytes
#           alone costs here. A chat is two relayed requests there (new chat, completion), as many as the gateway makes.
#
# Environment: BENCH_QUICK=1 a short run, BENCH_PORT first of two ports, BENCH_BIN, BENCH_FAKE, NGINX other binaries.
# Exit: non-zero when an answer was wrong or lost. A figure that misses its aim is marked, not punished.
# Everything lands below build/bench; results.txt there holds every figure, one a line: name value unit.
set -u
cd "$(dirname "$0")/../.." || exit 1
out=$PWD/build/bench
mkdir -p "$out" || exit 1
. tests/bench/lib.sh

failed=0
results=$out/results.txt
: >"$results"
rm -f "$out"/gateway-*.log

note() { echo "$*" >>"$results"; }

# measure PREFIX ARGS...: one run of the load generator, on its core, its figures kept.
measure() {
  prefix=$1
  shift
  $on1 "$load" "$@" --key "$key" --prefix "$prefix." >>"$results" 2>"$out/load.err" || {
    failed=$((failed + 1))
    say "$prefix: $*"
    sed 's/^/  /' "$out/load.err" >&2
  }
}

if [ "${BENCH_QUICK:-0}" = 1 ]; then
  chats=3000 hold=2 many=500 most=1000 ttft=200 ttft64=640 starts=3 prompts=20 images=4
else
  chats=20000 hold=6 many=2000 most=5000 ttft=1000 ttft64=3200 starts=9 prompts=200 images=20
fi
[ "$(ulimit -Hn)" = unlimited ] || [ "$(ulimit -Hn)" -ge $((most * 2 + 200)) ] ||
  say "only $(ulimit -Hn) open files allowed: $most streams need $((most * 2 + 200))"
ulimit -n "$(ulimit -Hn)"

busy() { awk '$1 == "cpu" { print $2 + $3 + $4 + $7 + $8; exit }' /proc/stat; }
busy_start=$(busy)
begin=$(date +%s)

pick_cores
build_load
[ -x "$bin" ] || die "$bin is missing: make it first"
[ -x "$fake" ] || die "$fake is missing: make it first"
start_fake "$on1" 100

# The rows that every kind has. KIND PIDS BASE_KB RAW PORT
rows() {
  kind=$1 watch=$2 base=$3 raw=$4 port=$5
  # shellcheck disable=SC2086
  {
    measure "$kind.many" stream --port "$port" --direct-port "$fake_plain" $raw $watch --n $many --ms 100 --stamp \
      --rate 1000 --hold $hold --base-kb "$base"
    measure "$kind.most" stream --port "$port" --direct-port "$fake_plain" $raw $watch --n $most --ms 500 --stamp \
      --rate 1250 --hold $hold --base-kb "$base"
    measure "$kind.text" stream --port "$port" --direct-port "$fake_plain" $raw $watch --n 200 --ms 20 --size 40 \
      --rate 400 --hold 1 --seed 5000
    measure "$kind" chat --port "$port" --direct-port "$fake_plain" $raw $watch --n $chats --clients 32 --warm 500 \
      --seed 10000
    measure "$kind" ttft --port "$port" --direct-port "$fake_plain" $raw --n $ttft --clients 1 --ms 1 --events 3 \
      --gap-us 1000 --rounds $ttft
    measure "$kind" ttft --port "$port" --direct-port "$fake_plain" $raw --n $ttft64 --clients 64 --ms 20 --events 3 \
      --gap-us 20000
  }
}

# Rows of the gateway alone: tools, a long question, a large picture.
tools=',"tools":[{"type":"function","function":{"name":"get_weather","description":"The weather of a city.","parameters":{"type":"object",
"properties":{"city":{"type":"string"},"days":{"type":"integer"}},"required":["city"]}}},{"type":"function","function":{"name":"write_file",
"description":"Writes a file.","parameters":{"type":"object","properties":{"path":{"type":"string"},"content":{"type":"string"}},
"required":["path","content"]}}}]'
large() { # KIND ROW ARGS...: with a gateway of its own, whose memory no other row has touched
  kind=$1 row=$2
  shift 2
  signed=$(fake_stat signins)
  start_gateway "$on0" "$kind" 1
  i=0
  while [ $i -lt 100 ] && [ "$(fake_stat signins)" -eq "$signed" ]; do sleep 0.1; i=$((i + 1)); done
  sleep 0.5
  measure "$kind.$row" "$@" --port "$gw_port" --pid "$gw_pid"
  end_pid "$gw_pid" || { say "gateway ended with $?"; failed=$((failed + 1)); }
}

for kind in tls plain; do
  say "$kind"
  # shellcheck disable=SC2046
  ( cd "$out" && exec env -i PATH="$PATH" $(gateway_env $kind 1 "$base_port") \
    $on1 "$load" health --port "$base_port" --n $starts --cpu "$core0" --prefix "$kind." -- "$bin" ) \
    >>"$results" 2>"$out/load.err" || { failed=$((failed + 1)); tail -20 "$out/load.err" >&2; }
  signed=$(fake_stat signins)
  start_gateway "$on0" $kind 100
  i=0 # all accounts signed in, or 20 s
  while [ $i -lt 100 ] && [ $(($(fake_stat signins) - signed)) -lt 100 ]; do sleep 0.2; i=$((i + 1)); done
  sleep 1
  "$load" mem --pid "$gw_pid" --prefix "$kind." >>"$results"
  base=$(awk -v n="$kind.idle_private" '$1 == n { print $2 }' "$results")
  # The pages in a browser, on the other core.
  if [ $kind = tls ] && { command -v chromium || command -v chromium-browser; } >/dev/null; then
    PAINT_URL=http://127.0.0.1:$gw_port PAINT_KEY=$key PAINT_PREFIX=$kind. $on1 tests/e2e/node.sh tests/browser/paint.mjs >>"$results" 2>"$out/paint.err" ||
      { failed=$((failed + 1)); tail -5 "$out/paint.err" >&2; }
  fi
  rows $kind "--pid $gw_pid" "$base" "" "$gw_port"
  end_pid "$gw_pid" || { say "gateway ended with $?"; failed=$((failed + 1)); }
  large $kind tools stream --n $many --ms 100 --size 40 --rate 1000 --hold $hold --seed 15000 --more "$tools"
  large $kind prompt chat --n $prompts --clients 1 --warm 2 --seed 20000 --prompt-kb 1024
  large $kind image chat --n $images --clients 1 --warm 1 --seed 30000 --image-mb 10
done

nginx=${NGINX:-$(PATH=$PATH:/usr/sbin command -v nginx)}
if [ -n "$nginx" ]; then
  say nginx
  ng_port=$((base_port + 1))
  sed "s/@PORT@/$ng_port/; s/@UPSTREAM@/$fake_plain/; s/@FILES@/$(ulimit -Hn)/" tests/bench/nginx.conf.in \
    >"$out/nginx.conf"
  $on0 "$nginx" -p "$out/" -e "$out/nginx-error.log" -c "$out/nginx.conf" >"$out/nginx.log" 2>&1 &
  ng_pid=$!
  pids="$pids $ng_pid"
  sleep 0.5
  worker=$(cat "/proc/$ng_pid/task/$ng_pid/children" 2>/dev/null)
  worker=${worker%% *}
  if [ -n "$worker" ]; then
    "$load" mem --pid "$ng_pid" --pid "$worker" --prefix nginx. >>"$results"
    base=$(awk '$1 == "nginx.idle_private" { print $2 }' "$results")
    rows nginx "--pid $ng_pid --pid $worker" "$base" --raw "$ng_port"
  else
    say "nginx did not start, see $out/nginx-error.log"
  fi
  end_pid "$ng_pid"
else
  say "nginx is not installed: no reference column"
fi

end_pid "$fake_pid"
say "2,000 accounts and 1,000 keys"
FULL_CHATS=$((chats / 7)) sh tests/bench/full.sh >"$out/full.txt" || failed=$((failed + 1))
sed -n 's/^full\.idle_rss/tls.full_rss/p; s/^full\.chat_ratio/tls.full_ratio/p' "$out/full.txt" >>"$results"
# What others have used of the machine meanwhile: all that was busy, less this shell and its children, in 1/100 s.
times >"$out/times"
foreign=$(tr 'ms' '  ' <"$out/times" | awk -v all=$(($(busy) - busy_start)) -v s=$(($(date +%s) - begin)) -v n="$(nproc)" '
  { own += ($1 + $3) * 60 + $2 + $4 } END { v = (all - own * 100) / s / n; printf "%.1f", (v > 0 ? v : 0) }')
note "bench.foreign $foreign %"
note "bench.seconds $(($(date +%s) - begin)) s"
note "tls.binary $(($(wc -c <"$bin") / 1024)) KB"
note "bench.most $most streams"
note "bench.many $many streams"

# figure | names below tls., plain., nginx. | aim (for tls; a lower value is better)
awk -v many=$many -v most=$most '
  { val[$1] = $2; split($1, part, "."); if($1 ~ /_lost$/) lost[part[1]] += $2 }
  function cell(kind, name,   k) { k = kind "." name; return k in val ? val[k] : "-" }
  function row(title, name, u, aim,   v, mark) {
    v = cell("tls", name)
    mark = aim == "" ? "" : v == "-" ? "not measured" : v + 0 <= aim + 0 ? "ok" : "over aim"
    printf "| %-46s | %9s | %9s | %9s | %-6s | %8s | %-8s |\n", title, v, cell("plain", name), cell("nginx", name), u,
           aim, mark
  }
  END {
    printf "| %-46s | %9s | %9s | %9s | %-6s | %8s | %-8s |\n", "figure", "tls", "plain", "nginx", "unit", "aim", ""
    print "| --- | --: | --: | --: | --- | --: | --- |"
    row("binary", "binary", "KB", 1536)
    row("exec to first answered request, median", "start_p50", "ms", 10)
    row("exec to first answered request, worst", "start_max", "ms", "")
    row("dashboard, first content painted, median", "paint_p50", "ms", 200)
    row("dashboard, first content painted, worst of 9", "paint_max", "ms", "")
    row("dashboard, its first page is drawn, median", "paint_drawn", "ms", "")
    row("a page of one line, painted by the same browser", "paint_line", "ms", "")
    row("idle resident memory, 100 accounts", "idle_rss", "KB", 4096)
    row("idle resident memory, 2,000 accounts, 1,000 keys", "full_rss", "KB", 8192)
    row("CPU per chat with these, against 10 accounts", "full_ratio", "x", 1.1)
    row("CPU per non-stream chat", "chat_cpu", "us", 80)
    row("CPU per streamed event, " many " streams", "many.event_cpu", "us", 30)
    row("CPU per streamed event, " most " streams", "most.event_cpu", "us", 30)
    row("CPU per streamed event with tools, " many " streams", "tools.event_cpu", "us", 30)
    row("CPU per chat with a prompt of 1 MB", "prompt.chat_cpu_ms", "ms", "")
    row("memory above idle, prompt of 1 MB", "prompt.chat_peak", "MB", "")
    row("CPU per chat with a new picture of 10 MB", "image.chat_cpu_ms", "ms", "")
    row("memory above idle, picture of 10 MB", "image.chat_peak", "MB", "")
    row("memory per open stream, " many " streams", "many.stream_mem", "KB", 48)
    row("memory per open stream, " most " streams", "most.stream_mem", "KB", 48)
    row("added time to first event, 1 client, median", "ttft1_added_p50", "us", "")
    row("added time to first event, 1 client, p99", "ttft1_added_p99", "us", 250)
    row("added time to first event, 64 clients, median", "ttft64_added_p50", "us", "")
    row("added time to first event, 64 clients, p99", "ttft64_added_p99", "us", "")
    row(many " streams at 10/s: core in use", "many.load", "%", "")
    row(many " streams at 10/s: lag median", "many.lag_p50", "us", "")
    row(many " streams at 10/s: lag p90", "many.lag_p90", "us", "")
    row(many " streams at 10/s: lag p99", "many.lag_p99", "us", "")
    row(many " streams at 10/s: lag worst", "many.lag_max", "us", "")
    row(many " streams at 10/s: lost", "many.stream_lost", "", 0)
    row(most " streams at 2/s: core in use", "most.load", "%", "")
    row(most " streams at 2/s: lag median", "most.lag_p50", "us", "")
    row(most " streams at 2/s: lag p90", "most.lag_p90", "us", "")
    row(most " streams at 2/s: lag p99", "most.lag_p99", "us", "")
    row(most " streams at 2/s: lag worst", "most.lag_max", "us", "")
    row(most " streams at 2/s: stalled", "most.stalls", "", 0)
    row(most " streams at 2/s: lost", "most.stream_lost", "", 0)
    for(k in lost) val[k ".wrong"] = lost[k]
    row("answers wrong or lost in all runs", "wrong", "", 0)
  }' "$results" | tee "$out/table.md"

echo "Other processes used $foreign % of this machine meanwhile; above 3 % lag and added times say more of them."
[ $failed -eq 0 ] || die "$failed runs had wrong or lost answers"
