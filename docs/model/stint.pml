/* Stint's protocol in Promela: how ids reach nodes (the ledger), how outcomes are recorded once, how
 * jobs come back through slot rows, and how ordered lanes keep their order.
 *
 * Each `atomic` is one change of one record (a guard and what it writes), as in datastore/datastore.h,
 * with what the process that made it knows from then on. Between any two of them everything else may
 * happen: other processes' steps, a crash, a false suspicion, a lost reply, a step that arrives late.
 * docs/CORRECTNESS.md says which function of the program each step is.
 *
 *   script/model            checks the configurations below, and that each broken variant is caught
 *
 * What is checked: the invariants in `check`, after every step; the assertions where jobs start and
 * end; and that every job ends: no run goes on for ever (there are no cycles), and where nothing can
 * happen any more (`last_look`) each accepted job has an outcome, if a node is left to run it.
 *
 * A configuration is a set of -D: sizes, how much of each trouble, and what there is at all. */

#ifndef NODES
#define NODES 2
#endif
#ifndef IDS
#define IDS 3 /* of all lanes; at most 7 */
#endif
#ifndef LANES
#define LANES 1 /* 1 or 2: then the lower half of the ids is lane 0's */
#endif
#ifndef JOBS
#define JOBS 1
#endif
#ifndef ATTEMPTS
#define ATTEMPTS 2 /* a job's limit */
#endif
#ifndef INTERRUPTIONS
#define INTERRUPTIONS 3 /* a job's limit */
#endif
#ifndef GRANT
#define GRANT 2 /* ids that a claim asks for */
#endif

/* How often each of these may happen. */
#ifndef CRASHES
#define CRASHES 0
#endif
#ifndef SUSPICIONS
#define SUSPICIONS 0 /* of nodes that live */
#endif
#ifndef LOST
#define LOST 0 /* replies */
#endif
#ifndef LATE
#define LATE 0 /* claims carried out after their node gave them up */
#endif
#ifndef SHEDS
#define SHEDS 0 /* a node with ids to spare returns some */
#endif
#ifndef STOPS
#define STOPS 0 /* of nodes, graceful */
#endif
#ifndef DROPS
#define DROPS 0 /* an idle node takes its entry out of a lane */
#endif
#ifndef CANCELS
#define CANCELS 0
#endif
#ifndef FAILS
#define FAILS 0 /* attempts that end badly */
#endif

/* What there is at all:
 * DELAYED: jobs are `scheduled` at first; in an ordered lane that stands for any that may not start yet
 * (later, or after others), and waits in place. ROWS_THERE: no submitters; the rows are there from the start.
 * ORDERED: lanes are exclusive, and jobs of one group run one after another, again in place when they
 * fail; odd ids are one group, even ids the other. BATCH: one submitter sends all jobs at once, and all
 * ids are one group. KILLER: whoever starts job 0 dies of it. */

/* ---- records ----------------------------------------------------------------------------------- */

mtype = { ABSENT, QUEUED, SCHEDULED, DONE, FAILED, CANCELLED };    /* states of a job */
mtype = { NO_ROW, VOID_ROW, OWN_ROW, SLOT_ROW };                   /* rows of ids */

typedef lane_record {
    byte tail;   /* next id to hand out */
    byte head;   /* next id to grant */
    byte pool;   /* a set of ids */
    byte holder; /* node + 1 */
}
typedef entry_record { /* a node's, in a lane */
    bit there;
    byte g;    /* number of the last grant: LIFE * life + count */
    byte last; /* the ids of that grant */
    byte r;    /* number of the last return */
}
typedef node_record {
    bit dead;
    byte granted[LANES]; /* number of the last grant it accepted */
    byte ranges;         /* ids it is responsible for, those on their way back included */
    byte returning, returning_r;
    byte runs, run_no; /* what it says it runs: job + 1, and at which run */
}
typedef job_record {
    mtype state = ABSENT;
    byte run_no, interruptions;
    byte own, slot; /* ids whose rows are the job's own and the one that leads to it instead */
}
typedef row_record {
    mtype kind = NO_ROW;
    byte job, run_no;
}

lane_record lane[LANES];
entry_record entry[NODES * LANES];
node_record node[NODES];
job_record jobs[JOBS];
row_record row[IDS + 1];
byte suspect; /* ids that were buried once: what they lead to starts only once it was named */

/* ---- the world --------------------------------------------------------------------------------- */

bit up[NODES] = 1;
byte crashes, suspicions, losses, lates, sheds, stops, drops, cancels, fails;
byte kills; /* nodes that died of job 0 */
bit trouble; /* a crash or a suspicion: a job may run twice */
byte outcomes[JOBS], starts[JOBS * (ATTEMPTS + INTERRUPTIONS + 2)];
byte ended[JOBS]; /* runs that have come to an end: of each only one is counted */
byte doing[NODES], doing_run[NODES]; /* job + 1 that runs there */
byte begun; /* ids that a node not yet dead began */
bit given_up[JOBS]; /* its submitter died, or there was no id left: it was never acknowledged */

/* A claim that its node gave up, and that the store may carry out yet. */
typedef late_claim {
    bit there, make_entry;
    byte lane, g, r;
}
late_claim late[NODES];

#define LIFE 16
#define BIT(x) (1 << (x))
#define HAS(set, x) (((set) & BIT(x)) != 0)
#define UNFINISHED(j) (jobs[j].state == QUEUED || jobs[j].state == SCHEDULED)

#if LANES == 2
#define LANE_OF(x) ((x) > IDS / 2)
#define LANE_FIRST(l) (1 + (l) * (IDS / 2))
#define LANE_END(l) (IDS / 2 + 1 + (l) * (IDS - IDS / 2))
#define LANE_IDS(l) ((BIT(LANE_END(l)) - 1) & ~(BIT(LANE_FIRST(l)) - 1))
#else
#define LANE_OF(x) 0
#define LANE_FIRST(l) 1
#define LANE_END(l) (IDS + 1)
#define LANE_IDS(l) (BIT(IDS + 1) - 2)
#endif
#define ENTRY(n, l) entry[(n) * LANES + (l)]

/* Some lane for which CAN(lane) holds, where that is so for one. */
#if LANES == 2
#define SOME(CAN) (CAN(0) || CAN(1))
#define some_lane(CAN, l) if :: CAN(0) -> l = 0 :: CAN(1) -> l = 1 fi
#else
#define SOME(CAN) CAN(0)
#define some_lane(CAN, l) l = 0
#endif

/* Any id of a set that is not empty. */
inline any_id(set, x)
{
    if
    :: HAS(set, 1) -> x = 1
    :: HAS(set, 2) -> x = 2
    :: HAS(set, 3) -> x = 3
    :: HAS(set, 4) -> x = 4
    :: HAS(set, 5) -> x = 5
    :: HAS(set, 6) -> x = 6
    :: HAS(set, 7) -> x = 7
    fi
}

inline lowest_id(set, x)
{
    x = 1;
    do
    :: HAS(set, x) -> break
    :: else -> x++
    od
}

/* ---- what must always hold --------------------------------------------------------------------- */

/* What would go to the pool if that node were buried now. */
#define RETURNED(n, l) (node[n].returning_r <= ENTRY(n, l).r && node[n].returning_r / LIFE == ENTRY(n, l).r / LIFE)
#define SAME_LIFE(n, l) (node[n].granted[l] / LIFE == ENTRY(n, l).g / LIFE)

inline estate_of(n, l, set)
{
    set = 0;
    if
    :: SAME_LIFE(n, l) ->
        set = node[n].ranges & LANE_IDS(l);
        if
        :: RETURNED(n, l) -> set = set & ~node[n].returning
        :: else
        fi
    :: else
    fi;
#ifndef BREAK_UNACCEPTED_GRANT
    if
    :: ENTRY(n, l).g > node[n].granted[l] || !SAME_LIFE(n, l) -> set = set | ENTRY(n, l).last
    :: else
    fi
#endif
}

/* I1: the row that leads to a queued job is ahead of the head, or its id is in exactly one place; no id
 * is ever in two. */
#ifdef ORDERED
#define MUST_LEAD(j) UNFINISHED(j)
#else
#define MUST_LEAD(j) (jobs[j].state == QUEUED)
#endif
byte c_lane, c_node, c_set, c_once, c_id, c_job;
inline check()
{
    d_step {
        c_lane = 0; c_once = 0;
        do
        :: c_lane < LANES ->
            assert((c_once & lane[c_lane].pool) == 0);
            c_once = c_once | lane[c_lane].pool;
            c_node = 0;
            do
            :: c_node < NODES ->
                if
                :: ENTRY(c_node, c_lane).there ->
                    estate_of(c_node, c_lane, c_set);
                    assert((c_once & c_set) == 0);
                    c_once = c_once | c_set
                :: else
                fi;
                c_node++
            :: else -> break
            od;
            c_lane++
        :: else -> break
        od;
        c_job = 0;
        do
        :: c_job < JOBS ->
            if
            :: MUST_LEAD(c_job) ->
                c_id = (jobs[c_job].slot != 0 -> jobs[c_job].slot : jobs[c_job].own);
                assert(row[c_id].job == c_job &&
                       (row[c_id].kind == OWN_ROW || row[c_id].kind == SLOT_ROW));
                assert(c_id >= lane[LANE_OF(c_id)].head || HAS(c_once, c_id))
            :: else
            fi;
            assert(outcomes[c_job] <= 1);                                     /* I2 */
            assert(jobs[c_job].interruptions <= INTERRUPTIONS + 1);           /* I4 */
            assert(jobs[c_job].state == ABSENT ||
                   jobs[c_job].run_no - jobs[c_job].interruptions <= ATTEMPTS);  /* I4 */
            c_job++
        :: else -> break
        od;
        c_lane = 0; c_node = 0; c_set = 0; c_once = 0; c_id = 0; c_job = 0
    }
}

/* ---- steps on single records ------------------------------------------------------------------- */

inline reserve(l, id)
{
    id = lane[l].tail;
    lane[l].tail++
}

#define MAY_RESERVE(l) (lane[l].tail < LANE_END(l))

/* Takes up to GRANT consecutive ids out of the pool, lowest first, else from the head. */
inline take(l, set, x)
{
    set = 0;
    if
    :: lane[l].pool != 0 ->
        lowest_id(lane[l].pool, x);
        do
        :: x < LANE_END(l) && HAS(lane[l].pool, x) && !HAS(set, x - GRANT) ->
            set = set | BIT(x); lane[l].pool = lane[l].pool & ~BIT(x); x++
        :: else -> break
        od
    :: else ->
        do
        :: lane[l].head < lane[l].tail && !HAS(set, lane[l].head - GRANT) ->
            set = set | BIT(lane[l].head); lane[l].head++
        :: else -> break
        od
    fi;
    x = 0
}

inline claim(n, l, number, returns, set, x)
{
    take(l, set, x);
    if
    :: !ENTRY(n, l).there -> ENTRY(n, l).r = returns
    :: else
    fi;
    ENTRY(n, l).there = 1;
    ENTRY(n, l).g = number + 1;
    ENTRY(n, l).last = set;
#ifdef ORDERED
    lane[l].holder = n + 1
#endif
}

#define WORK(l) (lane[l].pool != 0 || lane[l].head < lane[l].tail)
#ifdef ORDERED
#define FREE_FOR(n, l) (lane[l].holder == 0 || lane[l].holder == (n) + 1)
#else
#define FREE_FOR(n, l) true
#endif

inline finish(j, ending)
{
    jobs[j].state = ending;
    outcomes[j]++
}

/* An attempt's end or an interruption is counted: once for each run. */
inline end_run(j, k)
{
    assert(!HAS(ended[j], k));
    ended[j] = ended[j] | BIT(k)
}

/* The one way from `scheduled` to `queued`. The clock is no part of the guard. */
#ifdef BREAK_SLOT_GUARD
#define MAY_QUEUE(j, k) (jobs[j].state == SCHEDULED)
#else
#define MAY_QUEUE(j, k) (jobs[j].state == SCHEDULED && jobs[j].run_no == (k))
#endif

/* What a node's death does to a job that it named. It never cuts short what runs elsewhere by right. */
#ifdef BREAK_INTERRUPTION_GUARD
#define MAY_INTERRUPT(j, k) UNFINISHED(j)
#else
#define MAY_INTERRUPT(j, k) (jobs[j].state == QUEUED && jobs[j].run_no == (k))
#endif
#define RUNS(n, j, k) (n != dead && up[n] && !node[n].dead && doing[n] == (j) + 1 && doing_run[n] == (k))
inline interrupt(j)
{
    assert(!RUNS(0, j, jobs[j].run_no) && !RUNS(NODES / 2, j, jobs[j].run_no) &&
           !RUNS(NODES - 1, j, jobs[j].run_no));
    end_run(j, jobs[j].run_no);
    jobs[j].interruptions++;
    if
    :: jobs[j].interruptions > INTERRUPTIONS -> finish(j, FAILED)
    :: else -> jobs[j].run_no++
    fi
}

inline interrupt_named()
{
    if
    :: node[dead].runs != 0 && MAY_INTERRUPT(node[dead].runs - 1, node[dead].run_no) ->
        interrupt(node[dead].runs - 1)
    :: else
    fi
}

/* ---- submitters, and people who cancel --------------------------------------------------------- */

#ifdef DELAYED
#define AT_FIRST SCHEDULED
#else
#define AT_FIRST QUEUED
#endif

#ifndef ROWS_THERE
#define J_LANE(j) ((j) % LANES)

inline insert_row(id, j)
{
    row[id].kind = OWN_ROW; row[id].job = j;
    jobs[j].state = AT_FIRST; jobs[j].run_no = 1; jobs[j].own = id
}

#ifdef BATCH
/* All jobs of a batch get their ids at once; their rows are inserted in that order. */
#define MAY_RESERVE_REST(j) (lane[0].tail + (JOBS - (j)) <= LANE_END(0))
proctype submitter(byte j)
{
    byte id, spare;
    bit reserved;
    do
    :: atomic { j == JOBS -> break }
    :: atomic { j < JOBS && !reserved && MAY_RESERVE_REST(j) ->
        id = lane[0].tail; lane[0].tail = lane[0].tail + JOBS - j; reserved = 1 }
    :: atomic { j < JOBS && !reserved && !MAY_RESERVE_REST(j) -> break }
    :: atomic { j < JOBS && reserved && row[id].kind == NO_ROW ->
        insert_row(id, j);
        check();
        j++; id++ }
    /* somebody declared it void */
#ifdef BREAK_REST_KEEPS_IDS
    :: atomic { j < JOBS && reserved && row[id].kind != NO_ROW && !MAY_RESERVE(0) -> break }
    :: atomic { j < JOBS && reserved && row[id].kind != NO_ROW && MAY_RESERVE(0) ->
        reserve(0, spare);
        insert_row(spare, j);
        spare = 0; j++; id++ }
#else
    :: atomic { j < JOBS && reserved && row[id].kind != NO_ROW ->
        reserved = 0; id = 0 } /* new ids for this one and all the rest */
#endif
    :: atomic { crashes < CRASHES -> crashes++; break }
    od;
    atomic {
        id = 0; reserved = 0;
        do
        :: j < JOBS -> given_up[j] = 1; j++
        :: else -> break
        od
    }
}
#else
proctype submitter(byte j)
{
    byte id;
    bit reserved;
    do
    :: atomic { !reserved && MAY_RESERVE(J_LANE(j)) ->
        reserve(J_LANE(j), id);
        if
        :: reserved = 1
        :: losses < LOST -> losses++; id = 0 /* never read back: it takes new ids */
        fi }
    :: atomic { !reserved && !MAY_RESERVE(J_LANE(j)) -> given_up[j] = 1; break }
    :: atomic { reserved && row[id].kind == NO_ROW ->
        insert_row(id, j);
        check();
        if
        :: break
        :: losses < LOST -> losses++
        fi }
    :: atomic { reserved && row[id].kind == OWN_ROW && row[id].job == j -> break } /* its own token */
    :: atomic { reserved && row[id].kind != NO_ROW && !(row[id].kind == OWN_ROW && row[id].job == j) ->
        reserved = 0; id = 0 } /* somebody declared it void: a new id */
    :: atomic { crashes < CRASHES -> crashes++; given_up[j] = 1; break }
    od;
    id = 0
}
#endif
#endif

#if defined(ORDERED) && defined(DELAYED)
/* What waits in place is released in place. */
proctype releaser()
{
end:
    do
    :: atomic { jobs[0].state == SCHEDULED -> jobs[0].state = QUEUED; check() }
#if JOBS > 1
    :: atomic { jobs[1].state == SCHEDULED -> jobs[1].state = QUEUED; check() }
#endif
#if JOBS > 2
    :: atomic { jobs[2].state == SCHEDULED -> jobs[2].state = QUEUED; check() }
#endif
    od
}
#endif

#if CANCELS > 0
#ifdef BREAK_CANCEL_GUARD
#define MAY_CANCEL(j) (jobs[j].state != ABSENT)
#else
#define MAY_CANCEL(j) UNFINISHED(j)
#endif
/* It may always act as long as a job is unfinished: what hangs is found where nobody cancels. */
proctype canceller()
{
end:
    do
    :: atomic { cancels < CANCELS && MAY_CANCEL(0) -> cancels++; finish(0, CANCELLED); check() }
#if JOBS > 1
    :: atomic { cancels < CANCELS && MAY_CANCEL(1) -> cancels++; finish(1, CANCELLED); check() }
#endif
    od
}
#endif

#if LATE > 0
/* The store, carrying out what was given up. */
proctype latecomer()
{
    byte n, l, set, x;
end:
    do
    :: atomic { late[0].there || late[NODES - 1].there ->
        if
        :: late[0].there -> n = 0
        :: late[NODES - 1].there -> n = NODES - 1
        fi;
        l = late[n].lane;
        if
        :: (ENTRY(n, l).there -> ENTRY(n, l).g == late[n].g : late[n].make_entry) && WORK(l) &&
           FREE_FOR(n, l) ->
            claim(n, l, late[n].g, late[n].r, set, x)
        :: else
        fi;
        late[n].there = 0; late[n].make_entry = 0; late[n].lane = 0; late[n].g = 0; late[n].r = 0;
        n = 0; l = 0; set = 0;
        check() }
    od
}
#endif

/* ---- nodes ------------------------------------------------------------------------------------- */

mtype = { FREE, UNKNOWN, GRANTED, GIVING, GIVEN };  /* the pen: one change of the ledger at a time */
mtype = { IDLE, NAMING, RUNNING };                  /* the executor: one slot */
mtype = { RESTING, DUE, RESERVED, INSERTED };       /* the promoter */
mtype = { WATCHING, MARKED, NAMED, READ, TAKEN };   /* the burier */

/* The ids in hand that may be looked at: all; in an ordered lane the lowest of each group, and none
 * above a hole, which may be of any group. */
#ifdef ORDERED
#define LOWEST(set) ((set) & -(set))
#ifdef BATCH
#define ODD 254
#define EVEN 0
#define IN_ORDER (job == 0 || (jobs[job - 1].state != ABSENT && !UNFINISHED(job - 1)))
#else
#define ODD 170
#define EVEN 84
#define IN_ORDER (at <= 2 || row[at - 2].kind != OWN_ROW || !UNFINISHED(row[at - 2].job))
#endif
#define GROUP_OF(x) (HAS(ODD, x) -> ODD : EVEN)
#define HOLE(x) ((row[x].kind == NO_ROW) << (x))
#if IDS == 2
#define HOLES (HOLE(1) | HOLE(2))
#elif IDS == 3
#define HOLES (HOLE(1) | HOLE(2) | HOLE(3))
#elif IDS == 4
#define HOLES (HOLE(1) | HOLE(2) | HOLE(3) | HOLE(4))
#endif
#if defined(DELAYED) && !defined(BREAK_WAITING_PASSES)
#define WAITS(x) ((row[x].kind == OWN_ROW && jobs[row[x].job].state == SCHEDULED) << (x))
#define WAITING (WAITS(1) | WAITS(2) | WAITS(3))
#else
#define WAITING 0
#endif
#ifdef BREAK_HOLE_ORDER
#define IN_TURN(set) \
    (LOWEST((set) & ODD & ~HOLES) | LOWEST((set) & EVEN & ~HOLES) | LOWEST((set) & HOLES))
#else
#define BELOW_HOLES(set) (((LOWEST((set) & HOLES) << 1) - 1) & 255)
#define IN_TURN(set) ((LOWEST((set) & ODD) | LOWEST((set) & EVEN)) & BELOW_HOLES(set) & ~WAITING)
#endif
#else
#define IN_TURN(set) (set)
#endif

/* A job whose range was buried once may be what kills nodes: it starts when the record names it. */
#ifdef BREAK_SUSPECT
#define MUST_NAME(x) false
#else
#define MUST_NAME(x) HAS(suspect, x)
#endif

/* The row that leads to a queued job is its own, or the slot row that the job names. */
#define LEADS(x, j) \
    ((row[x].kind == OWN_ROW && jobs[j].state == QUEUED && jobs[j].slot == 0) || \
     (row[x].kind == SLOT_ROW && jobs[j].state == QUEUED && jobs[j].slot == x))

/* A program starts. I7: never twice at one run where nobody died nor was thought to; I6: in order. */
#define STARTS(j, k) starts[(j) * (ATTEMPTS + INTERRUPTIONS + 2) + (k)]
inline begin()
{
    executor = RUNNING;
    doing[me] = job + 1; doing_run[me] = run_no;
    if
    :: STARTS(job, run_no) < 2 -> STARTS(job, run_no)++
    :: else
    fi;
    assert(trouble || STARTS(job, run_no) == 1);
#ifdef ORDERED
    if
    :: !node[me].dead ->
        assert(IN_ORDER);
        assert((begun & GROUP_OF(at) & ~(BIT(at + 1) - 1)) == 0);
        begun = begun | BIT(at)
    :: else
    fi;
#endif
#ifdef KILLER
    if
    :: job == 0 -> kills++; trouble = 1; assert(kills <= INTERRUPTIONS + 2); goto died
    :: else
    fi
#endif
}

proctype processor(byte me)
{
    byte l, x; /* for the length of a step */

    mtype pen = FREE;
    byte pen_lane, pen_set;
    byte g[LANES], r[LANES], lives[LANES];
    bit knows[LANES]; /* it has an entry there, as far as it knows */
    byte have;        /* ids in hand */

    mtype executor = IDLE;
    byte at, job, run_no;

    mtype promoter = RESTING;
    byte p_job, p_run, p_id;

    mtype burier = WATCHING;
    byte dead, b_lane, b_set, b_g, b_r;

    bit stopping;

#define ALIVE (!node[me].dead) /* only in guards of the own record: nobody knows otherwise */
#define E(l) ENTRY(me, l)
#define OTHERS (have & ~BIT(at)) /* what it has not begun */

end:
    do
    /* -- death ----------------------------------------------------------------------------------- */
    :: atomic { crashes < CRASHES -> crashes++; trouble = 1; break }
    :: atomic { node[me].dead && burier == WATCHING -> break } /* fenced */
    :: atomic { stops < STOPS && !stopping && ALIVE -> stops++; stopping = 1 }

    /* -- claim (1): the lane grants -------------------------------------------------------------- */
#define CAN_CLAIM(l) ((knows[l] -> E(l).there && E(l).g == g[l] : !E(l).there) && WORK(l) && FREE_FOR(me, l))
    :: atomic { pen == FREE && !stopping && SOME(CAN_CLAIM) ->
        some_lane(CAN_CLAIM, l);
        if
        :: claim(me, l, g[l], r[l], pen_set, x); pen = GRANTED; knows[l] = 1
        :: losses < LOST -> losses++; claim(me, l, g[l], r[l], pen_set, x); pen_set = 0; pen = UNKNOWN
#if LATE > 0
        :: lates < LATE && !late[me].there -> lates++;
            late[me].there = 1; late[me].make_entry = !knows[l]; late[me].lane = l;
            late[me].g = g[l]; late[me].r = r[l];
            pen = UNKNOWN
#endif
        fi;
        pen_lane = l; l = 0;
        check() }
    /* A reply was lost: read back. An entry that was to be made may be made late: the next one gets
     * numbers of another life. */
    :: atomic { pen == UNKNOWN ->
        l = pen_lane;
        if
        :: E(l).there && E(l).g == g[l] + 1 -> pen_set = E(l).last; knows[l] = 1; pen = GRANTED
        :: E(l).there && E(l).g == g[l] -> pen = FREE; pen_lane = 0
        :: !E(l).there && knows[l] -> l = 0; break /* buried */
        :: !E(l).there && !knows[l] ->
#ifndef BREAK_LIVES
            lives[l]++; g[l] = LIFE * lives[l]; r[l] = g[l];
#endif
            pen = FREE; pen_lane = 0
        fi;
        l = 0 }
    /* What was given up came late after all: a look at the own entry tells. */
#if LATE > 0
#define CAME_LATE(l) (knows[l] && E(l).there && E(l).g == g[l] + 1)
    :: atomic { pen == FREE && SOME(CAME_LATE) ->
        some_lane(CAME_LATE, l);
        pen_set = E(l).last; pen = GRANTED; pen_lane = l; l = 0 }
    /* An entry made late, of an earlier life: dropped like an idle one, its grant is taken in. */
#define OTHER_LIFE(l) (!knows[l] && E(l).there)
    :: atomic { pen == FREE && SOME(OTHER_LIFE) ->
        some_lane(OTHER_LIFE, l);
        g[l] = E(l).g - 1; r[l] = E(l).r; knows[l] = 1; l = 0 }
#endif
    /* -- claim (2): the own record accepts ------------------------------------------------------- */
    :: atomic { pen == GRANTED && ALIVE ->
        l = pen_lane;
        g[l]++;
        node[me].ranges = node[me].ranges | pen_set;
        node[me].granted[l] = g[l];
        have = have | pen_set;
        pen = FREE; pen_lane = 0; pen_set = 0; l = 0;
        check() }

    /* -- return (0): the own record says what is on its way back --------------------------------- */
    :: atomic { pen == FREE && ALIVE && OTHERS != 0 && (stopping || sheds < SHEDS) ->
        any_id(OTHERS, x);
        l = LANE_OF(x);
        pen_set = (stopping -> OTHERS & LANE_IDS(l) : BIT(x));
        if
        :: stopping
        :: else -> sheds++
        fi;
        have = have & ~pen_set;
        node[me].returning = pen_set; node[me].returning_r = r[l] + 1;
        pen = GIVING; pen_lane = l; l = 0; x = 0;
        check() }
    /* (1): the lane takes it */
#ifdef BREAK_RETURN_GUARD
#define TAKES(l) true
#else
#define TAKES(l) (E(l).r == r[l])
#endif
    /* An ordered lane loses its holder by a return only when that was its last id and nothing runs. */
#ifdef BREAK_RETURN_CLEARS
#define RETURN_CLEARS(l) true
#else
#define RETURN_CLEARS(l) ((have & LANE_IDS(l)) == 0 && executor == IDLE)
#endif
    :: atomic { pen == GIVING ->
        l = pen_lane;
        if
        :: !E(l).there -> l = 0; break /* buried */
        :: E(l).there && TAKES(l) ->
            lane[l].pool = lane[l].pool | pen_set;
            E(l).r = r[l] + 1;
            if
            :: lane[l].holder == me + 1 && RETURN_CLEARS(l) -> lane[l].holder = 0
            :: else
            fi;
            if
            :: pen = GIVEN
            :: losses < LOST -> losses++
            fi;
            check()
        :: E(l).there && !TAKES(l) -> pen = GIVEN /* it had */
        fi;
        l = 0 }
    /* (2): the own record lets it go */
    :: atomic { pen == GIVEN && ALIVE ->
        l = pen_lane;
        node[me].ranges = node[me].ranges & ~pen_set;
        node[me].returning = 0; node[me].returning_r = 0;
        r[l]++;
        pen = FREE; pen_lane = 0; pen_set = 0; l = 0;
        check() }

    /* -- an idle node: its entry, its hold on a lane --------------------------------------------- */
#if DROPS > 0
#define CAN_DROP(l) (knows[l] && E(l).there && E(l).g == g[l])
    :: atomic { drops < DROPS && pen == FREE && have == 0 && executor == IDLE && SOME(CAN_DROP) ->
        drops++;
        some_lane(CAN_DROP, l);
        E(l).there = 0; E(l).g = 0; E(l).last = 0; E(l).r = 0; knows[l] = 0;
#ifdef BREAK_NUMBERS_RESTART
        g[l] = 0; r[l] = 0;
#endif
        l = 0;
        check() }
#endif
#ifdef ORDERED
#ifdef BREAK_HOLDER_GUARD
#define CAN_CLEAR(l) (lane[l].holder == me + 1 && E(l).there)
#else
#define CAN_CLEAR(l) (lane[l].holder == me + 1 && E(l).there && E(l).g == g[l])
#endif
    :: atomic { have == 0 && executor == IDLE && (pen == FREE || pen == UNKNOWN) && CAN_CLEAR(0) ->
        lane[0].holder = 0; check() }
#endif

    /* -- what an id in hand leads to ------------------------------------------------------------- */
    :: atomic { executor == IDLE && IN_TURN(have) != 0 && !stopping ->
        l = IN_TURN(have); any_id(l, x); l = 0;
        job = row[x].job;
        if
        :: row[x].kind == NO_ROW -> row[x].kind = VOID_ROW; job = 0 /* after a grace */
        :: row[x].kind == SLOT_ROW && jobs[job].slot != x && MAY_QUEUE(job, row[x].run_no) ->
            jobs[job].state = QUEUED; jobs[job].slot = x; job = 0
        :: LEADS(x, job) ->
            at = x; run_no = jobs[job].run_no;
            if
            :: MUST_NAME(x) -> executor = NAMING
            :: else -> begin()
            fi
        :: else -> /* it leads nowhere */
            have = have & ~BIT(x);
            if
            :: ALIVE -> node[me].ranges = node[me].ranges & ~BIT(x)
            :: else
            fi;
            job = 0
        fi;
        x = 0;
        check() }
    /* -- heartbeat: what runs here ----------------------------------------------------------------- */
    :: atomic { ALIVE && executor != IDLE && !(node[me].runs == job + 1 && node[me].run_no == run_no) ->
        node[me].runs = job + 1; node[me].run_no = run_no }
    :: atomic { ALIVE && executor == IDLE && node[me].runs != 0 ->
        node[me].runs = 0; node[me].run_no = 0 }
    :: atomic { executor == NAMING && node[me].runs == job + 1 && node[me].run_no == run_no ->
        if
        :: LEADS(at, job) && jobs[job].run_no == run_no -> begin()
        :: else -> executor = IDLE; at = 0; job = 0; run_no = 0
        fi }

    /* -- the program ends, and its outcome is offered ---------------------------------------------- */
#ifdef BREAK_OUTCOME_GUARD
#define ACCEPTS(j, k) UNFINISHED(j)
#else
#define ACCEPTS(j, k) (jobs[j].state == QUEUED && jobs[j].run_no == (k))
#endif
    :: atomic { executor == RUNNING ->
        if
        :: ACCEPTS(job, run_no) -> end_run(job, run_no); finish(job, DONE)
        :: ACCEPTS(job, run_no) && fails < FAILS ->
            fails++;
            end_run(job, run_no);
            if
            :: jobs[job].run_no - jobs[job].interruptions >= ATTEMPTS -> finish(job, FAILED)
            :: else ->
                jobs[job].run_no++;
#ifndef ORDERED
                jobs[job].state = SCHEDULED; jobs[job].slot = 0
#endif
            fi
        :: !ACCEPTS(job, run_no) -> /* refused: the row decides */
#ifdef BREAK_REFUSED_AGAIN
            goto end
#else
            skip
#endif
        fi;
        if
        :: executor = IDLE; at = 0; job = 0; run_no = 0; doing[me] = 0; doing_run[me] = 0
        :: losses < LOST -> losses++ /* offered again */
        fi;
        check() }

    /* -- promoter: what is due comes back through a slot row ---------------------------------------- */
#ifndef ORDERED
#define IS_DUE(j) (jobs[j].state == SCHEDULED && MAY_RESERVE(LANE_OF(jobs[j].own)))
    :: atomic { promoter == RESTING && !stopping && IS_DUE(0) ->
        promoter = DUE; p_job = 0; p_run = jobs[0].run_no }
#if JOBS > 1
    :: atomic { promoter == RESTING && !stopping && IS_DUE(1) ->
        promoter = DUE; p_job = 1; p_run = jobs[1].run_no }
#endif
    :: atomic { promoter == DUE ->
        l = LANE_OF(jobs[p_job].own);
        if
        :: MAY_RESERVE(l) -> reserve(l, p_id);
            if
            :: promoter = RESERVED
            :: losses < LOST -> losses++; p_id = 0 /* other ids are taken */
            fi
        :: else -> promoter = RESTING; p_job = 0; p_run = 0
        fi;
        l = 0 }
    :: atomic { promoter == RESERVED ->
        if
        :: row[p_id].kind == NO_ROW ->
            row[p_id].kind = SLOT_ROW; row[p_id].job = p_job; row[p_id].run_no = p_run;
            if
            :: promoter = INSERTED
            :: losses < LOST -> losses++
            fi
        :: row[p_id].kind == SLOT_ROW -> promoter = INSERTED /* its own token */
        :: else -> promoter = RESTING; p_job = 0; p_run = 0; p_id = 0 /* void */
        fi;
        check() }
    :: atomic { promoter == INSERTED ->
        if
        :: MAY_QUEUE(p_job, p_run) ->
            jobs[p_job].state = QUEUED; jobs[p_job].slot = p_id;
            if
            :: promoter = RESTING
            :: losses < LOST -> losses++
            fi
        :: else -> promoter = RESTING
        fi;
        if
        :: promoter == RESTING -> p_job = 0; p_run = 0; p_id = 0
        :: else
        fi;
        check() }
#endif

    /* -- burial (0): the record is dead from here on ------------------------------------------------ */
#define CAN_MARK(n) (n != me && !node[n].dead && (!up[n] || suspicions < SUSPICIONS))
#define CAN_SWEEP(n) (node[n].dead && HAS_ENTRY(n))
#if LANES == 2
#define HAS_ENTRY(n) (ENTRY(n, 0).there || ENTRY(n, 1).there)
#else
#define HAS_ENTRY(n) ENTRY(n, 0).there
#endif
#define mark(n) \
    atomic { burier == WATCHING && !stopping && CAN_MARK(n) -> \
        if \
        :: up[n] -> suspicions++; trouble = 1 \
        :: else \
        fi; \
        node[n].dead = 1; dead = n; burier = MARKED }
#define sweep(n) \
    atomic { burier == WATCHING && !stopping && n != me && CAN_SWEEP(n) -> \
        dead = n; burier = MARKED }
    :: mark(0)
    :: sweep(0)
#if NODES > 1
    :: mark(1)
    :: sweep(1)
#endif
#if NODES > 2
    :: mark(2)
    :: sweep(2)
#endif
    /* one that stops, of its own accord, when nothing is left here */
    :: atomic { stopping && ALIVE && have == 0 && executor == IDLE && pen == FREE &&
                promoter == RESTING && burier == WATCHING ->
        node[me].dead = 1; dead = me; burier = MARKED }
    /* (0b): the jobs that the record names were cut short */
    :: atomic { burier == MARKED ->
#ifdef BREAK_INTERRUPTION_LATE
        burier = NAMED }
#else
        interrupt_named();
        burier = NAMED;
        check() }
#endif
    /* (1): lane by lane, what the dead one had goes to the pool */
    :: atomic { burier == NAMED ->
        if
        :: ENTRY(dead, 0).there -> b_lane = 0; burier = READ
#if LANES == 2
        :: ENTRY(dead, 1).there -> b_lane = 1; burier = READ
#endif
        :: !HAS_ENTRY(dead) ->
            if
            :: dead == me -> break
            :: else -> burier = WATCHING; dead = 0
            fi
        fi;
        if
        :: burier == READ ->
            estate_of(dead, b_lane, b_set);
            b_g = ENTRY(dead, b_lane).g; b_r = ENTRY(dead, b_lane).r
        :: else
        fi }
    :: atomic { burier == READ ->
        if
#ifdef BREAK_BURIAL_GUARD
        :: ENTRY(dead, b_lane).there ->
#else
        :: ENTRY(dead, b_lane).there && ENTRY(dead, b_lane).g == b_g && ENTRY(dead, b_lane).r == b_r ->
#endif
            lane[b_lane].pool = lane[b_lane].pool | b_set;
            suspect = suspect | b_set;
            ENTRY(dead, b_lane).there = 0; ENTRY(dead, b_lane).g = 0;
            ENTRY(dead, b_lane).last = 0; ENTRY(dead, b_lane).r = 0;
            if
            :: lane[b_lane].holder == dead + 1 -> lane[b_lane].holder = 0
            :: else
            fi;
            burier = TAKEN
        :: else -> burier = NAMED; b_lane = 0
        fi;
        b_set = 0; b_g = 0; b_r = 0;
        check() }
    /* (2): its record lets go of that lane's ids */
    :: atomic { burier == TAKEN ->
#ifdef BREAK_INTERRUPTION_LATE
        interrupt_named();
#endif
#ifdef BREAK_CLEAR_ALL
        node[dead].ranges = 0;
#else
        node[dead].ranges = node[dead].ranges & ~LANE_IDS(b_lane);
#endif
        b_lane = 0;
        burier = NAMED;
        check() }
    od;
died:
    atomic {
        up[me] = 0; doing[me] = 0; doing_run[me] = 0;
        l = 0; x = 0; pen = FREE; pen_lane = 0; pen_set = 0; have = 0;
        executor = IDLE; at = 0; job = 0; run_no = 0;
        promoter = RESTING; p_job = 0; p_run = 0; p_id = 0;
        burier = WATCHING; dead = 0; b_lane = 0; b_set = 0; b_g = 0; b_r = 0;
        stopping = 0
    }
}

/* ---- the end ----------------------------------------------------------------------------------- */

#define WORKS(n) (up[n] && !node[n].dead)

/* When nothing can happen any more. (Where ids have run out, a job may wait for its next one.) */
proctype last_look()
{
    byte j;
    bit anybody;
    timeout ->
    atomic {
        anybody = WORKS(0);
#if NODES > 1
        anybody = anybody || WORKS(1);
#endif
#if NODES > 2
        anybody = anybody || WORKS(2);
#endif
        do
        :: j < JOBS ->
            assert(!anybody || outcomes[j] == 1 || (given_up[j] && jobs[j].state == ABSENT) ||
                   (jobs[j].state == SCHEDULED && !MAY_RESERVE(LANE_OF(jobs[j].own))));
            j++
        :: else -> break
        od
    }
}

init
{
    byte i;
    atomic {
        lane[0].head = LANE_FIRST(0); lane[0].tail = LANE_FIRST(0);
#if LANES == 2
        lane[1].head = LANE_FIRST(1); lane[1].tail = LANE_FIRST(1);
#endif
#ifdef ROWS_THERE
        i = 1;
        do
        :: i <= IDS ->
            lane[LANE_OF(i)].tail = i + 1;
            row[i].kind = OWN_ROW; row[i].job = i - 1;
            jobs[i - 1].own = i; jobs[i - 1].run_no = 1; jobs[i - 1].state = AT_FIRST;
            i++
        :: else -> break
        od;
#else
#ifdef BATCH
        run submitter(0);
#else
        do
        :: i < JOBS -> run submitter(i); i++
        :: else -> break
        od;
#endif
#endif
        i = 0;
        do
        :: i < NODES -> run processor(i); i++
        :: else -> break
        od;
#if defined(ORDERED) && defined(DELAYED)
        run releaser();
#endif
#if CANCELS > 0
        run canceller();
#endif
#if LATE > 0
        run latecomer();
#endif
        run last_look();
        i = 0
    }
}
