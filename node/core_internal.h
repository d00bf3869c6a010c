/* Insides of a node's core, shared by its parts and included by nobody else:
 *   core.c      life: start, stop, fencing, what is due when
 *   ledger.c    the own record: heartbeat, claim, return, making good a lost reply
 *   lanes.c     what is known of the lanes: looking, sharing of work when there is none
 *   choosing.c  what to claim, how much, and when
 *   holds.c     ranges in hand, loading their rows
 *   tasks.c     starting jobs and taking their ends
 *   outcomes.c  recording outcomes
 *   watching.c  watching neighbours, seeing how many nodes there are
 *   burial.c    burying the dead
 */
#ifndef STINT_CORE_INTERNAL_H
#define STINT_CORE_INTERNAL_H

#include "node/core.h"
#include "node/history.h"

enum {
    LOADED_JOBS_MAX = 3 * LIMIT_PAGE_JOBS, /* rows in memory that have not started, about */
    LOADED_BYTES_MAX = 3 << 20,            /* ... and what they and those running may take */
    BATCH_JOBS = 16384,                    /* outcomes worth a second flight */
    GATHER_MS = 10,                        /* between flights while jobs run */
    BATCH_ENTRIES = 4096,                  /* entries of one batch */
    BATCHES = 3,                           /* two under way, one being filled */
    RETRY_MS_MIN = 10,                     /* back-off after a datastore failure */
    RETRY_MS_MAX = 1000,
    HOLDS_MAX = 2 * LIMIT_HELD_RANGES, /* held ranges and the pieces being returned */
    CLAIM_JOBS = 16384,                /* ids of one grant, but for a crowd's */
    LOOK_MS_MIN = 200,                 /* between looks when nothing is wanted */
    LOOK_SOON_MS = 20,     /* where wakes are not sure: after there was work, then doubled ... */
    LOOK_APART_MS = 5,     /* ... and between looks however often it is woken */
    META_MS = 60000,       /* between readings of the store's settings */
    ENTRY_IDLE_MS = 60000, /* after which an unused lane entry is dropped */
};

/* One id in hand. The order matters: from TASK_DONE on it leads nowhere any more. */
enum task_state {
    TASK_HOLE,    /* no row seen yet */
    TASK_READY,   /* may start */
    TASK_NAMING,  /* from a suspect range: waits for a heartbeat that names it */
    TASK_NAMED,   /* ... acknowledged: may start */
    TASK_RUNNING, /* handed to the environment */
    TASK_ENDED,   /* its outcome is on the way to the store */
    TASK_CHECK,   /* the row is to be read again */
    TASK_DONE,
    TASK_FAILED,
    TASK_CANCELLED,
    TASK_NOTHING, /* void, or leads elsewhere */
};

/* A stretch of a hold whose rows were loaded together. */
struct page {
    struct page *next;
    struct hold *hold;
    int64_t first;     /* id of task 0 */
    size_t n;          /* tasks */
    uint8_t *tasks;    /* enum task_state */
    struct job **rows; /* in mem; NULL where a row is missing */
    size_t unresolved; /* tasks below TASK_DONE */
    size_t ready_from; /* nothing startable stands before this index */
    size_t checks;     /* tasks in TASK_CHECK */
    bool checks_came;  /* some since the reading under way was sent: it is older than they are */
    size_t holes;      /* tasks in TASK_HOLE */
    uint64_t hole_since_ms, hole_next_ms, hole_wait_ms;
    bool pinned; /* a read or insert under way names this page */
    int64_t first_start_ms, last_finish_ms;
    struct arena mem;
};

enum hold_state {
    HOLD_LIVE,
    HOLD_LEAVING,   /* to be returned: nothing in it starts any more */
    HOLD_RETURNING, /* its return is under way */
    HOLD_RESOLVED,  /* every id leads nowhere: its stints row, and it leaves the record */
};

/* A range this node answers for. */
struct hold {
    struct core *core;
    struct range range;
    enum hold_state state;
    uint64_t returning; /* number of the return while RETURNING, else 0 */
    bool named;         /* it is in the newest write of the own record */
    bool accepted;      /* ... in an acknowledged one */
    bool dropped;       /* RESOLVED: the write under way leaves it out */
    struct lane_view *lane;
    int64_t next_load; /* first id not loaded */
    bool loading;
    struct page *pages, *pages_last; /* ascending; the front leaves when it is resolved */
    size_t ready;                    /* tasks in TASK_READY */
    size_t waiting;                  /* tasks loaded and not started: HOLE, READY, NAMING, NAMED */
    bool barred;                     /* nothing more of it can start in this tick */
    int64_t done, failed, cancelled; /* of the pages that left */
    int64_t first_start_ms, last_finish_ms;
};

/* What this node knows of a lane. */
struct lane_view {
    int32_t number;
    struct lane_name name;
    bool serves;     /* a queue and types of ours */
    bool paused;     /* its queue is */
    int64_t backlog; /* as last seen ... */
    uint64_t seen_at_ms;
    uint64_t g, r;    /* own last grant and return there */
    uint64_t life;    /* of the entry, the newest tried; records.h */
    bool entry_there; /* the lane has an entry of ours */
    uint64_t used_at_ms;
    double mean_ms; /* recent mean duration of its jobs; < 0: not known */
    int64_t head, tail;
    struct range pool[16]; /* as last seen, cut; for history */
    size_t n_pool;
};

struct running {
    struct page *page; /* NULL: a free slot */
    size_t index;
    int64_t id;
    int32_t run;
    uint64_t started_at_ms; /* monotonic */
    int64_t started_ms;     /* UTC by the store's clock */
    bool ending;            /* env->end was called */
    bool killed;            /* ... without grace */
    bool interrupt;         /* its end is an interruption: not its own doing */
};

/* A datastore run that a part issues again and again, one at a time. */
struct call {
    struct core *core;
    struct ds_run run;
    struct ds_step steps[LIMIT_RUN_STEPS];
    bool under_way;
    uint64_t retry_at_ms; /* do not issue before */
    uint64_t wait_ms;     /* the present back-off; 0: none */
};

/* Outcomes gathered for one DS_FINISH. */
struct batch {
    struct call call;
    struct outcome outcomes[BATCH_ENTRIES];
    struct {
        struct page *page;
        size_t index;
        bool asked;         /* to cancel one of them, since */
    } tasks[BATCH_ENTRIES]; /* the first task of each outcome */
    size_t n;
    size_t jobs;
    struct arena mem; /* endings */
    bool full;        /* handed over: under way, or to be tried again */
};

/* What the own record's pen writes. One at a time, so that the store sees this node's steps in
 * the order it means them. */
enum pen_work { PEN_IDLE, PEN_ADD, PEN_BEAT, PEN_CLAIM, PEN_RETURN, PEN_DROP };

struct pen {
    enum pen_work work; /* under way; or, when `broken`, to be made good by reading back */
    bool broken;
    struct call call;
    size_t n_steps; /* gathered for the run being made */
    struct lane_view *lane;
    uint64_t lane_works;                      /* how many works so far could change a lane */
    struct range ranges[LIMIT_RETURN_RANGES]; /* RETURN: repeated to the letter */
    size_t n_ranges;
    bool return_unsure; /* one try of it may yet be taken: no other may have its number */
    uint64_t sent_at_ms;
    uint64_t return_wait_until_ms; /* the pool was full */
    struct arena mem;              /* own part for the write under way */
};

struct naming {
    struct page *page;
    size_t index;
    bool sent;  /* it is in the write under way */
    bool acked; /* it is in the store: start it now, or not on this naming */
};

/* A neighbour being watched. */
struct watch {
    int64_t node;
    uint64_t beat;
    uint64_t moved_at_ms; /* our clock when its counter was last seen to move */
    bool seen;            /* in the newest reading */
    bool swept;           /* it is none of the next on the ring */
};

enum burial_stage { BURY_IDLE, BURY_KILL, BURY_INTERRUPT, BURY_LANES, BURY_ESTATE, BURY_CLEAR };

struct burial {
    enum burial_stage stage;
    int64_t target; /* may be the node itself */
    uint64_t beat;
    char cause[160];
    struct node record; /* frozen; in mem */
    bool record_gone;
    bool others_wait; /* somebody else was to be buried meanwhile */
    struct arena mem;
    struct call call;
    int32_t lanes[LIMIT_RUN_STEPS]; /* those being buried or cleared */
    size_t n_lanes;
};

struct core {
    struct core_config config;
    struct env *env;
    struct arena identity_mem;
    struct node self; /* identity, counters, state; lists are filled at each write */
    struct error error;
    enum core_phase phase;

    /* life */
    bool registered;
    bool introduced; /* its record is known to say more than `initializing` (I5: waiting first) */
    bool stopping, stop_at_once, fenced;
    char fence_cause[160];
    uint64_t fenced_at_ms;
    enum node_desired desired;
    uint64_t stop_asked_at_ms;
    bool farewell_sent, farewell; /* stopping with empty hands: a last write, so that the record
                                     ends with the right counters */
    int32_t name_number;
    char name_base[LIMIT_NAME_BYTES + 1];
    int64_t name_owner; /* who has the chosen name, silent since name_since_ms at that beat */
    uint64_t name_owner_beat, name_since_ms;
    uint64_t renewed_at_ms; /* when the last acknowledged write of the own record was sent */
    uint64_t beat_due_ms;
    int64_t clock_offset_ms; /* store's clock minus ours */
    uint64_t request_seq;    /* newest request handled */
    uint64_t steps_asked, claims;
    uint64_t calls_under_way;

    struct pen pen;

    /* lanes */
    struct lane_view **lanes;
    size_t n_lanes;
    struct call look;
    bool look_wanted;
    uint64_t look_works; /* pen.lane_works when it began; UINT64_MAX: one was under way */
    uint64_t looked_at_ms;
    uint64_t passed_on_at_ms;              /* a look that rang others */
    bool rung;                             /* since it took a turn */
    bool turn_taken;                       /* of a crowd: ... */
    uint64_t claim_after_ms;               /* ... no claim before */
    uint64_t luck;                         /* ... and low, when only some are to claim */
    uint64_t look_backoff_ms, look_gap_ms; /* present ones, where wakes are not sure */
    struct call own; /* reads what others asked of this node, and the store's settings */
    bool own_wanted;
    uint64_t own_at_ms;
    size_t turn; /* round robin among lanes of one priority */
    struct call ask;
    uint64_t asked_at_ms;
    int64_t rich_peer; /* who had most to give at the last reading; 0: nobody */
    int64_t rich_id;   /* first id of its longest range */
    int64_t rich_count;

    /* ranges in hand and their jobs */
    struct hold *holds[HOLDS_MAX];
    size_t n_holds;
    size_t loaded;       /* rows loaded that have not started */
    size_t loaded_bytes; /* of all pages */
    struct call load;
    struct hold *load_hold;
    bool load_outdated;  /* a row that is just being loaded has changed since */
    bool claim_outdated; /* ... or one that the claim under way may have read */
    struct call again;   /* reads rows again, or voids holes */
    struct page *again_page;
    size_t again_index, again_n;
    struct running *running; /* one for each slot */
    size_t n_running;
    uint64_t start_after_ms; /* the machine had no process to spare: not before */
    struct naming naming[LIMIT_SLOTS];
    size_t n_naming;

    /* outcomes */
    struct batch *batches[BATCHES];
    struct batch *filling;
    uint64_t offered_at_ms; /* when the last batch was handed over */
    size_t outcomes_waiting;

    /* neighbours */
    struct call peers;
    uint64_t peers_at_ms, peers_sent_ms; /* due from; when the reading was sent */
    uint64_t judge_at_ms; /* then one of them has been silent for too long, or be seen again */
    unsigned peers_readings;
    struct watch *watches;
    size_t n_watches;
    size_t live_nodes;    /* this one included; of a crowd, about */
    bool crowd;           /* there are so many that not all of them are read */
    double met, met_arc;  /* nodes met at random places of the ring, and how much of it */
    int64_t sweep_from;   /* beside its next ones it watches those past here for a while */
    bool sweep_new;       /* nobody has been met there yet */
    unsigned sweeps_left; /* readings of them before it goes elsewhere */
    bool remote_peers;    /* somebody whose process cannot be seen from here */
    int64_t gone[16];     /* peers whose process was reported gone */
    size_t n_gone;
    int64_t unburied[16]; /* nodes found in lane entries that may be dead */
    size_t n_unburied, unburied_met;
    uint64_t entries_at_ms; /* of a crowd: when all entries of the lanes are to be read again */
    struct burial burial;
    struct call clean; /* deletes old dead records */

    uint64_t rate_at_ms;
    int64_t rate_done;
    struct history *history;
};

/* core.c */
void core_fence(struct core *core, const char *why);
void core_fail(struct core *core, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
bool core_may_start(const struct core *core); /* jobs */
bool core_may_claim(const struct core *core);
bool core_hands_empty(const struct core *core);
bool core_leaving(const struct core *core); /* stopping or paused: unstarted work goes back */
uint64_t core_now(const struct core *core);
int64_t core_store_ms(const struct core *core); /* UTC by the store's clock */
void core_requests(struct core *core, enum node_desired desired,
                   const struct node_request *requests, size_t n);

/* Issues call->steps[0..n). `done` gets the call as its ctx, and begins with call_returned. */
void call_issue(struct core *core, struct call *call, size_t n_steps,
                void (*done)(struct ds_run *run, void *ctx));
struct core *call_returned(struct call *call); /* the call is idle again; whose it is */
bool call_ready(const struct core *core, const struct call *call); /* idle, and not backing off */
void call_retry(struct core *core, struct call *call); /* back off before the next issue */
void call_ok(struct call *call);
uint64_t call_due_ms(const struct call *call); /* when a retry is due; UINT64_MAX: none */

/* ledger.c */
void ledger_tick(struct core *core);
uint64_t ledger_due_ms(const struct core *core);        /* absolute; UINT64_MAX: nothing */
void ledger_beat_by(struct core *core, uint64_t at_ms); /* a heartbeat not later than that */
/* For a look: a mark of the own dealings with lanes, UINT64_MAX while one is under way; and what
 * the own entry says while there were none. */
uint64_t ledger_lane_works(const struct core *core);
void ledger_entry_seen(struct core *core, struct lane_view *lane, const struct lane_entry *entry);
void ledger_release(struct core *core);

/* lanes.c */
void lanes_tick(struct core *core);
uint64_t lanes_due_ms(const struct core *core);
void lanes_release(struct core *core);
struct lane_view *lane_view_get(struct core *core, int32_t number); /* made when not known */
void lanes_look_soon(struct core *core);          /* there was work: more may come */
void lanes_shed(struct core *core, int32_t lane); /* somebody asks for some of it */

/* choosing.c */
/* What to claim now: the lane, and how many ids; NULL: nothing. */
struct lane_view *lanes_choose(struct core *core, int64_t *ret_want);
void lane_sample(struct lane_view *lane, double ms, size_t jobs);
double lane_job_ms(const struct core *core, const struct lane_view *lane); /* < 0: not known */
int64_t lane_ids_worth(const struct core *core, double job_ms, int work_ms);
double lane_ahead_ms(const struct core *core, const struct lane_view *lane); /* < 0: not known */
size_t lane_sharers(const struct core *core, const struct lane_view *lane);
int lane_round_ms(const struct core *core, const struct lane_view *lane);
int32_t lanes_claimable_priority(const struct core *core);
void turn_take(struct core *core, int32_t priority);

/* holds.c */
struct hold *hold_add(struct core *core, struct range range, struct lane_view *lane);
void hold_remove(struct core *core, struct hold *hold);
void holds_tick(struct core *core);
uint64_t holds_due_ms(const struct core *core);
void holds_release(struct core *core);
/* Work in hand: holes count for a while only, as their rows may never come. */
int64_t holds_old_holes(const struct core *core, const struct lane_view *lane);
int64_t holds_unstarted(const struct core *core, const struct lane_view *lane); /* NULL: all */
int64_t holds_unstarted_before(const struct core *core, int32_t priority); /* that and higher */
void holds_shed(struct core *core, int32_t lane); /* half of the longest unstarted tail goes */
struct page *holds_find(const struct core *core, int64_t id, size_t *ret_index);
void task_set(struct page *page, size_t index, size_t n, enum task_state state);
/* A step that reads what a claim of `want` ids will grant, for its own run, behind the write that
 * accepts it; false: not now. Its rows count only when that claim was acknowledged with it. */
bool holds_load_make(struct core *core, const struct lane_view *lane, int64_t want,
                     struct ds_step *ret_step);
void holds_load_take(struct core *core, struct hold *hold, const struct ds_load *load,
                     struct arena *mem); /* mem: where its rows are; taken with them */
/* That row is said to have changed, and is not loaded: a load under way may show it as it was. */
void holds_outdated(struct core *core, int64_t id);

/* tasks.c */
void tasks_tick(struct core *core);
uint64_t tasks_due_ms(const struct core *core);
void tasks_end_all(struct core *core, uint64_t grace_ms, bool interrupt);
void task_cancelled(struct core *core, struct page *page, size_t index);
void naming_forget(struct core *core, const struct page *page, size_t from_index);
void naming_acknowledged(struct core *core);

/* outcomes.c */
void outcomes_init(struct core *core);
void outcomes_release(struct core *core);
void outcomes_tick(struct core *core);
uint64_t outcomes_due_ms(const struct core *core);
bool outcomes_room(const struct core *core);
bool outcomes_idle(const struct core *core); /* nothing gathered, nothing under way */
void outcome_add(struct core *core, struct page *page, size_t index, struct outcome outcome);
/* That job may be cancelled: though its outcome is taken it does not simply run again. */
void outcome_cancelled(struct core *core, const struct page *page, size_t index);

/* burial.c */
void burial_tick(struct core *core);
uint64_t burial_due_ms(const struct core *core);
void burial_release(struct core *core);
bool burial_idle(const struct core *core);
void burial_start(struct core *core, int64_t target, uint64_t beat, const char *cause);

/* watching.c */
void watching_tick(struct core *core);
uint64_t watching_due_ms(const struct core *core);
void watching_release(struct core *core);
void watching_suspect(struct core *core,
                      int64_t node); /* seen in a lane entry, not among the live */

#endif
