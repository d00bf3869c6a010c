#!/bin/bash
# Goal: a paused node ends what it runs, gives the rest back and takes nothing until it is resumed;
# a paused queue is served by nobody.
# Method: pause through the command line, submit, look; resume, wait for the outcome.
. "$(dirname "$0")/lib.sh"
export RUNS=$WORK/runs GO=$WORK/go
script='echo "$STINT_JOB_ID" >>"$RUNS"; until [ -e "$GO" ]; do sleep 0.05; done'

start_node one --slots 1
seq 1 5 >"$WORK/lines"
submit --each "$WORK/lines" -- sh -c "$script" {} >/dev/null
wait_until 100 lines_at_least "$RUNS" 1
expect_status 0 stint node pause one --wait
touch "$GO"
node_state_is one paused || fail "one is $(node_state one)"
given_back()
{
    stint node list --json | grep -q '"ranges": *\[\]'
}
wait_until 100 given_back
[ "$(wc -l <"$RUNS")" -eq 1 ] || fail "a paused node started a job"
[ "$(count_jobs --state queued)" -eq 4 ] || fail "$(count_jobs --state queued) queued instead of 4"
start_node two
wait_jobs 0 1-5
[ "$(stint job list --json --limit 1000000000 --node one | wc -l)" -le 1 ] || fail "one ran more"
stop_node two

job=$(submit -- true)
expect_status 4 stint wait --timeout 500ms "$job"
expect_status 0 stint node resume one --wait
wait_jobs 0 "$job"
expect_job "$job" node one

say "a paused queue"
expect_status 0 stint queue pause default
# The node sees the pause at its next look at the queues; a job it holds already may still run.
paused_now()
{
    stint queue list --json | grep -q '"paused": *true'
}
wait_until 100 paused_now
expect_status 0 stint queue create other
stop_node one
start_node three --queue default --queue other
job=$(submit -- true)
job2=$(submit --queue other -- true)
wait_jobs 0 "$job2"
expect_job "$job" state queued
expect_status 0 stint queue resume default
wait_jobs 0 "$job"
expect_refusal 5 stint node pause nobody
