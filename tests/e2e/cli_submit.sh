#!/bin/bash
# Goal: each form of `stint submit` makes the jobs it says and prints their ids; a submit run again
# adds what is missing and no more; what is wrong is refused with its line and exit status.
# Method: submit, then read the jobs back through `stint job show|list --json`.
. "$(dirname "$0")/lib.sh"
cd "$WORK" || exit 1

# prints EXPECTED COMMAND...: its whole output.
prints()
{
    local expected=$1 got
    shift
    got=$("$@") || fail "status $?: $*"
    [ "$got" = "$expected" ] || fail "'$*' printed '$got' instead of '$expected'"
}

# work_of ID: the command or payload, as `job show` has it.
work_of()
{
    stint job show "$1" | sed -n 's/^\(command\|payload\) *//p'
}

say "1. one job"
prints 1 stint submit -- echo 'a  b' --json
[ "$(work_of 1)" = 'echo a  b --json' ] || fail "command: $(work_of 1)"
stint job show 1 | grep -q "^folder *$WORK\$" || fail "the folder is not recorded"
prints mail/2:1 stint submit --queue mail --priority 2 --type noop --payload x
prints mail/2:2 stint submit --queue mail --priority 2 --type noop --payload - <<<in
prints 2 stint submit --cwd /tmp --env A=1 --env B= --timeout 1.5s --max-attempts 3 -- true
stint job show 2 >out
grep -q '^folder *tmp$\|^folder */tmp$' out || fail "cwd: $(cat out)"
grep -q '^environment *A=1$' out || fail "env: $(cat out)"
grep -q '^time-out *1.5 s$' out || fail "timeout: $(cat out)"
grep -q '^attempt *1 of 3 ' out || fail "attempts: $(cat out)"

say "2. lines"
printf 'x\n\ny z\nlast' >lines
prints 3-5 stint submit --each lines -- echo -{}- {}
[ "$(work_of 4)" = 'echo -y z- y z' ] || fail "command: $(work_of 4)"
prints 6-8 stint submit --each lines -- echo
[ "$(work_of 8)" = 'echo last' ] || fail "command: $(work_of 8)"
prints 9-10 sh -c 'printf "a\0b\n\0" | "$1" submit --each - -0 -- echo' sh "$program"
prints 11-13 stint submit --each lines --type noop --payload 'p={}'
[ "$(work_of 12)" = 'p=y z' ] || fail "payload: $(work_of 12)"

say "3. JSON lines over several queues"
cat >jobs.jsonl <<'END'
{"argv":["echo","\u00e9"],"env":{"A":"1"},"timeout":"10s"}
{"type":"noop","queue":"other","payload_b64":"/w=="}
{"type":"noop","queue":"other","batch":"b2"}

{"argv":["cat"],"stdin":"hello","priority":0,"max_attempts":2}
END
prints '14
other:1-2
default/0:1' stint submit --jsonl jobs.jsonl --batch b1
[ "$(count_jobs --batch b1)" -eq 3 ] || fail "batch b1: $(count_jobs --batch b1)"
[ "$(count_jobs --batch b2)" -eq 1 ] || fail "batch b2: $(count_jobs --batch b2)"
stint submit --jsonl jobs.jsonl --json >out
[ "$(wc -l <out)" -eq 3 ] || fail "--json: $(cat out)"
grep -q '"range":"other:3-4"' out || fail "--json: $(cat out)"

say "4. the same file again is a new submit; with a token it is not"
prints 16-18 stint submit --each lines -- echo
prints 19-21 stint submit --token once --each lines -- echo
stint submit --token once --each lines -- echo >out 2>err
[ "$(cat out)" = 19-21 ] || fail "token: $(cat out)"
grep -q 'all 3 jobs were there already' err || fail "token: $(cat err)"
prints 22 stint submit --token single -- true
prints 22 stint submit --token single -- true

say "    one whose ids nobody could read is not complete for its submitter"
told=$(pick 7000 7000 7000 700)
seq 1 "$told" >told
if [ -w /dev/full ]; then
    expect_status 1 sh -c '"$1" submit --queue told --each told --type noop >/dev/full' sh "$program"
    stint submit --queue told --each told --type noop >out 2>err || fail "told: $(cat err)"
    [ "$(cat out)" = "told:1-$told" ] || fail "told: $(cat out)"
    grep -q "all $told jobs were there already" err || fail "told: $(cat err)"
    prints "told:$((told + 1))-$((2 * told))" stint submit --queue told --each told --type noop
fi

say "5. a unique key gives the first job's id"
prints 23 stint submit --key only -- true
prints 23 stint submit --key only -- true
printf '{"type":"noop","key":"only"}\n{"type":"noop","key":"k2"}\n{"type":"noop","key":"k2"}\n' >keys
stint submit --jsonl keys >out 2>err || fail "keys: $(cat err)"
[ "$(tr '\n' ' ' <out)" = '23 26 ' ] || fail "keys: $(cat out)"
grep -q '2 lines were not added' err || fail "keys: $(cat err)"

say "6. refused, and nothing is left of it"
before=$(count_jobs)
expect_refusal 2 stint submit
expect_refusal 2 stint submit --each lines
expect_refusal 2 stint submit --type noop -- true
expect_refusal 2 stint submit --jsonl jobs.jsonl -- true
expect_refusal 2 stint submit -0 -- true
expect_refusal 2 stint submit --env 1 -- true
expect_refusal 2 stint submit --env =1 -- true
expect_refusal 2 stint submit --each - --type noop --payload -
for option in --delay=1s --at=x --backoff=1s --group=g --after=1; do
    expect_refusal 2 stint submit "$option" -- true
done
printf 'fine\na\0b\n' >bad
expect_refusal 2 stint submit --each bad -- echo
grep -q "bad, line 2: a NUL byte" "$WORK/err" || fail "$(cat "$WORK/err")"
printf '{"type":"noop"}\n{"type":"noop","pay":1}\n' >bad
expect_refusal 2 stint submit --jsonl bad
grep -q 'bad, line 2: unknown key "pay"' "$WORK/err" || fail "$(cat "$WORK/err")"
[ "$(count_jobs)" -eq "$before" ] || fail "a refused submit left jobs"

say "7. wrong after the first chunk: partly submitted"
{ seq 1 6000; printf 'a\0b\n'; } >bad
expect_status 6 stint submit --queue part --each bad --type noop
grep -q 'line 6001: a NUL byte.*partly submitted: 5000 jobs (ids part:1-5000)' "$WORK/err" ||
    fail "$(cat "$WORK/err")"
[ "$(cat "$WORK/out")" = part:1-5000 ] || fail "$(cat "$WORK/out")"

say "8. a pipe that pauses is submitted as it comes"
mkfifo pipe
"$program" submit --queue slow --each pipe --type noop >slow.out &
submitter=$!
exec 8>pipe
printf 'one\ntwo\n' >&8
two_there()
{
    [ "$(stint job list --json --queue slow 2>/dev/null | wc -l)" -eq 2 ]
}
wait_until 100 two_there
printf 'three\n' >&8
exec 8>&-
wait $submitter || fail "slow: status $?"
[ "$(cat slow.out)" = slow:1-3 ] || fail "slow: $(cat slow.out)"

say "9. Ctrl-C between chunks, and the rest by the same command"
seq 1 "$(pick 300000 40000 40000 8000)" >many
many=$(wc -l <many)
"$program" submit --queue cut --each many --type noop >cut.out 2>cut.err &
submitter=$!
some_there()
{
    [ "$(stint job list --json --queue cut --limit 1 2>/dev/null | wc -l)" -eq 1 ]
}
wait_until 100 some_there
kill -INT $submitter
status=0
wait $submitter || status=$?
case $status in
    6)
        grep -q "partly submitted: [0-9]* of $many jobs (ids cut:1-" cut.err ||
            fail "$(cat cut.err)"
        expect_status 0 stint submit --queue cut --each many --type noop
        grep -q 'continuing an interrupted submit: [0-9]* jobs were there' "$WORK/err" ||
            fail "$(cat "$WORK/err")"
        ;;
    0) say "    it was faster than the signal" ;;
    *) fail "status $status: $(cat cut.err)" ;;
esac
[ "$(count_jobs --queue cut)" -eq "$many" ] || fail "$(count_jobs --queue cut) jobs of $many lines"
expect_status 0 stint store check
