#!/bin/sh
# run.sh RESULTS SUITE...: runs each suite (a program, a .sh or an .mjs file), each with a time limit, and sums their last
# lines "N passed, N failed". A suite that crashes, hangs or prints no such line counts as one failure.
# Programs and .mjs files run SUITE_JOBS at once (3), because most of them wait more than they work; a .sh runs alone.
# RESULTS.names gets a line for every test that a suite tells by Q2A_NAMES, and one for the suite: "ok FILE NAME", "FAILED FILE *".
set -u
results=$1
shift
top=$(cd "$(dirname "$0")/.." && pwd)
cd "$top" || exit 1
case $results in /*) ;; *) results=$top/$results ;; esac
work=$top/build/suites
rm -rf "$work"
mkdir -p "$work"
export Q2A_RAN="$results.names"
: >"$Q2A_RAN"

# One suite, in a folder of its own: log, names, code, seconds; `done` comes last.
run() {
  begin=$(date +%s)
  : >"$2/names"
  Q2A_NAMES=$2/names
  export Q2A_NAMES
  case $1 in
    *.mjs) timeout -k 5 "${SUITE_SECONDS:-400}" tests/e2e/node.sh "$1" ;;
    *.sh) timeout -k 5 "${SUITE_SECONDS:-400}" sh "$1" ;;
    *) timeout -k 5 "${SUITE_SECONDS:-400}" "$1" ;;
  esac >"$2/log" 2>&1
  echo "$? $(($(date +%s) - begin))" >"$2/code"
  mv "$2/code" "$2/done"
}

passed=0 failed=0
# Counts and prints what suite $1 in folder $2 said.
tell() {
  read -r code seconds <"$2/done"
  line=$(grep -E '^[0-9]+ passed, [0-9]+ failed$' "$2/log" | tail -n 1)
  p=$(echo "${line:-0}" | sed 's/ .*//')
  f=$(echo "${line:-x, 0}" | sed 's/.*, \([0-9]*\).*/\1/')
  if [ -z "$line" ]; then p=0 f=1; fi
  if [ "$code" -ne 0 ] && [ "$f" -eq 0 ]; then f=1; fi
  file=$(echo "$1" | sed 's,^build/[a-z]*/\(test_.*\)$,tests/unit/\1.c,')
  awk -v file="$file" '{ word = $1; sub(/^[^ ]* /, ""); print word, file, $0 }' "$2/names" >>"$Q2A_RAN"
  if [ "$f" -eq 0 ]; then echo "ok $file *"; else echo "FAILED $file *"; fi >>"$Q2A_RAN"
  passed=$((passed + p))
  failed=$((failed + f))
  printf '%-44s %5d passed %3d failed %4d s\n' "$1" "$p" "$f" "$seconds"
  [ "$f" -eq 0 ] && return
  echo "---- $1 (exit $code)"
  tail -n 60 "$2/log" | cut -c 1-600
  echo "----"
}

waiting= # folders of the suites under way, oldest first
count=0
# Waits until at most $1 suites are under way; tells of each that has ended, in order.
settle() {
  while [ $count -gt "$1" ]; do
    ended=
    for one in $waiting; do [ -e "$one/done" ] && ended=$one && break; done
    if [ -z "$ended" ]; then
      sleep 0.1
      continue
    fi
    tell "$(cat "$ended/suite")" "$ended"
    rest=
    for one in $waiting; do [ "$one" = "$ended" ] || rest="$rest $one"; done
    waiting=${rest# }
    count=$((count - 1))
  done
}

n=0
for suite in "$@"; do
  n=$((n + 1))
  dir=$work/$n
  mkdir -p "$dir"
  echo "$suite" >"$dir/suite"
  case $suite in
    *.sh)
      settle 0
      run "$suite" "$dir"
      tell "$suite" "$dir"
      ;;
    *)
      settle $((${SUITE_JOBS:-3} - 1))
      run "$suite" "$dir" &
      waiting="$waiting $dir"
      waiting=${waiting# }
      count=$((count + 1))
      ;;
  esac
done
settle 0
echo "$passed passed, $failed failed" >"$results"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
