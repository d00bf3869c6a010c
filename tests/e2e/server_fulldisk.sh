#!/bin/bash
# store: own
# Goal (I2, I9): while the server's disk is full submits say so, and nothing that was acknowledged is
# lost; nodes wait, and when there is room again everything goes on by itself.
# Method: PostgreSQL's tables on a small tmpfs, its log elsewhere (when that is full PostgreSQL ends
# itself, which is what server_kill9.sh does to it). The tmpfs is filled up under load, left so for a while, and emptied.
. "$(dirname "$0")/helpers/servers.sh"
servers_need ferretdb

mongodb_new "$WORK/postgres" postgres 0 && mkdir "$WORK/postgres/data" "$WORK/postgres/wal" ||
    fail "cannot make the folder"
mount -t tmpfs -o size=160m none "$WORK/postgres/data" 2>/dev/null || skip "no tmpfs to be mounted"
mounts+=("$WORK/postgres/data")
cp -a "$mongodb_root/srv/template/." "$WORK/postgres/data" &&
    mv "$WORK/postgres/data/pg_wal" "$WORK/postgres/wal/pg_wal" &&
    ln -s ../wal/pg_wal "$WORK/postgres/data/pg_wal" &&
    chown --reference="$WORK/postgres/data/base" "$WORK/postgres/wal" || fail "cannot copy the data"
mongodb_start_again "$WORK/postgres" || fail "PostgreSQL does not start"
mongodb_ferretdb_start "$WORK/ferretdb" 0 "$(mongodb_postgres_url "$WORK/postgres")" ||
    fail "FerretDB does not start"
use "$WORK/ferretdb"

start_node a --slots 2
start_node b --slots 2
incarnations >"$WORK/nodes_before"
load_pause=0.3
load_start 20 200
wait_until 100 executed_past 40

full_ms=$(now_ms)
dd if=/dev/zero of="$WORK/postgres/data/filler" bs=64k 2>/dev/null
say "    full: $(df -m --output=size,avail "$WORK/postgres/data" | tail -n 1 | xargs) MB, available"
said_full()
{
    grep -qi 'full\|no space' "$WORK/load.err"
}
wait_until 100 said_full
say "    after $(($(now_ms) - full_ms)) ms: $(grep -i 'full\|no space' "$WORK/load.err" | head -n 1)"
sleep 8 # longer than a lease
for node in a b; do
    kill -0 "${node_pid[$node]}" || fail "node $node gave up: $(<"$WORK/$node.log")"
done

room_ms=$(now_ms)
rm "$WORK/postgres/data/filler"
mongodb_running "$WORK/postgres" || fail "PostgreSQL has ended"
recovered "$room_ms" "room again"
# Ids that submits had taken before they failed have to be found empty first.
was=$(executions)
wait_until 100 executed_past $((was + 40))
say "    room again: jobs that were waiting go on after $(($(now_ms) - room_ms)) ms"
load_check again
incarnations >"$WORK/nodes_after"
cmp -s "$WORK/nodes_before" "$WORK/nodes_after" ||
    say "    one node could write when another could not: $(tr '\n' ',' <"$WORK/nodes_after")"
stop_node a
stop_node b
