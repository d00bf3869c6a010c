#!/bin/bash
# store: own
# Goal (I2, I3, I9): when the primary of the database behind FerretDB is lost for good and its
# standby takes over, no acknowledged job is lost and no outcome doubled; nobody has to be told.
# Method: PostgreSQL with a synchronous standby, FerretDB with both in its URL. Under load the primary
# is killed with -9, the standby promoted; then every acknowledged id is looked up.
. "$(dirname "$0")/helpers/servers.sh"
servers_need ferretdb

mongodb_postgres_start "$WORK/primary" || fail "PostgreSQL does not start"
mongodb_standby_start "$WORK/standby" "$WORK/primary" || fail "the standby does not start"
mongodb_ferretdb_start "$WORK/ferretdb" 0 \
    "$(mongodb_postgres_url "$WORK/primary" "$WORK/standby")" || fail "FerretDB does not start"
use "$WORK/ferretdb"

start_node a --slots 2
start_node b --slots 2
incarnations >"$WORK/nodes_before"
load_start
wait_until 100 executed_past 40
sleep "0.$(printf '%03d' $((RANDOM % 1000)))"

killed_ms=$(now_ms)
mongodb_kill "$WORK/primary" || fail "cannot kill the primary"
mongodb_promote "$WORK/standby" || fail "the standby is not promoted"
say "    primary killed, standby promoted after $(($(now_ms) - killed_ms)) ms"
recovered "$killed_ms" "failover"
was=$(executions)
wait_until 100 executed_past $((was + 40))

load_check
incarnations >"$WORK/nodes_after"
cmp -s "$WORK/nodes_before" "$WORK/nodes_after" ||
    fail "other nodes than before: $(cat "$WORK/nodes_before" "$WORK/nodes_after")"
stop_node a
stop_node b
