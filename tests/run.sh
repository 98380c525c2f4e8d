#!/bin/sh
# run.sh RESULTS SUITE...: runs each suite (a program, a .sh or an .mjs file), each with a time limit, and sums their last
# lines "N passed, N failed". A suite that crashes, hangs or prints no such line counts as one failure.
# RESULTS.names gets a line for every test that a suite tells by Q2A_NAMES, and one for the suite: "ok FILE NAME", "FAILED FILE *".
set -u
results=$1
shift
top=$(cd "$(dirname "$0")/.." && pwd)
cd "$top" || exit 1
mkdir -p build
passed=0 failed=0
log=build/suite.log
case $results in /*) ;; *) results=$top/$results ;; esac
export Q2A_NAMES="$top/build/suite.names" Q2A_RAN="$results.names"
: >"$Q2A_RAN"
# The source of a suite, and the names of its tests behind it.
keep() {
  file=$(echo "$1" | sed 's,^build/[a-z]*/\(test_.*\)$,tests/unit/\1.c,')
  awk -v file="$file" '{ word = $1; sub(/^[^ ]* /, ""); print word, file, $0 }' "$Q2A_NAMES" >>"$Q2A_RAN"
  if [ "$2" -eq 0 ]; then echo "ok $file *"; else echo "FAILED $file *"; fi >>"$Q2A_RAN"
}
for suite in "$@"; do
  begin=$(date +%s)
  : >"$Q2A_NAMES"
  case $suite in
    *.mjs) timeout -k 5 "${SUITE_SECONDS:-400}" tests/e2e/node.sh "$suite" >"$log" 2>&1 ;;
    *.sh) timeout -k 5 "${SUITE_SECONDS:-400}" sh "$suite" >"$log" 2>&1 ;;
    *) timeout -k 5 "${SUITE_SECONDS:-400}" "$suite" >"$log" 2>&1 ;;
  esac
  code=$?
  line=$(grep -E '^[0-9]+ passed, [0-9]+ failed$' "$log" | tail -n 1)
  p=$(echo "${line:-0}" | sed 's/ .*//')
  f=$(echo "${line:-x, 0}" | sed 's/.*, \([0-9]*\).*/\1/')
  if [ -z "$line" ]; then p=0 f=1; fi
  if [ "$code" -ne 0 ] && [ "$f" -eq 0 ]; then f=1; fi
  keep "$suite" "$f"
  passed=$((passed + p))
  failed=$((failed + f))
  printf '%-44s %5d passed %3d failed %4d s\n' "$suite" "$p" "$f" $(($(date +%s) - begin))
  if [ "$f" -ne 0 ]; then
    echo "---- $suite (exit $code)"
    tail -n 60 "$log" | cut -c 1-600
    echo "----"
  fi
done
echo "$passed passed, $failed failed" >"$results"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
