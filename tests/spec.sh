#!/bin/sh
# spec.sh [TABLE [NAMES]]: every paragraph of tests/spec.txt has tests, and they passed in this run. NAMES is what run.sh left of the
# tests that ran (by default $Q2A_RAN; without it only paragraphs and files are looked at). Runs as the last suite of `make test`,
# for it judges those before it. Without arguments it also proves of itself that it fails where it should.
cd "$(dirname "$0")/.." || exit 1
passed=0 failed=0
check() { if [ "$2" = 0 ]; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAILED $1"; fi; }

# What must have a row.
paragraphs() {
  for p in 1:8 2:6 3:16 4:6 5:7 6:8 7:5; do i=1; while [ $i -le "${p#*:}" ]; do echo "api ${p%:*}.$i"; i=$((i + 1)); done; done
  printf 'api 10 %s\n' frame login overview playground logs catalog about first # the pages
  printf 'api 8 %s\n' completions 'not offered' bill 'stored completions'
  printf 'api %s\n' '9.1 keys on /v1' 9.9 '9.6 redis_down' '11.4 REDIS_URL' 9.2 '9.2 live' '9.2 Redis' 9.4 9.5 9.6 9.7 9.8 11.5 '11.5 doctor' 11.6 11.7
  printf 'api %s\n' 9.3 '9.3 limits' '9.3 running answer' '9.3 surfaces' '9.3 exact' '9.3 counters' '9.3 Redis' '11.4 API_KEY' '11.5 new-admin-key'
  for code in invalid_json empty_body bad_request invalid_type missing_required_parameter invalid_value unsupported_parameter \
    unsupported_model_variant previous_response_not_found invalid_import invalid_size invalid_media media_fetch_refused \
    context_length_exceeded content_filter missing_api_key invalid_api_key admin_required model_not_allowed_for_key unknown_url \
    unsupported_endpoint not_found model_not_found method_not_allowed request_timeout already_exists video_not_ready env_managed \
    login_failed request_too_large uri_too_long unsupported_media_type headers_too_large upgrade_not_supported \
    too_many_auth_failures key_rate_limit key_quota_exceeded rate_limit_exceeded insufficient_quota media_quota_exceeded \
    'client closed' internal_error store_error upstream_error upstream_unreachable upstream_tls_error upstream_protocol \
    upstream_interrupted empty_upstream_response upstream_challenge media_upload_failed media_failed tool_call_missing \
    invalid_json_output proxy_error no_account no_usable_account no_cli_account overloaded store_unavailable shutting_down \
    upstream_connect_timeout upstream_first_byte_timeout upstream_idle_timeout; do echo "api 12 $code"; done
  echo 'api 9.1'
  i=1
  while [ $i -le 28 ]; do echo "D$i"; i=$((i + 1)); done
}

# judge TABLE NAMES: one line for each fault, "ok N rows, M later" at the end. Lines of NAMES: "ok FILE NAME", "FAILED FILE NAME".
judge() {
  paragraphs | awk -v table="$1" -v names="$2" '
    function fault(text) { print "fault: " text; bad++ }
    { must[$0] = 1 }
    END {
      if(names != "") while((getline line < names) > 0) {
        word = line; sub(/ .*/, "", word)
        rest = substr(line, length(word) + 2)
        file = rest; sub(/ .*/, "", file)
        n = ++count[file]
        state[file, n] = word
        name[file, n] = substr(rest, length(file) + 2)
      }
      while((getline line < table) > 0) {
        if(line ~ /^#/ || line == "") continue
        if(split(line, part, / \| /) < 3) { fault("no row: " line); continue }
        p = part[1]; file = part[2]
        want = substr(line, length(p) + length(file) + 7)
        if(!(p in must)) { fault(p " is no paragraph"); continue }
        rows[p]++
        if(file == "later") { later++; continue }
        all++
        if((getline probe < file) < 0) { fault(p ": there is no " file); continue }
        close(file)
        if(names == "") continue
        hits = 0
        for(i = 1; i <= count[file]; i++) {
          if(want == "*" ? name[file, i] != "*" : name[file, i] == "*" || index(name[file, i], want) == 0) continue
          hits++
          if(state[file, i] != "ok") fault(p ": failed: " file ": " name[file, i])
        }
        if(!hits) fault(p ": did not run: " file ": " want)
      }
      for(p in must) if(!(p in rows)) fault(p " has no test")
      if(!bad) print "ok " all " rows, " later + 0 " later"
    }'
}

if [ $# -gt 0 ]; then judge "$1" "${2:-}"; exit; fi

out=$(judge tests/spec.txt "${Q2A_RAN:-}")
echo "$out"
echo "$out" | grep -q '^ok [1-9]'
check "every paragraph has tests that ran and passed" $?

# A code that the program can send and the list above does not know would need no test.
unknown=$(sed -n 's/^  X(Q_[A-Z_]*, *[0-9]*, *"[a-z_]*", *"\([a-z_]*\)".*/\1/p' modules/base/status.h | sed 's/client_closed/client closed/' | sort -u |
  while read -r code; do [ -z "$code" ] || paragraphs | grep -qxF "api 12 $code" || echo "$code"; done)
[ -z "$unknown" ]
check "every code of base/status.h is a paragraph: $unknown" $?
codes=$(sed -n 's/^  X(Q_[A-Z_]*, *[0-9]*, *"[a-z_]*", *"\([a-z_]*\)".*/\1/p' modules/base/status.h | wc -l)
[ "$codes" -gt 50 ]
check "the codes of base/status.h were found: $codes" $?

# The judge itself, on tables that are wrong in one place each.
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
paragraphs | sed 's,$, | tests/spec.sh | one,' > "$dir/good"
printf 'ok tests/spec.sh zero\nok tests/spec.sh part one of it\nFAILED tests/spec.sh two\nok tests/spec.sh *\n' > "$dir/names"
says() { # what is tried, words of the fault
  out=$(judge "$dir/table" "$dir/names")
  echo "$out" | grep -q -- "$2"
  check "$1: $out" $?
}
cp "$dir/good" "$dir/table"
says "a good table" '^ok 1[0-9]* rows, 0 later'
sed 1d "$dir/good" > "$dir/table"
says "a paragraph without a row" 'fault: api 1.1 has no test'
{ cat "$dir/good"; echo 'D1 | tests/spec.sh | three'; } > "$dir/table"
says "a test that did not run" 'fault: D1: did not run: tests/spec.sh: three'
{ cat "$dir/good"; echo 'D1 | tests/spec.sh | tw'; } > "$dir/table"
says "a test that failed" 'fault: D1: failed: tests/spec.sh: two'
{ cat "$dir/good"; echo 'D1 | tests/nothing.sh | one'; } > "$dir/table"
says "a file that is not there" 'fault: D1: there is no tests/nothing.sh'
{ cat "$dir/good"; echo 'api 99.1 | tests/spec.sh | one'; } > "$dir/table"
says "a paragraph that is none" 'fault: api 99.1 is no paragraph'
{ cat "$dir/good"; echo 'D1 tests/spec.sh one'; } > "$dir/table"
says "a line that is no row" 'fault: no row: D1 tests/spec.sh one'
{ cat "$dir/good"; echo 'D1 | later | so'; } > "$dir/table"
says "later" ', 1 later'
{ cat "$dir/good"; echo 'D1 | tests/spec.sh | *'; } > "$dir/table"
says "a whole file" '^ok'
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
