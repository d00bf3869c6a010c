#!/bin/bash
# Goal: every listing gives valid JSON, one object a line, with the fields of the design; filters
# and paging show what they should; a reader that goes away is no error message.
# Method: jobs with strange bytes run on a node; outputs are read by grep, and by python3 if there.
. "$(dirname "$0")/lib.sh"
cd "$WORK" || exit 1

# valid COMMAND...: it ends well and each line is one JSON object.
valid()
{
    "$@" >out || fail "status $?: $*"
    [ -s out ] || fail "no output: $*"
    ! grep -qv '^{.*}$' out || fail "not one object a line: $*"
    if command -v python3 >/dev/null; then
        python3 -c 'import json, sys
for line in open(sys.argv[1], encoding="utf-8"):
    json.loads(line)' out || fail "invalid JSON: $*"
    fi
}

has_fields()
{
    local field
    for field in "$@"; do
        grep -q "\"$field\":" out || fail "no field '$field': $(head -c 500 out)"
    done
}

# An output of ours that is not UTF-8, one that would move a cursor, one job that fails twice.
start_node one --slots 2
submit -- printf 'a\377\033[2Jb' >/dev/null
submit -- printf 'quote\\"\n\ttab' >/dev/null
submit --max-attempts 2 --batch bad -- sh -c 'echo no >&2; exit 3' >/dev/null
submit --queue other --type noop --payload $'p\001\377' >/dev/null
wait_jobs 1 1-3
seq 1 10 >lines
submit --queue idle --each lines --type noop --batch ten >/dev/null

say "1. JSON"
valid stint job list --json
has_fields id queue type state priority run attempt max_attempts interruptions node created run_at \
    started finished exit signal output_b64 result progress key group after batch error
valid stint job show --json 3
has_fields id output error
grep -q '"exit":3,' out || fail "$(cat out)"
grep -q '"attempt":2,"max_attempts":2,' out || fail "$(cat out)"
grep -Eq '"created":"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}\.[0-9]{3}Z"' out || fail "$(cat out)"
valid stint queue list --json
has_fields name paused submitted waiting held done failed cancelled
valid stint node list --json
has_fields name id pid host state since cause slots running done failed rate ranges
valid stint status --json
has_fields at slots running nodes queues rate pid host ranges waiting held changed_by
valid stint store info --json
has_fields store schema bytes ids queues lanes nodes_live nodes_dead

say "2. tables have no control characters, and their heading"
stint job list --limit 100 >out || fail "job list: status $?"
! grep -q $'[\001-\011\013-\037]' out || fail "control characters in a table"
[ "$(head -c 2 out)" = ID ] || fail "no heading"
stint job show 3 >out
grep -q '^earlier runs *run 1 on one at .*: exit 3' out || fail "no trace: $(cat out)"
stint status >out || fail "status: $?"
grep -q '^idle ' out || fail "$(cat out)"
stint job log 1 | cmp - <(printf 'a\377\033[2Jb') || fail "the log is not what the job wrote"

say "3. filters and pages"
[ "$(count_jobs --state failed)" -eq 1 ] || fail "state"
[ "$(count_jobs --batch ten)" -eq 10 ] || fail "batch"
[ "$(count_jobs --type noop)" -eq 11 ] || fail "type"
[ "$(count_jobs --node one)" -eq 3 ] || fail "node: $(count_jobs --node one)"
[ "$(stint jobs --json --queue idle --limit 3 | json_fields id | tr '\n' ' ')" = \
    'idle:1 idle:2 idle:3 ' ] || fail "limit"
[ "$(stint jobs --json --queue idle --after-id idle:8 | json_fields id | tr '\n' ' ')" = \
    'idle:9 idle:10 ' ] || fail "after-id"
[ "$(stint jobs --json --queue idle --sort -id --limit 2 --after-id idle:8 | json_fields id |
    tr '\n' ' ')" = 'idle:7 idle:6 ' ] || fail "sort"

say "4. what is shown as running"
GO=$WORK/go
job=$(submit -- sh -c "until [ -e '$GO' ]; do sleep 0.05; done")
runs()
{
    job_is "$job" state running
}
wait_until 100 runs
[ "$(stint jobs --json --state running | json_fields id node)" = "$job"$'\t'one ] || fail "running"
[ "$(count_jobs --state queued --queue default)" -eq 0 ] || fail "a running job is no queued one"
touch "$GO"
wait_jobs 0 "$job"

say "5. refusals"
expect_refusal 5 stint job list --queue nosuch
expect_refusal 5 stint job list --node nosuch
expect_refusal 2 stint job list --state nosuch
expect_refusal 2 stint job list --sort created
expect_refusal 2 stint job list --after-id 1-2
expect_refusal 2 stint job show 1-2
expect_refusal 2 stint job
expect_refusal 2 stint node stop
expect_refusal 5 stint wait 1000
expect_refusal 5 stint wait --batch nosuch
expect_refusal 4 stint wait --timeout 300ms idle:1-10

say "6. a reader that goes away, and a full disk"
stint job list --limit 100 2>err | head -n 1 >/dev/null
[ ! -s err ] || fail "closed pipe: $(cat err)"
if [ -w /dev/full ]; then
    status=0
    stint job list --json >/dev/full 2>err || status=$?
    [ $status -eq 1 ] || fail "full disk: status $status"
    grep -q '^stint: cannot write the output' err || fail "full disk: $(cat err)"
fi
stop_node one

say "7. queues are counted alike wherever they are shown"
valid stint status --json
sed 's/.*"queues": *\[//; s/\]}$//; s/}, *{/}\n{/g' out >of_status
valid stint queue list --json
cmp of_status out || fail "status says $(cat of_status), queue list $(cat out)"
counted=$(json_fields name submitted waiting held done failed <out | tr '\t\n' ' /')
[ "$counted" = 'default 4 0 0 3 1/idle 10 10 0 0 0/other 1 1 0 0 0/' ] || fail "counted: $counted"
