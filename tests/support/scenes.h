/* One scenario or more for each kind of step, for tests in which a server is lost in the middle of
 * one: what is there before, the step, and what a second try of it may be told. */
#ifndef STINT_TEST_SCENES_H
#define STINT_TEST_SCENES_H

#include "tests/support/store.h"

#define SCENE_MADE_MS 1600000000123 /* when a copy is said to be made */

struct scene {
    struct store *s; /* the direct handle */
    struct datastore *reader;
    struct ds_step step;
    int64_t first; /* the first job's id, where there are jobs */
    struct job jobs[8];
    struct outcome outcomes[8];
    struct node node;
};

struct scenario {
    enum ds_kind kind;
    const char *name;
    void (*prepare)(struct scene *scene);
    int again; /* what a second try gives where the first one was carried out; 0: like the first */
    bool leaves; /* a try that was lost leaves ids, or a lane's number, unused */
    bool voids;  /* a read that puts VOID rows into gaps */
    /* Looks at what the last try brought; NULL: nothing to look at. */
    void (*look)(struct scene *scene, const struct ds_step *last);
};

extern const struct scenario scenarios[];
extern const size_t n_scenarios;

struct scene *scene_new(const struct scenario *scenario);
/* Its handles, and `also` (may be NULL), are closed meanwhile: the driver takes half a second where
 * a server streams its state. */
void scene_free(struct scene *scene, struct datastore *also);
/* At a test's end: all handles are closed. */
void scenes_await(void);

/* All that is stored but for times, as text; to be freed. `leaves`: without what a lost try may
 * leave behind. */
char *scene_dump(struct scene *scene, bool leaves);

/* One try of the scenario's step; *ret_step (may be NULL): as it came back. Asserts that trouble is
 * told in one line. */
int scene_try(struct scene *scene, struct datastore *ds, struct ds_step *ret_step);

#endif
