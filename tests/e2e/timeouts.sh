#!/bin/bash
# Goal: a job past its --timeout is ended with its tree, by TERM and, where that is ignored, by KILL;
# its outcome says so.
# Method: a job that sleeps, one that ignores TERM, one with a tree. The last two count once they say
# that they were ready when their time was over: on a busy machine they get more of it.
. "$(dirname "$0")/lib.sh"
start_node one --slots 3
tree=tree-$E2E_MARK
slow=$(submit --timeout 300ms -- sleep 1000)
fine=$(submit --timeout 60s -- sh -c 'echo fine')

# expect_time_out JOB: it ends as failed, and says of what.
expect_time_out()
{
    wait_jobs 1 "$1"
    expect_job "$1" state failed
    stint job show --json "$1" | grep -qi 'time.\?out\|timed out' ||
        fail "job $1 does not say that it timed out: $(stint job show --json "$1")"
}

# time_out_when_ready FILE COMMAND...: runs the command with longer and longer time-outs until it had
# the time to make FILE; sets `job`.
time_out_when_ready()
{
    local ms ready=$1
    shift
    for ms in 300 600 1200 2400 4800 9600 19200; do
        job=$(submit --timeout "${ms}ms" -- "$@")
        expect_time_out "$job"
        [ ! -e "$ready" ] || return 0
    done
    fail "not ready within $ms ms: $*"
}

expect_time_out "$slow"
expect_job "$slow" signal 15
time_out_when_ready "$WORK/deaf" sh -c 'trap "" TERM; : >"$1"; while :; do sleep 1; done' - "$WORK/deaf"
expect_job "$job" signal 9
time_out_when_ready "$WORK/ready" "$HELPERS/helper_tree" "$tree" "$WORK/ready"
wait_until 20 none_marked "$tree"
wait_jobs 0 "$fine"
expect_job "$fine" output fine
stop_node one
