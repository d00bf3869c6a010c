#!/bin/bash
# store: own
# Goal (I2, I3, I4): a server 200 ms away is slow, and nothing else: everything works with the default
# lease, and no node that lives is buried.
# Method: two nodes and their submitters behind a proxy that passes each request on 200 ms later; then
# the same for a while at 700 ms.
. "$(dirname "$0")/helpers/servers.sh"
servers_need ferretdb

mongodb_postgres_start "$WORK/postgres" || fail "PostgreSQL does not start"
mongodb_ferretdb_start "$WORK/ferretdb" 0 "$(mongodb_postgres_url "$WORK/postgres")" ||
    fail "FerretDB does not start"
proxy_start front "$WORK/ferretdb"
use "$(proxy_port front)"
proxy_tell front "delay_ms 200"

start_node a --slots 2
start_node b --slots 2
incarnations >"$WORK/nodes_before"
load_pause=1
load_start 4 100
began_ms=$(now_ms)
probe 100 || fail "a job is not done within 100 s"
say "    one job, from submit to the end of wait: $(($(now_ms) - began_ms)) ms"
expect_status 0 stint status
id=$(submit --priority 0 -- sleep 1000)
running()
{
    job_is "$id" state running
}
wait_until 100 running
expect_status 0 stint job cancel "$id"
wait_jobs 1 "$id"
expect_job "$id" state cancelled
proxy_tell front "delay_ms 700"
sleep 7
proxy_tell front "delay_ms 200"
load_stop
wait_until 100 none_unfinished
proxy_tell front "delay_ms 0"
load_check
say "    $(executions) jobs and their noops in $(($(now_ms) - began_ms)) ms"
incarnations >"$WORK/nodes_after"
cmp -s "$WORK/nodes_before" "$WORK/nodes_after" ||
    fail "other nodes than before: $(cat "$WORK/nodes_before" "$WORK/nodes_after")"
stop_node a
stop_node b
