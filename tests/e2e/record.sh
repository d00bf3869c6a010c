#!/bin/bash
# Goal: a recording of a real run tells, without the store, what was there: nodes that came, stopped
# and were killed, and what they did; it overwrites nothing, and one that was cut off is worth what
# is in it.
# Method: `observe --record` without a terminal beside real nodes; `observe --once` on the store, and
# on the recording when the store is gone.
. "$(dirname "$0")/lib.sh"
export LC_ALL=C # a column is a byte

# nodes_of FILE: name, state, jobs done and failed of each node on a picture of `observe --once`.
nodes_of()
{
    awk '$1 == "NODE" { for (i in at) delete at[i]
                        done = index($0, "DONE") + 4; failed = index($0, "FAILED") + 6; next }
         done && ($2 == "alpha" || $2 == "beta" || $2 == "gamma") {
             d = substr($0, done - 10, 10); f = substr($0, failed - 6, 6)
             gsub(/[^0-9]/, "", d); gsub(/[^0-9]/, "", f)
             print $2, $4, d, f }' "$1" | sort
}

recorder=
# record FILE: in the background, as a service would, until it has seen something.
record()
{
    : >"$WORK/recorder.log"
    "$program" observe --record "$1" >"$WORK/recorder.log" 2>&1 </dev/null &
    recorder=$!
    holds_within 100 grep -q "recording to" "$WORK/recorder.log" ||
        fail "it does not record: $(cat "$WORK/recorder.log")"
}

recorder_over()
{
    [ -z "$recorder" ] || kill -KILL "$recorder" 2>/dev/null
}
at_end+=(recorder_over)

bytes_at_least()
{
    [ "$(stat -c %s "$1")" -ge "$2" ]
}

jobs=$(pick 200 40 100 30)
start_node alpha --slots 2
seq 1 "$jobs" | submit --each - -- sh -c 'exit 0' >/dev/null
wait_jobs 0 "1-$jobs"

say "a run is recorded: what was there before, nodes that come, one killed, one stopped"
record "$WORK/run.stint"
start_node beta --slots 2
start_node gamma --slots 2
seq 1 "$jobs" | submit --each - -- sh -c 'sleep 0.02; exit $(({} % 10 == 0))' >/dev/null
kill_node beta
wait_jobs 1 "$((jobs + 1))-$((2 * jobs))"
stop_node gamma
holds_within 100 node_state_is beta dead || fail "beta is not buried"
# Until its last outcomes are in its record, and all that in what was written so far.
recorded()
{
    expect_status 0 stint observe --once
    nodes_of "$WORK/out" >"$WORK/live"
    grep -q '^alpha waiting' "$WORK/live" || return 1
    cp "$WORK/run.stint" "$WORK/copy.stint"
    stint observe --replay "$WORK/copy.stint" --once >"$WORK/told" 2>/dev/null
    nodes_of "$WORK/told" | cmp -s - "$WORK/live"
}
wait_until 100 recorded
[ "$(wc -l <"$WORK/live")" -eq 3 ] || fail "not three nodes: $(cat "$WORK/out")"
say "    $(tr '\n' ';' <"$WORK/live")"
kill -TERM "$recorder"
wait "$recorder" || fail "the recorder ended with $?: $(cat "$WORK/recorder.log")"
recorder=
grep -q "run.stint holds .* KiB" "$WORK/recorder.log" || fail "it says: $(cat "$WORK/recorder.log")"

say "it is told again without the store"
stop_node alpha
[ "$E2E_STORE" != sqlite ] || mv "$WORK/store.db" "$WORK/away.db"
STINT_STORE=sqlite:/nowhere.db expect_status 0 stint observe --replay "$WORK/run.stint" --once
nodes_of "$WORK/out" >"$WORK/replayed"
diff "$WORK/live" "$WORK/replayed" >&2 || fail "the recording tells otherwise: $(cat "$WORK/out")"
grep -q "RECORDING, its end" "$WORK/out" || fail "it does not say that it is a recording"

say "in a terminal: every view, and keys that say what it is"
terminal 120x36
keys "$program observe --replay $WORK/run.stint; echo ended=\$?" Enter
shows 'RECORDING, its end'
shows 'alpha.*waiting'
says 'this is a recording: here it ends' L
says 'only with --control' P
keys 2
shows 'default .*done'
keys 3
shows 'jobs  '
keys 6
shows 'beta is dead'
keys ,
shows 'STOPPED .* before its end'
keys , , [ [ [ Space # slowly, from some events before the end: it is soon there
shows 'PLAY x1/8'
keys 4
shows 'running then: a recording tells of no other jobs'
keys 5
shows 'default +open'
keys q
shows 'ended=0'
[ "$E2E_STORE" != sqlite ] || mv "$WORK/away.db" "$WORK/store.db"
type_anew "$program observe --record $WORK/screen.stint; echo ended=\$?"
shows 'beta .*dead'
keys q
shows 'screen.stint holds .* KiB'
shows 'ended=0'
expect_status 0 stint observe --replay "$WORK/screen.stint" --once

say "what makes no sense is refused"
size=$(stat -c %s "$WORK/run.stint")
expect_refusal 5 stint observe --record "$WORK/run.stint"
[ "$(stat -c %s "$WORK/run.stint")" -eq "$size" ] || fail "the recording was changed"
expect_refusal 2 stint observe --replay "$WORK/run.stint" --record "$WORK/other.stint"
expect_refusal 2 stint observe --replay "$WORK/run.stint" --control
expect_refusal 5 stint observe --replay "$WORK/none.stint" --once
expect_refusal 2 stint observe --record "$WORK/other.stint" --json
expect_refusal 1 stint observe --record "$WORK/no-folder/other.stint"
echo "not one" >"$WORK/text.stint"
expect_status 1 stint observe --replay "$WORK/text.stint" --once
grep -q "is not a recording" "$WORK/err" || fail "it says: $(cat "$WORK/err")"

say "a file that may not grow further ends the recording, not the recorder"
start_node alpha --slots 2
(ulimit -f 1 && exec timeout 300 "$program" observe --record "$WORK/small.stint") >"$WORK/out" 2>"$WORK/err" </dev/null
[ $? -eq 1 ] || fail "the recorder ends otherwise: $(cat "$WORK/err")"
grep -q "small.stint is not whole: File too large" "$WORK/err" || fail "it says: $(cat "$WORK/err")"

say "of a recorder that is killed, what it had written remains"
record "$WORK/cut.stint"
wait_until 100 bytes_at_least "$WORK/cut.stint" 600
kill -KILL "$recorder"
{ wait "$recorder"; } 2>/dev/null
recorder=
expect_status 1 stint observe --replay "$WORK/cut.stint" --once
grep -q "not ended in order" "$WORK/err" || fail "it says: $(cat "$WORK/err")"
[ "$(wc -l <"$WORK/err")" -eq 1 ] || fail "more than a line: $(cat "$WORK/err")"
nodes_of "$WORK/out" | grep -q '^alpha waiting' || fail "nothing is told: $(cat "$WORK/out")"
head -c $((size - 5)) "$WORK/run.stint" >"$WORK/part.stint"
expect_status 1 stint observe --replay "$WORK/part.stint" --once
nodes_of "$WORK/out" | grep -q '^alpha' || fail "nothing is told: $(cat "$WORK/out")"

say "where nothing can be read of one, nothing is shown, in a terminal either"
begin=$((8 + 16 + $(od -An -tu4 -j 12 -N 4 "$WORK/run.stint")))
head -c $((begin + 20)) "$WORK/run.stint" >"$WORK/nothing.stint"
expect_status 1 stint observe --replay "$WORK/nothing.stint"
grep -q "nothing can be read of it" "$WORK/err" || fail "it says: $(cat "$WORK/err")"
