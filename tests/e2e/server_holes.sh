#!/bin/bash
# store: own
# Goal (I3): ids that a submitter took, and died before it made their rows, hold up the jobs behind them
# for a moment and not for as long as it takes to wait for each of them, a few at a time.
# Method: a proxy lets no insert through; the submitter is killed; then a job is submitted behind its ids
# to a node with two slots, whose jobs take so long that it claims no more than it has free hands.
. "$(dirname "$0")/helpers/servers.sh"
servers_need ferretdb

pair_start
direct=$STINT_STORE
start_node a --slots 2
seq 4 >"$WORK/lines"
slow=$(submit --each "$WORK/lines" -- sleep 1.2)
wait_jobs 0 "$slow"

proxy_start front "$WORK/ferretdb"
use "$(proxy_port front)"
proxy_tell front "cut_request insert:jobs 1 100000"
seq 300 >"$WORK/lines"
"$program" submit --each "$WORK/lines" -- true >"$WORK/never" 2>&1 &
submitter=$!
export STINT_STORE=$direct
ids_taken()
{
    [ "$(stint queue list --json | json_fields submitted)" -eq 304 ]
}
wait_until 100 ids_taken
kill -KILL "$submitter"
{ wait "$submitter"; } 2>/dev/null

behind_ms=$(now_ms)
id=$(submit -- true)
[ "$id" -eq 305 ] || fail "the job behind them is $id"
expect_status 0 stint wait --timeout 90s "$id"
say "    a job behind 300 ids of a dead submitter is done after $(($(now_ms) - behind_ms)) ms"
expect_status 0 stint store check
stop_node a
