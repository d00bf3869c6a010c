/* The cluster now, as `stint status` and `stint queue list` show it: the observer's model, made of
 * one reading. */
#ifndef STINT_NOW_H
#define STINT_NOW_H

#include "cli/cli.h"
#include "cli/output.h"
#include "cli/view.h"
#include "observer/moment.h"

struct now {
    struct past *past;
    const struct moment *moment;
    struct view view; /* the same lanes and live nodes, for what is shown of records */
};

/* Opens the store and reads. CLI_OK, or a status after the error was printed. Given: free with
 * now_clear. */
int now_read(struct cli *cli, struct now *ret_now) __attribute__((warn_unused_result));
void now_clear(struct now *now);

void queues_print_table(const struct moment *moment);
void queue_write_json(struct json *json, const struct moment_queue *queue); /* its fields */

#endif
