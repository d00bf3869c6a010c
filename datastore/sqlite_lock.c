/* The fair lock: flock(2) behind a turnstile, with holders that can be told and removed.
 *
 * flock, because it belongs to the open file, so that two handles of one process exclude each
 * other, and because it blocks: a periodic timer signal to the waiting thread, armed only when the
 * lock is not free, makes it look up about once a second. Both files carry their holder, since one
 * may also be stopped between the two.
 * What counts as frozen: stopped, traced, or (twice as patiently, and only inside the lock) asleep
 * without using any processor time. One that runs or waits for the disk is slow, not frozen, and is
 * left alone.
 * Invariant: whoever is killed was seen in this very acquisition, and its pid with this start time
 * is the one that made it. Thread: the handle's. */
#include "datastore/sqlite_lock.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "datastore/procfs.h"

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

enum {
    LOOK_MS_MAX = 1000,
    SAME_FACTOR = 3,     /* how many frozen_ms one acquisition may outlast */
    OUTSTAY_FACTOR = 12, /* ... and a wait in all */
};

#define LOCK_MAGIC UINT64_C(0x31304b434f4c5453) /* "STLOCK01" */

static int64_t mono_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- /proc ---------------------------------------------------------------------------------- */

static bool file_read(const char *path, char *text, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t n = read(fd, text, size - 1);
    close(fd);
    text[n > 0 ? n : 0] = '\0';
    return n > 0;
}

/* One thread of a process; false: gone, or not to be seen. */
static bool task_read(int64_t pid, int64_t tid, struct proc_stat *ret_stat)
{
    char path[80], text[1024];
    snprintf(path, sizeof(path), "/proc/%" PRId64 "/task/%" PRId64 "/stat", pid, tid);
    return file_read(path, text, sizeof(text)) && proc_stat_parse(text, ret_stat);
}

static void self_fill(struct lock_holder *self)
{
    struct proc_stat task = {0};
    struct stat ns = {0};
    (void)task_read(getpid(), getpid(), &task);
    (void)!stat("/proc/self/ns/pid", &ns);
    self->magic = LOCK_MAGIC;
    self->pid = getpid();
    self->start = task.start;
    self->pid_ns = (int64_t)ns.st_ino;
    self->uid = (int64_t)getuid();
    (void)file_read("/proc/sys/kernel/random/boot_id", self->boot_id, sizeof(self->boot_id));
    self->boot_id[strcspn(self->boot_id, "\n")] = '\0';
    if (gethostname(self->host, sizeof(self->host) - 1) < 0)
        self->host[0] = '\0';
}

/* ---- the holder ----------------------------------------------------------------------------- */

static bool holder_read(int fd, struct lock_holder *ret_holder)
{
    struct lock_holder holder;
    if (pread(fd, &holder, sizeof(holder), 0) != (ssize_t)sizeof(holder) ||
        holder.magic != LOCK_MAGIC)
        return false;
    holder.boot_id[sizeof(holder.boot_id) - 1] = '\0';
    holder.host[sizeof(holder.host) - 1] = '\0';
    *ret_holder = holder;
    return true;
}

/* The pid (as seen here) that has the file locked, as the kernel tells; 0: it does not tell. */
static int64_t kernel_holder(int fd)
{
    struct stat st;
    FILE *locks = fopen("/proc/locks", "re");
    if (locks == NULL)
        return 0;
    int64_t found = 0;
    char line[256];
    while (found == 0 && fstat(fd, &st) == 0 && fgets(line, sizeof(line), locks) != NULL) {
        int64_t pid;
        uint64_t inode;
        if (proc_lock_parse(line, &pid, &inode) && inode == (uint64_t)st.st_ino)
            found = pid;
    }
    fclose(locks);
    return found;
}

static bool is_stint(int64_t pid)
{
    char path[64], comm[32] = "";
    struct stat own, other;
    snprintf(path, sizeof(path), "/proc/%" PRId64 "/exe", pid);
    if (stat("/proc/self/exe", &own) == 0 && stat(path, &other) == 0 &&
        own.st_dev == other.st_dev && own.st_ino == other.st_ino)
        return true;
    snprintf(path, sizeof(path), "/proc/%" PRId64 "/comm", pid);
    return file_read(path, comm, sizeof(comm)) && strncmp(comm, "stint", 5) == 0;
}

/* Whether that holder is somebody whom this process may remove. */
static bool holder_ours(const struct sqlite_lock *lock, const struct lock_holder *holder, int fd)
{
    const struct lock_holder *self = &lock->self;
    struct proc_stat stat;
    if (holder->pid_ns != self->pid_ns || holder->uid != self->uid || holder->pid == self->pid ||
        strcmp(holder->boot_id, self->boot_id) != 0)
        return false;
    int64_t told = kernel_holder(fd);
    return (told == 0 || told == holder->pid) && task_read(holder->pid, holder->pid, &stat) &&
           stat.start == holder->start && is_stint(holder->pid);
}

/* ---- waiting -------------------------------------------------------------------------------- */

struct watch {
    int fd;
    int64_t every_ms;
    int64_t began_ms, looked_ms;
    int64_t same_ms;  /* how long the acquisition has been the same */
    int64_t still_ms; /* how long it has shown no sign of life */
    uint64_t count;
    int64_t cpu_ticks;
    bool killed;
};

/* How much of `since_ms` counts as frozen. Asleep inside `next` means waiting for `main`. */
static int64_t frozen_part_ms(const struct proc_stat *stat, int64_t cpu_ticks_before, bool inside,
                              int64_t since_ms)
{
    if (stat->state == 'T' || stat->state == 't')
        return since_ms;
    return inside && stat->state == 'S' && stat->cpu_ticks == cpu_ticks_before ? since_ms / 2 : 0;
}

static void watch_holder(struct sqlite_lock *lock, struct watch *watch,
                         const struct lock_holder *holder, int64_t since_ms)
{
    struct proc_stat stat;
    if (holder->count != watch->count) {
        watch->count = holder->count;
        watch->same_ms = watch->still_ms = 0;
        watch->cpu_ticks = -1;
        watch->killed = false;
    } else if (task_read(holder->pid, holder->tid, &stat)) {
        int64_t part_ms =
            frozen_part_ms(&stat, watch->cpu_ticks, watch->fd == lock->main_fd, since_ms);
        watch->still_ms = part_ms > 0 ? watch->still_ms + part_ms : 0;
        watch->cpu_ticks = stat.cpu_ticks;
    }
    if (watch->still_ms < lock->frozen_ms || watch->killed || !holder_ours(lock, holder, watch->fd))
        return;
    watch->killed = kill((pid_t)holder->pid, SIGKILL) == 0;
    lock->killed += watch->killed ? 1 : 0;
    watch->same_ms = 0; /* dying may take a moment */
}

/* Looks at the holder and removes one that is frozen. False: waiting on is of no use. */
static bool watch_look(struct sqlite_lock *lock, struct watch *watch)
{
    int64_t now_ms = mono_ms(), since_ms = now_ms - watch->looked_ms;
    if (since_ms < watch->every_ms / 2)
        return true; /* some other signal */
    watch->looked_ms = now_ms;
    if (since_ms > 2 * watch->every_ms + LOOK_MS_MAX) /* this process itself was stopped */
        watch->same_ms = watch->still_ms = since_ms = 0;
    struct lock_holder holder;
    watch->same_ms += since_ms;
    if (holder_read(watch->fd, &holder))
        watch_holder(lock, watch, &holder, since_ms);
    return watch->same_ms < SAME_FACTOR * lock->frozen_ms &&
           now_ms - watch->began_ms < OUTSTAY_FACTOR * lock->frozen_ms;
}

static int outstayed(const struct sqlite_lock *lock, const struct watch *watch, struct error *err)
{
    struct lock_holder holder;
    int64_t waited_ms = mono_ms() - watch->began_ms;
    if (!holder_read(watch->fd, &holder))
        return error_set(err, ERR_UNAVAILABLE,
                         "%.200s: locked for %" PRId64 " ms by an unknown process; find it with"
                         " `fuser` on the file -lock.main beside it, and end it",
                         lock->path, waited_ms);
    return error_set(err, ERR_UNAVAILABLE,
                     "%.200s: locked for %" PRId64 " ms by process %" PRId64 " of user %" PRId64
                     " on %s; see what it waits for, or end it",
                     lock->path, waited_ms, holder.pid, holder.uid, holder.host);
}

static int look_signal(void)
{
    return SIGRTMIN + 7;
}

static void on_look_signal(int signal)
{
    (void)signal; /* its only use is to interrupt flock() */
}

/* A timer that signals this thread again and again: one that fires just before the wait is not the
 * last. */
static int timer_arm(timer_t *timer, int64_t every_ms)
{
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = look_signal()};
    event.sigev_notify_thread_id = (pid_t)syscall(SYS_gettid);
    if (timer_create(CLOCK_MONOTONIC, &event, timer) < 0)
        return -errno;
    struct timespec every = {.tv_sec = every_ms / 1000, .tv_nsec = every_ms % 1000 * 1000000};
    struct itimerspec spec = {.it_interval = every, .it_value = every};
    timer_settime(*timer, 0, &spec, NULL);
    return 0;
}

static int lock_trouble(const struct sqlite_lock *lock, int error, struct error *err)
{
    return error_set(err, ERR_UNAVAILABLE, "%.200s: cannot lock it: %s", lock->path,
                     strerror(error));
}

static int wait_for(struct sqlite_lock *lock, int fd, struct error *err)
{
    int64_t every_ms = lock->frozen_ms / 4;
    every_ms = every_ms < 1 ? 1 : every_ms > LOOK_MS_MAX ? LOOK_MS_MAX : every_ms;
    int64_t now_ms = mono_ms();
    struct watch watch = {
        .fd = fd, .every_ms = every_ms, .began_ms = now_ms, .looked_ms = now_ms, .cpu_ticks = -1};
    timer_t timer;
    int rc = timer_arm(&timer, every_ms);
    if (rc < 0)
        return lock_trouble(lock, -rc, err);
    sigset_t look, before;
    sigemptyset(&look);
    sigaddset(&look, look_signal());
    pthread_sigmask(SIG_UNBLOCK, &look, &before);
    while (rc == 0 && flock(fd, LOCK_EX) < 0) {
        if (errno != EINTR)
            rc = lock_trouble(lock, errno, err);
        else if (!watch_look(lock, &watch))
            rc = outstayed(lock, &watch, err);
    }
    timer_delete(timer);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rc;
}

/* Takes one of the files and writes into it who has it. */
static int file_take(struct sqlite_lock *lock, int fd, struct error *err)
{
    int rc = 0;
    if (flock(fd, LOCK_EX | LOCK_NB) < 0)
        rc = errno == EWOULDBLOCK || errno == EINTR ? wait_for(lock, fd, err)
                                                    : lock_trouble(lock, errno, err);
    if (rc < 0)
        return rc;
    struct lock_holder old;
    bool known = holder_read(fd, &old);
    lock->self.count = known ? old.count + 1 : 1;
    lock->self.note = known ? old.note : 0;
    /* On a full disk the holder has no name; the lock is as good. */
    (void)!pwrite(fd, &lock->self, sizeof(lock->self), 0);
    return 0;
}

int sqlite_lock_take(struct sqlite_lock *lock, struct error *err)
{
    assert(!lock->held);
    if (lock->self.pid != getpid())
        self_fill(&lock->self);
    lock->self.tid = (int64_t)syscall(SYS_gettid);
    int rc = file_take(lock, lock->next_fd, err);
    if (rc < 0)
        return rc;
    rc = file_take(lock, lock->main_fd, err);
    flock(lock->next_fd, LOCK_UN);
    lock->held = rc == 0;
    return rc;
}

void sqlite_lock_note(struct sqlite_lock *lock, int64_t note)
{
    assert(lock->held);
    lock->self.note = note;
    (void)!pwrite(lock->main_fd, &lock->self, sizeof(lock->self), 0);
}

void sqlite_lock_give(struct sqlite_lock *lock)
{
    assert(lock->held);
    lock->held = false;
    flock(lock->main_fd, LOCK_UN);
}

/* ---- open and close ------------------------------------------------------------------------- */

static int file_open(const char *path, const char *suffix, int *ret_fd, struct error *err)
{
    char name[LIMIT_PATH_BYTES + 16];
    snprintf(name, sizeof(name), "%s%s", path, suffix);
    int fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd >= 0) {
        *ret_fd = fd;
        return 0;
    }
    if (errno == EACCES || errno == EPERM || errno == EROFS)
        return error_set(err, ERR_READ_ONLY,
                         "%.300s: %s; to write to the store, run as its owner, in a folder that"
                         " can be written",
                         name, strerror(errno));
    if (errno == ENOSPC || errno == EDQUOT)
        return error_set(err, ERR_FULL, "%.300s: %s; free some space", name, strerror(errno));
    return error_set(err, ERR_UNAVAILABLE, "%.300s: %s", name, strerror(errno));
}

int sqlite_lock_open(struct sqlite_lock *lock, const char *path, int64_t frozen_ms,
                     struct error *err)
{
    assert(frozen_ms > 0 && strlen(path) < sizeof(lock->path));
    *lock = (struct sqlite_lock){.next_fd = -1, .main_fd = -1, .frozen_ms = frozen_ms};
    snprintf(lock->path, sizeof(lock->path), "%s", path);
    int rc = file_open(path, "-lock.next", &lock->next_fd, err);
    if (rc == 0)
        rc = file_open(path, "-lock.main", &lock->main_fd, err);
    if (rc < 0) {
        sqlite_lock_close(lock);
        return rc;
    }
    struct sigaction action = {.sa_handler = on_look_signal};
    sigemptyset(&action.sa_mask);
    sigaction(look_signal(), &action, NULL);
    return 0;
}

void sqlite_lock_close(struct sqlite_lock *lock)
{
    if (lock->main_fd >= 0)
        close(lock->main_fd);
    if (lock->next_fd >= 0)
        close(lock->next_fd);
    lock->main_fd = lock->next_fd = -1;
    lock->held = false;
}
