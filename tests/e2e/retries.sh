#!/bin/bash
# Goal (I4): --max-attempts runs a failed job again in place, up to that many attempts;
# interruptions count apart, and a job that kills its node each time ends as failed after three of
# them, without taking its neighbours down.
# Method: jobs that fail, that succeed at the second attempt, and one that kills the node it is on.
. "$(dirname "$0")/lib.sh"
start_node n1 --slots 1

never=$(submit --max-attempts 3 -- false)
second=$(submit --max-attempts 3 -- sh -c 'echo "attempt $STINT_ATTEMPT"; [ "$STINT_ATTEMPT" = 2 ]')
once=$(submit -- sh -c 'exit 7')
wait_jobs 1 "$never"
expect_job "$never" state failed
expect_job "$never" attempt 3
expect_job "$never" exit 1
wait_jobs 0 "$second"
expect_job "$second" attempt 2
expect_job "$second" interruptions 0
expect_job "$second" output "attempt 2"
wait_jobs 1 "$once"
expect_job "$once" attempt 1
expect_job "$once" exit 7
stop_node n1

say "a job that kills its node, among others that do no harm"
export NODE_PID=$WORK/node.pid RUNS=$WORK/runs
seq 1 5 >"$WORK/lines"
submit --each "$WORK/lines" -- "$HELPERS/helper_append" "$RUNS" >/dev/null
killer=$(submit -- sh -c 'echo "killer $STINT_RUN" >>"$RUNS"; kill -KILL "$(cat "$NODE_PID")"')
submit --each "$WORK/lines" -- "$HELPERS/helper_append" "$RUNS" >/dev/null
last=$((killer + 5))

# Nodes are started again as they die, as a supervisor would, until every job has its outcome.
finished()
{
    [ "$(count_jobs --state queued)" -eq 0 ] && [ "$(count_jobs --state running)" -eq 0 ]
}
deaths=0
for round in 1 2 3 4 5 6 7 8; do
    # It is written before the node is there: a job may begin at once.
    # shellcheck disable=SC2016 # expanded by the inner bash
    bash -c 'echo $$ >"$NODE_PID" && exec "$@"' node "$program" node start --name "v$round" --slots 2 \
        >"$WORK/v$round.log" 2>&1 </dev/null &
    node_pid[v$round]=$!
    over()
    {
        pid_gone "${node_pid[v$round]}" || finished
    }
    wait_until 200 over
    finished && break
    { wait "${node_pid[v$round]}"; } 2>/dev/null
    unset "node_pid[v$round]"
    deaths=$((deaths + 1))
done
finished || fail "not finished after $deaths deaths"
say "$deaths nodes died"
expect_job "$killer" state failed
interruptions=$(job_field "$killer" interruptions)
[ "$interruptions" -ge 3 ] && [ "$interruptions" -le 4 ] || fail "$interruptions interruptions"
for ((id = killer - 5; id <= last; id++)); do
    [ "$id" -eq "$killer" ] || expect_job "$id" state "done"
done
