#!/bin/sh
# Set-up: what is missing is named exactly and nothing is half done; by apt it is installed by package name; archives of
# third-party code are taken only with their checksum. Everything runs in a folder of its own with tools of its own.
cd "$(dirname "$0")/.." || exit 1
top=$PWD
passed=0 failed=0
check() { if [ "$2" = 0 ]; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAILED $1"; fi; }
was=$(id -u)
box=$(mktemp -d) || exit 1
trap 'rm -rf "$box"' EXIT

# A PATH that has next to nothing. fake NAME 'body': a tool that notes its call.
bare=$box/bin
mkdir "$bare"
for tool in sh id uname ls sed cat test env; do ln -s "$(command -v $tool)" "$bare/$tool" 2>/dev/null; done
# The link goes first: written through it, the system's own tool would be replaced.
fake() { rm -f "$bare/$1" && printf '#!%s\n%s\n' "$(command -v sh)" "$2" >"$bare/$1" && chmod +x "$bare/$1"; }
bare() { env -i PATH="$bare" "$bare/sh" "$top/tools/setup.sh" "$1" >"$box/out" 2>&1; }

bare run
check "without apt: refused" $((! $?))
for package in gcc make binutils xz-utils tar curl openssl nodejs npm; do
  grep -q " $package[ .]" "$box/out"
  check "without apt: $package is named" $?
done
grep -q ' redis-server\| clang\| chromium\| fonts-' "$box/out"
check "make run wants no tools of the tests" $((! $?))
bare test
for package in nodejs npm clang redis-server chromium fonts-wqy-microhei; do
  grep -q " $package[ .]" "$box/out"
  check "make test wants $package" $?
done
grep -q ' nginx-light[ .]' "$box/out" && ! grep -q ' gcc-a\| qemu-' "$box/out"
check "make test wants nginx, and no compiler for other machines" $?
bare release
for package in gcc-arm-linux-gnueabihf gcc-aarch64-linux-gnu qemu-user-static nodejs; do
  grep -q " $package[ .]" "$box/out" || [ "$(uname -m)-$package" = aarch64-gcc-aarch64-linux-gnu ]
  check "make release wants $package" $?
done
grep -q ' clang\| redis-server\| chromium' "$box/out"
check "make release wants no tools of the tests" $((! $?))

# With apt, as root: one update, one install, by name, of what is missing alone.
fake id 'echo 0'
fake apt-get "echo \"\$*\" >>$box/apt"
fake gcc ':'
bare run
check "with apt: done" $?
check "one update, one install" $(($(grep -c '^update' "$box/apt") != 1 || $(grep -c '^install' "$box/apt") != 1))
grep -q '^install.* musl-tools\| make ' "$box/apt"
check "what is missing is asked for" $?
grep -q '^install.* gcc ' "$box/apt"
check "what is there is not" $((! $?))

# As somebody else: by sudo, or refused with the command to type.
fake id 'echo 1000'
rm -f "$box/apt"
bare run
check "without root and sudo: refused" $((! $?))
grep -q 'apt-get install.* make ' "$box/out" && [ ! -e "$box/apt" ]
check "the command is printed, nothing was done" $?
fake sudo "echo \"\$*\" >>$box/sudo"
bare run
grep -q 'apt-get install' "$box/sudo"
check "with sudo: through it" $?

[ "$(id -u)" = "$was" ]
check "the machine's own tools are as they were" $?

# A machine that has everything: silent, and apt is not asked.
tools/setup.sh run >"$box/out" 2>&1
check "all there: nothing to do" $?
check "all there: not a word" "$(wc -c <"$box/out")"

# ---- third-party archives ----
mkdir -p "$box/tree/tools" "$box/archives"
cp tools/deps.sh tools/deps.lock "$box/tree/tools/"
cp build/deps/archives/* "$box/archives/"
fake apt-get 'exit 1'
fake curl 'exit 1'
for tool in awk uniq sort mkdir cp mv rm tar xz gzip sha256sum tr dirname grep touch; do ln -sf "$(command -v $tool)" "$bare/$tool"; done
deps() { env -i PATH="$bare" DEPS_DIR="$1" "$bare/sh" "$box/tree/tools/deps.sh" >"$box/out" 2>&1; }
deps "$box/archives"
check "DEPS_DIR: no network is needed" $?
for part in civetweb bearssl lmdb zlib; do
  [ "$(cat "$box/tree/build/deps/$part/.from" 2>/dev/null)" = "$(awk -v p=$part '$1 == p { print $3; exit }' tools/deps.lock)" ]
  check "$part is there" $?
done
rm -rf "$box/tree/build"
first=$(awk '$1 == "zlib" { print $2; exit }' tools/deps.lock)
printf x >>"$box/archives/$first"
deps "$box/archives"
check "an archive with another checksum is refused" $((! $?))
grep -qF "$first" "$box/out" && grep -q DEPS_DIR "$box/out"
check "it is named, and the way out" $?
[ ! -e "$box/tree/build/deps/zlib" ]
check "and not unpacked" $?
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
