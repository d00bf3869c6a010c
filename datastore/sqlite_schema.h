/* The SQLite backend's tables and statements. Included by sqlite*.c only.
 *
 * The jobs table is laid out for its two hot writes, inserting a row and recording its outcome:
 * - few columns, the common ones first; what is rare lies in two BSON blobs (spec, ending);
 * - no partial index's WHERE names a column that recording an outcome changes;
 * - an outcome does not change a row's size, so that it overwrites the row in place instead of
 *   splitting the full pages that inserting left: `state` is JOB_STATE_BASE + enum job_state (one
 *   byte, whichever), and times and node that are not known yet are NO_TIME and NO_NODE, which take
 *   as many bytes as real ones. */
#ifndef STINT_SQLITE_SCHEMA_H
#define STINT_SQLITE_SCHEMA_H

#include <sqlite3.h>
#include <stdint.h>

#include "datastore/error.h"

enum { JOB_STATE_BASE = 10 };
#define NO_TIME (-(INT64_C(1) << 40))
#define NO_NODE INT64_MIN

#define SQLITE_APPLICATION_ID 0x53746e74 /* "Stnt" */

/* Columns of a whole job row, in the order that the reader of rows (sqlite_jobs.c) expects. */
#define JOB_COLUMNS                                                                                \
    "id,state,run,type,payload,token,created,started,finished,node,ints,argv,slot,due,batch,spec," \
    "ending"

#define SQL_MAP(X)                                                                                 \
    X(BEGIN_WRITE, "BEGIN IMMEDIATE")                                                              \
    X(BEGIN_READ, "BEGIN")                                                                         \
    X(COMMIT, "COMMIT")                                                                            \
    X(ROLLBACK, "ROLLBACK")                                                                        \
    X(META_READ, "SELECT schema,reader_min,writer_min,features,created,body FROM meta")            \
    X(META_MARK, "UPDATE meta SET created=?1,body=?2")                                             \
    X(LANE_NUMBER_TAKE,                                                                            \
      "UPDATE meta SET lane_next=lane_next+1 WHERE lane_next<?1 RETURNING lane_next-1")            \
    X(QUEUE_GET, "SELECT name,body FROM queues WHERE name=?1")                                     \
    X(QUEUES_ALL, "SELECT name,body FROM queues ORDER BY name")                                    \
    X(QUEUE_PUT, "INSERT OR REPLACE INTO queues(name,body) VALUES(?1,?2)")                         \
    X(LANE_FIND, "SELECT number FROM lanes WHERE queue=?1 AND priority=?2 AND part=?3")            \
    X(LANE_GET, "SELECT number,queue,priority,part,exclusive,tail,head,holder,body FROM lanes"     \
                " WHERE number=?1")                                                                \
    X(LANES_ALL, "SELECT number,queue,priority,part,exclusive,tail,head,holder,body FROM lanes"    \
                 " ORDER BY number")                                                               \
    X(LANE_TAIL, "SELECT tail FROM lanes WHERE number=?1")                                         \
    X(LANE_ADD, "INSERT INTO lanes(number,queue,priority,part,exclusive,tail,head,holder,body)"    \
                " VALUES(?1,?2,?3,?4,?5,?6,?7,0,?8)")                                              \
    X(LANE_PUT, "UPDATE lanes SET tail=?2,head=?3,holder=?4,body=?5 WHERE number=?1")              \
    X(LANE_NEXT, "UPDATE meta SET lane_next=max(lane_next,?1)")                                    \
    X(LANE_COPY, "UPDATE OR IGNORE lanes SET queue=?2,priority=?3,part=?4,exclusive=?5,tail=?6,"   \
                 "head=?7,holder=?8,body=?9 WHERE number=?1")                                      \
    X(LANE_COPY_ADD, "INSERT OR IGNORE INTO lanes(number,queue,priority,part,exclusive,tail,head," \
                     "holder,body) VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9)")                            \
    X(NODE_GET, "SELECT id,name,state,beat,desired,body FROM nodes WHERE id=?1")                   \
    X(NODES_ALL, "SELECT id,name,state,beat,desired,body FROM nodes ORDER BY id")                  \
    X(NODES_PAST, "SELECT id,name,state,beat,desired,body FROM nodes WHERE id>?1 ORDER BY id")     \
    X(NODES_UP_TO, "SELECT id,name,state,beat,desired,body FROM nodes WHERE id<=?1 ORDER BY id")   \
    X(NODES_COUNT, "SELECT count(*) FROM nodes")                                                   \
    X(NODE_ADD, "INSERT OR IGNORE INTO nodes(id,name,state,beat,desired,body)"                     \
                " VALUES(?1,?2,?3,?4,?5,?6)")                                                      \
    X(NODE_PUT, "UPDATE nodes SET state=?2,beat=?3,desired=?4,body=?5 WHERE id=?1")                \
    X(NODE_DELETE, "DELETE FROM nodes WHERE id=?1")                                                \
    X(JOB_ADD, "INSERT OR IGNORE INTO jobs(id,state,run,type,payload,token,created,started,"       \
               "finished,node,ints,argv,slot,due,batch,spec,ending,ukey,failed)"                   \
               " VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17,?18,?19)")      \
    X(JOB_TOKEN, "SELECT token FROM jobs WHERE id=?1")                                             \
    X(JOB_GET, "SELECT " JOB_COLUMNS " FROM jobs WHERE id=?1")                                     \
    X(JOB_PUT, "UPDATE jobs SET state=?2,run=?3,started=?4,finished=?5,node=?6,ints=?7,slot=?8,"   \
               "due=?9,ending=?10,ukey=?11,failed=?12 WHERE id=?1")                                \
    X(JOBS_DONE, "UPDATE jobs SET state=13,started=?3,finished=?4,node=?5"                         \
                 " WHERE id BETWEEN ?1 AND ?2 AND state=10 AND run=?6 AND ukey IS NULL")           \
    X(JOBS_LOAD, "SELECT " JOB_COLUMNS " FROM jobs WHERE id>=?1 AND id<?2 ORDER BY id")            \
    X(JOBS_BRIEF, "SELECT id,state,run,slot FROM jobs WHERE id>=?1 AND id<?2 ORDER BY id")         \
    X(JOBS_SCAN, "SELECT id,state FROM jobs WHERE id>=?1 AND id<?2 ORDER BY id")                   \
    X(BATCH_SCAN, "SELECT id,state FROM jobs INDEXED BY jobs_batch"                                \
                  " WHERE batch=?3 AND id>=?1 AND id<?2 ORDER BY id")                              \
    X(PAGE_UP, "SELECT id,state,type,batch,node FROM jobs WHERE id>=?1 AND id<?2 ORDER BY id")     \
    X(PAGE_DOWN,                                                                                   \
      "SELECT id,state,type,batch,node FROM jobs WHERE id>=?1 AND id<?2 ORDER BY id DESC")         \
    X(PAGE_BATCH_UP, "SELECT id,state,type,batch,node FROM jobs INDEXED BY jobs_batch"             \
                     " WHERE batch=?3 AND id>=?1 AND id<?2 ORDER BY id")                           \
    X(PAGE_BATCH_DOWN, "SELECT id,state,type,batch,node FROM jobs INDEXED BY jobs_batch"           \
                       " WHERE batch=?3 AND id>=?1 AND id<?2 ORDER BY id DESC")                    \
    X(PAGE_FAILED_UP, "SELECT id,state,type,batch,node FROM jobs INDEXED BY jobs_failed"           \
                      " WHERE failed=1 AND id>=?1 AND id<?2 ORDER BY id")                          \
    X(PAGE_FAILED_DOWN, "SELECT id,state,type,batch,node FROM jobs INDEXED BY jobs_failed"         \
                        " WHERE failed=1 AND id>=?1 AND id<?2 ORDER BY id DESC")                   \
    X(PAGE_KEY, "SELECT id,state,type,batch,node FROM jobs INDEXED BY jobs_ukey"                   \
                " WHERE ukey=?3 AND id>=?1 AND id<?2 ORDER BY id")                                 \
    X(WAIT_ADD, "INSERT OR IGNORE INTO waits(parent,child) VALUES(?1,?2)")                         \
    X(CHUNK_THERE, "SELECT id FROM chunks WHERE submit=?1 AND at=?2")                              \
    X(CHUNK_ADD, "INSERT OR IGNORE INTO chunks(submit,at,id,count,last) VALUES(?1,?2,?3,?4,?5)")   \
    X(CHUNKS_FIND, "SELECT at,id,count,last FROM chunks WHERE submit=?1 ORDER BY at")              \
    X(SUBMITS, "SELECT DISTINCT submit FROM chunks WHERE submit>?1 ORDER BY submit LIMIT ?2")      \
    X(STINT_ADD, "INSERT OR IGNORE INTO stints(a,b,node,done,failed,cancelled,first,last)"         \
                 " VALUES(?1,?2,?3,?4,?5,?6,?7,?8)")                                               \
    X(TOTAL_ADD,                                                                                   \
      "INSERT INTO totals(lane,a,b,done,failed,cancelled,first,last)"                              \
      " VALUES(?1>>48,?1,?2,?4,?5,?6,?7,?8) ON CONFLICT(lane) DO UPDATE SET a=min(a,?1),"          \
      "b=max(b,?2),done=done+?4,failed=failed+?5,cancelled=cancelled+?6,"                          \
      "first=CASE WHEN ?7=0 THEN first WHEN first=0 THEN ?7 ELSE min(first,?7) END,"               \
      "last=max(last,?8)")                                                                         \
    X(TOTAL_PUT, "INSERT OR REPLACE INTO totals(lane,a,b,done,failed,cancelled,first,last)"        \
                 " VALUES(?1>>48,?1,?2,?4,?5,?6,?7,?8)")                                           \
    X(STINTS_READ, "SELECT a,b,node,done,failed,cancelled,first,last FROM stints"                  \
                   " WHERE a>?1 AND a>=?2 AND a<?3 ORDER BY a,b,node LIMIT ?4")                    \
    X(STINTS_READ_DOWN, "SELECT a,b,node,done,failed,cancelled,first,last FROM stints"             \
                        " WHERE a>?1 AND a>=?2 AND a<?3"                                           \
                        " ORDER BY a DESC,b DESC,node DESC LIMIT ?4")                              \
    X(TOTALS_READ, "SELECT a,b,0,done,failed,cancelled,first,last FROM totals"                     \
                   " WHERE a>?1 AND a>=?2 AND a<?3 ORDER BY lane LIMIT ?4")                        \
    X(HISTORY_ADD, "INSERT OR IGNORE INTO history(node,seq,at,whole,body) VALUES(?1,?2,?3,?4,?5)") \
    X(HISTORY_THIN, "DELETE FROM history WHERE node=?1 AND whole=0 AND at<?2")                     \
    X(HISTORY_DROP, "DELETE FROM history WHERE node=?1 AND whole IN (0,1) AND at<?2")              \
    X(HISTORY_ALL, "SELECT node,seq,at,whole,body FROM history WHERE seq>?1 AND node>?3"           \
                   " ORDER BY node,seq LIMIT ?2")                                                  \
    X(HISTORY_NODE, "SELECT node,seq,at,whole,body FROM history WHERE node=?3 AND seq>?1"          \
                    " ORDER BY seq LIMIT ?2")                                                      \
    X(HISTORY_STRETCH, "SELECT node,seq,at,whole,body FROM history WHERE node=?3 AND seq>?1"       \
                       " AND seq>=coalesce((SELECT max(seq) FROM history"                          \
                       " WHERE node=?3 AND whole=1 AND at<=?4),0)"                                 \
                       " AND seq<coalesce((SELECT min(seq) FROM history"                           \
                       " WHERE node=?3 AND whole=1 AND at>=?5),9223372036854775807)"               \
                       " ORDER BY seq LIMIT ?2")

enum sql_id {
#define X(name, text) SQL_##name,
    SQL_MAP(X)
#undef X
        SQL_COUNT
};

/* The statement's text. */
const char *sql_text(enum sql_id id);

/* Makes all tables in one transaction. The caller holds the lock and the file is empty.
 * A SQLite code. */
int sqlite_schema_make(sqlite3 *db, int64_t utc_ms);

enum schema_state { SCHEMA_OURS, SCHEMA_EMPTY };

/* Looks at what the file is. ERR_CORRUPT: not a Stint store; ERR_VERSION: a newer one. */
int sqlite_schema_check(sqlite3 *db, const char *path, bool to_write, enum schema_state *ret_state,
                        struct error *err) __attribute__((warn_unused_result));

/* ERR_REFUSED, told: the store is an unfinished copy. */
int sqlite_copying_check(sqlite3 *db, const char *path, struct error *err)
    __attribute__((warn_unused_result));

/* A SQLite result as ours; `err` gets one line that names the file and says what to do. */
int sqlite_code_map(sqlite3 *db, int sqlite_rc, const char *path, struct error *err);

#endif
