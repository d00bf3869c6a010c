#!/bin/bash
# store: own
# Goal (I2, I3, I4, I9): while there is no server at all, nodes end the jobs they have and keep the
# outcomes, start no new job once their lease could be over, and go on by themselves afterwards;
# nobody is buried for an outage that all had.
# Method: two nodes under load behind a proxy that refuses all connections for OUTAGE_S seconds (20
# if it is not set). Long jobs end in that time. The others write when they began: first quick ones, so
# that nodes take many ahead, then slow ones, so that what they hold would last for longer than a lease.
. "$(dirname "$0")/helpers/servers.sh"
servers_need ferretdb
outage_s=${OUTAGE_S:-20}
lease_ms=5000

mongodb_postgres_start "$WORK/postgres" || fail "PostgreSQL does not start"
mongodb_ferretdb_start "$WORK/ferretdb" 0 "$(mongodb_postgres_url "$WORK/postgres")" ||
    fail "FerretDB does not start"
proxy_start front "$WORK/ferretdb"
use "$(proxy_port front)"

export LONG=$WORK/long STAMPS=$WORK/stamps # a job has its node's environment
: >"$STAMPS"
for node in a b; do
    start_node "$node" --slots 3 --queue default --queue long
done
incarnations >"$WORK/nodes_before"

# Two of the six slots are taken by jobs that end during the outage.
long_script='echo began >>"$LONG"; sleep "$1"; echo ended >>"$LONG"; echo kept'
long=$(submit --queue long --each <(echo $((outage_s / 2 + 2)); echo $((outage_s / 2 + 2))) -- \
    sh -c "$long_script" long {})
wait_until 100 lines_at_least "$LONG" 2
quick=300
stamp_script='echo "$STINT_JOB_ID $EPOCHREALTIME" >>"$STAMPS"
              [ "$1" -le "$2" ] && exec sleep 0.05; exec sleep 0.5'
seq 1 $((quick + 200)) >"$WORK/stamped"
stamped=$(submit --each "$WORK/stamped" -- bash -c "$stamp_script" stamp {} "$quick")
load_start 10 200
wait_until 100 lines_at_least "$STAMPS" $((quick + 4))
down_ms=$(now_ms)
proxy_tell front "refuse on"
say "    down"
sleep "$outage_s"
long_ended()
{
    [ "$(grep -c ended "$LONG")" -eq 2 ]
}
wait_until 100 long_ended # before anything of the server is there again
rss=$(awk '/VmRSS/ { print $2 }' "/proc/${node_pid[a]}/status" "/proc/${node_pid[b]}/status" |
    sort -n | tail -n 1)
awk -v down="$down_ms" '$2 * 1000 > down { printf "%.0f\n", $2 * 1000 - down }' "$STAMPS" |
    sort -n >"$WORK/late"
last_ms=$(tail -n 1 "$WORK/late")
up_ms=$(now_ms)
proxy_tell front "refuse off"
say "    up after $((up_ms - down_ms)) ms; meanwhile $(wc -l <"$WORK/late") jobs began, the last" \
    "after ${last_ms:-0} ms; at most $rss KiB a node"
# Between its start and its stamp a job waits for the machine.
[ "${last_ms:-0}" -lt $((lease_ms + 3000)) ] || fail "a job was started $last_ms ms after the server had gone"
[ -n "${STINT_SANITIZE:-}" ] || [ "$rss" -lt 65536 ] || fail "a node has grown to $rss KiB"
recovered "$up_ms" "outage of $outage_s s"

wait_jobs 0 "$long" "$stamped"
for id in $(ids_of <(echo "$long")); do
    expect_job "$id" state "done"
    expect_job "$id" run 1
    expect_job "$id" output kept
done
load_check
# The same incarnations, all of them alive.
incarnations >"$WORK/nodes_after"
cmp -s "$WORK/nodes_before" "$WORK/nodes_after" ||
    fail "other nodes than before: $(cat "$WORK/nodes_before" "$WORK/nodes_after")"
[ "$(cut -d' ' -f1 "$STAMPS" | sort | uniq -d | wc -l)" -eq 0 ] || fail "a job began twice"
stop_node a
stop_node b
