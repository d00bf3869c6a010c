#!/bin/bash
# Goal: the tests' proxy for MongoDB's wire protocol does as a program what its library does: it
# takes commands, says of each whether it holds, and leaves its counts behind.
# Method: the program in front of a stopped one, whose connections the kernel makes and nobody
# answers, and requests written by hand. What the faults do is tested in C (test_wire_proxy_tsan).
# store: sqlite only: no store is used
. "$(dirname "$0")/lib.sh"

declare -A proxy_pid=()

# start_proxy NAME PORT: its own port is then in $WORK/NAME.out.
start_proxy()
{
    "$HELPERS/helper_mongo_proxy" "127.0.0.1:$2" "$WORK/$1.report" "$WORK/$1.control" \
        >"$WORK/$1.out" 2>&1 </dev/null &
    proxy_pid[$1]=$!
    wait_until 100 grep -q '^port [0-9]' "$WORK/$1.out"
}

port_of()
{
    sed -n 's/^port //p' "$WORK/$1.out"
}

# tell NAME COMMAND ANSWER
tell()
{
    printf '%s\n' "$2" >"$WORK/$1.control"
    wait_until 100 grep -qx "$3 $2" "$WORK/$1.out"
}

# counted NAME WHAT N: a new report of NAME says so.
counted()
{
    printf 'report\n' >"$WORK/$1.control"
    awk -v what="$2" -v n="$3" '$1 == what && $2 == n { found = 1 } END { exit !found }' \
        "$WORK/$1.report" 2>/dev/null
}

# {insert: "jobs"} and nothing else, as OP_MSG; then whatever comes until the connection ends.
request='\x2b\0\0\0\x01\0\0\0\0\0\0\0\xdd\x07\0\0\0\0\0\0\0\x16\0\0\0\x02insert\0\x05\0\0\0jobs\0\0'
ask()
{
    timeout 100 bash -c 'exec 9<>"/dev/tcp/127.0.0.1/$1" && printf "$2" >&9 && cat <&9' _ \
        "$(port_of "$1")" "$request" >"$WORK/answer" 2>"$WORK/ask.err"
    [ $? -ne 124 ] || fail "the connection did not end"
    [ ! -s "$WORK/answer" ] || fail "an answer from nowhere"
}

start_proxy silent 9
start_proxy front "$(port_of silent)"
kill -STOP "${proxy_pid[silent]}"

for command in cut_reply 'late insert' 'stall perhaps' nonsense; do
    tell front "$command" bad
done
for command in 'late find 100' 'delay_ms 0' 'stall on' 'stall off' 'refuse on' 'refuse off' reset; do
    tell front "$command" ok
done
tell front 'cut_request insert:jobs 2' ok

# The first goes on, the second does not.
ask front &
asking=$!
wait_until 100 counted front insert:jobs 1
tell front kill_all ok
wait "$asking" || fail "the first request"
ask front
wait_until 100 counted front fired_cut_request 1
wait_until 100 counted front fired_kill 1
wait_until 100 counted front requests 2

rm "$WORK/front.report"
kill -USR1 "${proxy_pid[front]}"
wait_until 100 test -e "$WORK/front.report"
rm "$WORK/front.report"
kill -TERM "${proxy_pid[front]}" "${proxy_pid[silent]}"
kill -CONT "${proxy_pid[silent]}"
for name in front silent; do
    wait "${proxy_pid[$name]}" || fail "the proxy '$name' ended with $?"
    grep -q '^malformed 0$' "$WORK/$name.report" || fail "the last report of '$name'"
done
