#!/bin/bash
# Goal: what a node has claimed already stands in nobody's way: a job of higher priority is next,
# a paused queue starts nothing more, all slots of a node are used, and a node that serves few
# queues gets its share of them from one that holds much of another.
# Method: jobs that report their start by a line in a file; long ones after many short ones, so that
# the node has taken the long ones for short and claimed them all.
. "$(dirname "$0")/lib.sh"
cd "$WORK" || exit 1

# jobs N COMMAND: that many lines for --jsonl
jobs()
{
    local i
    for ((i = 0; i < $1; i++)); do
        printf '{"argv":["sh","-c","%s"]}\n' "$2"
    done
}

state_of()
{
    job_field "$1" state
}

is_done()
{
    [ "$(state_of "$1")" = 'done' ]
}

running()
{
    [ "$(count_jobs --state running)" -ge "$1" ]
}

say "1. a high priority overtakes what was claimed of a low one"
{
    jobs 600 true
    jobs 100 'echo >>low; sleep 2'
} >mixed
submit --jsonl mixed --priority 7 --cwd "$WORK" >/dev/null
start_node one --slots 1
wait_until 200 lines_at_least low 1
high=$(submit --priority 0 -- true)
wait_until 100 is_done "$high"
[ "$(wc -l <low)" -lt 20 ] || fail "job $high came after $(wc -l <low) of lower priority"
kill_node one
stint job cancel default/7:1-700 >/dev/null

say "2. a paused queue starts nothing more, and does not hold up others"
{
    jobs 600 true
    jobs 100 'echo >>slow; sleep 1'
} >mixed
submit --queue slow --jsonl mixed --cwd "$WORK" >/dev/null
start_node two --slots 1 --queue slow --queue other
wait_until 200 lines_at_least slow 1
stint queue pause slow
other=$(submit --queue other -- true)
wait_until 100 is_done "$other"
at_pause=$(wc -l <slow)
[ "$at_pause" -lt 50 ] || fail "$at_pause jobs of the paused queue had started"
# Ten more for the other queue, one after another, are time enough for a wrong start.
for ((i = 0; i < 10; i++)); do
    other=$(submit --queue other -- sleep 0.1)
    wait_jobs 0 "$other"
done
[ "$(wc -l <slow)" -le $((at_pause + 1)) ] || fail "the paused queue went on"
stint queue resume slow
wait_until 100 lines_at_least slow $((at_pause + 3))
kill_node two
stint job cancel slow:1-700 >/dev/null

say "3. all slots are used, however many ranges the jobs came in"
for ((i = 0; i < 200; i++)); do
    printf '{"argv":["sleep","%s"]}\n' "2.$((RANDOM % 10))"
done >long
for ((i = 0; i < 200; i++)); do printf '{"argv":["sleep","100"]}\n'; done >>long
submit --queue long --jsonl long >/dev/null
start_node three --slots 100 --queue long
wait_jobs 0 long:1-200
wait_until 90 running 100
kill_node three
stint job cancel long:201-400 >/dev/null

say "4. who serves one queue only gets of it, though the other node holds more of another"
{
    jobs 600 true
    jobs 400 'sleep 5'
} >mixed
submit --queue big --jsonl mixed >/dev/null
start_node four --slots 1 --queue big --queue small
wait_until 200 job_is big:600 state 'done'
{
    jobs 600 true
    jobs 60 'sleep 2'
} >mixed
submit --queue small --priority 0 --jsonl mixed >/dev/null
wait_until 200 job_is small/0:600 state 'done'
start_node five --slots 1 --queue small
wait_until 90 node_state_is five working
