#!/bin/sh
# Drives the fake upstream with curl: every check it makes, every scenario byte for byte. The answers expected are written
# down here once more, so that a change of one side alone is seen. FAKE=program tests another build.
# shellcheck disable=SC2086
set -u
cd "$(dirname "$0")/../.." || exit 1
fake=${FAKE:-build/fakeqwen}
certs=build/test/certs
tools/mkcerts.sh $certs || exit 1
t=$(mktemp -d) || exit 1
passed=0 failed=0 pids=
cleanup() { for p in $pids; do kill "$p" 2>/dev/null; wait "$p" 2>/dev/null; done; rm -rf "$t"; }
trap cleanup EXIT
trap 'exit 130' INT TERM

ok() { passed=$((passed + 1)); }
bad() { failed=$((failed + 1)); echo "FAILED $*"; }
# same NAME GOT WANTED
same() { if [ "$2" = "$3" ]; then ok; else bad "$1: got '$2', expected '$3'"; fi; }
# has NAME TEXT PART, hasnt NAME TEXT PART
has() { case $2 in *"$3"*) ok ;; *) bad "$1: no '$3' in '$(echo "$2" | head -c 400)'" ;; esac; }
hasnt() { case $2 in *"$3"*) bad "$1: '$3' in '$(echo "$2" | head -c 400)'" ;; *) ok ;; esac; }
between() { if [ "$2" -ge "$3" ] && [ "$2" -le "$4" ]; then ok; else bad "$1: $2 is not in $3..$4"; fi; }

# start NAME OPTIONS...: a fake of its own; sets tls and plain.
start() {
  rm -f "$t/ports"
  name=$1
  shift
  "$fake" --port-file "$t/ports" "$@" >"$t/$name.out" 2>&1 &
  last=$!
  pids="$pids $last"
  i=0
  while [ ! -s "$t/ports" ]; do
    i=$((i + 1))
    if [ $i -gt 200 ] || ! kill -0 $last 2>/dev/null; then cat "$t/$name.out"; echo "0 passed, 1 failed"; exit 1; fi
    sleep 0.02
  done
  read -r tls plain <"$t/ports"
}

start main --port 0 --plain-port 0 --cert $certs/fake.pem --key $certs/fake.key --accounts 3 --pace-ms 100
base=http://127.0.0.1:$plain
json='Content-Type: application/json'
head64=eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9
claims=eyJpZCI6IjAwMDAwMDAwLTAwMDAtNDAwMC04MDAwLTAwMDAwMDAwMDAwMSIsImxhc3RfcGFzc3dvcmRfY2hhbmdlIjoxNzYwMDAwMDAwLCJleHAi
good=$head64.${claims}OjQxMDI0NDQ4MDB9.W9t7CCW2z8DA2DR972SccfQ2mAT283Id1XCrmRoT36A
stale=$head64.${claims}OjEwMDAwMDAwMDB9.F8eCgGTZRTYX-to7zWO-jPhNIyclVhmgsUaQeqaYick

get() { path=$1; shift; curl -s -m 10 "$@" "$base$path"; }
post() { path=$1 body=$2; shift 2; curl -s -m 10 -H "$json" "$@" --data-binary "$body" "$base$path"; }
code() { curl -s -m 10 -o /dev/null -w '%{http_code}' "$@"; }
member() { sed -n "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p"; } # the last one of that name
number() { sed "s/.*\"$1\":\(-*[0-9]*\).*/\1/"; }
stat() { get /__stats | sed 's/"accounts".*//' | number "$1"; }
sha() { printf %s "$1" | sha256sum | cut -d' ' -f1; }
login() { printf '{"email":"%s","password":"%s"}' "$1" "$(sha "$2")"; }
claim() { # the middle part of a JWT
  m=$(echo "$1" | cut -d. -f2 | tr '_-' '/+')
  while [ $((${#m} % 4)) -ne 0 ]; do m=$m=; done
  echo "$m" | base64 -d
}
# raw FILE: sends bytes as they are, prints what comes back.
raw() { curl -s -m 1 "telnet://127.0.0.1:$plain" <"$1"; }

# ---- sign-in ----
ok_login=$(login ok@example.org 'correct horse')
r=$(post /api/v2/auths/signin "$ok_login" -D "$t/head")
token=$(echo "$r" | member token)
refresh=$(echo "$r" | member refresh_token)
has 'sign-in v2' "$r" '"success":true'
has 'cookie token' "$(cat "$t/head")" "Set-Cookie: token=$token;"
has 'cookie refresh' "$(cat "$t/head")" "Set-Cookie: refresh_token=$refresh;"
c=$(claim "$token")
has 'user of the token' "$c" '"id":"00000000-0000-4000-8000-000000000001"'
now=$(date +%s)
between 'token lives 30 days' "$(echo "$c" | number exp)" $((now + 2591990)) $((now + 2592010))
mac=$(printf %s "${token%.*}" | openssl dgst -sha256 -hmac fake -binary | base64 | tr '/+' '_-' | tr -d '=')
same 'HS256 with the key fake' "${token##*.}" "$mac"
mac=$(printf %s "${good%.*}" | openssl dgst -sha256 -hmac fake -binary | base64 | tr '/+' '_-' | tr -d '=')
same 'the fixed token has it too' "${good##*.}" "$mac"
r=$(post /api/v1/auths/signin "$ok_login")
has 'sign-in v1' "$r" '"token_type":"Bearer"'
hasnt 'v1 is flat' "$r" success
hasnt 'each token is its own' "$r" "$token"
for v in v1 v2; do
  wrong=$(login ok@example.org wrong)
  same "wrong password $v" "$(code -H "$json" -d "$wrong" "$base/api/$v/auths/signin")" 400
  has "its words $v" "$(post /api/$v/auths/signin "$wrong")" 'password provided is incorrect'
  same "bad@ $v" "$(code -H "$json" -d "$(login bad@example.org 'correct horse')" "$base/api/$v/auths/signin")" 401
  same "nobody $v" "$(code -H "$json" -d "$(login nobody@example.org x)" "$base/api/$v/auths/signin")" 400
  has "challenge@ $v" "$(post /api/$v/auths/signin "$(login challenge@example.org 'correct horse')")" aliyun_waf
  has "no hash $v" "$(post /api/$v/auths/signin '{"email":"ok@example.org","password":"correct horse"}')" RequestValidationError
done
upper=$(login ok@example.org 'correct horse' | tr abcdef ABCDEF | sed 's/EmAil/email/; s/pAssworD/password/; s/ExAmplE/example/')
has 'the hash is lowercase' "$(post /api/v2/auths/signin "$upper")" RequestValidationError
has 'colon and at in a password' "$(post /api/v2/auths/signin "$(login colon@example.org 'pa:ss@word#1')")" '"success":true'
has 'user3 of --accounts 3' "$(post /api/v2/auths/signin "$(login user3@example.org pw-3)")" '"success":true'
hasnt 'no user4' "$(post /api/v2/auths/signin "$(login user4@example.org pw-4)")" '"success":true'
post /__switch '{"signin_v2":404}' >/dev/null
same 'v2 off' "$(code -H "$json" -d "$ok_login" "$base/api/v2/auths/signin")" 404
same 'v1 on' "$(code -H "$json" -d "$ok_login" "$base/api/v1/auths/signin")" 200
post /__switch '{"signin_v2":200,"signin_v1":404}' >/dev/null
same 'v1 off' "$(code -H "$json" -d "$ok_login" "$base/api/v1/auths/signin")" 404
post /__reset '' >/dev/null
same 'reset turns it on' "$(code -H "$json" -d "$ok_login" "$base/api/v1/auths/signin")" 200
same 'attempts are counted' "$(stat signin)" 1
post /__script '{"signin":["429","503","html","no_token"]}' >/dev/null
same 'scripted 429' "$(code -H "$json" -d "$ok_login" "$base/api/v2/auths/signin")" 429
same 'scripted 503' "$(code -H "$json" -d "$ok_login" "$base/api/v2/auths/signin")" 503
has 'scripted HTML' "$(post /api/v2/auths/signin "$ok_login")" aliyun_waf
hasnt 'scripted: no token' "$(post /api/v2/auths/signin "$ok_login")" '"token"'
has 'the queue is empty' "$(post /api/v2/auths/signin "$ok_login")" '"token"'

# ---- tokens ----
bearer="Authorization: Bearer $good"
same 'fixed token' "$(get /api/v1/auths/ -H "$bearer" | member email)" ok@example.org
has 'token as cookie' "$(get /api/v1/auths/ -H "Cookie: a=b; token=$token; c=d")" ok@example.org
has 'v2 user' "$(get /api/v2/user/info -H "$bearer")" '"success":true'
for bad_token in "$stale" nonsense "$refresh" ''; do
  r=$(get /api/v1/auths/ -H "Authorization: Bearer $bad_token")
  has "refused: ${bad_token##*.}" "$r" '"code":"unauthorized","details":"Token has expired, please log in again."'
done
same 'unauthorized is a 200' "$(code "$base/api/v1/auths/")" 200
post /__switch '{"auth_status":401}' >/dev/null
same 'unauthorized as 401' "$(code "$base/api/v1/auths/")" 401
post /__reset '' >/dev/null

# ---- exchange ----
origin='Origin: https://chat.qwen.ai'
has 'exchange needs an origin' "$(get /api/v2/auths/refresh -b "token=$token")" 'Missing origin'
r=$(get /api/v2/auths/refresh -b "token=$token" -H "$origin")
access=$(echo "$r" | member access_token)
c=$(claim "$access")
has 'an access token' "$c" '"type":"access_token"'
now=$(date +%s)
between 'lives 900 s' "$(echo "$c" | number exp)" $((now + 890)) $((now + 910))
r=$(get /api/v2/auths/refresh -b "refresh_token=$refresh" -H "$origin")
next=$(echo "$r" | member refresh_token)
has 'by refresh token' "$r" '"success":true'
hasnt 'it rotates' "$next" "$refresh"
same 'the old one is dead' "$(code -b "refresh_token=$refresh" -H "$origin" "$base/api/v2/auths/refresh")" 401
same 'the new one lives' "$(code -b "refresh_token=$next" -H "$origin" "$base/api/v2/auths/refresh")" 200
same 'an access token is no session' "$(code -b "token=$access" -H "$origin" "$base/api/v2/auths/refresh")" 401
same 'nobody' "$(code -H "$origin" "$base/api/v2/auths/refresh")" 401
same 'only the auth host' "$(code -b "token=$token" -H "$origin" -H 'Host: chat.qwen.ai' "$base/api/v2/auths/refresh")" 404
same 'the auth host' "$(code -b "token=$token" -H "$origin" -H 'Host: auth.qwen.ai' "$base/api/v2/auths/refresh")" 200
same 'no chats there' "$(code -H "$bearer" -H 'Host: auth.qwen.ai' "$base/api/v2/chats/")" 404
post /__switch '{"exchange":true}' >/dev/null
has 'exchange mode: a session is not enough' "$(get /api/v1/auths/ -H "$bearer")" unauthorized
has 'an access token is' "$(get /api/v1/auths/ -H "Authorization: Bearer $access")" ok@example.org
post /__revoke '{"kind":"access"}' >/dev/null
has 'access revoked' "$(get /api/v1/auths/ -H "Authorization: Bearer $access")" unauthorized
same 'the session is not' "$(code -b "token=$token" -H "$origin" "$base/api/v2/auths/refresh")" 200
post /__reset '' >/dev/null

# ---- models ----
r=$(get /api/models -H "$bearer")
has 'models v1' "$r" '{"data":[{"id":"qwen3.7-plus"'
has 'a bare one' "$r" '{"id":"bare-model"}'
has 'an inactive one' "$r" '"is_active":false'
has 'models v2' "$(get /api/v2/models/ -H "$bearer")" '"data":{"data":[{"id":"qwen3.7-plus"'
hasnt 'guests see fewer' "$(get /api/models)" bare-model
has 'a bad token is refused' "$(get /api/models -H "Authorization: Bearer $stale")" unauthorized

# ---- chats ----
# new [TOKEN [TYPE]]: a fresh chat
new() {
  post /api/v2/chats/new "{\"title\":\"New Chat\",\"models\":[\"qwen3.7-plus\"],\"chat_mode\":\"normal\",\"chat_type\":\"${2:-t2t}\",
    \"timestamp\":1772616278123,\"project_id\":\"\"}" -H "Authorization: Bearer ${1:-$good}" | member id
}
other=$(post /api/v2/auths/signin "$(login second@example.org 'correct horse')" | member token)
id=$(new)
same 'a chat id is a UUID' "$(echo "$id" | sed 's/[0-9a-f]\{8\}\(-[0-9a-f]\{4\}\)\{3\}-[0-9a-f]\{12\}/uuid/')" uuid
for fault in '"models":[]' '"models":"x"' '"timestamp":1772616278' '"chat_mode":"local"' '"chat_type":"poem"' '"chat_type":7'; do
  b='{"title":"x","models":["qwen3.7-plus"],"chat_mode":"normal","chat_type":"t2t","timestamp":1772616278123}'
  k=${fault%%:*}
  b=$(echo "$b" | sed "s/$k:[^,}]*/$fault/")
  has "chats/new with $fault" "$(post /api/v2/chats/new "$b" -H "$bearer")" '"code":"RequestValidationError","details":["Field'
done
has 'listed' "$(get '/api/v2/chats/?page=1&exclude_project=true' -H "$bearer")" "{\"id\":\"$id\",\"title\":\"New Chat\""
hasnt 'not to others' "$(get '/api/v2/chats/?page=1' -H "Authorization: Bearer $other")" "$id"
hasnt 'nor on page 2' "$(get '/api/v2/chats/?page=2' -H "$bearer")" "$id"
has 'detail' "$(get "/api/v2/chats/$id?direction=up&limit=10" -H "$bearer")" "\"data\":{\"id\":\"$id\""
has 'not for others' "$(get "/api/v2/chats/$id" -H "Authorization: Bearer $other")" CHAT_NOT_FOUND
same 'no deleting by others' "$(code -X DELETE -H "Authorization: Bearer $other" "$base/api/v2/chats/$id")" 404
has 'deleted' "$(get "/api/v2/chats/$id" -X DELETE -H "$bearer")" '{"success":true,"data":{"status":true}}'
same 'once' "$(code -X DELETE -H "$bearer" "$base/api/v2/chats/$id")" 404
has 'no flag' "$(get /__stats)" '"deleted_all":false'
id=$(new) theirs=$(new "$other")
get /api/v2/chats/ -X DELETE -H "$bearer" >/dev/null
has 'an empty id raises the flag' "$(get /__stats)" '"deleted_all":true'
has 'and deletes all' "$(get "/api/v2/chats/$id" -H "$bearer")" CHAT_NOT_FOUND
has 'of the account' "$(get "/api/v2/chats/$theirs" -H "Authorization: Bearer $other")" '"success":true'
post /__reset '' >/dev/null
same 'reset lowers it' "$(get /__stats | grep -c '"deleted_all":false')" 1
same 'and the chats are gone' "$(stat chats_alive)" 0

# ---- completions: what is checked ----
# body PROMPT [MODEL]: a good body for chat $id
body() {
  printf '{"stream":true,"version":"2.1","incremental_output":true,"chat_id":"%s","chat_mode":"normal","model":"%s","parent_id":null,
"messages":[{"fid":"f","parentId":null,"childrenIds":[],"role":"user","content":"%s","user_action":"chat","files":[],
"timestamp":1772616278,"models":["qwen3.7-plus"],"chat_type":"t2t","feature_config":{"thinking_enabled":false,"output_schema":"phase"},
"extra":{"meta":{"subChatType":"t2t"}}}],"timestamp":1772616279}' "$id" "${2:-qwen3.7-plus}" "$1"
}
send() { b=$1; shift; post "/api/v2/chat/completions?chat_id=$id" "$b" -H "$bearer" "$@"; }
# ask PROMPT OPTIONS...: in a fresh chat
ask() { p=$1; shift; id=$(new); send "$(body "$p")" "$@"; }
play() { s=$1; shift; ask "[[scenario:$s]]" "$@"; }

id=$(new)
has 'chat_id is mandatory' "$(post /api/v2/chat/completions "$(body x)" -H "$bearer")" \
  '"code":"RequestValidationError","details":["Field '"'query -> chat_id': Field required\"]"
has 'of the same account' "$(post "/api/v2/chat/completions?chat_id=$id" "$(body x)" -H "Authorization: Bearer $other")" CHAT_NOT_FOUND
has 'a token is needed' "$(post "/api/v2/chat/completions?chat_id=$id" "$(body x)")" unauthorized
two=$(body x | tr -d '\n' | sed 's/"messages":\[\(.*\)\],"timestamp":1772616279/"messages":[\1,\1],"timestamp":1772616279/')
has 'exactly one message' "$(send "$two")" 'Invalid input too many messages.'
for fault in 's/"messages":\[.*\],"timestamp"/"messages":[],"timestamp"/' 's/"role":"user"/"role":"system"/' 's/"stream":true/"stream":false/' \
  's/1772616279/1772616279123/' 's/1772616278/1772616278123/' 's/"content":"x"/"content":null/' 's/"parent_id":null/"parent_id":1/' \
  's/"feature_config"/"feature"/' 's/"chat_id":"[^"]*"/"chat_id":"other"/'; do
  has "refused: $fault" "$(send "$(body x | tr -d '\n' | sed "$fault")")" RequestValidationError
done
has 'models are known' "$(send "$(body x no-such-model)")" 'Model not found'
r=$(send "$(body x | sed 's/,"output_schema":"phase"//')")
has 'without output_schema it answers' "$r" '"content":"upstream.","status":"typing"'
hasnt 'but tells no phase' "$r" '"phase"'
r=$(send "$(body '[[scenario:stream n=2 ms=1]]' | sed 's/,"output_schema":"phase"//')")
hasnt 'nor in streams' "$r" '"phase"'
r=$(send "$(body x | sed 's/"content":"x"/"content":[{"type":"text","text":"[[scenario:no_usage]]"},{"type":"image","image":"https:\/\/cdn.qwenlm.ai\/output\/u.png"}]/; s/\\\//\//g')")
hasnt 'the older content form' "$r" usage
has 'and it is an answer' "$r" 'upstream.'
same 'every fault was counted' "$(stat bad)" 11

id=$(new)
send "$(body '[[scenario:stall]]')" -m 1 >/dev/null &
sleep 0.3
same 'a stalled turn runs' "$(stat running)" 1
has 'its chat is in progress' "$(send "$(body x)")" 'The chat is in progress!'
wait $!
has 'still so when the client has just gone' "$(send "$(body x)")" 'The chat is in progress!'
sleep 1.1
has 'free a second later' "$(send "$(body x)")" 'upstream.'
send "$(body '[[scenario:stream n=600 ms=20]]')" >"$t/stopped" &
job=$!
sleep 0.3
has 'stop wants its chat in the body' "$(post "/api/v2/chat/completions/stop?chat_id=$id" '{}' -H "$bearer")" RequestValidationError
has 'nobody else stops it' "$(post "/api/v2/chat/completions/stop?chat_id=$id" "{\"chat_id\":\"$id\"}" -H "Authorization: Bearer $other")" CHAT_NOT_FOUND
has 'stop' "$(post "/api/v2/chat/completions/stop?chat_id=$id" "{\"chat_id\":\"$id\",\"response_id\":\"r\"}" -H "$bearer")" '"success":true'
wait $job
same 'the stopped stream ends well' $? 0
has 'and says so' "$(tail -n 2 "$t/stopped")" "data: {\"response.stopped\":{\"chat_id\":\"$id\",\"response_id\":\"5e5d0000-"
has 'its chat is free at once' "$(send "$(body x)")" 'upstream.'
same 'stops are counted' "$(stat stops)" 3
same 'none runs' "$(stat running)" 0
lim=$(post /api/v2/auths/signin "$(login limited@example.org 'correct horse')" | member token)
id=$(new "$lim" t2i)
picture() { body x | sed 's/"chat_type":"t2t"/"chat_type":"t2i","sub_chat_type":"t2i"/; s/"subChatType":"t2t"/"subChatType":"t2i"/'; }
has 'limited@: no pictures' "$(post "/api/v2/chat/completions?chat_id=$id" "$(picture)" -H "Authorization: Bearer $lim")" RateLimited
id=$(new "$lim")
has 'but chats' "$(post "/api/v2/chat/completions?chat_id=$id" "$(body x)" -H "Authorization: Bearer $lim")" 'upstream.'

# ---- HTTP ----
same 'content type' "$(code -H "$bearer" -H 'Content-Type: text/plain' -d '{}' "$base/api/v2/chats/new")" 422
same 'with a charset' "$(code -H "$bearer" -H 'Content-Type: application/json; charset=utf-8' -d '{}' "$base/api/v2/chats/new")" 200
for b in '{"a":1' '[]' '{"a":01}' '{"a":"\x"}' '{"a":1}x' '{"a":"	"}' "{'a':1}" '{"a":1,}' "$(printf '{"a":"\377"}')" "$(printf '{"a":"\355\240\200"}')" \
  "$(printf '{"a":"\300\200"}')" '{"a":"\ud83"}' '{"a":.5}' '{"a":tru}' ''; do
  same "a body like $b" "$(code -H "$bearer" -H "$json" --data-binary "$b" "$base/api/v2/chats/new")" 422
done
i=0 nest=
while [ $i -lt 70 ]; do nest="$nest["; i=$((i + 1)); done
same 'nesting' "$(code -H "$bearer" -H "$json" --data-binary "$nest" "$base/api/v2/chats/new")" 422
# request EXTRA-HEADERS BODY: bytes of a GET, printf escapes allowed
for bytes in 'GET /api/models HTTP/1.0\r\nHost: x\r\n\r\n' 'GET /api/models HTTP/1.1\r\n\r\n' 'GET /api/models HTTP/1.1\nHost: x\n\r\n\r\n' \
  'GET /api/models HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n' 'GET /api/models HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx' \
  'GET /api/models HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n' \
  'GET /api/models HTTP/1.1\r\nHost: x\r\nContent-Length: +1\r\n\r\nx' 'GET /api/models HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n' \
  'GET /api/models HTTP/1.1\r\nHost : x\r\n\r\n' 'GET /api/models HTTP/1.1\r\nHost: x\r\nA: b\001c\r\n\r\n' \
  'GET  /api/models HTTP/1.1\r\nHost: x\r\n\r\n' 'GET api HTTP/1.1\r\nHost: x\r\n\r\n' 'nonsense\r\n\r\n' \
  'POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n' 'POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n' \
  'POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n'; do
  printf "$bytes" >"$t/bytes"
  has "400 for $bytes" "$(raw "$t/bytes")" 'HTTP/1.1 400 '
done
printf 'GET /api/models HTTP/1.1\r\nHost: x\r\n\r\nGET /api/v1/auths/ HTTP/1.1\r\nHost: x\r\n\r\nGET /nothing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n' >"$t/bytes"
r=$(raw "$t/bytes" | grep -c '^HTTP/1.1 \|"HTTP\|}HTTP/1.1')
same 'pipelined' "$r" 3
id=$(new)
b=$(body '[[scenario:slow ms=200]]')
printf 'POST /api/v2/chat/completions?chat_id=%s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n%s\r\nContent-Length: %d\r\n\r\n%sGET /nothing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n' \
  "$id" "$good" "$json" ${#b} "$b" >"$t/bytes"
r=$(raw "$t/bytes" | tr -d '\r' | tr '\n' ' ')
has 'the next request waits for a slow answer' "$r" '}   0  HTTP/1.1 404 Not Found'
id=$(new)
has 'a chunked body' "$(send "$(body x)" -H 'Transfer-Encoding: chunked')" 'upstream.'
has 'Expect: 100-continue' "$(send "$(body x)" -H 'Expect: 100-continue' -i)" 'HTTP/1.1 100 Continue'
same 'connections are kept' "$(curl -s -o /dev/null -o /dev/null -w '%{num_connects} ' "$base/api/models" "$base/api/v1/auths/")" '1 0 '
printf 'GET /api/models HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n' >"$t/bytes"
begin=$(date +%s%N)
raw "$t/bytes" >/dev/null
between 'Connection: close' $((($(date +%s%N) - begin) / 1000000)) 0 500
head -c 3000000 /dev/zero | tr '\0' 'y' >"$t/long"
printf '%s' "$(body @)" | tr -d '\n' | sed 's/@.*//' >"$t/big"
cat "$t/long" >>"$t/big"
printf '%s' "$(body @)" | tr -d '\n' | sed 's/.*@//' >>"$t/big"
has 'a body of 3 MB' "$(send @"$t/big")" 'upstream.'

# ---- the scenarios, byte for byte ----
rid() { echo "5e5d0000-0000-4000-8000-${id##*-}"; }
created() { printf 'data: {"response.created":{"chat_id":"%s","parent_id":"u1","response_id":"%s","response_index":"0"}}\n\n' "$id" "$(rid)"; }
# delta ROLE PHASE CONTENT STATUS [MORE]
delta() {
  printf 'data: {"choices":[{"delta":{"role":"%s","content":%s,"phase":"%s","status":"%s"%s}}],"response_id":"%s","response_index":"0"}\n\n' \
    "$1" "$3" "$2" "$4" "${5-}" "$(rid)"
}
say() { for w in "$@"; do delta assistant answer "\"$w\"" typing; done; }
stop() { delta assistant "$1" '""' finished; }
usage='"usage":{"input_tokens":31,"output_tokens":20,"total_tokens":51,"output_tokens_details":{"reasoning_tokens":12,"text_tokens":8}}'
end() {
  printf 'data: {"choices":[{"delta":{"role":"assistant","content":"","phase":"answer","status":"finished"}}],"response_id":"%s","response_index":"0",%s}\n\n' \
    "$(rid)" "$usage"
}
three() { say 'Hello, ' '世界' '! This '; }
five() { three; say 'is the fake ' 'upstream.'; }
internal() { printf 'data: {"error":{"code":"internal_error","details":"Internal error..."}}\n\n'; }

want_normal() { created; five; end; }
want_thinking() {
  created
  one='["Reading the task"]' both='["Reading the task","Adding"]' sum='"The user wants a sum."'
  while read -r titles thoughts; do
    thought=$(echo "$thoughts" | tr '_' ' ')
    delta assistant thinking_summary '""' typing ",\"extra\":{\"summary_title\":{\"content\":$(echo "$titles" | tr '_' ' ')},\"summary_thought\":{\"content\":$thought}}"
  done <<END
$(echo "$one" | tr ' ' '_') ["The_user_wants_"]
$(for k in 1 2 3; do echo "$(echo "$one" | tr ' ' '_') [$(echo "$sum" | tr ' ' '_')]"; done)
$(for k in 1 2 3; do echo "$(echo "$both" | tr ' ' '_') [$(echo "$sum" | tr ' ' '_'),\"It_is_four.\"]"; done)
END
  stop thinking_summary
  say '2 + 2' ' = 4'
  end
}
thinks() { created; delta assistant think '"Let me "' typing; delta assistant think '"count: 2 + 2"' typing; stop think; }
want_thinking_detail() { thinks; say '2 + 2' ' = 4'; end; }
want_think_only() { thinks; end; }
want_search() {
  created
  delta assistant web_search '""' typing ',"function_id":"round_0_1","function_call":{"name":"web_search","arguments":"{\"queries\":[\"weather\"]}"},"extra":{"display_position":"answer"}'
  delta function web_search '"tool text that is not the answer"' finished ',"name":"web_search","function_id":"round_0_1","extra":{"tool_result":{"docs":[{"url":"https://example.org/a","title":"A|B [x]","snippet":"s","date":"2026-03-01"},{"url":"https://example.org/b (1)","title":"B"},{"url":"https://example.org/a","title":"A again"}],"used_id":3}}'
  say 'It rains ' '[' '[1' ']]' '.'
  end
}
want_search_old() {
  created
  delta assistant web_search '""' typing ',"extra":{"web_search_info":[{"url":"https://example.org/a","title":"A","snippet":"s","hostname":"example.org","hostlogo":null,"date":""}]}'
  say 'It rains ' '[' '[1' ']]' '.'
  end
}
want_empty() { :; }
want_created_only() { created; }
want_err_in_stream() { created; internal; }
want_err_midway() { created; three; internal; }
want_fail_in_sse() { created; say 'Hello, '; printf 'data: {"success":false,"request_id":"f","data":{"code":"RateLimited","details":"Allocated quota exceeded"}}\n\n'; }
want_moderation() { created; printf 'data: {"error":{"code":"data_inspection_failed","details":"Content security warning: inappropriate content"}}\n\n'; }
want_malformed() {
  created
  printf 'event: message\ndata: {"choices":[{"delta":{"content":"bro\n\n: a comment\n\n:\n\ndata:\n\nid: 7\nretry: 10\n\n'
  say 'Hello, ' '世界'
  printf 'data: not json at all\n\n\n\n'
  say '! This ' | sed 's/$/   /'
  say 'is the fake ' 'upstream.'
  end
}
want_crlf() { want_normal | sed 's/$/\r/'; }
want_no_space() { want_normal | sed 's/^data: /data:/'; }
want_no_final_blank() { want_normal | head -c -2; }
want_with_done() { want_normal; printf 'data: [DONE]\n\n'; }
want_multi_line() {
  created
  for w in 'Hello, ' '世界' '! This ' 'is the fake ' 'upstream.'; do
    printf 'data: {"choices":[{"delta":\ndata: {"role":"assistant",\ndata:"content":"%s","phase":"answer","status":"typing"}}]}\n\n' "$w"
  done
  end
}
want_split1() { created; five; delta assistant answer '" pair \ud83d\ude00 raw 😀🏳 \"q\" \n\t\\ \u00e9."' typing; end; }
want_split7() { want_split1; }
want_split_crlf() { want_split1 | sed 's/$/\r/'; }
want_split_char_delta() { created; delta assistant answer '"smile \ud83d"' typing; delta assistant answer '"\ude00 done"' typing; end; }
want_cumulative() {
  created
  say 'The first twenty bytes' 'The first twenty bytes and more' 'The first twenty bytes and more and the end' 'The first twenty bytes and more and the end.'
  end
}
want_repeat() { created; say 'ha ' 'ha ' 'ha ' 'ha'; end; }
intruder() { printf 'data: {"choices":[{"delta":{"role":"assistant","content":"INTRUDER","phase":"answer","status":"%s"}}],"response_id":"another-reply"}\n\n' "$1"; }
want_two_ids() { created; say 'Hello, ' '世界'; intruder typing; say '! This ' 'is the fake '; intruder finished; say 'upstream.'; end; }
want_unknown_phase() {
  created
  printf 'data: {"choices":[{"delta":{"role":"assistant","content":null,"phase":"foo","status":"typing"}}],"response_id":"%s"}\n\n' "$(rid)"
  printf 'data: {"choices":[{"delta":{"role":"assistant","content":"held "}}],"response_id":"%s"}\n\n' "$(rid)"
  printf 'data: {"choices":[{"delta":{"role":"assistant","content":[{"text":"back"}," here"],"phase":"foo"}}],"response_id":"%s","usage":{"input_tokens":"31","output_tokens":"20","total_tokens":"51"}}\n\n' "$(rid)"
}
want_finish_then_more() { created; say 'first '; stop answer; delta assistant web_search '""' typing; stop web_search; say second; end; }
big() {
  created
  printf 'data: {"choices":[{"delta":{"role":"assistant","content":"'
  head -c "$1" /dev/zero | tr '\0' x
  printf '","phase":"answer","status":"typing"}}]}\n\n'
  five
  end
}
want_huge() { big 3145728; }
want_too_huge() { big 20971520; }
want_deep() { created; printf 'data: '; head -c 10000 /dev/zero | tr '\0' '['; head -c 10000 /dev/zero | tr '\0' ']'; printf '\n\n'; five; end; }
want_late_usage() { created; five; stop answer; printf 'data: {"choices":[],"response_id":"%s",%s}\n\n' "$(rid)" "$usage"; }
want_no_usage() { created; five; stop answer; }
alive() { printf 'data: {"response.info":{"action":"keep_alive","chat_id":"%s","response_id":"%s","timestamp":1772616290}}\n\n' "$id" "$(rid)"; }
want_slow() { alive; alive; alive; alive; want_normal; }
call='<tool_call>
{"name":"get_weather","arguments":{"city":"Paris"}}
</tool_call>'
# Cut into three bytes a delta, as JSON.
cut3() {
  printf %s "$2" | od -An -v -tx1 -w3 | while read -r hex; do
    w=$(for h in $hex; do
      case $h in 0a) printf '\\u000a' ;; 22) printf '\\"' ;; *) printf "\\$(printf '%03o' "0x$h")" ;; esac
    done; printf .)
    delta assistant "$1" "\"${w%.}\"" typing
  done
}
want_tool_text() { created; cut3 answer "Let me look.
$call
Done."; end; }
want_tool_text_fenced() { created; cut3 answer "Let me look.
\`\`\`json
$call
\`\`\`
Done."; end; }
want_tool_text_two() { created; cut3 answer "Let me look.
$call
$call
Done."; end; }
want_tool_text_broken() { created; cut3 answer "Let me look.
<tool_call>
{'name': 'get_weather', 'arguments': {'city': 'Paris',}}
</tool_call>
Done."; end; }
want_tool_text_think() { created; cut3 think "$call"; stop think; cut3 answer 'It is sunny.'; end; }
native() { delta assistant tool_call '""' "$2" ",\"function_id\":\"round_0_1\",\"function_call\":{\"name\":\"get_weather\",\"arguments\":\"$1\"}"; }
want_native_call() {
  created
  native '{\"ci' typing
  native '{\"city\":\"P' typing
  native '{\"city\":\"Paris\"}' finished
  delta function tool_call '"Tool get_weather does not exists."' finished ',"name":"get_weather","function_id":"round_0_1"'
  say 'I have no such tool.'
  end
}
all='normal thinking thinking_detail think_only search search_old empty created_only err_in_stream err_midway fail_in_sse moderation malformed
 crlf no_space no_final_blank with_done multi_line split1 split7 split_crlf split_char_delta cumulative repeat two_ids unknown_phase
 finish_then_more huge too_huge deep late_usage no_usage slow tool_text tool_text_fenced tool_text_two tool_text_broken tool_text_think native_call'
for s in $all; do
  id=$(new)
  send "$(body "[[scenario:$s]]")" -D "$t/head" -o "$t/got"
  same "$s: the transport ends well" $? 0
  want_$s >"$t/want"
  if cmp -s "$t/got" "$t/want"; then ok; else
    bad "$s: not the bytes expected"
    diff "$t/got" "$t/want" | cut -c 1-300 | head -n 6
  fi
  same "$s: type" "$(tr -d '\r' <"$t/head" | sed -n 's/^Content-Type: //p')" 'text/event-stream; charset=utf-8'
done
same 'the list is complete' "$(sed -n '/^} scenarios\[\] = {/,/^};/s/.*\.name = "\([^"]*\)".*/\1/p' tools/fake/scenarios.c | tr '\n' ' ')" \
  'normal echo thinking thinking_detail think_only search search_old slow stall stall_head stall_midway drop drop_clean empty created_only err_in_stream err_midway fail_in_sse moderation malformed crlf no_space no_final_blank with_done multi_line gzip gzip_bad split1 split7 split_crlf split_char_delta cumulative repeat two_ids unknown_phase finish_then_more huge too_huge deep late_usage no_usage say tool_text tool_text_fenced tool_text_two tool_text_broken tool_text_think tool_missing native_call image image_two image_edit image_foreign image_captcha image_tool image_inline image_markdown image_none image_refusal image_text video_sse '
# echo: whatever comes, verbatim
id=$(new)
send "$(body 'x [[scenario:echo]] \"q\" \\ \n\t\u0001 é 世界 \ud83d\ude00 \/ end')" >"$t/got"
{ created; delta assistant answer '"x [[scenario:echo]] \"q\" \\ \u000a\u0009\u0001 é 世界 😀 / end"' typing; end; } >"$t/want"
if cmp -s "$t/got" "$t/want"; then ok; else bad 'echo'; diff "$t/got" "$t/want"; fi
has 'the last scenario counts' "$(ask '[[scenario:429]] [[scenario:echo]]')" '[[scenario:429]] [[scenario:echo]]'
printf '%s' "$(body '[[scenario:echo]]@')" | tr -d '\n' | sed 's/@.*//' >"$t/big"
cat "$t/long" >>"$t/big"
printf '%s' "$(body @)" | tr -d '\n' | sed 's/.*@//' >>"$t/big"
id=$(new)
sed -i "s/\"chat_id\":\"[^\"]*\"/\"chat_id\":\"$id\"/" "$t/big"
same 'echo of 3 MB' "$(send @"$t/big" | grep -o '"content":"[^"]*"' | sed 's/"content":"//; s/"$//; s/\[\[scenario:echo\]\]//' | tr -d '\n' | wc -c)" 3000000
# framings
id=$(new)
send "$(body '[[scenario:split1]]')" --raw >"$t/got"
size=$(want_split1 | wc -c)
same 'split1: a chunk a byte' "$(wc -c <"$t/got")" $((size * 6 + 5))
id=$(new)
send "$(body '[[scenario:gzip]]')" -D "$t/head" -o "$t/got.gz"
has 'gzip: told' "$(cat "$t/head")" 'Content-Encoding: gzip'
want_normal >"$t/want"
gzip -dc "$t/got.gz" >"$t/got" 2>"$t/err"
same 'gzip: whole' "$?" 0
if cmp -s "$t/got" "$t/want"; then ok; else bad 'gzip: text'; fi
same 'gzip: flushed per event' "$(play gzip --raw | grep -c -a '^[0-9a-f]\{2,3\}.$')" 7
id=$(new)
send "$(body '[[scenario:gzip_bad]]')" -o "$t/got.gz"
want_normal >"$t/want"
gzip -dc "$t/got.gz" >"$t/got" 2>"$t/err"
if [ $? -ne 0 ] && grep -q crc "$t/err"; then ok; else bad "gzip_bad: $(cat "$t/err")"; fi
# faults of the transport
play drop -o "$t/got"; same 'drop: reset' $? 56
{ created; three; } >"$t/want"
if cmp -s "$t/got" "$t/want"; then ok; else bad 'drop: three deltas come first'; fi
play drop_clean -o "$t/got"; same 'drop_clean: no last chunk' $? 18
{ created; three; } >"$t/want"
if cmp -s "$t/got" "$t/want"; then ok; else bad 'drop_clean: three deltas come first'; fi
has 'what is kept of it' "$(get "/api/v2/chats/$id" -H "$bearer")" '"content":"Hello, 世界! This ","extra"'
play 'drop full=1' -o /dev/null
has 'all of it when asked for' "$(get "/api/v2/chats/$id" -H "$bearer")" '"content":"Hello, 世界! This is the fake upstream.","extra"'
play drop_early -o "$t/got"; same 'drop_early: nothing' $? 52
rm "$t/got"
play stall_head -m 0.4 -o "$t/got" -D "$t/head"; same 'stall_head: silence' $? 28
has 'stall_head: a head' "$(cat "$t/head")" '200 OK'
same 'stall_head: and no more' "$(cat "$t/got" 2>/dev/null)" ''
play stall -m 0.4 -o "$t/got"; same 'stall: silence' $? 28
same 'stall: created comes first' "$(cat "$t/got")" "$(created)"
play stall_midway -m 0.4 -o "$t/got"; same 'stall_midway' $? 28
same 'stall_midway: three deltas' "$(cat "$t/got")" "$(created; three)"
# times, in units of --pace-ms 100
ms() { curl -s -m 10 -o /dev/null -w '%{time_total}' -H "$json" -H "$bearer" -d "$(body "$1")" "$base/api/v2/chat/completions?chat_id=$id" | awk '{ printf "%d", $1 * 1000 }'; }
id=$(new); between 'slow takes five steps' "$(ms '[[scenario:slow]]')" 480 900
id=$(new); between 'slow ms=' "$(ms '[[scenario:slow ms=150]]')" 145 500
id=$(new); between 'slow s=' "$(ms '[[scenario:slow s=1]]')" 990 1500
id=$(new); between 'late usage comes 2.5 steps later' "$(ms '[[scenario:late_usage]]')" 245 600
hasnt 'slow quiet=1 sends nothing before' "$(play 'slow ms=300 quiet=1')" keep_alive
# answers that are no stream
for row in '401 401 Unauthorized' '403 403 Forbidden' '403_banned 403 banned' '413 413 large' '429 429 Too_Many_Requests' '429_retry_after 429 {}' \
  '500 500 Internal_Server_Error' '502_html 502 Gateway' '503 503 Internal_Server_Error' '504_html 504 Time-out' 'quota 200 "num":4' \
  'quota_flat 200 {"code":"RateLimited","detail":' 'quota_allocated 200 quotaLimited' 'parallel 200 ParallelLimited' 'internal 200 Bad_Request' \
  'too_long 200 max_context' 'not_found 200 CHAT_NOT_FOUND' 'no_model 200 found' 'validation 200 RequestValidationError' 'junk 200 "data":{}' \
  'html_200 200 aliyun_waf' 'html_405 405 aliyun_waf' 'html_as_sse 200 aliyun_waf' 'punish 200 _____tmd_____/punish?x5secdata=' \
  'json_answer 200 "choices":[{"message":{"role":"assistant","content":"a'; do
  s=${row%% *} rest=${row#* }
  r=$(play "$s" -D "$t/head")
  same "$s: status" "$(sed -n '1s/HTTP.1.1 \([0-9]*\) .*/\1/p' "$t/head")" "${rest%% *}"
  has "$s: body" "$r" "${rest#* }"
done
play 429_retry_after -D "$t/head" >/dev/null
has 'Retry-After' "$(cat "$t/head")" 'Retry-After: 77'
play html_as_sse -D "$t/head" >/dev/null
has 'html_as_sse: type' "$(cat "$t/head")" 'Content-Type: text/event-stream'
hasnt 'an unknown scenario' "$(play no_such_thing)" choices
same 'is loud' "$(play no_such_thing -o /dev/null -w '%{http_code}')" 500
post /__reset '' >/dev/null
id=$(new)
for k in 1 2; do has "in_progress $k" "$(send "$(body '[[scenario:in_progress]]')")" 'The chat is in progress!'; done
has 'then normal' "$(send "$(body '[[scenario:in_progress]]')")" 'upstream.'
fresh=$(post /api/v2/auths/signin "$ok_login" | member token)
expire() { post "/api/v2/chat/completions?chat_id=$id" "$(body '[[scenario:expired]]')" -H "Authorization: Bearer $1"; }
has 'expired' "$(expire "$fresh")" 'Token has expired'
has 'its token is dead' "$(get /api/v1/auths/ -H "Authorization: Bearer $fresh")" unauthorized
fresh=$(post /api/v2/auths/signin "$ok_login" | member token)
has 'normal after a new sign-in' "$(expire "$fresh")" 'upstream.'
id=$(new)
has 'by the model' "$(send "$(body x 'qwen3.7-plus#429')")" Too_Many_Requests

# ---- streams of the load generator ----
id=$(new)
send "$(body '[[scenario:stream n=4 ms=0 size=12 seed=30]]')" >"$t/got"
tail_=',"response_index":"0","usage":{"input_tokens":31,"output_tokens":9,"total_tokens":40},"timestamp":1772616291}'
{
  created
  for d in '30.0 eeeeeee' '30.1 fffffff' '30.2 ggggggg' '30.3 hhhhhhh'; do
    printf 'data: {"choices":[{"delta":{"role":"assistant","content":"%s","phase":"answer","status":"typing"}}],"response_id":"%s"%s\n\n' "$d" "$(rid)" "$tail_"
  done
  end
} >"$t/want"
if cmp -s "$t/got" "$t/want"; then ok; else bad 'stream'; diff "$t/got" "$t/want"; fi
same 'a size below the number' "$(play 'stream n=1 ms=1 size=1 seed=7' | grep -c '"content":"7.0 "')" 1
same 'many, fast' "$(play 'stream n=20000 ms=0 size=50 seed=1' | grep -c '"content":"1\.[0-9]* ')" 20000
same 'large deltas' "$(play 'stream n=3 ms=1 size=50000 seed=0' | sed -n 's/.*"content":"\(0\.[012] [abc]*\)".*/\1/p' | awk '{ print length($0) }' | tr '\n' ' ')" '50000 50000 50000 '
id=$(new); between 'paced: 10 deltas, 30 ms apart, and the end' "$(ms '[[scenario:stream n=10 ms=30]]')" 325 600
r=$(play 'stamp n=5 ms=20' | sed -n 's/.*"content":"t=\([0-9]*\) ".*/\1/p')
same 'five stamps' "$(echo "$r" | wc -l)" 5
first=$(echo "$r" | head -n 1) last_=$(echo "$r" | tail -n 1)
between 'their clock' $((last_ - first)) 75000 250000
up=$(awk '{ printf "%.0f", $1 * 1000000 }' /proc/uptime)
between 'is the monotonic one' $((up - last_)) -1000000 60000000

# ---- control ----
post /__reset '' >/dev/null
post /__script '{"completions":["429","slow ms=150","drop_early"],"chats_new":["503"]}' >/dev/null
same 'chats/new is scripted' "$(code -H "$json" -H "$bearer" -d '{}' "$base/api/v2/chats/new")" 503
id=$(new)
has 'first' "$(send "$(body '[[scenario:echo]]')")" Too_Many_Requests
between 'second, with parameters' "$(ms x)" 145 500
send "$(body x)" -o /dev/null; same 'third' $? 52
sleep 1.1
has 'then as asked' "$(send "$(body 'x')")" 'upstream.'
log=$(get /__log)
has 'log: scenario and account' "$log" "\"path\":\"/api/v2/chat/completions?chat_id=$id\",\"chat_id\":\"$id\",\"scenario\":\"429\",\"email\":\"ok@example.org\""
hasnt 'log: no bodies unless asked' "$log" '"body"'
has 'log: bodies' "$(get '/__log?n=1&bodies=1')" '"body":"{\"stream\":true,\"version\":\"2.1\"'
has 'log: heads' "$(get '/__log?n=1&heads=1')" "\"head\":\"POST /api/v2/chat/completions?chat_id=$id HTTP/1.1"
same 'log: the last two' "$(get '/__log?n=2' | grep -o '"t_ms"' | wc -l)" 2
get /__log | node -e 'JSON.parse(require("fs").readFileSync(0, "utf8"))'; same 'log is JSON' $? 0
get /__stats | node -e 'JSON.parse(require("fs").readFileSync(0, "utf8"))'; same 'stats are JSON' $? 0
post /__reset '' >/dev/null
same 'log: reset' "$(get /__log)" '[]'
for k in 1 2 3; do play 'stream n=50 ms=20' -o /dev/null & done
sleep 0.6
same 'three run' "$(stat running)" 3
wait_for=$(stat max_parallel)
same 'three at once' "$wait_for" 3
has 'of one account' "$(get /__stats)" '"accounts":{"ok@example.org":{"running":3,"max_parallel":3,"signins":0}}'
sleep 1.2
same 'and end' "$(stat running)" 0
post /__switch '{"gzip":true}' >/dev/null
has 'JSON comes packed' "$(get /api/models -i -H "$bearer" | tr -d '\0')" 'Content-Encoding: gzip'
has 'and is right' "$(get /api/models -H "$bearer" --compressed)" '{"data":[{"id":"qwen3.7-plus"'
has 'chats too' "$(post /api/v2/chats/new '{"models":["a"],"chat_mode":"normal","chat_type":"t2t","timestamp":1772616278123}' -H "$bearer" --compressed)" '"id":"6a1d'
post /__switch '{"gzip":false,"new_ms":200}' >/dev/null
between 'a slow chats/new' "$(curl -s -o /dev/null -w '%{time_total}' -H "$json" -H "$bearer" -d '{"models":["a"],"chat_mode":"normal","chat_type":"t2t","timestamp":1772616278123}' "$base/api/v2/chats/new" | awk '{ printf "%d", $1 * 1000 }')" 195 600
same 'an unknown control' "$(code -d '{}' "$base/__nothing")" 404
post /__reset '' >/dev/null

# ---- TLS ----
at() { curl -s -m 5 --cacert $certs/ca.pem --resolve "$1:$2:127.0.0.1" -o /dev/null -w '%{http_code}' "https://$1:$2/api/models"; }
for host in chat.qwen.ai localhost; do same "certificate of $host" "$(at $host $tls)" 200; done
for host in auth.qwen.ai cdn.qwenlm.ai portal.qwen.ai dashscope.aliyuncs.com qwen-webui-prod.oss-accelerate.aliyuncs.com \
  qwen-webui-prod.oss-ap-southeast-1.aliyuncs.com img.example.test evil.example.test; do
  hasnt "certificate of $host" "$(at $host $tls)" 000
done
at example.net $tls >/dev/null; same 'no certificate of example.net' $? 60
full=$(stat tls_full)
printf 'GET /api/models HTTP/1.1\r\nHost: chat.qwen.ai\r\nConnection: close\r\n\r\n' >"$t/bytes"
client() { (cat "$t/bytes"; sleep 0.3) | openssl s_client -connect "127.0.0.1:$tls" -servername chat.qwen.ai -CAfile $certs/ca.pem -tls1_2 -ign_eof "$@" 2>&1; }
client -sess_out "$t/session" >"$t/first"
client -sess_in "$t/session" >"$t/second"
has 'a full handshake' "$(cat "$t/first")" 'New, TLSv1.2'
has 'a resumed one' "$(cat "$t/second")" 'Reused, TLSv1.2'
has 'ended by close_notify' "$(cat "$t/second")" closed
hasnt 'not by surprise' "$(cat "$t/second")" 'unexpected eof'
same 'counted: full' "$(stat tls_full)" $((full + 1))
same 'counted: resumed' "$(stat tls_resumed)" 1
id=$(new)
tls_ask() { curl -s -m 10 --cacert $certs/ca.pem --resolve "chat.qwen.ai:$tls:127.0.0.1" -H "$json" -H "$bearer" -d "$(body "$1")" "https://chat.qwen.ai:$tls/api/v2/chat/completions?chat_id=$id"; }
for s in normal split7 huge slow drop_clean; do
  id=$(new)
  tls_ask "[[scenario:$s]]" >"$t/got"
  if [ $s = drop_clean ]; then { created; three; } >"$t/want"; else want_$s >"$t/want"; fi
  if cmp -s "$t/got" "$t/want"; then ok; else bad "$s over TLS"; fi
done
id=$(new)
same 'streams over TLS' "$(tls_ask '[[scenario:stream n=5000 ms=0 size=100 seed=2]]' | grep -c '"content":"2\.')" 5000
for row in 'wrong-host 60' 'expired 60' 'unknown 60'; do
  kind=${row% *}
  start "$kind" --port 0 --cert $certs/$kind.pem --key $certs/$kind.key
  at chat.qwen.ai $tls >/dev/null
  same "certificate $kind is refused" $? "${row#* }"
  kill $last
  wait $last 2>/dev/null
done
openssl ecparam -name prime256v1 -noout 2>/dev/null
openssl req -x509 -newkey rsa:2048 -nodes -keyout "$t/rsa.key" -out "$t/rsa.pem" -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost 2>/dev/null
start rsa --port 0 --cert "$t/rsa.pem" --key "$t/rsa.key"
same 'an RSA key' "$(curl -s --cacert "$t/rsa.pem" -o /dev/null -w '%{http_code}' "https://localhost:$tls/api/models")" 200
kill $last
wait $last 2>/dev/null

# ---- command line ----
start plain --port 0 --plain --rate 50 --cpu 0
same '--plain' "$(code "http://127.0.0.1:$tls/api/models")" 200
same 'no second port' "$plain" -1
kill -TERM $last
wait $last 2>/dev/null
same 'SIGTERM ends it' $? 143
"$fake" --no-such-option >/dev/null 2>&1; same 'an unknown option' $? 2
"$fake" --port 0 >/dev/null 2>&1; same 'a missing key' $? 2
has 'nothing was said by any' "$(cat "$t"/*.out)." '.'
same 'nor complained' "$(cat "$t"/*.out)" ''
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
