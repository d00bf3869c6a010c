#!/bin/bash
# Goal (I9): on a full disk a submit says so and what it acknowledged stays; a node waits; when there
# is room again everything goes on by itself, and nothing is lost.
# Method: the store on a small tmpfs, filled up while a node and a submitter are at work.
# store: sqlite only: the disk that is full is its own
. "$(dirname "$0")/lib.sh"
need_root "mounts a tmpfs"
mkdir "$WORK/small"
mount -t tmpfs -o size=24m none "$WORK/small" 2>/dev/null || skip "no tmpfs to be mounted here"
mounts+=("$WORK/small")
export STINT_STORE=sqlite:$WORK/small/store.db

start_node one --lease 2s
seq -f 'a line of some length, %.0f, so that the file grows' 1 2000 >"$WORK/lines"
submit --each "$WORK/lines" --type noop >/dev/null
wait_jobs 0 1-2000

say "full"
dd if=/dev/zero of="$WORK/small/filler" bs=64k 2>/dev/null
acknowledged=2000
refused=0
for i in $(seq 1 50); do
    seq -f "round $i: a line of some length, %.0f, so that the file grows" 1 2000 >"$WORK/lines"
    status=0
    ids=$(stint submit --each "$WORK/lines" --type noop 2>"$WORK/err") || status=$?
    acknowledged=$((acknowledged + $(awk -F- '/^[0-9]/ { n += NF == 2 ? $2 - $1 + 1 : 1 }
                                              END { print n + 0 }' <<<"$ids")))
    if [ $status -ne 0 ]; then
        refused=$status
        break
    fi
done
[ "$refused" -ne 0 ] || fail "the disk never was full"
say "round $i: status $refused: $(cat "$WORK/err")"
[ "$refused" -eq 3 ] || [ "$refused" -eq 6 ] || fail "status $refused"
grep -qi 'space\|full' "$WORK/err" || fail "the error does not say that the disk is full"
kill -0 "${node_pid[one]}" || fail "the node gave up: $(cat "$WORK/one.log")"

say "room again"
rm "$WORK/small/filler"
expect_status 0 stint submit --each "$WORK/lines" --type noop
total=$((2000 + i * 2000))
wait_jobs 0 1-$total
[ "$(count_jobs --state "done")" -eq "$total" ] || fail "not $total jobs"
[ "$acknowledged" -le "$total" ] || fail "$acknowledged acknowledged, $total there"
expect_status 0 stint store check
stop_node one
