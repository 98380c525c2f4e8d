#!/bin/sh
# Makes the release in build/release: the program for x86_64, aarch64 and armv7, the source archive, the list of its parts and the sums.
# release.sh VERSION. `make release` calls it after tools/setup.sh release, and tests what came out.
#
# The source archive brings the pages built and the archives of third-party code, so that it builds with gcc, make and musl-tools alone,
# without Node and without a network, and gives the same bytes.
#
# The same tree gives the same bytes: no time, path or owner gets into them (SOURCE_DATE_EPOCH: that of the commit). The trust
# anchors are Mozilla's as packaged, without those that this machine may have added for itself.
set -eu
cd "$(dirname "$0")/.."
version=$1
work=build/cross
out=build/release
umask 022
export LC_ALL=C TZ=UTC0
: "${SOURCE_DATE_EPOCH:=$(git log -1 --format=%ct 2>/dev/null || date -r Makefile +%s)}"
export SOURCE_DATE_EPOCH
rm -rf "$out"
mkdir -p "$work" "$out"

# ---- what is linked in, and is not ours to build: trust anchors, the C library ----
anchors=$work/anchors.pem
for folder in deps /usr/share/ca-certificates/mozilla; do
  [ -d "$folder" ] || continue
  if [ -e "$folder/anchors.pem" ]; then cp "$folder/anchors.pem" "$anchors.new"; else cat "$folder"/*.crt >"$anchors.new"; fi
  break
done
cmp -s "$anchors.new" "$anchors" || mv "$anchors.new" "$anchors"

# musl for another machine, unpacked from the package that apt knows: musl PACKAGE-ARCHITECTURE FOLDER
musl() {
  [ -e "$2/.ready" ] && return 0
  rm -rf "$2"
  mkdir -p "$2/apt/state/lists/partial" "$2/apt/cache/archives/partial" "$2/apt/parts"
  : >"$2/apt/status"
  apt=$PWD/$2/apt
  set -- "$1" "$2" -o "APT::Architecture=$1" -o "APT::Architectures=$1" -o "Dir::State=$apt/state" -o "Dir::State::status=$apt/status" \
    -o "Dir::Cache=$apt/cache" -o Debug::NoLocking=1 -o APT::Sandbox::User=
  arch=$1 to=$2
  shift 2
  apt-get "$@" update -qq || : # an index that is missing may not be the one that counts
  (cd "$to" && apt-get "$@" download -qq "musl-dev:$arch")
  dpkg-deb -x "$to"/musl-dev_*.deb "$to"
  rm -rf "$to/apt"
  touch "$to/.ready"
}

# ---- the program: program NAME TRIPLE MUSL PACKAGE-ARCHITECTURE FLAGS ----
program() {
  name=$1 triple=$2 musl=$3 package=$4 flags=$5
  tools=$triple- at=$work/$name
  if [ "$(uname -m)" = "$name" ]; then tools='' at=
  else musl "$package" "$at"
  fi
  file=$out/qwen2api-$version-linux-$name
  make --no-print-directory -j"$(nproc)" M="$work/$name.obj" G="$work/gen" BIN="$file" MUSL="$musl" MUSL_AT="$at/usr" MUSL_TOOLS="$tools" \
    MUSL_FLAGS="$flags -Werror=conversion -Werror=shift-count-overflow -Werror=type-limits" CA_BUNDLE="$anchors" "$file"
}
make --no-print-directory deps
# What is told from outside stands in no file that make looks at.
echo "$version $SOURCE_DATE_EPOCH" >"$work/told.new"
cmp -s "$work/told.new" "$work/told" || rm -f "$work"/*.obj/unit.o
mv "$work/told.new" "$work/told"
program x86_64 x86_64-linux-gnu x86_64-linux-musl amd64 ''
program aarch64 aarch64-linux-gnu aarch64-linux-musl arm64 ''
program armv7 arm-linux-gnueabihf arm-linux-musleabihf armhf '-march=armv7-a -mfpu=vfpv3-d16 -mfloat-abi=hard'
programs=$(ls "$out"/*)

# ---- the source archive ----
folder=qwen2api-$version
rm -rf "$work/source"
mkdir -p "$work/source/$folder/deps"
{ git ls-files 2>/dev/null || find .ci .gitignore LICENSE Makefile README.md qwen2api.c assets modules tests tools -type f -not -path '*/node_modules/*'; } |
  tar -cf - -T - | tar -xf - -C "$work/source/$folder"
make --no-print-directory ui
[ -d ui ] && pages=ui || pages=build/ui
cp -R "$pages" "$work/source/$folder/ui"
for file in $(awk '!/^#/ && NF { print $2 }' tools/deps.lock); do
  [ ! -e "build/deps/archives/$file" ] || cp "build/deps/archives/$file" "$work/source/$folder/deps/"
done
cp "$anchors" "$work/source/$folder/deps/anchors.pem"
echo "$SOURCE_DATE_EPOCH" >"$work/source/$folder/deps/epoch"
tar --sort=name --format=gnu --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX --mtime="@$SOURCE_DATE_EPOCH" -C "$work/source" -cf - "$folder" |
  xz -9 -T1 >"$out/$folder-source.tar.xz"

# ---- the list of parts, the sums ----
musl=$(ar p "/usr/lib/$(gcc -dumpmachine | sed 's/-.*//')-linux-musl/libc.a" version.lo | strings | grep -m1 '^[0-9]')
# shellcheck disable=SC2086
node tools/mksbom.mjs "$version" "$musl" "$(gcc -dumpfullversion)" "$anchors" $programs >"$out/qwen2api-$version.cdx.json"
(cd "$out" && sha256sum qwen2api-* >SHA256SUMS)
for file in "$out"/*; do printf '%9d  %s\n' "$(wc -c <"$file")" "${file#"$out/"}"; done
