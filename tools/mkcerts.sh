#!/bin/sh
# mkcerts.sh DIR: a test CA and certificates signed by it, P-256. Does nothing when DIR has them already, made by this script.
#   ca.pem          the CA, fit for SSL_CERT_FILE
#   fake.pem .key   good, for every host of the upstream
#   wrong-host, expired, unknown (.pem .key)   not good: another name, ended in 2021, signed by a CA nobody knows
set -eu
version=$(cksum <"$0" | tr -d ' ')
[ -f "$1/.done-$version" ] && exit 0
mkdir -p "$1"
target=$(cd "$1" && pwd)
work=$(mktemp -d "$target/.new.XXXXXX") # several at once are fine: each makes a set, the first one counts
trap 'cd / && rm -rf "$work"' EXIT
cd "$work"

names=DNS:localhost,IP:127.0.0.1
for host in chat.qwen.ai auth.qwen.ai cdn.qwenlm.ai portal.qwen.ai dashscope.aliyuncs.com dashscope-intl.aliyuncs.com \
  qwen-webui-prod.oss-accelerate.aliyuncs.com qwen-webui-prod.oss-ap-southeast-1.aliyuncs.com img.example.test evil.example.test; do
  names=DNS:$host,$names
done

key() { openssl ecparam -name prime256v1 -genkey -noout -out "$1.key" 2>/dev/null; }

# ca FILE NAME
ca() {
  key "$1"
  openssl req -x509 -new -key "$1.key" -sha256 -days 3650 -subj "/CN=$2" -addext basicConstraints=critical,CA:TRUE \
    -addext keyUsage=critical,keyCertSign,cRLSign -out "$1.pem" 2>/dev/null
}

# leaf FILE CA NAMES END: from 2020 to END. Only `openssl ca` takes an end in the past.
leaf() {
  key "$1"
  openssl req -new -key "$1.key" -subj "/CN=fake upstream" -out csr 2>/dev/null
  printf 'subjectAltName=%s\nbasicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth\n' "$3" >ext
  rm -rf db
  mkdir db
  : >db/index
  echo 1000 >db/serial
  cat >cnf <<END
[ca]
default_ca = d
[d]
database = db/index
serial = db/serial
new_certs_dir = db
default_md = sha256
policy = p
unique_subject = no
[p]
commonName = supplied
END
  openssl ca -batch -config cnf -cert "$2.pem" -keyfile "$2.key" -in csr -out "$1.pem" -extfile ext \
    -startdate 20200101000000Z -enddate "$4" -notext 2>/dev/null
}

ca ca "qwen2api test CA"
ca other "another test CA"
leaf fake ca "$names" 21000101000000Z
leaf wrong-host ca DNS:example.org 21000101000000Z
leaf expired ca "$names" 20210101000000Z
leaf unknown other "$names" 21000101000000Z
rm -rf db csr ext cnf
if mkdir "$target/.taken-$version" 2>/dev/null; then
  mv ./*.pem ./*.key "$target/"
  : >"$target/.done-$version"
fi
tries=0
until [ -f "$target/.done-$version" ]; do
  tries=$((tries + 1))
  if [ $tries -gt 200 ]; then
    echo "$target is half made: remove it" >&2
    exit 1
  fi
  sleep 0.05
done
