#!/bin/sh
# make demo: the fake upstream and the gateway, one streamed chat; both run on until Ctrl-C. No account, no internet.
set -eu
cd "$(dirname "$0")/.."
work=$(mktemp -d)
key=sk-demo-$(od -An -N8 -tx1 /dev/urandom | tr -d ' \n')
port=${SERVICE_PORT:-3000}
tools/mkcerts.sh build/test/certs
build/fakeqwen --port 0 --plain-port 0 --cert build/test/certs/fake.pem --key build/test/certs/fake.key --port-file "$work/ports" &
fake=$!
gateway=
end() { trap - EXIT INT TERM; [ -z "$gateway" ] || kill "$gateway" 2>/dev/null || :; kill "$fake" 2>/dev/null || :; wait 2>/dev/null || :; rm -rf "$work"; }
trap end EXIT
trap 'exit 0' INT TERM
while [ ! -s "$work/ports" ]; do kill -0 "$fake"; sleep 0.05; done
read -r tls plain < "$work/ports"
resolve=
for host in chat.qwen.ai auth.qwen.ai cdn.qwenlm.ai qwen-webui-prod.oss-accelerate.aliyuncs.com qwen-webui-prod.oss-ap-southeast-1.aliyuncs.com; do
  resolve="$resolve${resolve:+,}$host:443=127.0.0.1:$tls"
done
env -i PATH="$PATH" LISTEN_ADDRESS=127.0.0.1 SERVICE_PORT="$port" API_KEY="$key" ACCOUNTS="ok@example.org:correct horse" DATA_SAVE_MODE=none \
  UPSTREAM_RESOLVE="$resolve" SSL_CERT_FILE=build/test/certs/ca.pem build/qwen2api &
gateway=$!
until curl -fs "http://127.0.0.1:$port/healthz" >/dev/null; do kill -0 "$gateway"; sleep 0.05; done
echo
echo "A streamed chat:"
curl -sN "http://127.0.0.1:$port/v1/chat/completions" -H "Authorization: Bearer $key" -H "Content-Type: application/json" \
  -d '{"model":"qwen3.7-plus","stream":true,"messages":[{"role":"user","content":"Hello!"}]}'
echo
echo "Running until Ctrl-C:  http://127.0.0.1:$port/v1   key: $key"
if [ -n "${DEMO_ONCE:-}" ]; then exit 0; fi
wait "$gateway"
