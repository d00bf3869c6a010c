#!/bin/bash
# Goal: `stint store copy` moves everything to another store, however often it is killed on the way;
# nobody uses the copy before it is complete; work goes on there as if it had always been there.
# Method: a SQLite store with all that a store can hold is copied to a store of this test's kind, and
# from a server back; the copier is killed at random moments and started again; digests and listings
# of both sides are compared; then keys, an interrupted submit, a dead node's ranges and waiting jobs
# are gone on with on the copy.
. "$(dirname "$0")/lib.sh"
bulk=$(pick 60000 20000 10000 2000)
source_uri=sqlite:$WORK/source.db

# --- a source ------------------------------------------------------------------------------------

export STINT_STORE=$source_uri
expect_status 0 stint queue create mail
expect_status 0 stint queue create later
expect_status 0 stint queue pause later
submit --type noop --each <(seq 1 "$bulk") >/dev/null
submit --queue mail -- sh -c 'echo out; echo err >&2; printf "\377"' >/dev/null
submit --queue mail --max-attempts 3 -- sh -c 'echo again; exit 7' >/dev/null
cancelled=$(submit --queue later -- true)
expect_status 0 stint job cancel "$cancelled"
start_node first --queue default --queue mail --slots 2
wait_jobs 0 "1-$bulk"
wait_jobs 1 mail:1-2
stop_node first

# An interrupted submit: two parts of it are there.
lines=500
cut=(submit --queue cut --type noop --token cut --each)
cut_is() { [ "$(stint job list --json --limit 1000000000 --queue cut 2>/dev/null | wc -l)" -eq "$1" ]; }
close_lines() { exec 7<&-; } # the submitter waits for more
at_end+=(close_lines)
mkfifo "$WORK/lines"
exec 7<>"$WORK/lines"
"$program" "${cut[@]}" - <"$WORK/lines" >"$WORK/out" 2>&1 7<&- &
submitter=$!
for part in 1 2; do
    seq $((part * 100 - 99)) $((part * 100)) >&7
    wait_until 100 cut_is $((part * 100))
done
kill -KILL $submitter
{ wait $submitter; } 2>/dev/null
close_lines

# A node that was killed with work in its hands: it counts as alive until somebody buries it.
key_id=$(submit --queue later --key only-one -- echo with a key)
export GO=$WORK/go # a job has its node's environment
submit --queue crash --each <(seq 1 40) -- \
    sh -c 'until [ -e "$GO" ]; do sleep 0.05; done; echo {}' >/dev/null
start_node doomed --queue crash --slots 2
crash_begun() { [ "$(stint job list --queue crash --json | grep -c '"state":"running"')" -gt 0 ]; }
wait_until 100 crash_begun
kill_node doomed
expect_refusal 5 stint store copy "$source_uri" "sqlite:$WORK/never.db"
# Dead in its record, and not buried in the lane: what a burier leaves that dies between the two.
python3 - "$WORK/source.db" <<'PY' || fail "cannot mark the node as dead"
import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
assert db.execute("UPDATE nodes SET state=4 WHERE name='doomed'").rowcount == 1
db.commit()
PY

# --- what is refused -----------------------------------------------------------------------------

expect_refusal 5 stint store copy "$source_uri" "$WORK/../${WORK##*/}/source.db"
expect_refusal 3 stint store copy "sqlite:$WORK/nowhere.db" "sqlite:$WORK/never.db"
expect_refusal 2 stint store copy "$source_uri"
STINT_STORE=$WORK/full.db submit --type noop -- >/dev/null
expect_refusal 5 stint store copy "$source_uri" "$WORK/full.db"

# --- copying, killed again and again -------------------------------------------------------------

refused_meanwhile()
{
    local -x STINT_STORE=$1
    expect_refusal 5 stint submit --type noop --
    expect_refusal 5 stint node start --name early
    expect_refusal 5 stint status
    expect_refusal 5 stint store info
    expect_refusal 5 stint store copy "$WORK/full.db" "$1"
    expect_refusal 5 stint store copy "$1" "sqlite:$WORK/never.db"
}

# copy FROM TO MS: killed after up to MS at first, then after ever longer, until it comes to its end.
copy()
{
    local pause_ms=$3 kills=0 pid status
    while :; do
        "$program" store copy --json "$1" "$2" >"$WORK/copied" 2>"$WORK/err" </dev/null &
        pid=$!
        sleep "$(printf '%d.%03d' $((pause_ms / 1000)) $((RANDOM % (pause_ms % 1000 + 1))))"
        kill -KILL $pid 2>/dev/null
        status=0
        { wait $pid; } 2>/dev/null || status=$?
        [ "$status" -eq 137 ] || break
        kills=$((kills + 1))
        [ $kills -lt 200 ] || fail "the copy does not come to its end"
        pause_ms=$((pause_ms + pause_ms / 3 + 1))
    done
    say "copied from ${1%%:*} to ${2%%:*}, killed $kills times, status $status"
    # Killed when it had just come to its end: the listings have to do.
    if [ $kills -gt 0 ] && [ "$status" -eq 5 ] && grep -q 'a complete copy of it' "$WORK/err"; then
        return
    fi
    [ "$status" -eq 0 ] || fail "copy: status $status: $(cat "$WORK/err")"
    [ "$(json_fields complete <"$WORK/copied")" = true ] || fail "$(cat "$WORK/copied")"
    grep -o '"digest":"[0-9a-f]*"' "$WORK/copied" >>"$WORK/digests"
    [ "$(sort -u "$WORK/digests" | wc -l)" -eq 1 ] || fail "another digest: $(cat "$WORK/copied")"
}

# listing URI: what commands show of it.
listing()
{
    local -x STINT_STORE=$1
    expect_status 0 stint store check
    stint job list --json --limit 1000000000 || fail "job list"
    stint queue list --json || fail "queue list"
    stint store info --json | json_fields created || fail "store info"
}

# Killed when it is seen to have begun, and stopped for each look, so that it is not at its end before
# the look is; one that was quicker even so goes into another store.
half_way() { STINT_STORE=$target stint store info 2>&1 | grep -q 'unfinished copy'; }
begun()
{
    kill -STOP $copier 2>/dev/null || return 0
    ! half_way || return 0
    kill -CONT $copier
    return 1
}
for ((n = 1; n <= 20; n++)); do
    target=$(store_uri "target$n")
    "$program" store copy "$source_uri" "$target" >"$WORK/out" 2>&1 </dev/null &
    copier=$!
    wait_until 100 begun
    kill -KILL $copier 2>/dev/null
    { wait $copier; } 2>/dev/null
    ! half_way || break
done
half_way || fail "never seen half-way: the test shows nothing"
refused_meanwhile "$target"
first_ms=$(pick 40 400 400 300)
copy "$source_uri" "$target" "$first_ms"
listing "$source_uri" >"$WORK/expected"
listing "$target" | cmp "$WORK/expected" - || fail "the listings differ"
expect_refusal 5 stint store copy "$source_uri" "$target"
if [ "$E2E_STORE" != sqlite ]; then
    copy "$target" "$WORK/back.db" "$first_ms"
    listing "$WORK/back.db" | cmp "$WORK/expected" - || fail "the listings differ on the way back"
fi

# --- going on there ------------------------------------------------------------------------------

# go_on URI: what was under way in the source comes to its end in the copy.
go_on()
{
    local -x STINT_STORE=$1
    local run
    [ "$(submit --queue later --key only-one -- echo another)" = "$key_id" ] ||
        fail "the key is free in the copy"
    expect_status 0 stint "${cut[@]}" <(seq 1 $lines)
    cut_is $lines || fail "$(count_jobs --queue cut) jobs for $lines lines of the cut submit"
    expect_status 0 stint queue resume later
    : >"$GO"
    start_node heir --queue crash --queue later --slots 8
    wait_jobs 0 crash:1-40 "$key_id"
    stop_node heir
    stint job list --queue crash --json | json_fields output | sort -n | cmp - <(seq 1 40) ||
        fail "the outputs of the dead node's jobs"
    run=$(stint job list --queue crash --json | json_fields interruptions | sort -n | tail -n 1)
    [ "$run" = 1 ] || fail "no job of the dead node was interrupted: $run"
    expect_status 0 stint store check
}

go_on "$target"

# --- sides that differ ---------------------------------------------------------------------------

# signal_half_way SIGNAL: to a copier of the source to late.db, when some rows are there and not all.
# It is stopped for each look, as above.
signal_half_way()
{
    local n
    for ((n = 1; n <= 20; n++)); do
        "${late[@]}" >"$WORK/out" 2>"$WORK/err" </dev/null &
        copier=$!
        ! signal_at_rows "$1" || return 0
        kill -KILL $copier 2>/dev/null # it was too quick
        { wait $copier; } 2>/dev/null
        rm -f "$WORK"/late.db*
    done
    fail "not seen half-way"
}

signal_at_rows()
{
    python3 - "$WORK/late.db" "$copier" "$1" "$bulk" <<'PY'
import os, signal, sqlite3, sys, time
path, pid, name, rows = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])

def send(name):
    try:
        os.kill(pid, getattr(signal, name))
        while name != "SIGCONT":
            state = open("/proc/%d/stat" % pid).read().rsplit(")", 1)[1].split()[0]
            if state == "Z" or state == "T" and name == "SIGSTOP":
                return state
            time.sleep(0.001)
    except (ProcessLookupError, FileNotFoundError):
        return "Z"

def rows_there():
    try:
        db = sqlite3.connect("file:%s?mode=ro" % path, uri=True)
        return db.execute("SELECT count(*) FROM jobs").fetchone()[0]
    except sqlite3.Error:
        return 0

end = time.monotonic() + 100
there = 0
while there == 0 and send("SIGSTOP") == "T" and time.monotonic() < end:
    there = rows_there()
    if there == 0:
        send("SIGCONT")
        time.sleep(0.005)
if name != "SIGSTOP":
    send(name)
    there = rows_there()
sys.exit(0 if 0 < there < rows else "%d of %d rows" % (there, rows))
PY
}

export STINT_STORE=$source_uri
late=("$program" store copy "$source_uri" "$WORK/late.db")
if [ "$E2E_STORE" = sqlite ]; then
    # The source changes: told, and completed by the next try.
    signal_half_way SIGSTOP
    submit --queue mail -- true >/dev/null
    kill -CONT $copier
    status=0
    wait $copier || status=$?
    [ $status -eq 1 ] || fail "a source that changed: status $status: $(cat "$WORK/out" "$WORK/err")"
    grep -q 'differ' "$WORK/err" || fail "it is not said: $(cat "$WORK/err")"
    expect_refusal 5 env STINT_STORE="$WORK/late.db" "$program" status
    expect_status 0 "${late[@]}"
    rm "$WORK"/late.db*

    # A row of the copy is lost: told, each time.
    signal_half_way SIGKILL
    { wait $copier; } 2>/dev/null
    python3 -c 'import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
assert db.execute("DELETE FROM jobs WHERE id=17").rowcount == 1
db.commit()' "$WORK/late.db" || fail "cannot delete a row"
    for try in 1 2; do
        expect_refusal 1 "${late[@]}"
        grep -q 'differ' "$WORK/err" || fail "try $try: it is not said: $(cat "$WORK/err")"
        expect_refusal 5 env STINT_STORE="$WORK/late.db" "$program" status
    done
fi

# --- no password anywhere ------------------------------------------------------------------------

printf 'mongodb://ann:s3cret@127.0.0.1:1/db\n' >"$WORK/secret.uri"
chmod 600 "$WORK/secret.uri"
for where in "@$WORK/secret.uri $WORK/x.db" "$WORK/full.db @$WORK/secret.uri"; do
    status=0
    # shellcheck disable=SC2086
    stint store copy $where >"$WORK/out" 2>"$WORK/err" || status=$?
    [ $status -eq 3 ] || fail "no server: status $status: $(cat "$WORK/err")"
    ! grep -q s3cret "$WORK/out" "$WORK/err" || fail "the password is shown"
done
