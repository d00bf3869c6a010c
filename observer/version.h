/* A node as one of its versions tells (node/history.h), and how the next one changes it. Pure. */
#ifndef STINT_OBSERVER_VERSION_H
#define STINT_OBSERVER_VERSION_H

#include "datastore/arena.h"
#include "datastore/records.h"

struct version_lane {
    int32_t lane;
    int64_t head, tail; /* stored ids */
    struct range *pool;
    size_t n_pool;
};

struct version {
    struct node node; /* what versions tell of it */
    struct version_lane *lanes;
    size_t n_lanes;
};

/* Puts the fields of a body over those of `version`; its lists are in `mem`. False: no body that
 * this program understands, and the version is as it was. */
bool version_apply(struct version *version, struct bytes body, struct arena *mem);

#endif
