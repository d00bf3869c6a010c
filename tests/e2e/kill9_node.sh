#!/bin/bash
# Goal (I1-I4, I9): nodes that are killed with -9 at any moment lose no acknowledged job and record
# no outcome twice, and every job is executed.
# Method: two nodes; round after round one of them is killed after a random pause and another one
# started, while jobs are submitted. Each job appends its id and run to a file. At the end every
# acknowledged id is looked up.
. "$(dirname "$0")/lib.sh"
rounds=$(pick 25 25 25 8)
per_round=$(pick 300 80 80 40)
runs=$WORK/runs
seq 1 "$per_round" >"$WORK/lines"

start_node n0 --slots 2
start_node n1 --slots 2
: >"$WORK/acknowledged"
for ((round = 1; round <= rounds; round++)); do
    stint submit --each "$WORK/lines" -- "$HELPERS/helper_append" "$runs" {} >>"$WORK/acknowledged" &
    submitter=$!
    pause_ms=$((RANDOM % 250))
    sleep "0.$(printf '%03d' $pause_ms)"
    say "round $round: n$((round - 1)) killed after $pause_ms ms," \
        "$(cat "$runs" 2>/dev/null | wc -l) executions so far"
    kill_node n$((round - 1))
    wait $submitter || fail "round $round: the submit failed with $?"
    start_node n$((round + 1)) --slots 2
done

total=$((rounds * per_round))
acknowledged=$(awk -F- '{ n += NF == 2 ? $2 - $1 + 1 : 1 } END { print n }' "$WORK/acknowledged")
[ "$acknowledged" -eq "$total" ] || fail "$acknowledged acknowledged instead of $total"
wait_jobs 0 1-$total

# Exactly one row an id, each with an outcome at a run that was executed.
all_jobs id state run interruptions >"$WORK/jobs"
[ "$(wc -l <"$WORK/jobs")" -eq "$total" ] || fail "$(wc -l <"$WORK/jobs") jobs instead of $total"
[ "$(cut -f1 "$WORK/jobs" | sort -u | wc -l)" -eq "$total" ] || fail "an id is there twice"
awk -F'\t' -v total="$total" '
    NR == FNR { split($0, part, " "); executed[part[1] " " part[2]] = 1; next }
    $2 != "done" { print "job " $1 " is " $2 " at run " $3; bad = 1 }
    !(($1 " " $3) in executed) { print "job " $1 " was not executed at run " $3; bad = 1 }
    $3 != $4 + 1 { print "job " $1 ": run " $3 " after " $4 " interruptions"; bad = 1 }
    { again += $3 - 1 }
    END { print total " jobs, " again " interruptions"; exit bad }
' "$runs" "$WORK/jobs" || fail "outcomes and executions do not agree"

# Each survivor counted what it recorded, and together no outcome more than there are jobs.
sum=$(stint node list --json | json_fields done | awk '{ n += $1 } END { print n + 0 }')
[ "$sum" -le "$total" ] || fail "the nodes recorded $sum outcomes for $total jobs"
