/* Loads the MongoDB driver and looks its functions up. */
#define STINT_MONGO_DRIVER_TABLE /* names are names here */
#include "datastore/mongo_driver.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define DRIVER "libmongoc-1.0.so.0"

struct mongo_driver mongo_driver;

static pthread_once_t once = PTHREAD_ONCE_INIT;

/* It keeps counters in shared memory, from the moment it is loaded. Their name goes at once, and
 * they live as long as the process: one that is killed leaves nothing, and the next of that pid is
 * not told off for it on standard error. */
static void counters_unlink(void)
{
    char name[32];
    snprintf(name, sizeof(name), "/mongoc-%u", (unsigned)getpid());
    (void)shm_unlink(name);
}

/* It would write to standard error. */
static void quiet(mongoc_log_level_t level, const char *domain, const char *text, void *ctx)
{
    (void)level;
    (void)domain;
    (void)text;
    (void)ctx;
}

static bool look_up(void *library)
{
    static const struct {
        const char *name;
        size_t offset;
    } table[] = {
#define X(name) {#name, offsetof(struct mongo_driver, name)},
        MONGO_DRIVER_MAP(X)
#undef X
    };
    struct mongo_driver found;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        void *function = dlsym(library, table[i].name);
        if (function == NULL)
            return false;
        memcpy((char *)&found + table[i].offset, &function, sizeof(function));
    }
    mongo_driver = found;
    return true;
}

static void load(void)
{
    counters_unlink();
    void *library = dlopen(DRIVER, RTLD_NOW | RTLD_LOCAL);
    counters_unlink();
    if (library == NULL || !look_up(library))
        return;
    mongo_driver.mongoc_init();
    mongo_driver.mongoc_log_set_handler(quiet, NULL);
}

int mongo_driver_load(struct error *err)
{
    pthread_once(&once, load);
    if (mongo_driver.mongoc_init == NULL)
        return error_set(err, ERR_INVALID,
                         "a MongoDB store needs " DRIVER
                         " (on Debian: apt install libmongoc-1.0-0)");
    return 0;
}
