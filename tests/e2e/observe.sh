#!/bin/bash
# Goal: the observer shows nodes that are started, stopped and killed, takes every key there is,
# survives its datastore and its own end, and leaves the terminal as it was.
# Method: the real program in a terminal of tmux, on a socket of this test; screens are read as text.
. "$(dirname "$0")/lib.sh"
export LC_ALL=C.UTF-8

# observe WIDTHxHEIGHT ARG...: from a shell, so that what it leaves behind can be seen.
observe()
{
    terminal "$1"
    shift
    keys "$program observe $*; echo ended=\$?" Enter
}

jobs=60
export GO=$WORK/go # a job has its node's environment
job='until [ -e "$GO" ]; do sleep 0.05; done'
seq 1 "$jobs" | submit --each - -- sh -c "$job" >/dev/null
start_node alpha --slots 2
start_node beta --slots 2

say "views"
observe 120x36 --control
shows 'alpha.*working'
shows 'beta.*working'
keys 2
shows '> default +[0-9,]+ ids'
keys 3
shows '^wait '
keys 4
shows 'newest first'
keys 5
shows 'default +open'
keys 6
shows 'alpha (came|claims|is)'
keys : m a p Enter
shows '> default'

say "a node that is killed, and one that is stopped"
keys 1
kill_node beta
shows 'beta +. dead.*buried|beta +. dead.*crashed'
keys 6
shows 'beta is dead'
: >"$GO"
stop_node alpha
shows 'alpha has stopped'

say "time"
keys 1
keys Space
shows 'STOPPED'
keys ,
shows 'STOPPED'
keys Space
shows 'PLAY|LIVE'
keys L
shows 'LIVE'

say "control: nothing without a y, then through the store"
start_node gamma --slots 2
keys 1
shows 'gamma.*(waiting|working)'
keys g P
shows 'Pause node gamma\? \(y/n\)'
says 'nothing was done' n P n
keys P
shows 'Pause node gamma'
keys y
shows 'asked to pause'
wait_until 100 node_state_is gamma paused
keys R
shows 'Resume node gamma'
keys y
gamma_goes_on() { [[ $(node_state gamma) == w*ing ]]; }
wait_until 100 gamma_goes_on
keys 5
shows 'default'
keys P y
shows 'default +paused'
keys R
shows 'Resume queue'
keys y
shows 'default +open'

say "jobs that are marked are cancelled together, and counted together"
wait_jobs 0 "1-$jobs"
rm "$GO"
keys 5
shows 'default'
keys P y
shows 'default +paused'
seq 1 40 | submit --each - -- sh -c "$job" >/dev/null
keys 4
shows " $((jobs + 40)) +queued " # not the page that was read when this view was last looked at
for _ in $(seq 20); do keys Space; done
shows '20 marked'
keys C
shows 'and 19 more'
keys y
shows '20 cancelled, 0 had ended before'
[ "$(count_jobs --state cancelled)" -eq 20 ] || fail "$(count_jobs --state cancelled) are cancelled"
: >"$GO"
keys 5 R
shows 'Resume queue'
keys y
shows 'default +open'

say "every key there is, in every view"
"$HELPERS/helper_keys" >"$WORK/keys" || fail "no keys"
[ "$(wc -l <"$WORK/keys")" -gt 40 ] || fail "few keys: $(cat "$WORK/keys")"
for view in 1 2 3 4 5 6; do
    while read -r where control key; do
        case $key in q | C-c | '') continue ;; esac
        if [ "$where" != 0 ] && [ "$where" != "$view" ]; then continue; fi
        keys "$view"
        keys "$key"
        # What was opened is closed: a question with n, a line or the help with Escape.
        [ "$control" = 0 ] || keys n
        case $key in / | \\ | : | \?) keys Escape ;; esac
    done <"$WORK/keys"
    shows '^stint '
done
keys L 1
shows 'LIVE'
keys '?'
shows 'stop time; go on'
keys Escape
shows 'gamma'

say "sizes"
for size in 80x24 300x100 20x5 120x36; do
    in_terminal resize-window -x "${size%x*}" -y "${size#*x}"
    keys C-l
    [ "${size%x*}" -lt 80 ] || shows 'gamma'
done

say "its end leaves the terminal as it was"
keys q
shows 'ended=0'
shows '^shell> ?$'
type_anew 'stty -a | grep -q " echo " && echo it echoes'
shows '^it echoes'

say "without colours, and where nothing but ASCII can be shown"
terminal_over
TERM_KIND=vt100 observe 80x24
shows 'gamma'
keys q
shows 'ended=0'

say "a terminal that nothing can be placed on, or that nobody knows, is refused in a line"
for kind in dumb no-such-kind ''; do
    type_anew "TERM=$kind $program observe 2>$WORK/refused; echo ended=\$?"
    shows '^ended=1' # 3 would say that the store cannot be reached
    grep -q 'TERM' "$WORK/refused" || fail "TERM=$kind: $(cat "$WORK/refused")"
    [ "$(wc -l <"$WORK/refused")" -eq 1 ] || fail "TERM=$kind: $(cat "$WORK/refused")"
done

say "signals: the terminal comes back, whatever ends it"
for signal in TERM SEGV QUIT; do
    type_anew "$program observe; echo ended=\$?"
    shows 'LIVE'
    own_pid() { pgrep -f "^$program observe" -P "$(in_terminal list-panes -F '#{pane_pid}')"; }
    pid=$(own_pid) || fail "no observer runs"
    kill -"$signal" "$pid"
    shows 'ended=(0|143|139|131)'
    type_anew 'stty -a | grep -q " echo " && echo it echoes'
    shows '^it echoes'
done

say "stopped by force and going on, it draws what is there anew, and takes keys"
type_anew "$program observe"
shows 'LIVE'
pid=$(own_pid) || fail "no observer runs"
kill -STOP "$pid"
shows 'Stopped'
keys clear Enter
keys 'fg; echo ended=$?' Enter
shows '1 Cluster +2 Map'
keys 5
shows 'QUEUE +STATE'
keys q
shows 'ended=0'

say "a terminal that goes without a signal is the end, too"
type_anew "trap '' HUP; $program observe"
shows 'LIVE'
pid=$(own_pid) || fail "no observer runs"
terminal_over
is_gone() { ! kill -0 "$pid" 2>/dev/null; }
holds_within 100 is_gone || {
    kill -KILL "$pid"
    fail "it goes on without a terminal"
}

say "once, for scripts"
stint observe --once >"$WORK/once" || fail "observe --once failed"
grep -q 'gamma' "$WORK/once" || fail "no gamma in: $(cat "$WORK/once")"
stint observe --json >"$WORK/once.json" || fail "observe --json failed"
[ "$(json_fields slots <"$WORK/once.json")" = 2 ] || fail "not 2 slots: $(cat "$WORK/once.json")"
grep -q '"name": *"gamma"' "$WORK/once.json" || fail "no gamma in: $(cat "$WORK/once.json")"
grep -q '"event": *"' "$WORK/once.json" || fail "no events in: $(cat "$WORK/once.json")"
expect_refusal 1 stint observe </dev/null
stop_node gamma
