#!/bin/bash
# store: own
# Goal (I1, I2, I3, I4, I9): a node that the network cuts off is buried, and its jobs run elsewhere;
# when the network is back it sees that, ends what it had, and starts anew. No job is lost, and no
# outcome is taken from it that another node has given.
# Method: one of two nodes in a network namespace of its own, with a wire to the server that is taken
# down. Each has a boot id of its own. The test itself runs in another such namespace.
. "$(dirname "$0")/helpers/servers.sh"
servers_need ferretdb
if [ -z "${APART:-}" ]; then
    unshare --mount --net true 2>/dev/null || skip "no namespaces to be had here"
    mongodb_need_package ip iproute2 >"$WORK/install.log" 2>&1 || skip "no program ip (iproute2)"
    rm -rf "$WORK"
    STINT=$program STINT_BUILD=$STINT_BUILD APART=1 exec unshare --net bash "$0"
fi

# What stands for the other machine's network: a process that does nothing else.
unshare --net sleep 1000 &
other=$!
other_end()
{
    kill "$other"
    { wait "$other" || true; } 2>/dev/null
}
at_end+=(other_end)
other_apart()
{
    [ "$(readlink /proc/self/ns/net)" != "$(readlink "/proc/$other/ns/net")" ]
}
wait_until 100 other_apart
there=(nsenter --net="/proc/$other/ns/net")
ip link set lo up && "${there[@]}" ip link set lo up &&
    ip link add wire type veth peer name wire netns "$other" &&
    ip address add 10.0.0.1/30 dev wire && ip link set wire up &&
    "${there[@]}" ip address add 10.0.0.2/30 dev wire && "${there[@]}" ip link set wire up ||
    fail "cannot make the network"

mongodb_postgres_start "$WORK/postgres" || fail "PostgreSQL does not start"
mongodb_ferretdb_start "$WORK/ferretdb" 0 "$(mongodb_postgres_url "$WORK/postgres")" on=0.0.0.0 ||
    fail "FerretDB does not start"
export STINT_STORE="mongodb://10.0.0.1:$(<"$WORK/ferretdb/port")/e2e?directConnection=true"

export LONG=$WORK/long # a job has its node's environment
start_elsewhere stays --slots 2
place=("${there[@]}")
start_elsewhere lost --slots 2 --queue default --queue lost
place=()
lost_pid=${node_pid[lost]}

# One job of its own runs all the time; those that it can share end quickly.
job=$(submit --queue lost -- bash -c 'echo "$STINT_RUN" >>"$LONG"
    [ "$STINT_RUN" -gt 1 ] || exec sleep 1000')
load_start 20 200
wait_until 100 lines_at_least "$LONG" 1
wait_until 100 executed_past 100

cut_ms=$(now_ms)
ip link set wire down
wait_until 100 node_state_is lost dead
say "    cut off; buried after $(($(now_ms) - cut_ms)) ms: $(node_cause lost)"
grep -q "buried by stays" <<<"$(node_cause lost)" || fail "not buried by the other node"
was=$(executions)
wait_until 100 executed_past $((was + 40))
kill -0 "$lost_pid" || fail "the node that was cut off has ended: $(cat "$WORK/lost.log")"
[ "$(wc -l <"$LONG")" -eq 1 ] || fail "its own job runs somewhere, though nobody serves that queue"

healed_ms=$(now_ms)
ip link set wire up
anew()
{
    [ "$(node_state lost)" != dead ] && lines_at_least "$LONG" 2
}
wait_until 100 anew
say "    healed; started anew and at work after $(($(now_ms) - healed_ms)) ms"
kill -0 "$lost_pid" || fail "another process"
wait_jobs 0 "$job"
expect_job "$job" run 2
expect_job "$job" interruptions 1
[ "$(wc -l <"$LONG")" -eq 2 ] || fail "its own job began $(wc -l <"$LONG") times"
load_check again
[ -z "$(node_cause stays)" ] || fail "the other node was buried: $(node_cause stays)"
stop_node lost
stop_node stays
