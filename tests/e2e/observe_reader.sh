#!/bin/bash
# store: own
# Goal: on a server the observer needs a user who may only read, and sends no command that writes.
# Method: nodes on a FerretDB that may write; the observer on another in front of the same PostgreSQL,
# first as a user who may only read, then through a proxy that counts the commands it is sent.
. "$(dirname "$0")/helpers/servers.sh"
export LC_ALL=C.UTF-8
servers_need ferretdb

mongodb_postgres_start "$WORK/postgres" || fail "PostgreSQL does not start"
mongodb_user "$WORK/postgres" reader secret read || fail "no user reader"
mongodb_ferretdb_start "$WORK/open" 0 "$(mongodb_postgres_url "$WORK/postgres")" ||
    fail "FerretDB does not start"
mongodb_ferretdb_start "$WORK/reading" 0 "$(mongodb_postgres_url user=reader "$WORK/postgres")" ||
    fail "FerretDB for a reader does not start"
use "$WORK/open"
writer=$STINT_STORE
use "$WORK/reading"
reader=$STINT_STORE

STINT_STORE=$writer
submit --type noop --payload x >/dev/null
STINT_STORE=$reader expect_refusal 3 stint submit -- true

export GO=$WORK/go # a job has its node's environment
# watch: the observer on $STINT_STORE, while nodes of the names NAME1 and NAME2 come, die and stop.
watch()
{
    local watched=$STINT_STORE view
    [ "$terminals" -eq 0 ] || terminal_over
    terminal 120x36
    keys "$program observe; echo ended=\$?" Enter
    shows 'LIVE'
    STINT_STORE=$writer
    start_node "$1" --slots 2
    start_node "$2" --slots 2
    shows "$1.*(waiting|working)"
    shows "$2.*(waiting|working)"
    rm -f "$GO"
    seq 1 30 | submit --each - -- sh -c 'until [ -e "$GO" ]; do sleep 0.05; done' >/dev/null
    shows "($1|$2) .*working"
    kill_node "$2"
    shows "$2 +. dead"
    keys 2
    shows '> default'
    keys 3
    shows '^wait '
    keys 4
    shows 'newest first'
    shows ' (done|queued) .*exec| exec .*(done|queued)'
    keys 5
    shows 'default +open'
    keys 6
    shows "$2 is dead"
    keys Space '(' '(' ,
    shows 'STOPPED'
    keys L
    shows 'LIVE'
    : >"$GO"
    stop_node "$1"
    shows "$1 has stopped"
    keys q
    shows 'ended=0'
    STINT_STORE=$watched
    expect_status 0 stint observe --once
    grep -q "$1" "$WORK/out" || fail "it shows: $(cat "$WORK/out")"
    expect_status 0 stint observe --json
    expect_status 0 stint status
}

say "a user who may only read"
STINT_STORE=$reader
watch alpha beta

say "through a proxy: nothing but reads"
proxy_start counting "$WORK/open"
use "$(proxy_port counting)"
watch gamma delta
kill -TERM "${proxy_pid[counting]}"
wait "${proxy_pid[counting]}" || fail "the proxy ended with $?"
unset "proxy_pid[counting]"
awk '$1 ~ /:/ { sub(/:.*/, "", $1); print $1 }' "$WORK/counting.report" | sort -u >"$WORK/commands"
say "    $(tr '\n' ' ' <"$WORK/commands")"
grep -qx find "$WORK/commands" || fail "no reads were seen: $(cat "$WORK/counting.report")"
for read in find:nodes find:history find:stints find:jobs; do
    grep -q "^$read [1-9]" "$WORK/counting.report" || fail "no $read: $(cat "$WORK/counting.report")"
done
written=$(grep -vxE 'hello|isMaster|ismaster|ping|buildInfo|find|getMore|killCursors|aggregate|count|endSessions' \
    "$WORK/commands")
[ -z "$written" ] || fail "commands that do not only read: $written"
