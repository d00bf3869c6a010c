#!/bin/bash
# Goal: work that no live node takes is named as such, where it is submitted and in the status.
# Method: one node for the default queue; jobs of a type and of a queue that it does not serve.
. "$(dirname "$0")/lib.sh"

expect_status 0 stint submit --queue lone -- true
[ ! -s "$WORK/err" ] || fail "a note though no node runs at all: $(cat "$WORK/err")"
start_node one
expect_status 0 stint submit --type nosuch --payload x
grep -q 'no live node serves type nosuch' "$WORK/err" || fail "type: $(cat "$WORK/err")"
expect_status 0 stint submit --queue mail -- true
grep -q 'jobs wait in queue mail: no live node serves it' "$WORK/err" || fail "$(cat "$WORK/err")"
expect_status 0 stint status
grep -q 'no live node serves type nosuch' "$WORK/out" || fail "status: $(cat "$WORK/out")"
grep -q 'jobs wait in queue mail' "$WORK/out" || fail "status: $(cat "$WORK/out")"
for priority in 1 2 3; do # the same reason is told once, and of many not all
    for queue in mail q1 q2 q3 q4 q5 q6; do
        stint submit --queue $queue --priority $priority -- true >/dev/null 2>&1
    done
done
expect_status 0 stint status
[ "$(grep -c 'jobs wait in queue mail' "$WORK/out")" -eq 1 ] || fail "status: $(cat "$WORK/out")"
grep -q 'jobs wait for 4 more reasons of this kind' "$WORK/out" || fail "status: $(cat "$WORK/out")"
start_node two --queue mail --queue lone
expect_status 0 stint wait mail:1 lone:1
expect_status 0 stint status
! grep -q 'queue mail' "$WORK/out" || fail "still named: $(cat "$WORK/out")"
stop_node one
stop_node two
