#!/bin/sh
# The shape of the released binary: static-PIE without an interpreter, RELRO, BIND_NOW, no executable stack, stripped.
cd "$(dirname "$0")/.." || exit 1
bin=build/qwen2api
passed=0 failed=0
check() { # what, then a command
  what=$1; shift
  if "$@" >/dev/null 2>&1; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAILED $what"; fi
}
shows() { readelf -W "$1" "$bin" | grep -Eq "$2"; }
lacks() { ! shows "$1" "$2"; }
check "type DYN" shows -h 'Type: +DYN'
check "no interpreter" lacks -l 'INTERP'
check "RELRO" shows -l 'GNU_RELRO'
check "BIND_NOW" shows -d 'BIND_NOW|FLAGS.*NOW'
check "no shared library is needed" lacks -d 'NEEDED'
check "stack not executable" shows -l 'GNU_STACK.* RW '
check "no segment both writable and executable" lacks -l 'LOAD.*RWE'
check "stripped" lacks -S '\.symtab'
check "no build path" sh -c "! grep -aq '$PWD' $bin"
check "at most 1.5 MiB" test "$(wc -c < $bin)" -le 1572864
check "runs without any environment" env -i $bin --version
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
