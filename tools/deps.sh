#!/bin/sh
# Brings the pinned third-party sources to build/deps/<part>. Each archive is taken from DEPS_DIR if that is set, else from deps/,
# which a source archive brings along, else from the package archive that this machine's own apt is set up for; its SHA-256 must be the one in tools/deps.lock.
# A part may have several lines there: the first that can be had is used.
set -eu
top=$(cd "$(dirname "$0")/.." && pwd)
out=$top/build/deps
mkdir -p "$out/archives"

sum_ok() { [ -f "$1" ] && echo "$2  $1" | sha256sum -c --status 2>/dev/null; }

sites() { # the archives' base addresses, those with a pool first
  command -v apt-get >/dev/null 2>&1 || return 0
  apt-get indextargets --format '$(SITE)' 2>/dev/null | sed 's#/*$##' | sort -u
}

download() { # address file
  if command -v curl >/dev/null 2>&1; then curl -fsSL --connect-timeout 20 --retry 2 -o "$2" "$1" 2>/dev/null
  elif command -v wget >/dev/null 2>&1; then wget -q -T 20 -O "$2" "$1"
  else /usr/lib/apt/apt-helper download-file "$1" "$2" >/dev/null 2>&1
  fi
}

fetch() { # file sha folder -> archive in place, or failure
  dest=$out/archives/$1
  if sum_ok "$dest" "$2"; then return 0; fi
  for folder in ${DEPS_DIR:+"$DEPS_DIR"} "$top/deps"; do
    if sum_ok "$folder/$1" "$2"; then cp "$folder/$1" "$dest"; return 0; fi
  done
  name=$(printf '%s' "$1" | sed 's/+/%2B/g')
  for site in $(sites); do
    for spelled in "$1" "$name"; do
      if download "$site/pool/main/$3/$spelled" "$dest.part" && sum_ok "$dest.part" "$2"; then mv "$dest.part" "$dest"; return 0; fi
      rm -f "$dest.part"
    done
  done
  return 1
}

missing=
for part in $(awk '!/^#/ && NF { print $1 }' "$top/tools/deps.lock" | uniq); do
  lines=$(awk -v p="$part" '$1 == p { print $2 "|" $3 "|" $4 }' "$top/tools/deps.lock")
  done_=
  for line in $lines; do
    file=${line%%|*}; rest=${line#*|}; sha=${rest%%|*}; folder=${rest#*|}
    if [ -f "$out/$part/.from" ] && [ "$(cat "$out/$part/.from")" = "$sha" ]; then done_=1; break; fi
    if fetch "$file" "$sha" "$folder"; then
      rm -rf "$out/$part" "$out/$part.new"
      mkdir -p "$out/$part.new"
      tar -xf "$out/archives/$file" -C "$out/$part.new" --strip-components=1
      echo "$sha" > "$out/$part.new/.from"
      mv "$out/$part.new" "$out/$part"
      done_=1
      break
    fi
  done
  [ -n "$done_" ] || missing="$missing
  $(echo "$lines" | sed 's/|.*//' | tr '\n' ' ')"
done
if [ -n "$missing" ]; then
  echo "These source archives could not be had; put them into a folder and set DEPS_DIR to it:$missing" >&2
  exit 1
fi
