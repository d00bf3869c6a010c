#!/bin/bash
# Goal: a cancelled job never starts, or ends with its whole tree of processes; its outcome stays.
# Method: cancel a queued and a running job; count the tree by a mark in arguments.
. "$(dirname "$0")/lib.sh"

job=$(submit -- sh -c "echo ran >>$WORK/ran")
expect_status 0 stint job cancel "$job"
expect_job "$job" state cancelled
start_node one --slots 2
after=$(submit -- true)
wait_jobs 0 "$after"
expect_job "$job" state cancelled
[ ! -e "$WORK/ran" ] || fail "a cancelled job ran"
expect_refusal 5 stint job cancel "$job"
expect_refusal 5 stint job cancel "$after"
expect_refusal 5 stint job cancel 999

tree=tree-$E2E_MARK
job=$(submit -- "$HELPERS/helper_tree" "$tree" "$WORK/ready")
wait_until 100 test -e "$WORK/ready"
[ "$(marked "$tree" | wc -l)" -eq 6 ] || fail "not the six processes expected: $(marked "$tree")"
expect_status 0 stint job cancel "$job"
wait_until 100 none_marked "$tree"
expect_job "$job" state cancelled
expect_status 1 stint wait --timeout 100s "$job"

say "the node goes on"
after=$(submit -- true)
wait_jobs 0 "$after"
stop_node one
