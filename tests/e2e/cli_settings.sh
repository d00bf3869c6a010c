#!/bin/bash
# Goal: flags go over the environment and that over the config file; the default store lies under
# the state folder; a store is made by what writes and by nothing else.
# Method: name a different store in each place and look which one is used.
# store: sqlite only: it is about where the default store lies, and names files
. "$(dirname "$0")/lib.sh"
cd "$WORK" || exit 1
unset STINT_STORE

store_of()
{
    stint store info --json "$@" | json_fields store
}

say "1. no store yet"
expect_refusal 3 stint status
grep -q 'no store at .*state/stint/stint.db; run `stint store init` or submit something' \
    "$WORK/err" || fail "$(cat "$WORK/err")"
expect_refusal 3 stint job list
expect_refusal 3 stint queue pause default
[ ! -e "$WORK/state" ] || fail "a command that reads made a folder"
expect_status 0 stint store init
[ "$(store_of)" = "sqlite:$WORK/state/stint/stint.db" ] || fail "default: $(store_of)"

say "2. file, environment, flag"
for name in file env flag; do
    expect_status 0 stint store init --store "sqlite:$WORK/$name.db"
done
mkdir -p config/stint
printf '# settings\nstore = sqlite:%s/file.db\n' "$WORK" >config/stint/config
[ "$(store_of)" = "sqlite:$WORK/file.db" ] || fail "file: $(store_of)"
export STINT_STORE=sqlite:$WORK/env.db
[ "$(store_of)" = "sqlite:$WORK/env.db" ] || fail "environment: $(store_of)"
[ "$(store_of --store "$WORK/flag.db")" = "$WORK/flag.db" ] || fail "flag"
printf 'queue = mail\n' >other
[ "$(STINT_CONFIG=other stint submit -- true)" = mail:1 ] || fail "queue from the file"
[ "$(STINT_CONFIG=other STINT_QUEUE=web stint submit -- true)" = web:1 ] || fail "queue from env"
[ "$(STINT_CONFIG=other stint submit --queue tv -- true)" = tv:1 ] || fail "queue from the flag"

say "3. mistakes"
printf 'store = x\nqeue = mail\n' >other
expect_status 2 env STINT_CONFIG=other "$program" status
grep -q "^stint: other:2: unknown key 'qeue'" "$WORK/err" || fail "$(cat "$WORK/err")"
expect_status 2 env STINT_CONFIG=nosuch "$program" status
expect_status 2 env STINT_QUEUE=a/b "$program" submit -- true
"$program" status --store 'mongodb://me:secret@nosuch/x' 2>err
grep -q '^stint: warning: the password in --store' err || fail "no warning: $(cat err)"
! grep -q secret err || fail "the password is repeated: $(cat err)"

say "4. a URI out of a file"
printf 'sqlite:%s/secret.db\n' "$WORK" >uri
[ "$(stint submit --store @uri -- true)" = 1 ] || fail "flag"
[ "$(STINT_STORE=@$WORK/uri store_of)" = "sqlite:$WORK/secret.db" ] || fail "environment"
printf 'store = @uri\n' >other # beside it
[ "$(cd / && unset STINT_STORE && STINT_CONFIG=$WORK/other store_of)" = "sqlite:$WORK/secret.db" ] ||
    fail "config file"
: >empty
for path in @nosuch @empty @; do
    expect_refusal 3 stint status --store $path
    [ "$(wc -l <"$WORK/err")" -eq 1 ] || fail "$path: $(cat "$WORK/err")"
done

say "5. a password is shown nowhere"
printf 'nosuchscheme://me:secret@nosuch/x\n' >uri
chmod 644 uri
expect_status 2 stint status --store @uri
grep -q 'other users can read the password in uri; chmod 600' "$WORK/err" || fail "$(cat "$WORK/err")"
chmod 600 uri
expect_status 2 stint status --store @uri
! grep -q 'warning' "$WORK/err" || fail "$(cat "$WORK/err")"
printf 'nosuchscheme://me:secret@nosuch/x\n' >other
for how in "STINT_STORE=nosuchscheme://me:secret@nosuch/x" "STINT_CONFIG=other STINT_STORE="; do
    env $how "$program" node start --detach >out 2>err && fail "started on $how"
    ! grep -q secret out err || fail "the password is repeated: $(cat out err)"
done

say "6. what a node runs sees neither the store nor its node's environment"
printf 'sqlite:%s/store.db\n' "$WORK" >uri
node=$(STINT_STORE=@$WORK/uri stint node start --detach --name quiet) || fail "no node"
export STINT_STORE=sqlite:$WORK/store.db
job=$(stint submit -- sh -c 'env; tr "\0" "\n" <"/proc/$PPID/cmdline"')
expect_status 0 stint wait "$job"
stint job log "$job" >log || fail "no log"
grep -q '^STINT_NODE=quiet$' log || fail "$(cat log)"
! grep -q -e STINT_STORE -e store.db log || fail "a job sees the store: $(cat log)"
expect_status 0 stint node stop "$node" --wait

say "7. help"
expect_status 0 stint --help
expect_status 0 stint help
expect_status 0 stint job --help
expect_status 0 stint submit --help
grep -q '^Example:' "$WORK/out" || fail "no example"

say "8. --wait, and Ctrl-C while waiting"
start_node one
expect_status 0 stint submit --wait -- true
grep -q '^1 done, 0 failed, 0 cancelled$' "$WORK/out" || fail "$(cat "$WORK/out")"
expect_status 1 stint submit --wait -- false
rm -f out # what the commands before left there would be taken for the id
"$program" submit --wait -- sleep 100 >out 2>err &
waiter=$!
id_there()
{
    [ -s out ]
}
wait_until 100 id_there
kill -INT $waiter
status=0
wait $waiter || status=$?
[ $status -eq 130 ] || fail "Ctrl-C: status $status"
grep -q "the jobs go on; look again with .stint wait $(cat out)" err || fail "$(cat err)"
expect_status 0 stint job cancel "$(cat out)"
stop_node one
