#!/bin/bash
# Goal (I3): two nodes that cannot see each other's processes (containers that share a folder) keep
# to the lease: one that dies is buried and its jobs are run by the other.
# Method: each node in a pid namespace of its own, on one file; one is killed with a job under way.
. "$(dirname "$0")/lib.sh"
need_root "unshare makes pid namespaces"
unshare --pid --fork --mount-proc true 2>/dev/null || skip "no pid namespace to be had here"

# Signals go to the node itself, the child of unshare.
start_apart()
{
    local name=$1
    shift
    unshare --pid --fork --mount-proc --kill-child "$program" node start --name "$name" "$@" \
        >"$WORK/$name.log" 2>&1 </dev/null &
    node_pid[$name]=$!
    holds_within 100 node_ready "$name" || fail "node $name is not ready"
    kill -0 "${node_pid[$name]}" || fail "node $name ended: $(cat "$WORK/$name.log")"
}
export RUNS=$WORK/runs
start_apart a --slots 2
start_apart b --slots 2

script='echo "$STINT_RUN $STINT_NODE" >>"$RUNS"; [ "$STINT_RUN" != 1 ] || exec sleep 1000'
job=$(submit -- sh -c "$script")
wait_until 100 lines_at_least "$RUNS" 1
holder=$(head -n 1 "$RUNS" | cut -d' ' -f2)
other=a
[ "$holder" = a ] && other=b
running_named()
{
    [ "$(job_field "$job" state)" = running ]
}
wait_until 100 running_named

say "job $job runs on $holder: killed; $other cannot see that process, and waits for the lease"
inside=$(children_of "${node_pid[$holder]}")
[ -n "$inside" ] || fail "no process below unshare"
kill -KILL "$inside"
{ wait "${node_pid[$holder]}"; } 2>/dev/null
unset "node_pid[$holder]"

wait_jobs 0 "$job"
expect_job "$job" state "done"
expect_job "$job" node "$other"
expect_job "$job" run 2
[ "$(node_cause "$holder")" = "buried by $other" ] || fail "cause: '$(node_cause "$holder")'"

# unshare passes no signal on: the node inside is stopped through the datastore.
expect_status 0 stint node stop "$other" --wait
node_ended "$other" 0
