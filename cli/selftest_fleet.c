/* The nodes of a selftest, and what is done to them.
 *
 * The plan of faults comes from the seed alone: kinds, targets, pauses, lengths. A fault waits
 * until it is possible (at least half of the nodes are there without its target), so the same seed
 * gives the same faults in the same order, if not at the same moments. Each process is a node of a
 * new name, so that what a job's process notes of its node tells which process that was.
 * Single-threaded. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "datastore/random.h"

#include "cli/selftest.h"

enum {
    FROZEN_LEASES_MAX = 14, /* a silent process that is there is buried after six: node/burial.c */
    GAP_MS_MIN = 300,
    GAP_MS_SPAN = 600,
    RESTART_MS_MIN = 100,
    RESTART_MS_SPAN = 1100,
};

/* ---- the plan -------------------------------------------------------------------------------- */

static int64_t drawn(struct fleet *fleet, uint64_t span)
{
    return (int64_t)(random_next(&fleet->plan) % span);
}

/* Each kind once, so that a short test has them all; then by weight. */
static void fault_draw(struct selftest *test)
{
    static const enum fault_kind first[] = {FAULT_KILL, FAULT_FREEZE, FAULT_CUT, FAULT_STOP,
                                            FAULT_NAP};
    static const struct {
        enum fault_kind kind;
        int weight;
    } weights[] = {
        {FAULT_KILL, 45}, {FAULT_STOP, 18}, {FAULT_CUT, 15}, {FAULT_NAP, 12}, {FAULT_FREEZE, 10}};
    struct fleet *fleet = &test->fleet;
    size_t n_first = sizeof(first) / sizeof(first[0]), i = 0;
    int64_t roll = drawn(fleet, 100);
    for (; roll >= weights[i].weight; i++)
        roll -= weights[i].weight;
    fleet->next.kind = (size_t)fleet->drawn < n_first ? first[fleet->drawn] : weights[i].kind;
    fleet->next.target = (uint32_t)drawn(fleet, 1 << 20);
    /* A nap is over before the burial; a freeze so long after it. */
    fleet->next.for_ms = fleet->next.kind == FAULT_NAP ? test->lease_ms * 3 / 2 : 0;
    fleet->next.for_ms += drawn(fleet, (uint64_t)test->lease_ms * 2);
    fleet->next.due_us = now_us() + (GAP_MS_MIN + drawn(fleet, GAP_MS_SPAN)) * 1000;
    fleet->drawn++;
}

/* ---- faults ---------------------------------------------------------------------------------- */

/* The number in "n2.17": of the process. */
static int64_t start_of(const char *node)
{
    int64_t number = -1;
    const char *dot = strchr(node, '.');
    return dot != NULL && number_parse(dot + 1, 0, INT32_MAX, &number) == 0 ? number : -1;
}

int64_t fleet_fault_of(const struct selftest *test, const char *node)
{
    int64_t start = start_of(node);
    return start >= 0 && start < test->fleet.starts ? test->fleet.last[start] : -1;
}

static int64_t fault_note(struct fleet *fleet, enum fault_kind kind, const struct member *member)
{
    if (fleet->n_faults == fleet->faults_max) {
        fleet->faults_max = fleet->faults_max > 0 ? fleet->faults_max * 2 : 256;
        fleet->faults = cli_grow(fleet->faults, fleet->faults_max * sizeof(*fleet->faults));
    }
    int64_t index = (int64_t)fleet->n_faults++, start = start_of(member->name);
    struct fault *fault = &fleet->faults[index];
    *fault = (struct fault){.kind = kind, .at_us = now_us(), .earlier = fleet->last[start]};
    fault->until_us = fault->at_us;
    snprintf(fault->node, sizeof(fault->node), "%s", member->name);
    fleet->last[start] = index;
    fleet->done[kind]++;
    return index;
}

bool fleet_excuses(const struct selftest *test, const char *node, int64_t from_us, int64_t to_us)
{
    int64_t lease_us = test->lease_ms * 1000;
    for (int64_t i = fleet_fault_of(test, node); i >= 0; i = test->fleet.faults[i].earlier) {
        const struct fault *fault = &test->fleet.faults[i];
        if (fault->kind != FAULT_STOP && fault->at_us <= to_us &&
            fault->until_us + lease_us >= from_us)
            return true;
    }
    for (size_t i = 0; i < test->sight.n_nodes; i++) {
        const struct node_seen *seen = &test->sight.nodes[i];
        /* One that was buried alive had been silent since long before. */
        int64_t silent_us =
            strncmp(seen->cause, "crashed", 7) == 0 ? 0 : FROZEN_LEASES_MAX * lease_us;
        if (seen->dead_us != 0 && strcmp(seen->name, node) == 0 &&
            strcmp(seen->cause, "stopped") != 0 && seen->dead_us - silent_us <= to_us &&
            seen->dead_us + lease_us >= from_us)
            return true;
    }
    return false;
}

/* While a node is frozen until its burial, the one that has run longest is spared: a burial comes
 * after so much silence by one watcher's clock. NULL: nobody is frozen so. */
static const struct member *spared(const struct selftest *test)
{
    const struct fleet *fleet = &test->fleet;
    const struct member *oldest = NULL;
    bool frozen = false;
    for (int64_t i = 0; i < test->n_nodes; i++) {
        const struct member *member = &fleet->members[i];
        frozen = frozen || (member->life == MEMBER_FROZEN &&
                            fleet->faults[member->fault].kind == FAULT_FREEZE);
        if (member->life == MEMBER_RUNS && member->ready &&
            (oldest == NULL || start_of(member->name) < start_of(oldest->name)))
            oldest = member;
    }
    return frozen ? oldest : NULL;
}

/* Who can be had: runs, and enough of the others are there. NULL: nobody just now. */
static struct member *target_find(struct selftest *test)
{
    struct member *runs[SELFTEST_NODES_MAX];
    size_t n = 0;
    int64_t ready = 0;
    const struct member *watcher = spared(test);
    for (int64_t i = 0; i < test->n_nodes; i++) {
        struct member *member = &test->fleet.members[i];
        if (member->life != MEMBER_RUNS)
            continue;
        ready += member->ready ? 1 : 0;
        if (member != watcher)
            runs[n++] = member;
    }
    struct member *target = n > 0 ? runs[test->fleet.next.target % n] : NULL;
    if (target == NULL)
        return NULL;
    int64_t others = ready - (target->ready ? 1 : 0);
    return others >= (test->n_nodes + 1) / 2 ? target : NULL;
}

/* False: it is not possible yet. */
static bool fault_do(struct selftest *test)
{
    struct fleet *fleet = &test->fleet;
    enum fault_kind kind = fleet->next.kind;
    if (kind == FAULT_CUT) {
        if (test->feed.cut_wanted)
            return false;
        feeder_cut(test, fleet->next.target % 1000);
        return true;
    }
    struct member *member = target_find(test);
    if (member == NULL)
        return false;
    int64_t fault = fault_note(fleet, kind, member);
    if (kind == FAULT_KILL) {
        kill(member->pid, SIGKILL);
        member->life = MEMBER_STOPPING;
    } else if (kind == FAULT_STOP) {
        kill(member->pid, SIGTERM);
        member->life = MEMBER_STOPPING;
    } else {
        kill(member->pid, SIGSTOP);
        member->life = MEMBER_FROZEN;
        member->fault = fault;
        member->for_us = fleet->next.for_ms * 1000;
        member->due_us = now_us() + (kind == FAULT_NAP ? member->for_us
                                                       : test->lease_ms * FROZEN_LEASES_MAX * 1000);
        fleet->faults[fault].until_us = member->due_us; /* or when it is woken earlier */
    }
    return true;
}

/* ---- their lives ----------------------------------------------------------------------------- */

static int member_start(struct selftest *test, int64_t i)
{
    struct fleet *fleet = &test->fleet;
    struct member *member = &fleet->members[i];
    char slots[16], lease[24], log[SELFTEST_NAME_BYTES + 8];
    fleet->last = cli_grow(fleet->last, (size_t)(fleet->starts + 1) * sizeof(*fleet->last));
    fleet->last[fleet->starts] = -1;
    *member = (struct member){.life = MEMBER_RUNS};
    snprintf(member->name, sizeof(member->name), "n%d.%" PRId32, (int)i + 1, fleet->starts++);
    snprintf(slots, sizeof(slots), "%" PRId64, test->slots);
    snprintf(lease, sizeof(lease), "%" PRId64 "ms", test->lease_ms);
    snprintf(log, sizeof(log), "n%d.log", (int)i + 1);
    const char *argv[] = {NULL,      "node",    "start",   "--name", member->name,
                          "--slots", slots,     "--lease", lease,    "--stop-timeout",
                          "10s",     "--queue", "default", NULL};
    member->pid = process_start(test, argv, NULL, log);
    return member->pid > 0 ? CLI_OK : CLI_FAILED;
}

int fleet_start(struct selftest *test)
{
    int status = CLI_OK;
    test->fleet.plan = test->seed;
    for (int64_t i = 0; i < test->n_nodes && status == CLI_OK; i++)
        status = member_start(test, i);
    fault_draw(test);
    return status;
}

/* When a frozen one is to be woken: so long after its burial, once that was seen. */
static void wake_plan(const struct selftest *test, struct member *member)
{
    const struct fault *fault = &test->fleet.faults[member->fault];
    for (size_t i = test->sight.n_nodes; fault->kind == FAULT_FREEZE && i > 0; i--) {
        const struct node_seen *seen = &test->sight.nodes[i - 1];
        if (strcmp(seen->name, member->name) == 0 && seen->dead_us > fault->at_us &&
            seen->dead_us + member->for_us < member->due_us)
            member->due_us = seen->dead_us + member->for_us;
    }
}

static void member_wake(struct fleet *fleet, struct member *member)
{
    fleet->faults[member->fault].until_us = now_us();
    kill(member->pid, SIGCONT);
    member->life = MEMBER_RUNS;
}

int fleet_tick(struct selftest *test, bool wanted)
{
    struct fleet *fleet = &test->fleet;
    int64_t now = now_us();
    if (wanted && now >= fleet->next.due_us && fault_do(test))
        fault_draw(test);
    int status = CLI_OK;
    for (int64_t i = 0; i < test->n_nodes && status == CLI_OK; i++) {
        struct member *member = &fleet->members[i];
        if (member->life == MEMBER_FROZEN)
            wake_plan(test, member);
        if (member->life == MEMBER_FROZEN && now >= member->due_us)
            member_wake(fleet, member);
        else if (member->life == MEMBER_GONE && now >= member->due_us)
            status = member_start(test, i);
    }
    return status;
}

/* An end that was no doing of ours. */
static void member_failed(struct selftest *test, struct member *member, int how)
{
    if (WIFSIGNALED(how) && WTERMSIG(how) == SIGKILL) {
        test->fleet.killed_frozen++;
        fault_note(&test->fleet, FAULT_KILL, member);
        test->fleet.done[FAULT_KILL]--;
    } else if (WIFSIGNALED(how)) {
        wrong_add(test, WRONG_OTHER, "node %s was ended by signal %d", member->name, WTERMSIG(how));
    } else {
        test->fleet.ended++;
    }
}

bool fleet_ended(struct selftest *test, pid_t pid, int how)
{
    struct fleet *fleet = &test->fleet;
    for (int64_t i = 0; i < test->n_nodes; i++) {
        struct member *member = &fleet->members[i];
        if (member->pid != pid || member->life == MEMBER_GONE)
            continue;
        int64_t fault = fleet->last[start_of(member->name)];
        bool killed = fault >= 0 && fleet->faults[fault].kind == FAULT_KILL;
        bool early = !member->ready && WIFSIGNALED(how) && WTERMSIG(how) == SIGTERM;
        bool clean = early || (WIFEXITED(how) && WEXITSTATUS(how) == CLI_OK);
        if (member->life == MEMBER_STOPPING ? !killed && !clean : true)
            member_failed(test, member, how);
        member->life = MEMBER_GONE;
        member->pid = 0;
        member->due_us = now_us() + (RESTART_MS_MIN + (int64_t)(pid % RESTART_MS_SPAN)) * 1000;
        return true;
    }
    return false;
}

void fleet_wake(struct selftest *test)
{
    for (int64_t i = 0; i < test->n_nodes; i++)
        if (test->fleet.members[i].life == MEMBER_FROZEN)
            member_wake(&test->fleet, &test->fleet.members[i]);
}

static void fleet_signal(struct selftest *test, int signal)
{
    for (int64_t i = 0; i < test->n_nodes; i++) {
        struct member *member = &test->fleet.members[i];
        if (member->pid != 0)
            kill(member->pid, signal);
        if (member->life != MEMBER_GONE)
            member->life = MEMBER_STOPPING;
    }
}

void fleet_stop(struct selftest *test)
{
    fleet_wake(test);
    fleet_signal(test, SIGTERM);
}

void fleet_kill(struct selftest *test)
{
    fleet_signal(test, SIGKILL);
}

bool fleet_gone(const struct selftest *test)
{
    for (int64_t i = 0; i < test->n_nodes; i++)
        if (test->fleet.members[i].pid != 0)
            return false;
    return true;
}
