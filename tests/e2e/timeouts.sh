#!/bin/bash
# Goal: a job past its --timeout is ended with its tree, by TERM and, where that is ignored, by KILL;
# its outcome says so.
# Method: a job that sleeps, one that ignores TERM, one with a tree.
. "$(dirname "$0")/lib.sh"
start_node one --slots 3
tree=tree-$E2E_MARK
slow=$(submit --timeout 300ms -- sleep 1000)
deaf=$(submit --timeout 300ms -- sh -c 'trap "" TERM; while :; do sleep 1; done')
trees=$(submit --timeout 300ms -- "$HELPERS/helper_tree" "$tree" "$WORK/ready")
fine=$(submit --timeout 60s -- sh -c 'echo fine')
for job in "$slow" "$deaf" "$trees"; do
    wait_jobs 1 "$job"
    expect_job "$job" state failed
    stint job show --json "$job" | grep -qi 'time.\?out\|timed out' ||
        fail "job $job does not say that it timed out: $(stint job show --json "$job")"
done
expect_job "$slow" signal 15
expect_job "$deaf" signal 9
wait_until 20 none_marked "$tree"
wait_jobs 0 "$fine"
expect_job "$fine" output fine
stop_node one
