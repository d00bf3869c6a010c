/* The table of views. */
#include "observer/view.h"

extern const struct view view_cluster, view_map, view_timeline, view_jobs, view_queues, view_events;

static const struct view *const views[VIEWS] = {
    [VIEW_CLUSTER] = &view_cluster, [VIEW_MAP] = &view_map,       [VIEW_TIMELINE] = &view_timeline,
    [VIEW_JOBS] = &view_jobs,       [VIEW_QUEUES] = &view_queues, [VIEW_EVENTS] = &view_events,
};

const struct view *view_of(enum view_kind kind)
{
    return views[kind];
}
