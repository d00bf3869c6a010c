#!/bin/bash
# Goal: whoever may read the store can watch it, live, in a folder that they cannot write, and
# changes nothing there.
# Method: the store in root's folder, the observer run as another user, in a terminal beside nodes that
# come, are killed and stop, and once more when nobody else has it open.
# store: sqlite only: the rights are those of files
. "$(dirname "$0")/lib.sh"
export LC_ALL=C.UTF-8
need_root "runs the observer as another user"
cp "$program" "$WORK/stint"
chmod 755 "$WORK" "$WORK/stint"
mkdir -m 755 "$WORK/folder"
export STINT_STORE=sqlite:$WORK/folder/store.db
other="setpriv --reuid=65534 --regid=65534 --clear-groups env HOME=/nonexistent"

as_other()
{
    # shellcheck disable=SC2086 # words
    timeout --kill-after=5 120 $other "$WORK/stint" "$@"
}

# what_is_there: each file of the folder, its rights and what is in it.
what_is_there()
{
    (cd "$WORK/folder" && stat -c '%n %a %s' -- * && sha256sum -- *)
}

submit --type noop --payload x >/dev/null
chmod 644 "$WORK"/folder/*
# shellcheck disable=SC2086 # words
$other touch "$WORK/folder/mine" 2>/dev/null && fail "the folder can be written by the other user"

say "nobody else has it open: nothing in the folder changes"
what_is_there >"$WORK/before"
expect_status 0 as_other observe --once
grep -q '1 waiting' "$WORK/out" || fail "it shows: $(cat "$WORK/out")"
expect_status 0 as_other observe --json
[ "$(json_fields waiting <"$WORK/out")" = 1 ] || fail "it says: $(cat "$WORK/out")"
what_is_there >"$WORK/after"
cmp "$WORK/before" "$WORK/after" || fail "the folder was changed"

say "in a terminal, beside nodes that come, are killed and stop"
terminal 120x36
keys "$other LC_ALL=C.UTF-8 $WORK/stint observe; echo ended=\$?" Enter
shows 'LIVE'
export GO=$WORK/go # a job has its node's environment
start_node alpha --slots 2
start_node beta --slots 2
chmod 644 "$WORK"/folder/*
shows 'alpha.*(waiting|working)'
shows 'beta.*(waiting|working)'
seq 1 40 | submit --each - -- sh -c 'until [ -e "$GO" ]; do sleep 0.05; done' >/dev/null
shows '(alpha|beta) .*working'
kill_node beta
shows 'beta +. dead'
for view in 2 3 4 5 6; do
    keys "$view"
done
shows 'beta is dead'
keys Space
shows 'STOPPED'
keys L
shows 'LIVE'
says '--control' P
expect_status 0 as_other status
grep -q '^alpha ' "$WORK/out" || fail "status: $(cat "$WORK/out")"
: >"$GO"
stop_node alpha
shows 'alpha has stopped'
keys q
shows 'ended=0'

say "a recording of it, in a folder of one's own"
mkdir -m 777 "$WORK/own"
start_node gamma
chmod 644 "$WORK"/folder/*
# shellcheck disable=SC2086 # words
$other "$WORK/stint" observe --record "$WORK/own/run.stint" >"$WORK/recorder.log" 2>&1 </dev/null &
recorder=$!
holds_within 100 grep -q "recording to" "$WORK/recorder.log" || fail "$(cat "$WORK/recorder.log")"
stop_node gamma
told()
{
    cp "$WORK/own/run.stint" "$WORK/copy.stint" 2>/dev/null &&
        stint observe --replay "$WORK/copy.stint" --once 2>/dev/null | grep -q 'gamma .*dead'
}
wait_until 100 told
kill -TERM "$recorder"
wait "$recorder" || fail "the recorder ended with $?: $(cat "$WORK/recorder.log")"

say "with --control it may not"
expect_refusal 3 as_other observe --control </dev/null
