#!/bin/sh
# Makes a test CA and certificates: mkcerts.sh DIR. Good: fake.pem/.key. Bad: wrong-host, expired, unknown (another CA).
set -eu
dir=$1
[ -f "$dir/.done" ] && exit 0
mkdir -p "$dir"
cd "$dir"
names="DNS:chat.qwen.ai,DNS:auth.qwen.ai,DNS:cdn.qwenlm.ai,DNS:portal.qwen.ai,DNS:dashscope.aliyuncs.com,DNS:*.oss-accelerate.aliyuncs.com,DNS:localhost,IP:127.0.0.1"
key() { openssl ecparam -name prime256v1 -genkey -noout -out "$1.key" 2>/dev/null; }
ca() { # name subject
  key "$1"
  openssl req -x509 -new -key "$1.key" -sha256 -days 3650 -subj "/CN=$2" -addext "basicConstraints=critical,CA:TRUE" \
    -addext "keyUsage=critical,keyCertSign,cRLSign" -out "$1.pem" 2>/dev/null
}
leaf() { # name ca alt-names start end
  key "$1"
  openssl req -new -key "$1.key" -subj "/CN=fake upstream" -out "$1.csr" 2>/dev/null
  printf 'subjectAltName=%s\nbasicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth\n' "$3" > "$1.ext"
  rm -rf "$1.db" && mkdir "$1.db" && : > "$1.db/index" && echo 1000 > "$1.db/serial"
  printf '[ca]\ndefault_ca=d\n[d]\ndatabase=%s/index\nserial=%s/serial\nnew_certs_dir=%s\ndefault_md=sha256\npolicy=p\nunique_subject=no\n[p]\ncommonName=supplied\n' \
    "$1.db" "$1.db" "$1.db" > "$1.cnf"
  openssl ca -batch -config "$1.cnf" -cert "$2.pem" -keyfile "$2.key" -in "$1.csr" -out "$1.pem" -extfile "$1.ext" \
    -startdate "$4" -enddate "$5" -notext 2>/dev/null
  rm -rf "$1.db" "$1.cnf" "$1.ext" "$1.csr"
}
ca ca "qwen2api test CA"
ca other "another test CA"
leaf fake ca "$names" 20200101000000Z 21000101000000Z
leaf wrong-host ca "DNS:example.org" 20200101000000Z 21000101000000Z
leaf expired ca "$names" 20200101000000Z 20210101000000Z
leaf unknown other "$names" 20200101000000Z 21000101000000Z
touch .done
