#!/bin/bash
# store: own
# Goal (I2, I3, I9): a server that is killed with -9 under load, and comes back, costs no
# acknowledged job and doubles no outcome; nodes and submitters go on by themselves.
# Method: two nodes and a load; FerretDB, then PostgreSQL, then a SecantusDB that flushes each commit,
# are killed and started again, at random moments. Then every acknowledged id is looked up.
. "$(dirname "$0")/helpers/servers.sh"
servers_need

# outage FOLDER FRONT: kills it, starts it again, and waits until the work goes on.
outage()
{
    local killed_ms was
    was=$(executions)
    wait_until 100 executed_past "$was"
    sleep "0.$(printf '%03d' $((RANDOM % 500)))"
    killed_ms=$(now_ms)
    mongodb_kill "$1" || fail "cannot kill ${1##*/}"
    mongodb_start_again "$1" || fail "${1##*/} does not come back"
    say "    ${1##*/} killed and back after $(($(now_ms) - killed_ms)) ms"
    recovered "$killed_ms" "${1##*/} killed"
}

say "FerretDB and PostgreSQL"
pair_start
start_node a --slots 2
start_node b --slots 2
load_start
for _ in 1 2 3; do
    outage "$WORK/ferretdb"
done
for _ in 1 2; do
    outage "$WORK/postgres"
done
load_check
stop_node a
stop_node b

say "SecantusDB"
rm -f "$WORK"/acked_* "$WORK"/load_failed
: >"$runs"
mongodb_secantus_start "$WORK/secantus" 0 --sync-on-commit || fail "SecantusDB does not start"
use "$WORK/secantus"
start_node c --slots 2
start_node d --slots 2
load_start 10 100
for _ in 1 2; do
    outage "$WORK/secantus"
done
load_check
stop_node c
stop_node d
