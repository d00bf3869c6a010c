#!/bin/bash
# Goal: an ordinary user who may only read the store can look at it, and is told clearly that it
# cannot be changed.
# Method: the store in root's folder, the program run as another user.
# store: sqlite only: the rights are those of files
. "$(dirname "$0")/lib.sh"
need_root "runs the program as another user"
as_nobody()
{
    timeout --kill-after=5 120 setpriv --reuid=65534 --regid=65534 --clear-groups \
        env HOME=/nonexistent "$WORK/stint" "$@"
}
cp "$program" "$WORK/stint"
chmod 755 "$WORK" "$WORK/stint"
mkdir -m 755 "$WORK/folder"
export STINT_STORE=sqlite:$WORK/folder/store.db

start_node one
job=$(submit -- echo hello)
wait_jobs 0 "$job"
chmod 644 "$WORK"/folder/*

say "while a node works on it"
expect_status 0 as_nobody job list
expect_status 0 as_nobody status
expect_refusal 3 as_nobody submit -- true
expect_refusal 3 as_nobody node start
expect_refusal 3 as_nobody job cancel "$job"
stop_node one

say "and when nobody does"
chmod 644 "$WORK"/folder/*
expect_status 0 as_nobody job list
expect_refusal 3 as_nobody submit -- true
[ "$(count_jobs)" -eq 1 ] || fail "$(count_jobs) jobs instead of 1"
submit -- true >/dev/null
