#!/bin/bash
# Goal (I7): a graceful stop lets running jobs end, gives the rest back and runs nothing twice; past
# the stop time-out running jobs are interrupted; a second signal stops at once.
# Method: jobs that wait for a file; SIGTERM; another node takes over.
. "$(dirname "$0")/lib.sh"
export RUNS=$WORK/runs GO=$WORK/go
script='echo "begin $STINT_JOB_ID $STINT_RUN" >>"$RUNS"
        until [ -e "$GO" ]; do sleep 0.05; done
        echo "end $STINT_JOB_ID $STINT_RUN" >>"$RUNS"'

say "1. running jobs end, the rest goes back"
start_node one --slots 2
seq 1 20 >"$WORK/lines"
submit --each "$WORK/lines" -- sh -c "$script" {} >/dev/null
wait_until 100 lines_at_least "$RUNS" 2
kill -TERM "${node_pid[one]}"
touch "$GO"
node_ended one 0
# It may have begun another job before it heard the signal; whatever it began, it ended.
begun=$(grep -c begin "$RUNS")
[ "$begun" -lt 20 ] || fail "it went on until nothing was left"
[ "$(grep -c end "$RUNS")" -eq "$begun" ] || fail "a running job was cut short: $(cat "$RUNS")"
[ "$(node_state one)" = dead ] || fail "state $(node_state one)"
[ "$(node_cause one)" = stopped ] || fail "cause '$(node_cause one)'"
[ "$(count_jobs --state "done")" -eq "$begun" ] || fail "not $begun outcomes"
[ "$(count_jobs --state queued)" -eq $((20 - begun)) ] || fail "the rest did not go back"
start_node two --slots 2
wait_jobs 0 1-20
[ "$(grep -c '^begin' "$RUNS")" -eq 20 ] || fail "something ran twice: $(cat "$RUNS")"
[ "$(all_jobs run | sort -u)" = 1 ] || fail "a run was counted twice"

say "2. past the stop time-out: interrupted, and run again by another node"
stop_node two
rm "$GO"
: >"$RUNS"
start_node three --slots 1 --stop-timeout 300ms
job=$(submit -- sh -c "$script")
wait_until 100 lines_at_least "$RUNS" 1
stop_node three
expect_job "$job" state queued
expect_job "$job" run 2
expect_job "$job" interruptions 1
touch "$GO"
start_node four
wait_jobs 0 "$job"
expect_job "$job" attempt 1

say "3. a second signal: at once"
rm "$GO"
: >"$RUNS"
stop_node four
start_node five --slots 1 --stop-timeout 10m
job=$(submit -- sh -c "$script")
wait_until 100 lines_at_least "$RUNS" 1
kill -TERM "${node_pid[five]}"
said_stopping()
{
    [ "$(stint node list --json | json_fields state desired name | grep -c five)" -ge 1 ] &&
        kill -INT "${node_pid[five]}" 2>/dev/null
    pid_gone "${node_pid[five]}"
}
wait_until 100 said_stopping
node_ended five 0
expect_job "$job" state queued
expect_job "$job" interruptions 1
