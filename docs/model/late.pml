/* What comes late, in Promela: unique keys, schedules and slot rows where a process froze for long
 * between two of its steps, and what kept it from harm is pruned by then.
 *
 * As in stint.pml, each `atomic` is one change of one record or one look. That an id is in the hands
 * of exactly one node until what it leads to is known is that model's; here one `owner` holds them all.
 * Three times matter, and each is much longer than the one before: the grace after which an id without a
 * row is declared void; the age at which a reservation is old (minutes); the age at which voids and ended
 * jobs are pruned, and their keys forgotten (a day or more).
 *
 * While a void stands in its place no row comes late: it is refused. So what may be pruned is told first,
 * in the lane: its floor, an id below which every id has been let go. A job that is queued below the floor
 * came late, and will never run; one that is not below it will, whoever looks and whenever. No clock says
 * it: whoever froze cannot know for how long its row has been there. UNPRUNED: nothing is pruned at all, as
 * in the program today, so no floor moves and nothing comes late.
 *
 * KEYS: two submitters, one key. SCHEDULE: two nodes, one schedule. SLOTS: two promoters, one job. */

#ifndef IDS
#define IDS 4
#endif
#ifndef CRASHES
#define CRASHES 0
#endif
#ifndef LOST
#define LOST 0 /* replies */
#endif
#ifndef FAILS
#define FAILS 0
#endif
#ifndef TIMES
#define TIMES 2 /* of the schedule */
#endif

mtype = { NO_ROW, VOID_ROW, JOB_ROW, SLOT_ROW };
mtype = { NO_JOB, SCHEDULED, QUEUED, DONE, CANCELLED };
typedef row_record {
    mtype kind = NO_ROW;
    mtype state = NO_JOB;
    byte key;    /* SCHEDULE: the time that it is for */
    byte run_no; /* of a slot row */
}
row_record row[IDS];
byte tail;
byte floor_id; /* of the lane: what is below it has been let go, and may be pruned */
byte held;     /* ids that have not been let go: a set */
byte old;      /* ids whose reservation is old by its submitter's clock; what is pruned is older */
byte crashes, losses;
bit up[2] = 1;

#define BIT(x) (1 << (x))
#define HAS(set, x) (((set) & BIT(x)) != 0)
#define MAY_RESERVE (tail < IDS)
#define HOLE(x) (((x) < tail && row[x].kind == NO_ROW) << (x))
#if IDS == 3
#define HOLES (HOLE(0) | HOLE(1) | HOLE(2))
#define SOME_ID(CAN, x) if :: CAN(0) -> x = 0 :: CAN(1) -> x = 1 :: CAN(2) -> x = 2 fi
#define ANY(CAN) (CAN(0) || CAN(1) || CAN(2))
#elif IDS == 4
#define HOLES (HOLE(0) | HOLE(1) | HOLE(2) | HOLE(3))
#define SOME_ID(CAN, x) \
    if :: CAN(0) -> x = 0 :: CAN(1) -> x = 1 :: CAN(2) -> x = 2 :: CAN(3) -> x = 3 fi
#define ANY(CAN) (CAN(0) || CAN(1) || CAN(2) || CAN(3))
#endif

inline reserve(id)
{
    id = tail;
    tail++;
    held = held | BIT(id)
}

/* ---- schedules ----------------------------------------------------------------------------------- */

byte next = 1;            /* time of the schedule: all are due */
byte key_of[TIMES + 1];   /* id + 1 of the row that has the key of that time, also when it has ended */
byte fired[TIMES + 1];    /* jobs of that time that ran */
byte holes_then[TIMES + 1]; /* when that job ended, and when the schedule moved on */

#ifdef SCHEDULE
mtype = { RESTING, RESERVED, DUE, INSERTED, LOOKING, LATE };

/* The time is read after the id was reserved, and again for each id. So whoever froze in between finds
 * its id void: that is so long before a key is forgotten. */
#define UNFINISHED(t) (key_of[t] != 0 && row[key_of[t] - 1].state == QUEUED)
#ifdef BREAK_TIME_READ_FIRST
#define again() at = RESTING; id = 0
#else
#define again() at = RESTING; id = 0; time = 0
#endif

#ifdef BREAK_MOVES_FIRST
#define MOVED(t) (next == (t) + 1)
#else
#define MOVED(t) (next == (t))
#endif

inline moved_on()
{
    if
    :: MOVED(time) -> next = time + 1; holes_then[time] = holes_then[time] | HOLES
    :: else
    fi;
    at = RESTING; id = 0; time = 0
}

proctype firer(byte me)
{
    mtype at = RESTING;
    byte id, time, seen; /* seen: id + 1 of the job that has the key */
end:
    do
    :: atomic { at == RESTING && next <= TIMES && MAY_RESERVE ->
#ifdef BREAK_TIME_READ_FIRST
        time = (time == 0 -> next : time);
#endif
        reserve(id); at = RESERVED }
    :: atomic { at == RESERVED ->
#ifndef BREAK_TIME_READ_FIRST
        time = next;
#endif
        if
        :: time <= TIMES -> at = DUE
        :: else -> at = RESTING; id = 0; time = 0
        fi;
#ifdef BREAK_MOVES_FIRST
        if
        :: at == DUE -> next++
        :: else
        fi
#endif
        }
    :: atomic { at == DUE ->
        if
        :: row[id].kind == NO_ROW && key_of[time] == 0 ->
            row[id].kind = JOB_ROW; row[id].state = QUEUED; row[id].key = time;
            key_of[time] = id + 1;
            if
            :: at = INSERTED
            :: losses < LOST -> losses++
            fi
        :: row[id].kind == NO_ROW && key_of[time] != 0 -> at = INSERTED /* somebody has fired it */
        :: row[id].kind == JOB_ROW -> at = INSERTED /* its own token */
        :: row[id].kind == VOID_ROW -> again()
        fi }
    /* Whoever finds a row that came late, its own or another's, withdraws it: it will never run. */
    :: atomic { at == INSERTED ->
        if
#ifndef BREAK_LATE_FIRING
        :: UNFINISHED(time) -> seen = key_of[time]; at = LOOKING
        :: key_of[time] == 0 -> again() /* somebody else withdrew it */
#endif
        :: else -> moved_on()
        fi }
    :: atomic { at == LOOKING ->
        if
        :: seen - 1 < floor_id -> at = LATE
        :: else -> seen = 0; moved_on()
        fi }
    :: atomic { at == LATE ->
        if
        :: UNFINISHED(time) && key_of[time] == seen ->
            row[seen - 1].state = CANCELLED; key_of[time] = 0
        :: else
        fi;
        seen = 0; again() }
    :: atomic { crashes < CRASHES -> crashes++; break }
    od;
    atomic { up[me] = 0; at = RESTING; id = 0; time = 0; seen = 0 }
}
#endif

/* ---- unique keys --------------------------------------------------------------------------------- */

byte told[2];       /* id + 1 that a submitter was told */
byte ran;           /* ids whose job ran */
bit given_up[2];    /* it died, or said that it cannot tell */

#ifdef KEYS
mtype = { ABOUT, SENDING, REFUSED, ASKING, FOUND, HELD_LATE, SENT, CAME_LATE };
#define HOLDS_KEY(x) (row[x].kind == JOB_ROW && row[x].state == QUEUED)

inline withdraw(x)
{
    if
    :: HOLDS_KEY(x) -> row[x].state = CANCELLED
    :: else
    fi
}

/* What has not ended is in somebody's hands. */
inline tell(x)
{
    assert(row[x].state != QUEUED || HAS(held, x));
    told[me] = x + 1
}

proctype submitter(byte me)
{
    mtype at = ABOUT;
    byte id, owner;
    bit unsure; /* an earlier try may have put the row there */
    do
    :: atomic { at == ABOUT && MAY_RESERVE -> reserve(id); unsure = 0; at = SENDING }
    :: atomic { at == ABOUT && !MAY_RESERVE -> given_up[me] = 1; break }
    :: atomic { at == SENDING ->
        if
        :: row[id].kind == NO_ROW && !ANY(HOLDS_KEY) ->
            row[id].kind = JOB_ROW; row[id].state = QUEUED;
            if
            :: at = SENT
            :: losses < LOST -> losses++; unsure = 1
            fi
        :: row[id].kind == NO_ROW && ANY(HOLDS_KEY) -> at = REFUSED
        :: row[id].kind == JOB_ROW -> at = SENT /* its own token */
        :: row[id].kind == VOID_ROW -> at = ABOUT; id = 0
        fi }
    /* Its own id is void, and it has the job's that holds the key; if there is one yet. */
    :: atomic { at == REFUSED ->
        if
        :: row[id].kind == NO_ROW -> row[id].kind = VOID_ROW
        :: else
        fi;
        at = ASKING }
    :: atomic { at == ASKING ->
        if
        :: ANY(HOLDS_KEY) -> SOME_ID(HOLDS_KEY, owner); at = FOUND
        :: else -> at = ABOUT; id = 0
        fi }
    :: atomic { at == FOUND ->
        if
#ifndef BREAK_LATE_KEY
        :: owner < floor_id -> at = HELD_LATE /* its submitter may be dead: nobody may count on it */
#endif
        :: else -> tell(owner); break
        fi }
    :: atomic { at == HELD_LATE -> withdraw(owner); owner = 0; at = ABOUT; id = 0 }
    /* The clock only spares the look. */
    :: atomic { at == SENT ->
        if
#ifdef BREAK_WITHDRAWS_BY_CLOCK
        :: HAS(old, id) -> at = CAME_LATE
#else
        :: HAS(old, id) && id < floor_id -> at = CAME_LATE
#endif
        :: else -> tell(id); break
        fi }
    :: atomic { at == CAME_LATE ->
        withdraw(id);
        if
        :: row[id].kind == JOB_ROW && row[id].state == CANCELLED && !unsure -> at = ABOUT; id = 0
        :: row[id].kind == JOB_ROW && row[id].state == DONE -> tell(id); break
        :: else -> given_up[me] = 1; break /* it may have run, and been pruned */
        fi }
    :: atomic { crashes < CRASHES -> crashes++; given_up[me] = 1; break }
    od;
    at = ABOUT; id = 0; owner = 0; unsure = 0
}
#endif

/* ---- slot rows ----------------------------------------------------------------------------------- */

mtype state = SCHEDULED; /* of the job, whose own row led nowhere and was let go */
byte run_no = 1, slot;      /* slot: id + 1 */
byte fails;

#ifdef SLOTS
mtype = { RESTING, DUE, RESERVED, INSERTED, IN_TIME };
#define MAY_QUEUE(k) (state == SCHEDULED && run_no == (k))

/* It looks at the floor after the insert, and before the job's step. A row that is not below it is met by
 * its id's owner, so that step may come as late as it likes. */
proctype promoter(byte me)
{
    mtype at = RESTING;
    byte id, k;
end:
    do
    :: atomic { at == RESTING && state == SCHEDULED && MAY_RESERVE -> at = DUE; k = run_no }
    :: atomic { at == DUE ->
        if
        :: MAY_RESERVE -> reserve(id); at = RESERVED
        :: else -> at = RESTING; k = 0
        fi }
    :: atomic { at == RESERVED ->
        if
        :: row[id].kind == NO_ROW ->
            row[id].kind = SLOT_ROW; row[id].run_no = k;
            if
            :: at = INSERTED
            :: losses < LOST -> losses++
            fi
        :: row[id].kind == SLOT_ROW -> at = INSERTED
        :: else -> at = RESTING; id = 0; k = 0
        fi }
    :: atomic { at == INSERTED ->
        if
#ifndef BREAK_LATE_SLOT
        :: id < floor_id -> at = RESTING; id = 0; k = 0
#endif
        :: else -> at = IN_TIME
        fi }
    :: atomic { at == IN_TIME ->
        if
        :: MAY_QUEUE(k) -> state = QUEUED; slot = id + 1; assert(HAS(held, id))
        :: else
        fi;
        at = RESTING; id = 0; k = 0 }
    :: atomic { crashes < CRASHES -> crashes++; break }
    od;
    atomic { up[me] = 0; at = RESTING; id = 0; k = 0 }
}
#endif

/* ---- the ids' owner, and time -------------------------------------------------------------------- */

#define CAN_VOID(x) (HAS(held, x) && row[x].kind == NO_ROW)
#define CAN_RUN(x) (HAS(held, x) && row[x].kind == JOB_ROW && row[x].state == QUEUED)
#define CAN_DROP(x) \
    (HAS(held, x) && (row[x].kind == VOID_ROW || (row[x].kind == JOB_ROW && row[x].state != QUEUED)))
#define IS_SLOT(x) (HAS(held, x) && row[x].kind == SLOT_ROW)

proctype owner()
{
    byte x;
end:
    do
    :: atomic { ANY(CAN_VOID) -> SOME_ID(CAN_VOID, x); row[x].kind = VOID_ROW; x = 0 }
    :: atomic { ANY(CAN_RUN) -> SOME_ID(CAN_RUN, x);
        row[x].state = DONE;
        ran = ran | BIT(x);
#ifdef SCHEDULE
        fired[row[x].key]++;
        assert(fired[row[x].key] == 1);
        holes_then[row[x].key] = holes_then[row[x].key] | HOLES;
#endif
        x = 0 }
    :: atomic { ANY(CAN_DROP) -> SOME_ID(CAN_DROP, x); held = held & ~BIT(x); x = 0 }
#ifdef SLOTS
    :: atomic { ANY(IS_SLOT) -> SOME_ID(IS_SLOT, x);
        if
        :: MAY_QUEUE(row[x].run_no) -> state = QUEUED; slot = x + 1
        :: state == QUEUED && slot == x + 1 -> /* it runs */
            if
            :: state = DONE
            :: fails < FAILS -> fails++; run_no++; slot = 0; state = SCHEDULED
            fi
        :: else -> held = held & ~BIT(x) /* it can never lead again */
        fi;
        x = 0 }
#endif
    od
}

/* What leads nowhere is pruned a day after it ended; a job's row that its schedule still asks for is not. */
#ifdef SCHEDULE
#define ENDED(x) (row[x].kind == VOID_ROW)
#else
#define ENDED(x) (row[x].kind != NO_ROW && row[x].state != QUEUED)
#endif
#ifdef BREAK_PRUNES_FIRST
#define CAN_PRUNE(x) (!HAS(held, x) && ENDED(x))
#else
#define CAN_PRUNE(x) ((x) < floor_id && ENDED(x))
#endif
#define CAN_AGE(x) (x < tail && !HAS(old, x))

/* A key is forgotten long after its job ended and the schedule moved on (which may take long, too, where
 * no node is up): what was a hole at either time has a row by now, or is void. */
#ifdef BREAK_FORGETS_DUE
#define PAST(t) true
#else
#define PAST(t) (next > (t))
#endif
#ifdef BREAK_KEY_ENDS
#define HOLES_THEN(t) 0
#else
#define HOLES_THEN(t) (holes_then[t] & HOLES & held)
#endif
#define CAN_FORGET(t) \
    (key_of[t] != 0 && row[key_of[t] - 1].state == DONE && HOLES_THEN(t) == 0 && PAST(t))

proctype ageing()
{
    byte x;
end:
    do
    :: atomic { ANY(CAN_AGE) -> SOME_ID(CAN_AGE, x); old = old | BIT(x); x = 0 }
#ifndef UNPRUNED
    :: atomic { ANY(CAN_PRUNE) -> SOME_ID(CAN_PRUNE, x);
        row[x].kind = NO_ROW; row[x].state = NO_JOB; old = old | BIT(x); x = 0 }
    :: atomic { floor_id < tail && !HAS(held, floor_id) -> floor_id++ }
#endif
#ifdef SCHEDULE
    :: atomic { CAN_FORGET(1) -> key_of[1] = 0 }
#if TIMES > 1
    :: atomic { CAN_FORGET(2) -> key_of[2] = 0 }
#endif
#endif
    od
}

proctype last_look()
{
    byte i;
    timeout ->
    atomic {
#ifdef SCHEDULE
        i = 1;
        do
        :: i <= TIMES -> assert(fired[i] == 1 || !(up[0] || up[1]) || !MAY_RESERVE); i++
        :: else -> break
        od
#endif
#ifdef KEYS
        do
        :: i < 2 ->
            assert(given_up[i] || told[i] != 0);
            assert(told[i] == 0 || HAS(ran, told[i] - 1));
            i++
        :: else -> break
        od
#endif
#ifdef SLOTS
        assert(state == DONE || (state == SCHEDULED && (!MAY_RESERVE || !(up[0] || up[1]))))
#endif
    }
}

init
{
    atomic {
#ifdef SCHEDULE
        run firer(0); run firer(1);
#endif
#ifdef KEYS
        run submitter(0); run submitter(1);
#endif
#ifdef SLOTS
        run promoter(0); run promoter(1);
#endif
        run owner(); run ageing(); run last_look()
    }
}
