#!/bin/bash
# Goal: hostile input gets a clear error and its exit status, or works; it never crashes the
# program, hangs it or leaves half a job behind.
# Method: each kind in turn; an error must be one line on stderr. At the end the node still works.
. "$(dirname "$0")/lib.sh"
start_node one

say "1. payloads"
head -c 5242880 /dev/zero | tr '\0' x >"$WORK/big"
expect_refusal 2 stint submit --type noop --payload "@$WORK/big"
{ printf '{"type":"noop","payload":"'; cat "$WORK/big"; printf '"}\n'; } >"$WORK/big.jsonl"
expect_refusal 2 stint submit --jsonl "$WORK/big.jsonl"
expect_refusal 2 stint submit --each "$WORK/big" --type noop

say "2. arguments: 100,000 characters, not UTF-8, NUL bytes"
long=$(head -c 100000 "$WORK/big")
job=$(submit -- echo "$long")
wait_jobs 0 "$job"
bytes=$(stint job log "$job" | wc -c)
[ "$bytes" -gt 60000 ] || fail "only $bytes bytes of output"
printf 'a\377b\n' >"$WORK/lines"
job=$(submit --each "$WORK/lines" -- printf %s {})
wait_jobs 0 "$job"
stint job log "$job" | cmp - <(printf 'a\377b') || fail "bytes changed on the way"
stint job show --json "$job" | grep -q '"output_b64": *"Yf9i"' || fail "no output_b64"
printf 'a\0b\n' >"$WORK/lines"
expect_status 2 stint submit --each "$WORK/lines" -- echo {}
printf 'one\0two\0' >"$WORK/lines"
submit --each "$WORK/lines" -0 -- echo {} >/dev/null
many=$(seq 1 20000)
expect_refusal 2 stint submit -- echo $many $many $many

say "3. ids out of range"
for id in 0 -1 99999999999999999999 281474976710655 1-0 5-2 1-99999999999999999999 x: :1 mail/77:1 \
          'a b:1' ''; do
    expect_refusal 2 stint job show -- "$id"
    expect_refusal 2 stint wait -- "$id"
done
expect_refusal 5 stint job show 281474976710654
expect_refusal 5 stint job show nosuchqueue:1

say "4. names"
for name in a/b '' . 'a b' $'a\nb' "$(printf 'a%.0s' {1..65})" -x $'\377'; do
    [ "$name" = . ] || expect_refusal 2 stint submit "--queue=$name" -- true
    [ "$name" = . ] || expect_refusal 2 stint queue create -- "$name"
done

say "5. numbers"
for option in --priority=10 --priority=-1 --priority=x --max-attempts=0 --max-attempts=1001 \
              --timeout=-1s --timeout=99999999999999999999s --timeout=x --nosuch; do
    expect_refusal 2 stint submit "$option" -- true
done
expect_refusal 2 stint node start --slots 0
expect_refusal 2 stint node start --slots 1000000
expect_status 2 stint nosuch
expect_status 2 stint
expect_refusal 2 stint submit

say "6. standard streams closed, empty input"
expect_status 0 sh -c '"$1" submit -- true <&-' sh "$program"
sh -c '"$1" job list >&-' sh "$program" 2>"$WORK/err"
[ $? -lt 128 ] || fail "closed stdout: it died"
sh -c '"$1" submit --each - -- echo {} <&-' sh "$program" >"$WORK/out" 2>"$WORK/err"
[ $? -lt 128 ] || fail "closed stdin: it died"
: >"$WORK/empty"
stint submit --each "$WORK/empty" -- echo {} >"$WORK/out" 2>"$WORK/err"
[ $? -le 2 ] || fail "empty file: status $?"
printf 'not json\n' >"$WORK/bad.jsonl"
stint submit --jsonl "$WORK/bad.jsonl" >"$WORK/out" 2>"$WORK/err" && fail "not JSON: accepted"
printf '{"command":["true"],"nosuch":1}\n[1]\n{}\n' >"$WORK/bad.jsonl"
stint submit --jsonl "$WORK/bad.jsonl" >"$WORK/out" 2>"$WORK/err" && fail "bad JSON: accepted"
expect_status 2 stint submit --each "$WORK/nosuch" -- echo {}

say "7. stores"
mkdir "$WORK/folder"
expect_refusal 2 stint status --store "$WORK/folder"
head -c 8192 /dev/urandom >"$WORK/noise"
expect_refusal 3 stint status --store "$WORK/noise"
printf 'hello' >"$WORK/text"
expect_refusal 3 stint status --store "$WORK/text"
expect_refusal 3 stint status --store 'nosuch:x'
expect_refusal 3 stint status --store /proc/nosuch/store.db

say "8. still well"
job=$(submit -- echo well)
wait_jobs 0 "$job"
expect_job "$job" output well
expect_status 0 stint store check
stop_node one
