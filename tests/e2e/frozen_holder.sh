#!/bin/bash
# Goal: a program frozen inside a write transaction does not hold up the others for ever: past the
# lease whoever waits for its lock ends it, and nothing that was acknowledged is lost.
# Method: SIGSTOP bulk submitters at random moments, again and again, until one stands still holding
# the lock (/proc/locks names the holder); then another submit and a node must get through.
# store: sqlite only: the lock is that of a file
. "$(dirname "$0")/lib.sh"
submit -- true >/dev/null
lines=$(pick 200000 40000)
seq 1 "$lines" >"$WORK/lines"

# freeze_holder PID: stops it, and lets it go on if it has not got the lock; 1 when it has ended.
stops=0
freeze_holder()
{
    while freeze "$1"; do
        stops=$((stops + 1))
        ! holds_lock "$1" || return 0
        kill -CONT "$1"
        sleep "0.$(printf '%03d' $((RANDOM % 50)))"
    done
    return 1
}

frozen=
for try in $(seq 1 60); do
    "$program" submit --queue "f$try" --type noop --each "$WORK/lines" >/dev/null 2>&1 </dev/null &
    pid=$!
    if freeze_holder $pid; then
        frozen=$pid
        say "try $try, after $stops stops: $pid stands still with the lock"
        break
    fi
    { wait $pid; } 2>/dev/null
done
[ -n "$frozen" ] || fail "no submitter was met with the lock in its hands"

job=$(submit -- echo through)
start_node one
wait_jobs 0 "$job"
expect_job "$job" output through
kill -CONT "$frozen" 2>/dev/null
status=0
{ wait "$frozen"; } 2>/dev/null || status=$?
say "the frozen one ended with $status"
expect_status 0 stint store check
stop_node one
