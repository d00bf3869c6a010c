#!/bin/bash
# Goal (I2): a node that is frozen past its lease is buried by another one; when it wakes it ends
# its jobs, offers nothing that counts twice, and starts anew.
# Method: jobs that never end at their first run and end at once at a later one. SIGSTOP the first
# node, let a second one run everything, SIGCONT the first.
. "$(dirname "$0")/lib.sh"
runs=$WORK/runs
export RUNS=$runs

start_node frozen --lease 500ms --slots 2
script='echo "$STINT_JOB_ID $STINT_RUN" >>"$RUNS"; [ "$STINT_RUN" != 1 ] || exec sleep 1000'
for i in 1 2; do
    submit -- sh -c "$script" >/dev/null
done
wait_until 100 lines_at_least "$runs" 2
# The heartbeat that names the running jobs is what a burial goes by.
named()
{
    [ "$(count_jobs --state running)" -eq 2 ]
}
wait_until 100 named
first_id=$(node_states | awk -F'\t' '$1 == "frozen" { print $5 }')

say "frozen; another node buries it after six leases and runs its jobs"
# With the store's lock in its hands it would be ended instead, and by whoever waits for that.
until freeze "${node_pid[frozen]}" && ! holds_lock "${node_pid[frozen]}"; do
    kill -CONT "${node_pid[frozen]}" || fail "the node ended: $(cat "$WORK/frozen.log")"
    sleep 0.05
done
start_node second --lease 500ms --slots 2
wait_jobs 0 1-2
for id in 1 2; do
    expect_job $id state "done"
    expect_job $id run 2
    expect_job $id interruptions 1
    expect_job $id node second
done
[ "$(node_cause frozen)" = "buried by second" ] || fail "cause: '$(node_cause frozen)'"

say "awake: ends its jobs and starts anew"
kill -CONT "${node_pid[frozen]}"
anew()
{
    node_states | awk -F'\t' -v first="$first_id" '
        $1 == "frozen" && $5 != first && $2 != "dead" { found = 1 }
        END { exit !found }'
}
wait_until 100 anew
old_jobs_gone()
{
    ! grep -lazx sleep /proc/[0-9]*/cmdline 2>/dev/null | cut -d/ -f3 | while read -r pid; do
        grep -qazF "E2E_MARK=$E2E_MARK" "/proc/$pid/environ" 2>/dev/null && echo "$pid"
    done | grep -q .
}
wait_until 100 old_jobs_gone
for id in 1 2; do
    expect_job $id run 2
    expect_job $id state "done"
done
submit -- true >/dev/null
wait_jobs 0 3
stop_node frozen
stop_node second
