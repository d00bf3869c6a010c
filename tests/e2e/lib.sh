# What the end-to-end tests share. Each test is a bash script that sources this first; it has a
# folder of its own (WORK) with a store of its own, and ends every process it started.
#
# What it uses: STINT (the program), STINT_BUILD (the build folder), STINT_SANITIZE, E2E_STORE (what
# kind of store: sqlite, which is the default, ferretdb, secantus or own) and the servers' URIs
# (STINT_TEST_NO_SERVERS: why there are none); see docs/HACKING.md. An assertion is `fail` or
# something that calls it. Every call of the program is bounded in time, so that a hang is a failure
# that says where.
#
# A test waits for a condition, never for a time by which it hopes to find it. The bounds are only
# for what never comes: on a machine that does ten other things all takes ten times as long.
set -u
export LC_ALL=C
exec 3>&1

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/../../script/lib.sh"
STINT_BUILD=${STINT_BUILD:-$here/../../build/release}
STINT=${STINT:-$STINT_BUILD/stint}
HELPERS=$STINT_BUILD/helpers
[ -x "$STINT" ] || { echo "no program at '$STINT': build first"; exit 1; }
program=$STINT

WORK=$(mktemp -d "${TMPDIR:-/tmp}/stint-e2e.XXXXXX") || exit 1
# Where script/mongodb-lib.sh finds what is installed, wherever HOME is.
export STINT_MONGODB_CACHE=${STINT_MONGODB_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/stint/mongodb}
# Nothing of the user's settings reaches a test, and the tested program sees no setting of ours.
unset STINT STINT_SOURCE STINT_STORE
export HOME=$WORK XDG_CONFIG_HOME=$WORK/config XDG_STATE_HOME=$WORK/state

# Every process of this test carries this; whoever still does at the end has been left behind.
# (Not STINT_...: a job does not get its node's settings.)
export E2E_MARK=e2e-$$-$RANDOM$RANDOM

E2E_STORE=${E2E_STORE:-sqlite}
E2E_DATABASE=stint_e2e_$$_$RANDOM$RANDOM
e2e_server=

# Random choices come from one seed, which a failure prints.
SEED=${SEED:-$((RANDOM * 32768 + RANDOM))}
RANDOM=$SEED

declare -A node_pid=()
mounts=()
at_end=() # functions to be called at the end, before nodes that still run are stopped
started_at_ms=$(now_ms)

say()
{
    printf '%s\n' "$*"
}

# pick PLAIN SANITIZED [FERRETDB [SECANTUS]]: how much of something to do; the sanitizers' builds are
# slower, and so are servers: a commit is a round trip or a few, of which SecantusDB does some hundred
# a second. What is not given is as the one before it.
pick()
{
    local n=1
    [ -z "${STINT_SANITIZE:-}" ] || n=2
    [ "$E2E_STORE" != ferretdb ] || n=3
    [ "$E2E_STORE" != secantus ] || n=4
    [ "$n" -le $# ] || n=$#
    echo "${!n}"
}

# Ends the test, also out of a `$(...)`, whose output is not the test's.
fail()
{
    printf 'FAILED (seed %s): %s\n' "$SEED" "$*" >&3
    [ "$BASHPID" = $$ ] || kill -TERM $$
    exit 1
}

skip()
{
    printf 'SKIP: %s\n' "$*"
    exit 77
}

need_root()
{
    [ "$(id -u)" -eq 0 ] || skip "needs root: $*"
}

# --- the store --------------------------------------------------------------------------------

# server_database URI: that server's URI, with this test's own database. Options stay.
server_database()
{
    local scheme=${1%%://*} rest=${1#*://} options=
    [[ $rest != *\?* ]] || options=?${rest#*\?}
    rest=${rest%%\?*}
    printf '%s://%s/%s%s' "$scheme" "${rest%%/*}" "$E2E_DATABASE" "$options"
}

# store_uri NAME: prints the URI of a store of this test; nothing is there before it is used.
store_uri()
{
    local and='?'
    if [ "$E2E_STORE" = sqlite ]; then
        printf 'sqlite:%s/%s.db' "$WORK" "$1"
    else
        [[ $e2e_server != *\?* ]] || and='&'
        printf '%s%snamespace=%s' "$e2e_server" "$and" "$1"
    fi
}

# Names the store, and skips the test where there is no server to keep it.
choose_store()
{
    local variable=
    [ "$E2E_STORE" = sqlite ] || [ -z "${STINT_TEST_NO_SERVERS:-}" ] || skip "$STINT_TEST_NO_SERVERS"
    case $E2E_STORE in
        sqlite) ;;
        own) return ;;
        ferretdb) variable=STINT_TEST_FERRETDB_URI ;;
        secantus) variable=STINT_TEST_SECANTUS_URI ;;
        *) fail "E2E_STORE is '$E2E_STORE'" ;;
    esac
    if [ -n "$variable" ]; then
        [ -n "${!variable:-}" ] ||
            skip "no server: $variable is not set (script/mongodb-servers)"
        e2e_server=$(server_database "${!variable}")
    fi
    export STINT_STORE
    STINT_STORE=$(store_uri store)
}

# --- the program ------------------------------------------------------------------------------

# stint ARG...: the program, for at most STINT_SECONDS.
stint()
{
    timeout --foreground --kill-after=5 "${STINT_SECONDS:-400}" "$program" "$@"
}

# expect_status N COMMAND...: its output goes to $WORK/out and $WORK/err.
expect_status()
{
    local expected=$1 status=0
    shift
    "$@" >"$WORK/out" 2>"$WORK/err" || status=$?
    [ "$status" -eq "$expected" ] ||
        fail "'${*:1:8}' ended with $status instead of $expected: $(head -c 2000 "$WORK/err")"
}

# expect_refusal STATUS COMMAND...: ends with STATUS and says why in one line on stderr.
expect_refusal()
{
    expect_status "$@"
    [ "$(wc -l <"$WORK/err")" -eq 1 ] ||
        fail "'${*:2:8}': not one line on stderr: $(head -c 2000 "$WORK/err")"
    say "    status $1: $(cut -c 1-160 "$WORK/err")"
}

# submit ARG...: submits and prints what the program printed: an id or ranges of ids.
submit()
{
    stint submit "$@" || fail "submit: status $?: $*"
}

# wait_jobs STATUS ID|RANGE...: waits until they are finished.
wait_jobs()
{
    local status=$1
    shift
    expect_status "$status" stint wait --timeout 300s "$@"
}

# job_field ID NAME: a field of a job.
job_field()
{
    stint job show --json "$1" | json_fields "$2"
}

job_is()
{
    [ "$(job_field "$1" "$2")" = "$3" ]
}

expect_job()
{
    local is
    is=$(job_field "$1" "$2")
    [ "$is" = "$3" ] || fail "job $1: $2 is '$is', should be '$3': $(stint job show --json "$1")"
}

# all_jobs FIELD...: these fields of all jobs, one job a line, by id.
all_jobs()
{
    stint job list --json --limit 1000000000 >"$WORK/jobs.json" || fail "job list: status $?"
    json_fields "$@" <"$WORK/jobs.json"
}

count_jobs()
{
    stint job list --json --limit 1000000000 "$@" >"$WORK/counted.json" || fail "job list: status $?"
    wc -l <"$WORK/counted.json"
}

# --- nodes ------------------------------------------------------------------------------------

# node_state NAME: of its newest incarnation that is not dead, else "dead", else "".
node_states()
{
    stint node list --json 2>/dev/null | json_fields name state pid cause id
}

node_state()
{
    node_states | awk -F'\t' -v name="$1" '
        $1 == name { if ($2 != "dead" || state == "") state = $2 }
        END { print state }'
}

node_state_is()
{
    [ "$(node_state "$1")" = "$2" ]
}

node_cause()
{
    node_states | awk -F'\t' -v name="$1" '$1 == name && $2 == "dead" { print $4 }'
}

node_ready()
{
    case $(node_state "$1") in
        waiting | working | paused) return 0 ;;
    esac
    # A node that has ended will never be ready.
    ! kill -0 "${node_pid[$1]}" 2>/dev/null
}

# start_node NAME [ARG...]: in the background, ready when this returns. Under `node_under`, if that
# names a command; it must become the node.
node_under=()
start_node()
{
    local name=$1
    shift
    "${node_under[@]}" "$program" node start --name "$name" "$@" >"$WORK/$name.log" 2>&1 </dev/null &
    node_pid[$name]=$!
    holds_within 100 node_ready "$name" || fail "node $name is not ready after 100 s"
    kill -0 "${node_pid[$name]}" 2>/dev/null || fail "node $name ended: $(cat "$WORK/$name.log")"
}

pid_gone()
{
    ! kill -0 "$1" 2>/dev/null
}

# node_ended NAME STATUS: waits for its end (bounded) and checks its exit status.
node_ended()
{
    local pid=${node_pid[$1]} status=0
    holds_within 120 pid_gone "$pid" || fail "node $1 has not ended after 120 s"
    wait "$pid" || status=$?
    unset "node_pid[$1]"
    [ "$status" -eq "$2" ] || fail "node $1 ended with $status, not $2: $(cat "$WORK/$1.log")"
}

stop_node()
{
    kill -TERM "${node_pid[$1]}"
    node_ended "$1" 0
}

kill_node()
{
    kill -KILL "${node_pid[$1]}"
    { wait "${node_pid[$1]}"; } 2>/dev/null
    unset "node_pid[$1]"
}

# --- a terminal -------------------------------------------------------------------------------

# terminal WIDTHxHEIGHT: a shell in a terminal of tmux, the only one of this test; or the test is
# skipped. Each has a socket of its own: the one before may take its time to be gone.
terminals=0
terminal()
{
    command -v tmux >/dev/null || skip "tmux is not there"
    [ "$terminals" -gt 0 ] || at_end+=(terminal_over)
    terminals=$((terminals + 1))
    env -u TMUX tmux -S "$WORK/tmux$terminals" -f /dev/null new-session -d -s o -x "${1%x*}" -y "${1#*x}" \
        "env TERM=${TERM_KIND:-tmux-256color} STINT_STORE='$STINT_STORE' LC_ALL=C.UTF-8 \
         PS1='shell> ' bash --norc" || fail "tmux does not start"
}

# in_terminal COMMAND ARG...: a command of tmux, about that terminal.
in_terminal()
{
    local command=$1
    shift
    tmux -S "$WORK/tmux$terminals" "$command" -t o "$@"
}

terminal_over()
{
    tmux -S "$WORK/tmux$terminals" kill-server 2>/dev/null || : # it may be gone
}

screen()
{
    in_terminal capture-pane -p
}

keys()
{
    in_terminal send-keys "$@"
}

on_screen()
{
    screen | grep -qE -- "$1"
}

# shows PATTERN: what stands on the screen once it has come, however long that takes.
shows()
{
    holds_within 100 on_screen "$1" || fail "no '$1' on the screen: $(screen)"
}

# says PATTERN KEY...: keys that may be pressed again, and the answer, which stands on the screen for
# some seconds only: pressed until it is seen.
says()
{
    local pattern=$1 try
    shift
    for ((try = 0; try < 30; try++)); do
        keys "$@"
        ! holds_within 4 on_screen "$pattern" || return 0
    done
    fail "no '$pattern' on the screen after $*: $(screen)"
}

# type_anew LINE: types a command to the shell, when nothing of those before is on the screen any more.
type_anew()
{
    keys clear Enter
    holds_within 100 screen_is_clear || fail "the screen is not cleared: $(screen)"
    keys "$1" Enter
}

screen_is_clear()
{
    [ "$(screen | grep -c .)" -eq 1 ] && on_screen '^shell> ?$'
}

# --- waiting and looking ----------------------------------------------------------------------

# wait_until SECONDS COMMAND...: fails the test when it does not come true.
wait_until()
{
    holds_within "$@" || fail "not within $1 s: ${*:2}"
}

# children_of PID: the processes whose parent it is.
children_of()
{
    cat /proc/[0-9]*/stat 2>/dev/null | awk -v parent="$1" '
        { pid = $1; sub(/.*\) /, ""); if ($2 == parent) print pid }'
}

# freeze PID: stops it; when this returns none of its threads moves. 1: it has ended.
freeze()
{
    kill -STOP "$1" 2>/dev/null && holds_within 100 stands_still "$1" && kill -0 "$1" 2>/dev/null
}

stands_still()
{
    ! cat "/proc/$1/task/"*/stat 2>/dev/null | grep -qvE '\) [TZX] '
}

# holds_lock PID: on a store that is a file.
holds_lock()
{
    grep -qE "FLOCK +ADVISORY +WRITE +$1 " /proc/locks
}

lines_at_least()
{
    [ -e "$1" ] && [ "$(wc -l <"$1")" -ge "$2" ]
}

# marked TEXT: ids of the processes with TEXT in their environment or arguments. In a subshell without
# the mark, so that it finds none of its own; a zombie has neither, and does not count.
marked()
(
    export -n E2E_MARK
    printf '%s' "$1" >"$WORK/marked"
    grep -lazF -f "$WORK/marked" /proc/[0-9]*/environ /proc/[0-9]*/cmdline 2>/dev/null |
        cut -d/ -f3 | sort -u
)

none_marked()
{
    [ -z "$(marked "$1")" ]
}

# --- the end ----------------------------------------------------------------------------------

# Stops every node that still runs; 1 when one had to be killed.
nodes_end()
{
    local name status=0
    for name in "${!node_pid[@]}"; do
        kill -CONT "${node_pid[$name]}" 2>/dev/null
        kill -TERM "${node_pid[$name]}" 2>/dev/null
    done
    for name in "${!node_pid[@]}"; do
        holds_within 120 pid_gone "${node_pid[$name]}" || {
            printf 'node %s had to be killed\n' "$name"
            kill -KILL "${node_pid[$name]}"
            status=1
        }
    done
    node_pid=()
    return "$status"
}

end_everything()
{
    local status=$? name pid left
    trap - EXIT
    trap '' PIPE # who started this test may have ended before
    for name in "${at_end[@]}"; do
        $name || status=1
    done
    nodes_end || status=1
    { wait; } 2>/dev/null
    # Jobs may outlive a killed node by a second, of a machine that has time for them.
    holds_within 100 none_marked "$E2E_MARK" || {
        left=$(marked "$E2E_MARK")
        printf 'processes left behind:\n'
        for pid in $left; do
            printf '    %s %s\n' "$pid" "$(tr '\0' ' ' <"/proc/$pid/cmdline" | cut -c 1-200)"
            kill -KILL "$pid"
        done
        status=1
    }
    if [ "$status" -ne 0 ] && [ "$status" -ne 77 ]; then
        for name in "$WORK"/*.log; do
            [ -s "$name" ] && printf -- '--- %s\n%s\n' "${name##*/}" "$(tail -n 30 "$name")"
        done
    fi
    for name in "${mounts[@]}"; do
        umount "$name"
    done
    # What is left of it would be in the way of nobody: that is no failure of this test.
    [ -z "$e2e_server" ] || [ -n "${KEEP:-}" ] ||
        timeout 60 "$HELPERS/helper_mongo_drop" "$e2e_server" || say "database $E2E_DATABASE stays"
    if [ -n "${KEEP:-}" ]; then say "kept: $WORK"; else rm -rf "$WORK"; fi
    say "seed $SEED, $(($(now_ms) - started_at_ms)) ms, status $status"
    exit "$status"
}
trap end_everything EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

choose_store
