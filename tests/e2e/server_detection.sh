#!/bin/bash
# store: own
# Goal (I3): a node that is lost with its machine is found out, and what it had runs elsewhere, within
# its lease (5 s) and two heartbeats (1.25 s each). Nobody who lives is buried meanwhile.
# Method: clusters side by side, each of two nodes that stay and one that is killed with -9 at a random
# moment, again and again; each node has a boot id of its own, so that only its silence tells. A job
# that the killed one had begun says when it began again; all its ranges are looked at. Meanwhile a
# command looks at a store of its own there, and writes to it, again and again: what it took tells how
# late the machine, and its disk, make everybody.
. "$(dirname "$0")/helpers/servers.sh"
servers_need ferretdb
unshare --mount true || skip "no mounts to be made here"
clusters=4
rounds=${ROUNDS:-5}
bound_ms=7500
late_ms=2500 # what a machine may add that is not busy
late_looks=2 # and a busy one: so many times as long as the slowest look meanwhile

pair_start
base=$STINT_STORE # nodes find their own cluster's store in their environment
export STAMPS=$WORK/stamps # a job has its node's environment
: >"$STAMPS"

in_cluster() # N
{
    STINT_STORE="$base&namespace=c$1"
}

# One write each. On a node that is to be killed it stays.
job_script='echo "$STINT_NODE $STINT_JOB_ID $STINT_RUN $EPOCHREALTIME" >>"$STAMPS"
            case $STINT_NODE in v*) exec sleep 100 ;; esac'

# began_on NODE: ids of the jobs that began there.
began_on()
{
    awk -v node="$1" '$1 == node { print $2 }' "$STAMPS"
}

has_begun()
{
    [ -n "$(began_on "$1")" ]
}

# lost_start CLUSTER ROUND: a node to be killed, with jobs.
lost_start()
{
    local node=v$1.$2
    in_cluster "$1"
    start_elsewhere "$node" --slots 4
    for _ in {1..30}; do
        submit --each <(seq 8) -- bash -c "$job_script" job {} >>"$WORK/ids$1"
        ! holds_within 3 has_begun "$node" || return 0
    done
    fail "$node gets no job"
}

# again_ms CLUSTER NODE: when the first and the last of its jobs began elsewhere; nothing as long as
# one has not. (At the same run, if no heartbeat had named it yet.)
again_ms()
{
    awk -v cluster="$1" -v node="$2" '
        $1 == node { had[$2] = 1 }
        $1 != node && ($2 in had) && index($1, "s" cluster ".") == 1 { at[$2] = $4 * 1000 }
        END {
            for (id in had) {
                if (!(id in at)) exit
                if (first == 0 || at[id] < first) first = at[id]
                if (at[id] > last) last = at[id]
            }
            printf "%.0f %.0f\n", first, last
        }' "$STAMPS"
}

is_again()
{
    [ -n "$(again_ms "$@")" ]
}

# Looks until it is told to stop: "BEGAN ENDED" in ms of each.
look_on()
{
    local began_ms
    in_cluster looks
    "$program" store init >/dev/null 2>&1
    while [ ! -e "$WORK/looks_stop" ]; do
        began_ms=$(now_ms)
        timeout 60 "$program" node list >/dev/null 2>&1
        timeout 60 "$program" submit --type noop --each <(echo look) >/dev/null 2>&1
        echo "$began_ms $(now_ms)" >>"$WORK/looks"
        sleep 0.2
    done
}

looks_end()
{
    : >"$WORK/looks_stop"
}
at_end=(looks_end "${at_end[@]}")

# slowest_look FROM_MS UNTIL_MS
slowest_look()
{
    awk -v from="$1" -v until="$2" '
        $2 >= from && $1 <= until && $2 - $1 > most { most = $2 - $1 }
        END { printf "%d\n", most }' "$WORK/looks"
}

for ((c = 1; c <= clusters; c++)); do
    in_cluster "$c"
    start_elsewhere "s$c.a" --slots 2
    start_elsewhere "s$c.b" --slots 2
done
: >"$WORK/took"
: >"$WORK/looks"
look_on &
declare -A killed_ms=()
for ((round = 1; round <= rounds; round++)); do
    for ((c = 1; c <= clusters; c++)); do
        lost_start "$c" "$round"
    done
    for ((c = 1; c <= clusters; c++)); do
        sleep "0.$(printf '%03d' $((RANDOM % 400)))"
        killed_ms[$c]=$(now_ms)
        kill_node "v$c.$round"
    done
    for ((c = 1; c <= clusters; c++)); do
        wait_until 100 is_again "$c" "v$c.$round"
        read -r first last <<<"$(again_ms "$c" "v$c.$round")"
        echo "$((first - killed_ms[$c])) $((last - killed_ms[$c])) $(began_on "v$c.$round" | wc -l)" \
            "$(slowest_look "${killed_ms[$c]}" "$first")" >>"$WORK/took"
    done
    say "    round $round: its jobs began again after (first last jobs look):" \
        "$(tail -n "$clusters" "$WORK/took" | paste -sd, | sed 's/,/, /g')"
done

sort -n "$WORK/took" >"$WORK/sorted"
kills=$(wc -l <"$WORK/sorted")
looks_end
say "    $kills kills: the first of its jobs began elsewhere after" \
    "$(awk '{ at[NR] = $1; sum += $1 } END { printf "%d (least) %d (median) %d (mean) %d (most)",
        at[1], at[int((NR + 1) / 2)], sum / NR, at[NR] }' "$WORK/sorted") ms," \
    "all of them within $(cut -d' ' -f2 "$WORK/sorted" | sort -n | tail -n 1) ms; promised: $bound_ms ms"
in_cluster looks
[ "$(count_jobs)" -gt "$rounds" ] || fail "the looks wrote nothing"
awk -v bound=$((bound_ms + late_ms)) -v looks=$late_looks '$1 > bound + looks * $4' "$WORK/sorted" \
    >"$WORK/late"
[ ! -s "$WORK/late" ] || fail "found out late (first last jobs look): $(tail -n 1 "$WORK/late")"

for ((c = 1; c <= clusters; c++)); do
    in_cluster "$c"
    mapfile -t ids <"$WORK/ids$c"
    wait_jobs 0 "${ids[@]}"
    all_jobs id state run interruptions >"$WORK/jobs"
    awk -F'\t' '$2 != "done" || $3 != $4 + 1' "$WORK/jobs" >"$WORK/wrong"
    [ ! -s "$WORK/wrong" ] || fail "cluster $c: $(head -n 3 "$WORK/wrong")"
    [ "$(ids_of "$WORK/ids$c" | wc -l)" -eq "$(wc -l <"$WORK/jobs")" ] || fail "cluster $c: lost jobs"
    for node in a b; do
        node_state_is "s$c.$node" dead && fail "s$c.$node was buried"
        stop_node "s$c.$node"
    done
    expect_status 0 stint store check
done
