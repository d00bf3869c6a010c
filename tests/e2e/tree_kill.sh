#!/bin/bash
# Goal: no process of a job outlives its node, whatever it did to hide, when the node is killed with
# -9; so too when the node's reaper is killed.
# Method: jobs that start daemons, sessions, deaf and bare processes; kill the node; count by a mark.
. "$(dirname "$0")/lib.sh"
tree=tree-$E2E_MARK

say "1. kill -9 of the node"
start_node one --slots 3
for i in 1 2 3; do
    submit -- "$HELPERS/helper_tree" "$tree" "$WORK/ready$i" >/dev/null
done
for i in 1 2 3; do
    wait_until 100 test -e "$WORK/ready$i"
done
[ "$(marked "$tree" | wc -l)" -eq 18 ] || fail "not the 18 processes expected"
kill_node one
# One second by design; the bound here is for a loaded machine.
wait_until 100 none_marked "$tree"

say "2. kill -9 of the reaper: the node knows, and no job of it goes on unseen"
rm "$WORK"/ready*
start_node two --slots 1
again()
{
    [ -n "$(find "$WORK" -name 'ready*')" ]
}
wait_until 100 again
reaper=$(children_of "${node_pid[two]}" | head -n 1)
[ -n "$reaper" ] || fail "no reaper below the node"
kill -KILL "$reaper"
node_or_jobs_gone()
{
    none_marked "$tree" || pid_gone "${node_pid[two]}"
}
wait_until 100 node_or_jobs_gone
kill_node two
wait_until 100 none_marked "$tree"
for id in 1 2 3; do
    stint job cancel "$id" >/dev/null 2>&1
done
