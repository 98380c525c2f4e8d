#!/bin/sh
# Installs by package name what a target needs: setup.sh run | test | bench | release. Does nothing when all is there. Needs root
# or sudo and apt; without them it prints what is missing, changes nothing and fails.
set -eu
want=${1:-run}
arch=$(uname -m)
musl=$arch-linux-musl
[ "$arch" != armv7l ] || musl=arm-linux-musleabihf
tests= # whether the tests' own tools are wanted
case $want in test | bench) tests=1 ;; esac
missing=
need() { # package, then a test that is true when it is there
  package=$1; shift
  "$@" >/dev/null 2>&1 || missing="$missing $package"
}
have() { command -v "$1"; }
browser() { have chromium || have chromium-browser; } # for the pages
chinese() { [ -n "$(fc-list :lang=zh)" ]; }              # their pictures in Chinese want a font
clang_runtime() { # the sanitizer runtime that belongs to this clang
  [ -n "$(ls "$(clang -print-resource-dir)"/lib/linux/libclang_rt.tsan-"$arch".a 2>/dev/null)" ]
}
need gcc have gcc
need make have make
need libc6-dev test -e /usr/include/stdio.h
need binutils have ar
need musl-tools test -e "/usr/lib/$musl/musl-gcc.specs"
need xz-utils have xz
need tar have tar
need curl have curl
need openssl have openssl
need ca-certificates test -s /etc/ssl/certs/ca-certificates.crt
if [ "$want" != run ] || [ ! -e ui/index.html ]; then # for the pages; a source archive brings them built
  need nodejs have node
  need npm have npm
fi
if [ -n "$tests" ]; then
  need clang have clang
  need redis-server have redis-server
  need chromium browser
  need fonts-wqy-microhei chinese
  need nginx-light have nginx
fi
if [ "$want" = bench ]; then
  need util-linux have taskset
fi
if [ "$want" = release ]; then # compilers for the other machines, and what runs their programs here
  [ "$arch" = x86_64 ] || need gcc-x86-64-linux-gnu have x86_64-linux-gnu-gcc
  [ "$arch" = aarch64 ] || need gcc-aarch64-linux-gnu have aarch64-linux-gnu-gcc
  [ "$arch" = armv7l ] || need gcc-arm-linux-gnueabihf have arm-linux-gnueabihf-gcc
  need qemu-user-static have qemu-arm-static
fi
if [ -n "$tests" ] && have clang >/dev/null && ! clang_runtime; then
  v=$(clang -dumpversion | sed 's/\..*//')
  missing="$missing libclang-rt-$v-dev"
fi
[ -n "$missing" ] || exit 0
if ! have apt-get >/dev/null; then
  echo "setup: missing:$missing. There is no apt here: install these with your system's own tools." >&2
  exit 1
fi
sudo=
if [ "$(id -u)" != 0 ]; then
  have sudo >/dev/null || { echo "setup: missing:$missing. Run as root: apt-get install$missing" >&2; exit 1; }
  sudo=sudo
fi
echo "setup: installing$missing"
$sudo apt-get update -qq
# shellcheck disable=SC2086
$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
# A clang that came just now brings its runtime in a package named after its version.
if [ -n "$tests" ] && ! clang_runtime; then
  $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "libclang-rt-$(clang -dumpversion | sed 's/\..*//')-dev" >/dev/null
fi
