/* The simulator's program: runs clusters from seeds until one breaks an invariant, which it then
 * makes small, and says how to run again.
 *
 * Workers are processes, so that a seed that ends the program (a failed assertion, a sanitizer)
 * is known, too; what they count lies in shared memory. */
#include <assert.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "datastore/random.h"
#include "tests/sim/minimise.h"
#include "tests/sim/report.h"

enum { JOBS_MAX = 64, MINIMISE_RUNS = 4000, TRACE_LINES = 150, RUN_SECONDS = 120 };

struct options {
    const char *program;
    uint64_t from, seeds, minutes;
    unsigned jobs;
    bool from_set, seed_set, until_broken, trace;
    const char *kept, *plan, *only;
};

struct worker {
    uint64_t seed; /* it is at */
    uint64_t seeds;
    struct cluster_tally total;
};

struct shared {
    atomic_uint_fast64_t next; /* seeds handed out */
    atomic_bool broken;        /* somebody found something */
    uint64_t broken_after;     /* seeds, of the one that did */
    struct worker workers[JOBS_MAX];
};

static int usage(void)
{
    fputs("usage: sim [--from SEED] [--seeds N | --minutes M] [--jobs J] [--until-broken]\n"
          "       sim --seed SEED [--trace]\n"
          "       sim --plan PLAN [--only NUMBERS] [--trace]\n"
          "       sim --kept FILE       a plan a line\n"
          "Runs clusters under virtual time, from seeds. Exit status 0 when all invariants hold,\n"
          "1 when one is broken; with --until-broken the other way round.\n",
          stderr);
    return 2;
}

/* ---- one run ------------------------------------------------------------------------------- */

static void last_lines_print(const char *text, size_t lines)
{
    const char *from = text + strlen(text);
    while (from > text && lines > 0)
        lines -= *--from == '\n' ? 1 : 0;
    if (from > text)
        fputs("...\n", stdout), from++;
    fputs(from, stdout);
}

/* Makes it small, and says how to have both again. */
static void finding_tell(struct finding *finding, const struct options *options, const char *again)
{
    printf("BROKEN %s: %s\n  again: %s %s --trace\n", again, finding->broken, options->program,
           again);
    fflush(stdout);
    if (options->until_broken)
        return;
    finding_minimise(finding, MINIMISE_RUNS);
    char *arguments = finding_arguments(finding), *text = NULL;
    size_t size;
    FILE *trace = open_memstream(&text, &size);
    assert(trace != NULL);
    struct cluster_tally tally;
    finding_run(finding, trace, &tally);
    fclose(trace);
    printf("  smallest: %s %s --trace\n  %" PRIu64 " nodes, %" PRIu64 " jobs, %zu troubles: %s\n",
           options->program, arguments, finding->plan.nodes, tally.acked, finding->n_only,
           finding->broken);
    last_lines_print(text, TRACE_LINES);
    free(text);
    free(arguments);
}

static int run_plan(const struct options *options, struct finding *finding)
{
    setvbuf(stdout, NULL, _IOLBF, 0); /* told to the last step also where it ends the program */
    bool broken = finding_run(finding, options->trace ? stdout : NULL, NULL);
    if (broken)
        printf("BROKEN: %s\n", finding->broken);
    else
        puts("all held");
    finding_free(finding);
    return broken ? 1 : 0;
}

/* `none`, or ascending numbers with commas between. */
static bool only_parse(const char *text, struct finding *finding)
{
    finding->only = malloc((strlen(text) + 1) * sizeof(uint64_t));
    assert(finding->only != NULL);
    if (strcmp(text, "none") == 0)
        return true;
    for (char *end;; text = end + 1) {
        errno = 0;
        uint64_t number = strtoull(text, &end, 10);
        bool rises = finding->n_only == 0 || number > finding->only[finding->n_only - 1];
        if (errno != 0 || end == text || !rises || (*end != ',' && *end != '\0'))
            return false;
        finding->only[finding->n_only++] = number;
        if (*end == '\0')
            return true;
    }
}

static int run_one(const struct options *options)
{
    struct finding finding = {.plan = plan_draw(options->from)};
    char why[128];
    if (options->plan != NULL && !plan_parse(options->plan, &finding.plan, why, sizeof(why))) {
        fprintf(stderr, "sim: %s\n", why);
        return 2;
    }
    if (options->only != NULL && !only_parse(options->only, &finding)) {
        fprintf(stderr, "sim: --only takes ascending numbers, or none\n");
        finding_free(&finding);
        return 2;
    }
    return run_plan(options, &finding);
}

static int kept_try(const struct options *options, struct finding *finding)
{
    alarm(RUN_SECONDS);
    bool broken = finding_run(finding, NULL, NULL);
    alarm(0);
    if (!broken)
        return 0;
    char *arguments = finding_arguments(finding);
    finding_tell(finding, options, arguments);
    free(arguments);
    finding_free(finding);
    return 1;
}

/* In a process of its own, like each worker. */
static int kept_run(const struct options *options, struct finding *finding)
{
    fflush(NULL);
    pid_t pid = fork();
    assert(pid >= 0);
    if (pid == 0)
        exit(kept_try(options, finding));
    int how;
    pid_t ended = waitpid(pid, &how, 0);
    assert(ended == pid);
    (void)ended;
    if (WIFEXITED(how) && WEXITSTATUS(how) <= 1)
        return WEXITSTATUS(how);
    char *arguments = finding_arguments(finding);
    printf("BROKEN: it ended the program (%s %d)\n  again: %s %s --trace\n",
           WIFSIGNALED(how) ? "signal" : "status",
           WIFSIGNALED(how) ? WTERMSIG(how) : WEXITSTATUS(how), options->program, arguments);
    free(arguments);
    return 1;
}

static int run_kept(const struct options *options)
{
    FILE *in = fopen(options->kept, "r");
    if (in == NULL) {
        fprintf(stderr, "sim: %s: %s\n", options->kept, strerror(errno));
        return 2;
    }
    setvbuf(in, NULL, _IONBF, 0); /* or a child that exits would set it back to where that was */
    char line[PLAN_TEXT_BYTES + 256], why[128];
    unsigned n = 0;
    int status = 0;
    while (status == 0 && fgets(line, sizeof(line), in) != NULL) {
        line[strcspn(line, "#\n")] = '\0';
        if (line[strspn(line, " ")] == '\0')
            continue;
        struct finding finding = {0};
        if (!plan_parse(line, &finding.plan, why, sizeof(why))) {
            fprintf(stderr, "sim: %s: %s\n", options->kept, why);
            status = 2;
        } else {
            status = kept_run(options, &finding);
        }
        n++;
    }
    fclose(in);
    printf("%u kept plans\n", n);
    return status;
}

/* ---- many ---------------------------------------------------------------------------------- */

static uint64_t seconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec;
}

static void work(const struct options *options, struct shared *shared, struct worker *worker)
{
    uint64_t until = seconds_now() + options->minutes * 60;
    while (!atomic_load(&shared->broken)) {
        uint64_t number = atomic_fetch_add(&shared->next, 1);
        if (options->minutes > 0 ? seconds_now() >= until : number >= options->seeds)
            return;
        worker->seed = options->from + number;
        struct finding finding = {.plan = plan_draw(worker->seed)};
        struct cluster_tally tally;
        alarm(RUN_SECONDS); /* one that does not end is told like one that ends the program */
        bool broken = finding_run(&finding, NULL, &tally);
        alarm(0);
        tally_add(&worker->total, &tally);
        worker->seeds++;
        if (broken && !atomic_exchange(&shared->broken, true)) {
            char again[64];
            snprintf(again, sizeof(again), "--seed %" PRIu64, worker->seed);
            shared->broken_after = number + 1;
            finding_tell(&finding, options, again);
            finding_free(&finding);
        }
    }
}

/* Returns false when a worker came to an end of its own. */
static bool workers_run(const struct options *options, struct shared *shared)
{
    pid_t pids[JOBS_MAX];
    bool ok = true;
    fflush(NULL);
    for (unsigned i = 0; i < options->jobs; i++) {
        pids[i] = fork();
        assert(pids[i] >= 0);
        if (pids[i] == 0) {
            work(options, shared, &shared->workers[i]);
            exit(0);
        }
    }
    for (unsigned i = 0; i < options->jobs; i++) {
        int status;
        if (waitpid(pids[i], &status, 0) != pids[i] || status == 0)
            continue;
        ok = false;
        printf("BROKEN --seed %" PRIu64
               ": it ended the program (%s %d)\n  again: %s --seed %" PRIu64 " --trace\n",
               shared->workers[i].seed, WIFSIGNALED(status) ? "signal" : "status",
               WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status), options->program,
               shared->workers[i].seed);
    }
    return ok;
}

static int run_many(const struct options *options)
{
    struct shared *shared =
        mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert(shared != MAP_FAILED);
    printf("seeds from %" PRIu64 "\n", options->from);
    bool held = workers_run(options, shared) && !atomic_load(&shared->broken);
    struct worker all = {0};
    for (unsigned i = 0; i < options->jobs; i++) {
        tally_add(&all.total, &shared->workers[i].total);
        all.seeds += shared->workers[i].seeds;
    }
    if (!options->until_broken)
        report_print(stdout, all.seeds, &all.total);
    else if (held)
        printf("nothing broke in %" PRIu64 " seeds\n", all.seeds);
    else
        printf("broken after %" PRIu64 " seeds\n", shared->broken_after);
    munmap(shared, sizeof(*shared));
    return held == options->until_broken ? 1 : 0;
}

/* ---- arguments ----------------------------------------------------------------------------- */

static bool number_parse(const char *text, uint64_t max, uint64_t *ret)
{
    char *end;
    errno = 0;
    *ret = strtoull(text, &end, 10);
    return errno == 0 && end != text && *end == '\0' && *text != '-' && *ret <= max;
}

static bool options_parse(int argc, char **argv, struct options *options)
{
    static const struct option known[] = {
        {"from", required_argument, NULL, 'f'},
        {"seeds", required_argument, NULL, 'n'},
        {"minutes", required_argument, NULL, 'm'},
        {"jobs", required_argument, NULL, 'j'},
        {"seed", required_argument, NULL, 's'},
        {"plan", required_argument, NULL, 'p'},
        {"only", required_argument, NULL, 'o'},
        {"kept", required_argument, NULL, 'k'},
        {"until-broken", no_argument, NULL, 'b'},
        {"trace", no_argument, NULL, 't'},
        {NULL, 0, NULL, 0},
    };
    uint64_t jobs = 1;
    bool ok = true;
    for (int c; ok && (c = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        switch (c) {
        case 'f':
            ok = options->from_set = number_parse(optarg, UINT64_MAX, &options->from);
            break;
        case 's':
            ok = options->seed_set = number_parse(optarg, UINT64_MAX, &options->from);
            break;
        case 'n':
            ok = number_parse(optarg, UINT64_MAX, &options->seeds) && options->seeds > 0;
            break;
        case 'm':
            ok = number_parse(optarg, 100000, &options->minutes);
            break;
        case 'j':
            ok = number_parse(optarg, JOBS_MAX, &jobs) && jobs > 0;
            break;
        case 'p':
            options->plan = optarg;
            break;
        case 'o':
            options->only = optarg;
            break;
        case 'k':
            options->kept = optarg;
            break;
        case 'b':
            options->until_broken = true;
            break;
        case 't':
            options->trace = true;
            break;
        default:
            ok = false;
        }
    }
    options->jobs = (unsigned)jobs;
    ok = ok && (options->only == NULL || options->plan != NULL || options->seed_set);
    return ok && optind == argc;
}

int main(int argc, char **argv)
{
    struct options options = {.program = argv[0], .seeds = 2000};
    if (!options_parse(argc, argv, &options))
        return usage();
    if (options.kept != NULL)
        return run_kept(&options);
    if (options.plan != NULL || options.seed_set)
        return run_one(&options);
    if (!options.from_set) {
        struct timespec now;
        clock_gettime(CLOCK_REALTIME, &now);
        uint64_t rng = (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
        options.from = random_next(&rng) >> 24; /* short enough to be typed */
    }
    return run_many(&options);
}
