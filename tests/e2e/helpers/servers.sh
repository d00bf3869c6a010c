# shellcheck shell=bash
# What the tests share that start servers of their own and see them fail: work that goes on
# meanwhile, and what must be true of it afterwards. A test sources this instead of lib.sh.
#
# The work: jobs that append "ID RUN" to $WORK/runs by one write, and noops in bulk. Every id that a
# submit printed is acknowledged: it must end as done, at one run, and that run was executed.
servers_cache=${STINT_MONGODB_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/stint/mongodb}
export STINT_MONGODB_CACHE=$servers_cache # of the user, before lib.sh makes another HOME
export MONGODB_START_SECONDS=${MONGODB_START_SECONDS:-180}
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
. "$(dirname "${BASH_SOURCE[0]}")/../../../script/mongodb-lib.sh"

runs=$WORK/runs
: >"$runs"

# servers_need: installs them where they are not.
servers_need()
{
    need_root "the servers run in a root of their own"
    local status=0
    (trap - EXIT && mongodb_install "${1:-all}") >"$WORK/install.log" 2>&1 || status=$?
    [ "$status" -ne 77 ] || skip "$(sed -n 's/^SKIP: //p' "$WORK/install.log")"
    [ "$status" -eq 0 ] || fail "cannot install the servers: $(tail -n 5 "$WORK/install.log")"
}

# use FOLDER|PORT: the store of this test.
use()
{
    local port=$1
    [ ! -e "$1/port" ] || port=$(<"$1/port")
    export STINT_STORE="mongodb://127.0.0.1:$port/e2e?directConnection=true"
}

# pair_start [NAME]: a PostgreSQL in $WORK/postgres and a FerretDB in front of it in $WORK/ferretdb.
pair_start()
{
    mongodb_postgres_start "$WORK/postgres" || fail "PostgreSQL does not start"
    mongodb_ferretdb_start "$WORK/ferretdb" 0 "$(mongodb_postgres_url "$WORK/postgres")" ||
        fail "FerretDB does not start"
    use "$WORK/ferretdb"
}

# Nodes stop while their server is there.
servers_end()
{
    local status=0
    load_stop
    nodes_end || status=1
    proxies_end
    mongodb_end_all "$WORK" || status=1
    return "$status"
}
at_end+=(servers_end)

# start_elsewhere NAME [ARG...]: a node with a boot id of its own, as on another machine: nobody sees
# its process, so nothing but its silence tells that it is gone. COMMANDs of `place` come before it.
place=()
start_elsewhere()
{
    local boot=$WORK/boot_$1
    cat /proc/sys/kernel/random/uuid >"$boot"
    # shellcheck disable=SC2016 # expanded by the inner bash
    local node_under=("${place[@]}" unshare --mount --propagation private bash -c '
        mount --bind "$1" /proc/sys/kernel/random/boot_id && shift && exec "$@"' elsewhere "$boot")
    start_node "$@"
}

# --- a proxy ----------------------------------------------------------------------------------

declare -A proxy_pid=()

# proxy_start NAME FOLDER: in front of that server; `proxy_port NAME` is its own.
proxy_start()
{
    "$HELPERS/helper_mongo_proxy" "127.0.0.1:$(<"$2/port")" "$WORK/$1.report" "$WORK/$1.control" \
        >"$WORK/$1.out" 2>&1 </dev/null &
    proxy_pid[$1]=$!
    wait_until 100 grep -q '^port [0-9]' "$WORK/$1.out"
}

proxy_port()
{
    sed -n 's/^port //p' "$WORK/$1.out"
}

# proxy_tell NAME COMMAND: it holds when this returns.
proxy_tell()
{
    local before
    before=$(grep -cx "ok $2" "$WORK/$1.out")
    printf '%s\n' "$2" >"$WORK/$1.control"
    holds_within 100 proxy_told "$1" "$2" "$before" || fail "proxy $1: '$2': $(tail -n 1 "$WORK/$1.out")"
}

proxy_told()
{
    [ "$(grep -cx "ok $2" "$WORK/$1.out")" -gt "$3" ]
}

proxies_end()
{
    local name
    for name in "${!proxy_pid[@]}"; do
        kill -TERM "${proxy_pid[$name]}" 2>/dev/null
    done
}

# --- work -------------------------------------------------------------------------------------

load_pids=()

# Submits until the load is to stop. A submit that the outage outlasts says so by its status; what
# it printed before counts.
load_keep() # FILE ARG...
{
    local file=$1 status
    shift
    while [ ! -e "$WORK/load_stop" ]; do
        status=0
        timeout --kill-after=5 200 "$program" submit --token "$RANDOM-$SRANDOM" "$@" \
            >>"$file" 2>>"$WORK/load.err" || status=$?
        case $status in
            0) ;;
            3 | 6) echo "$status" >>"$WORK/load_failed" ;;
            *) echo "$status" >>"$WORK/load_wrong" ;;
        esac
        sleep "${load_pause:-0.05}"
    done
}

# load_start [JOBS [NOOPS]]: jobs and noops of one submit each.
load_start()
{
    rm -f "$WORK/load_stop"
    seq 1 "${1:-20}" >"$WORK/load_jobs"
    seq 1 "${2:-500}" >"$WORK/load_noops"
    load_keep "$WORK/acked_jobs" --each "$WORK/load_jobs" -- "$HELPERS/helper_append" "$runs" &
    load_pids+=($!)
    load_keep "$WORK/acked_noops" --each "$WORK/load_noops" --type noop --payload '{}' &
    load_pids+=($!)
}

load_stop()
{
    : >"$WORK/load_stop"
    [ ${#load_pids[@]} -eq 0 ] || wait "${load_pids[@]}"
    load_pids=()
}

# load_goes_on: more outcomes than when last asked.
executions()
{
    wc -l <"$runs"
}

executed_past()
{
    [ "$(executions)" -gt "$1" ]
}

ids_of() # FILE...: one id a line
{
    cat "$@" 2>/dev/null | awk -F- '{ for (id = $1; id <= (NF == 2 ? $2 : $1); id++) print id }'
}

# probe [SECONDS]: a job of its own, before all others: whether the store, the nodes and the way between
# them work.
probe()
{
    local id
    id=$("$program" submit --priority 0 --token "probe-$SRANDOM" -- true 2>/dev/null) &&
        timeout "${1:-20}" "$program" wait --timeout "${1:-20}s" "$id" >/dev/null 2>&1
}

# recovered SINCE_MS WHAT: waits until jobs are submitted and done again, and says how long it took.
recovered()
{
    holds_within 100 probe || fail "$2: not recovered after 100 s"
    say "    $2: recovered in $(($(now_ms) - $1)) ms"
}

# jobs_all_done: every job that is to be seen has an outcome.
none_unfinished()
{
    [ "$(count_jobs --state queued)" -eq 0 ]
}

# load_check [again]: what must be true when all is over. With `again` a job may have been executed
# at more than one run, and more than once at a run whose record was lost with its node.
load_check()
{
    local again=${1:-} done_sum done_jobs
    load_stop
    [ ! -e "$WORK/load_wrong" ] ||
        fail "a submit ended with $(sort -u "$WORK/load_wrong" | xargs): $(tail -n 3 "$WORK/load.err")"
    ids_of "$WORK/acked_jobs" | sort >"$WORK/ids_jobs"
    ids_of "$WORK/acked_noops" | sort >"$WORK/ids_noops"
    [ -s "$WORK/ids_jobs" ] && [ -s "$WORK/ids_noops" ] || fail "nothing was acknowledged"
    [ -z "$(sort "$WORK/ids_jobs" "$WORK/ids_noops" | uniq -d | head -n 1)" ] ||
        fail "an id was given out twice"
    holds_within 300 none_unfinished || fail "$(count_jobs --state queued) jobs still queued"
    all_jobs id type state run interruptions >"$WORK/jobs"
    sort "$WORK/ids_jobs" "$WORK/ids_noops" >"$WORK/ids"
    awk -F'\t' -v again="$again" -v said="$WORK/said" '
        FILENAME == ARGV[1] { split($0, part, " "); executed[part[1] " " part[2]]++; next }
        FILENAME == ARGV[2] { acknowledged[$1] = 1; n_acked++; next }
        ($1 in seen) { print "id " $1 " is there twice"; bad = 1 }
        { seen[$1] = 1; times = executed[$1 " " $4] + 0 }
        $3 == "done" { n_done++ }
        ($1 in acknowledged) && $3 != "done" { print "acknowledged job " $1 " is " $3; bad = 1 }
        ($1 in acknowledged) && $2 == "exec" && times == 0 {
            print "job " $1 " is " $3 " at run " $4 ", but was not executed at that"; bad = 1
        }
        times > 1 { twice++ }
        $4 > 1 { moved++ }
        END {
            for (id in acknowledged) if (!(id in seen)) { print "acknowledged job " id " is lost"; bad = 1 }
            if (again == "" && (twice || moved)) {
                print twice + 0 " jobs executed twice at a run, " moved + 0 " at a second run"; bad = 1
            }
            print n_acked " acknowledged, none lost; " n_done " done; " \
                moved + 0 " moved to another run, " twice + 0 " executed twice at one" >said
            exit bad
        }' "$runs" "$WORK/ids" "$WORK/jobs" >"$WORK/wrong" ||
        fail "$(head -n 10 "$WORK/wrong")"
    done_jobs=$(awk -F'\t' '$3 == "done"' "$WORK/jobs" | wc -l)
    done_sum=$(all_jobs id >/dev/null; stint node list --json | json_fields done |
        awk '{ n += $1 } END { print n + 0 }')
    say "    $(<"$WORK/said"); nodes counted $done_sum"
    [ "$done_sum" -le "$done_jobs" ] || fail "the nodes recorded $done_sum outcomes of $done_jobs jobs"
    [ ! -e "$WORK/load_failed" ] ||
        say "    submits that gave up: $(wc -l <"$WORK/load_failed"):" \
            "$(sort "$WORK/load.err" | uniq -c | sort -rn | head -n 3 | cut -c 1-300)"
    expect_status 0 stint store check
}

# same_nodes: what must not change for nodes that nobody buries: incarnations that are not dead, and
# none that is.
incarnations()
{
    stint node list --json | json_fields name id state | awk -F'\t' '{ print $1, $2, $3 == "dead" }' | sort
}
