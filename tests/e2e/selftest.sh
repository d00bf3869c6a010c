#!/bin/bash
# Goal: `stint selftest --chaos` tells the truth and leaves nothing: a sound store passes, with kills
# and freezes done; the user's own namespace is not touched; Ctrl-C cleans up; killed with -9 it
# leaves no process, and the next one removes what is left. A store that loses a row, changes an
# outcome, or runs a job once more is found out, and the job is named.
# Method: short runs; the other namespace is compared as a whole before and after. What is wrong is
# done by the test itself while the selftest runs: to the jobs' notes on every store, to the rows on
# SQLite, where a script can reach them.
. "$(dirname "$0")/lib.sh"
minutes=$(pick 0.25 0.3 0.25 0.25)
state=$XDG_STATE_HOME/stint/selftest
short=(--chaos --nodes 3 --slots 3 --lease 500ms)

field()
{
    json_fields "$1" <"$2"
}

positive()
{
    local name
    for name in "$@"; do
        [ "$(field "$name" "$WORK/report")" -gt 0 ] || fail "$name is not above 0: $(cat "$WORK/report")"
    done
}

# leavings: what a selftest may have left behind: folders, files of SQLite, processes.
leavings()
{
    ls -d "$state"/selftest-* "$WORK"/*selftest-* 2>/dev/null
    marked "$E2E_MARK"
}

no_leavings()
{
    [ -z "$(leavings)" ]
}

# dropped NAME: there is no store in that namespace.
dropped()
{
    local uri=$STINT_STORE?namespace=$1
    [ "$E2E_STORE" = sqlite ] || uri=$(store_uri "$1")
    expect_refusal 3 stint store info --store "$uri"
}

# --- the user's namespace, which is not to be touched ------------------------------------------

stint submit --type noop --each <(seq 1 500) >/dev/null || fail "submit: $?"
start_node mine
wait_jobs 0 1-300
submit --queue later -- true >/dev/null
stop_node mine
# The state of everything in it, by copying it away: store copy prints a digest of what it compared.
mine()
{
    rm -f "$WORK"/copy.db*
    stint store copy --json "$STINT_STORE" "sqlite:$WORK/copy.db" | json_fields digest
}
before=$(mine)
[ -n "$before" ] || fail "no digest"

# --- a sound store -------------------------------------------------------------------------------

# sound MINUTES: that the report says so; how many faults there were in `faults`.
sound()
{
    local name
    expect_status 0 stint selftest "${short[@]}" --minutes "$1" --seed 7 --json
    cp "$WORK/out" "$WORK/report"
    faults=0
    for name in kills freezes short_freezes stops submitters_killed; do
        faults=$((faults + $(field "$name" "$WORK/report")))
    done
}

say "a sound store passes"
sound "$minutes"
# A busy machine comes to few faults in this time, of whatever kind.
[ "$faults" -ge 3 ] || sound 2
[ ! -s "$WORK/err" ] || fail "it said: $(cat "$WORK/err")"
say "    $(cut -c 1-900 "$WORK/report")"
positive submitted done executions
[ "$faults" -ge 3 ] || fail "$faults faults: $(cat "$WORK/report")"
for name in lost recorded_twice submitted_twice executed_twice outcome_wrong other; do
    [ "$(field "$name" "$WORK/report")" = 0 ] || fail "$name: $(cat "$WORK/report")"
done
[ "$(field ok "$WORK/report")" = true ] || fail "not ok: $(cat "$WORK/report")"
no_leavings || fail "it left: $(leavings)"
dropped "$(field selftest "$WORK/report")"
[ "$(mine)" = "$before" ] || fail "the user's namespace has changed"

expect_refusal 2 stint selftest
expect_refusal 2 stint selftest --chaos --minutes 0
expect_refusal 2 stint selftest --chaos --minutes none
expect_refusal 2 stint selftest --chaos --nodes 1
expect_refusal 3 stint selftest --chaos --store mongodb://127.0.0.1:1/
expect_refusal 3 stint selftest --chaos --store sqlite:/proc/none/stint.db
no_leavings || fail "it left: $(leavings)"

# --- ended early ---------------------------------------------------------------------------------

selftest=
end_selftest()
{
    [ -z "$selftest" ] || kill -TERM "$selftest" 2>/dev/null
    return 0
}
at_end+=(end_selftest)

# background ARG...: a selftest whose pid is $selftest, once jobs were executed.
background()
{
    "$program" selftest "${short[@]}" "$@" >"$WORK/out" 2>"$WORK/err" </dev/null &
    selftest=$!
    wait_until 200 noted 50
}

# noted N: a folder is there that is not that of ${left:-none}, with so many notes.
noted()
{
    notes=$(ls "$state"/selftest-*/notes 2>/dev/null | grep -vF "${left:-/none/}")
    [ -n "$notes" ] && lines_at_least "$notes" "$1"
}

# ended STATUS: waits for it.
ended()
{
    local status=0
    holds_within 300 pid_gone "$selftest" || fail "selftest has not ended"
    wait "$selftest" || status=$?
    selftest=
    [ "$status" -eq "$1" ] ||
        fail "selftest ended with $status instead of $1: $(cat "$WORK/err" "$WORK/out")"
}

say "Ctrl-C leaves nothing"
set -m # else bash has SIGINT ignored in what it starts in the background
background --minutes 10
set +m
kill -INT "$selftest"
ended 130
[ "$(wc -l <"$WORK/err")" -eq 1 ] || fail "not one line: $(cat "$WORK/err")"
say "    $(cat "$WORK/err")"
no_leavings || fail "it left: $(leavings)"
dropped "$(grep -o 'selftest-[0-9a-f]*' "$WORK/err")"

say "a terminal that is closed leaves nothing either"
set -m
background --minutes 10
set +m
kill -HUP "$selftest"
ended 129
no_leavings || fail "it left: $(leavings)"

say "killed with -9 it leaves no process"
background --minutes 10
kill -KILL "$selftest"
{ wait "$selftest"; } 2>/dev/null
selftest=
wait_until 100 none_marked "$E2E_MARK"
left=$(basename "$(ls -d "$state"/selftest-*)")

say "another selftest in the same store removes what it left"
background --minutes 10
grep -qF "removed what $left, which was killed, had left" "$WORK/err" || fail "$(cat "$WORK/err")"
[ ! -e "$state/$left" ] || fail "$left is still there"
[ "$E2E_STORE" != sqlite ] || ! ls "$WORK"/*"$left"* 2>/dev/null || fail "files of $left are there"
dropped "$left"
say "... and leaves that of one that lives"
expect_status 0 stint selftest "${short[@]}" --minutes 0.02 --json
[ -e "$notes" ] || fail "a living selftest's folder was removed"
expect_status 0 kill -TERM "$selftest"
ended 143
no_leavings || fail "it left: $(leavings)"
[ "$(mine)" = "$before" ] || fail "the user's namespace has changed"

# --- what is wrong is found ----------------------------------------------------------------------

# found KIND FUNCTION: while a selftest runs, FUNCTION does something wrong to $job; the report counts
# it, and names the job. If the selftest was over by then, or had not looked at the job yet, once more
# with more time.
found()
{
    local part status
    for part in 3 15 90; do
        "$program" selftest "${short[@]}" --minutes "$(awk "BEGIN { print $part / 60 }")" --json \
            >"$WORK/out" 2>"$WORK/err" </dev/null &
        selftest=$!
        wait_until 200 noted_or_over
        job=$(some_job 2>/dev/null)
        [ -z "$job" ] || "$2" "$part" || job=
        holds_within 300 pid_gone "$selftest" || fail "selftest has not ended"
        status=0
        wait "$selftest" || status=$?
        selftest=
        no_leavings || fail "it left: $(leavings)"
        [ "$status" -eq 0 ] || break
        say "    not in $part s"
    done
    [ "$status" -eq 1 ] || fail "selftest ended with $status: $(cat "$WORK/err" "$WORK/out")"
    [ -n "$job" ] || fail "it finds something, and nothing was done: $(cat "$WORK/out")"
    [ "$(wc -l <"$WORK/err")" -eq 1 ] || fail "not one line: $(cat "$WORK/err")"
    say "    $(cut -c 1-200 "$WORK/err")"
    [ "$(field "$1" "$WORK/out")" -gt 0 ] || fail "no $1: $(cat "$WORK/out")"
    grep -q "job $job " "$WORK/out" || fail "job $job is not named: $(cat "$WORK/out")"
}

noted_or_over()
{
    noted 50 || pid_gone "$selftest"
}

# A finished job of kind quick: the id in its notes.
some_job()
{
    awk '$1 == "E" && $4 == 1 { n++; if (n == 10) { print $3 + 0; exit } }' "$notes"
}

# A second earlier, by a node that nothing happens to, since there is none of that name.
note_again()
{
    local note at
    note=$(awk -v id="$job" '$1 == "S" && $3 + 0 == id {
        sub(/ n[0-9]+\.[0-9]+ +$/, sprintf(" %-23s", "n9.999")); print; exit }' "$notes")
    at=$(awk -v id="$job" '$1 == "S" && $3 + 0 == id { at = $6 }
        END { printf "%016.0f", at - 1000000 }' "$notes")
    [ -e "$notes" ] && sed -E "s/ [0-9]{16} / $at /" <<<"$note" >>"$notes"
}

say "a job that was executed once more"
found executed_twice note_again

[ "$E2E_STORE" = sqlite ] || exit 0

# tamper SQL: carried out in the scratch store, if it is there.
tamper()
{
    local file
    file=$(ls "$WORK"/*.selftest-* 2>/dev/null | grep -v -e -wal -e -shm -e -lock -e -bell)
    [ -n "$file" ] && python3 - "$file" "$1" <<'PY'
import sqlite3, sys
db = sqlite3.connect("file:%s?mode=rw" % sys.argv[1], uri=True, timeout=100)
with db:
    n = db.execute(sys.argv[2]).rowcount
assert n == 1, n
PY
}

row_lose()
{
    tamper "DELETE FROM jobs WHERE id = $job"
}

say "a row that is lost"
found lost row_lose

# outcome_change SECONDS: of which the selftest has two fifths to look at the job, as it does five
# times a second.
outcome_change()
{
    sleep "$(($1 * 2 / 5))"
    tamper "UPDATE jobs SET run = run + 1 WHERE id = $job"
}

say "an outcome that is recorded once more"
found recorded_twice outcome_change
