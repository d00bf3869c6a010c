/* Jobs that wait for others (`after`), in Promela: how a parent's end reaches its children, whoever
 * dies meanwhile, and what pruning leaves alone.
 *
 * As in stint.pml, each `atomic` is one change of one record or one look. What comes before and after is
 * that model's: how an id reaches a node, and how a job that is due comes back through a slot row
 * (in an ordered lane: in place). Here a job that is `DUE` may start anywhere.
 *
 * What is checked: a job starts only when every parent has ended, and ended well unless the child asked
 * to be released anyhow; it fails unstarted only because a parent ended badly; one outcome; every job
 * ends while a node lives. */

#ifndef NODES
#define NODES 2
#endif
#ifndef CRASHES
#define CRASHES 0 /* of nodes and submitters */
#endif
#ifndef RERUNS
#define RERUNS 0 /* starts of what runs elsewhere: somebody was suspected */
#endif
#ifndef CANCELS
#define CANCELS 0
#endif
#ifndef FAILS
#define FAILS 0
#endif
#ifndef LOST
#define LOST 0 /* replies */
#endif

/* CHAIN: each job waits for the one before. Else the last waits for the two others.
 * RELEASED: children are released whatever became of their parents.
 * PRUNES: what ended is deleted after a while. */

#define JOBS 3
#define BIT(x) (1 << (x))
#define HAS(set, x) (((set) & BIT(x)) != 0)
#ifdef CHAIN
#define PARENTS(j) (BIT(j) >> 1)
#else
#define PARENTS(j) ((j) == 2 -> 3 : 0)
#endif

mtype = { ABSENT, BLOCKED, DUE, DONE, FAILED, CANCELLED }; /* ABSENT: not yet, or pruned */
typedef job_record {
    mtype state = ABSENT;
    byte waits; /* the parents that it waits for yet: a set */
}
job_record jobs[JOBS];
#define UNFINISHED(j) (jobs[j].state == BLOCKED || jobs[j].state == DUE)
#define ENDED(j) (jobs[j].state != ABSENT && !UNFINISHED(j))

/* The world. */
byte crashes, reruns, cancels, fails, losses;
byte outcomes[JOBS];
byte ended, badly;    /* jobs that have, also those that are pruned by now */
byte accepted;        /* jobs whose submit was acknowledged */
byte given_up;        /* jobs whose submitter died, or was refused: a parent is unknown */
byte late;            /* jobs whose submit took longer than a reservation is good for */
byte listed[JOBS];    /* what a submit under way saw unfinished */
byte runs[NODES];     /* job + 1 that runs there */
bit up[NODES] = 1;

inline finish(j, ending)
{
    jobs[j].state = ending;
    jobs[j].waits = 0;
    ended = ended | BIT(j);
    badly = badly | (ending == DONE -> 0 : BIT(j));
    outcomes[j]++;
    assert(outcomes[j] == 1)
}

#ifdef RELEASED
#define DOOMS(bad) false
#else
#define DOOMS(bad) (bad)
#endif

/* A parent's end, told to a child: nothing, when the child does not wait for it any more. */
#ifdef BREAK_COUNTED
#define WAITS_FOR(c, p) (jobs[c].state == BLOCKED && HAS(PARENTS(c), p))
#define LOWEST(set) ((set) & -(set)) /* a counter knows how many, not which */
#define WITHOUT(set, p) ((set) & ~LOWEST(set))
#else
#define WAITS_FOR(c, p) (jobs[c].state == BLOCKED && HAS(jobs[c].waits, p))
#define WITHOUT(set, p) ((set) & ~BIT(p))
#endif
inline pull(c, p, bad)
{
    if
    :: WAITS_FOR(c, p) && DOOMS(bad) ->
        assert(HAS(badly, p) || HAS(late, c));
        finish(c, FAILED)
    :: WAITS_FOR(c, p) && !DOOMS(bad) ->
        jobs[c].waits = WITHOUT(jobs[c].waits, p);
        if
        :: jobs[c].waits == 0 -> jobs[c].state = DUE
        :: else
        fi
    :: else
    fi
}

/* Looks at the parents one after the other. One that has ended is not listed: by the time that the row
 * is there it may be pruned, and how it ended not known any more. */
#ifdef BREAK_LISTS_ENDED
#define LISTED(p) true
#else
#define LISTED(p) UNFINISHED(p)
#endif
proctype submitter(byte j)
{
    byte p, waits;
    bit doomed;
    do
    :: atomic { p < j && !HAS(PARENTS(j), p) -> p++ }
    :: atomic { p < j && HAS(PARENTS(j), p) && HAS(given_up, p) -> given_up = given_up | BIT(j); break }
    :: atomic { p < j && HAS(PARENTS(j), p) && HAS(accepted, p) ->
        if
        :: jobs[p].state == ABSENT -> given_up = given_up | BIT(j); break /* refused */
        :: jobs[p].state != ABSENT && LISTED(p) ->
            waits = waits | BIT(p);
            if
            :: UNFINISHED(p) -> listed[j] = listed[j] | BIT(p)
            :: else
            fi
        :: jobs[p].state != ABSENT && !LISTED(p) -> doomed = doomed || DOOMS(jobs[p].state != DONE)
        fi;
        p++ }
    :: atomic { p == j ->
        if
        :: doomed -> finish(j, FAILED)
        :: !doomed && waits == 0 -> jobs[j].state = DUE
        :: !doomed && waits != 0 -> jobs[j].state = BLOCKED; jobs[j].waits = waits
        fi;
        p = JOBS }
    :: atomic { p == JOBS -> /* late: cancelled, and not acknowledged */
        if
        :: HAS(late, j) && UNFINISHED(j) -> finish(j, CANCELLED); given_up = given_up | BIT(j)
        :: HAS(late, j) && !UNFINISHED(j) -> given_up = given_up | BIT(j)
        :: !HAS(late, j) -> accepted = accepted | BIT(j)
        fi;
        break }
    :: atomic { crashes < CRASHES -> crashes++; given_up = given_up | BIT(j); break }
    od;
    atomic { p = 0; waits = 0; doomed = 0; listed[j] = 0 }
}

#if CANCELS > 0
/* A command: whom it concerns is left to the nodes' sweep. */
proctype canceller()
{
    byte j;
    do
    :: atomic { cancels < CANCELS && UNFINISHED(0) -> cancels++; finish(0, CANCELLED) }
    :: atomic { cancels < CANCELS && UNFINISHED(1) -> cancels++; finish(1, CANCELLED) }
    :: atomic { cancels < CANCELS && UNFINISHED(2) -> cancels++; finish(2, CANCELLED) }
    :: atomic { true -> break }
    od
}
#endif

mtype = { IDLE, RUNNING, PULLING };  /* the executor */
mtype = { RESTING, CHOSEN, READ };   /* the sweep */

#define RUNS_ELSEWHERE(j) (runs[NODES - 1 - me] == (j) + 1)

/* What blocked jobs there are is read first, then their parents. */
#define sweeps(c, p) \
    atomic { sweeper == RESTING && jobs[c].state == BLOCKED && HAS(jobs[c].waits, p) && \
             !UNFINISHED(p) -> \
        sweeper = CHOSEN; s_child = c; s_parent = p }

proctype processor(byte me)
{
    mtype executor = IDLE;
    byte job;
    bit bad;

    mtype sweeper = RESTING;
    byte s_child, s_parent;
    bit s_bad;

    byte j; /* for the length of a step */
end:
    do
    :: atomic { crashes < CRASHES -> crashes++; break }

    /* -- a job starts, and ends ------------------------------------------------------------------ */
#define CAN_RUN(n) (jobs[n].state == DUE && (!RUNS_ELSEWHERE(n) || reruns < RERUNS))
    :: atomic { executor == IDLE && (CAN_RUN(0) || CAN_RUN(1) || CAN_RUN(2)) ->
        if
        :: CAN_RUN(0) -> j = 0
        :: CAN_RUN(1) -> j = 1
        :: CAN_RUN(2) -> j = 2
        fi;
        if
        :: RUNS_ELSEWHERE(j) -> reruns++
        :: else
        fi;
        assert((PARENTS(j) & ~ended) == 0);
        assert((PARENTS(j) & badly) == 0 || !DOOMS(true));
        executor = RUNNING; job = j; runs[me] = j + 1; j = 0 }
    :: atomic { executor == RUNNING ->
        if
        :: bad = 0
        :: fails < FAILS -> fails++; bad = 1
        fi;
        runs[me] = 0;
        if
        :: jobs[job].state == DUE ->
            if
            :: bad -> finish(job, FAILED)
            :: else -> finish(job, DONE)
            fi;
            executor = PULLING
#ifdef BREAK_REFUSED_PULLS
        :: jobs[job].state != DUE -> executor = PULLING
#else
        :: jobs[job].state != DUE -> executor = IDLE; job = 0; bad = 0 /* refused: who recorded pulls */
#endif
        fi }
    /* -- it tells the children that it finds now ------------------------------------------------- */
#define CAN_PULL(c) WAITS_FOR(c, job)
    :: atomic { executor == PULLING && (CAN_PULL(1) || CAN_PULL(2)) ->
        if
        :: CAN_PULL(1) -> pull(1, job, bad)
        :: CAN_PULL(2) -> pull(2, job, bad)
        fi;
#ifdef BREAK_COUNTED
        executor = IDLE; job = 0; bad = 0
#endif
        }
    :: atomic { executor == PULLING && !CAN_PULL(1) && !CAN_PULL(2) ->
        executor = IDLE; job = 0; bad = 0 }

    /* -- the sweep: what a crash left, who came meanwhile, whose parent was cancelled -------------- */
#ifndef BREAK_NO_SWEEP
    :: sweeps(1, 0)
    :: sweeps(2, 0)
    :: sweeps(2, 1)
#endif
    :: atomic { sweeper == CHOSEN ->
        if
        :: ENDED(s_parent) -> s_bad = (jobs[s_parent].state != DONE); sweeper = READ
        :: jobs[s_parent].state == ABSENT -> s_bad = 1; sweeper = READ /* pruned */
        fi }
    :: atomic { sweeper == READ ->
        pull(s_child, s_parent, s_bad);
        if
        :: sweeper = RESTING; s_child = 0; s_parent = 0; s_bad = 0
        :: losses < LOST -> losses++ /* once more */
        fi }
    od;
    atomic {
        up[me] = 0; runs[me] = 0;
        executor = IDLE; job = 0; bad = 0;
        sweeper = RESTING; s_child = 0; s_parent = 0; s_bad = 0
    }
}

#ifdef PRUNES
/* After a time longer than a reservation is good for: a submit that saw it unfinished is late now. */
#ifdef BREAK_PRUNES_PARENTS
#define WAITED_FOR(p) false
#else
#define WAITED_FOR(p) (HAS(jobs[0].waits | jobs[1].waits | jobs[2].waits, p))
#endif
#define LATE_FOR(j, p) (HAS(listed[j], p) -> BIT(j) : 0)
#define prunes(p) \
    atomic { !chosen && ENDED(p) && HAS(accepted, p) && !WAITED_FOR(p) -> \
        late = late | LATE_FOR(0, p) | LATE_FOR(1, p) | LATE_FOR(2, p); \
        chosen = 1; job = p }

/* Some node's: a second one would find less to delete. */
proctype pruner()
{
    bit chosen;
    byte job;
end:
    do
    :: prunes(0)
    :: prunes(1)
    :: atomic { chosen ->
        if
        :: ENDED(job) -> jobs[job].state = ABSENT
        :: else
        fi;
        chosen = 0; job = 0 }
    od
}
#endif

/* When nothing can happen any more: also of a job that was not acknowledged none stays. */
proctype last_look()
{
    timeout ->
    atomic {
        assert(!(up[0] || up[NODES - 1]) ||
               (!UNFINISHED(0) && !UNFINISHED(1) && !UNFINISHED(2) && (accepted & ~ended) == 0));
        assert((accepted | given_up) == BIT(JOBS) - 1)
    }
}

init
{
    atomic {
        run submitter(0); run submitter(1); run submitter(2);
        run processor(0);
#if NODES > 1
        run processor(1);
#endif
#if CANCELS > 0
        run canceller();
#endif
#ifdef PRUNES
        run pruner();
#endif
        run last_look()
    }
}
