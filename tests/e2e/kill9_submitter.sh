#!/bin/bash
# Goal (I9): a bulk submit that is killed at any moment and run again adds exactly what is missing:
# every line is there once.
# Method: round after round, each with a queue of its own: submit lines from a file, kill -9 after a
# random pause or half-way, submit the same again, count the jobs; every line of the last rounds is
# run and its output compared with the file. In the third round a pipe holds back half of the lines:
# that one is cut half-way however slow this test is.
. "$(dirname "$0")/lib.sh"
rounds=$(pick 25 25 7 4)
lines=$(pick 60000 30000 12000 2500)

queue_there()
{
    "$program" job list --queue "$1" --limit 1 --json 2>/dev/null | grep -q .
}

cut_short=0
for ((round = 1; round <= rounds; round++)); do
    seq -f "line-$round-%.0f" 1 "$lines" >"$WORK/lines$round"
    command=("$program" submit --queue "r$round" --type noop)
    # A named submit is the same one even when it was complete; a nameless one, killed after its
    # last commit, is found complete and made anew: then there is nothing to repeat.
    [ $((round % 2)) -eq 0 ] || command+=(--token "token-$round")
    if [ $round -eq 3 ]; then
        mkfifo "$WORK/half"
        exec 7<>"$WORK/half"
        "${command[@]}" --each - <"$WORK/half" >"$WORK/first" 2>&1 7<&- &
        submitter=$!
        head -n $((lines / 2)) "$WORK/lines$round" >&7
    else
        "${command[@]}" --each "$WORK/lines$round" >"$WORK/first" 2>&1 </dev/null &
        submitter=$!
    fi
    # A random moment; each third round, as soon as the first commit is seen: then it is half-way.
    pause_ms=$((RANDOM % 200))
    if [ $((round % 3)) -eq 0 ]; then
        wait_until 100 queue_there "r$round"
    else
        sleep "0.$(printf '%03d' $pause_ms)"
    fi
    kill -KILL $submitter 2>/dev/null
    { wait $submitter; } 2>/dev/null
    before=0
    ! queue_there "r$round" || before=$(count_jobs --queue "r$round")
    [ "$before" -eq 0 ] || [ ! -e "/dev/shm/mongoc-$submitter" ] || fail "it has left shared memory"
    [ $((round % 2)) -eq 0 ] && [ "$before" -eq "$lines" ] ||
        expect_status 0 "${command[@]}" --each "$WORK/lines$round"
    after=$(count_jobs --queue "r$round")
    say "round $round: killed after $pause_ms ms with $before of $lines there; then $after"
    [ "$after" -eq "$lines" ] || fail "$after jobs for $lines lines"
    [ "$before" -eq 0 ] || [ "$before" -eq "$lines" ] || cut_short=$((cut_short + 1))
done
say "$cut_short of $rounds rounds were cut between two commits"
[ "$cut_short" -gt 0 ] || fail "no round was cut half-way: the test shows nothing"

# The same with jobs that print their line: the outputs are the lines. They are waited for by the ids
# that were told: where a submitter died, some ids before them lead nowhere.
ids=()
lines=$(pick 3000 600 600 100)
for round in 1 2 3; do
    seq -f "said-$round-%.0f" 1 "$lines" >"$WORK/lines$round"
    command=("$program" submit --queue said --token "said-$round" --each "$WORK/lines$round" \
             -- echo {})
    "${command[@]}" >"$WORK/first" 2>&1 </dev/null &
    submitter=$!
    sleep "0.0$((RANDOM % 10))$((RANDOM % 10))"
    kill -KILL $submitter 2>/dev/null
    { wait $submitter; } 2>/dev/null
    expect_status 0 "${command[@]}"
    read -r -d '' -a told <"$WORK/out"
    ids+=("${told[@]}")
    cat "$WORK/lines$round" >>"$WORK/expected"
done
start_node worker --queue said
wait_jobs 0 "${ids[@]}"
stint job list --json --limit 1000000000 --queue said | json_fields output | sort >"$WORK/got"
sort "$WORK/expected" | cmp - "$WORK/got" || fail "the outputs are not the submitted lines"
