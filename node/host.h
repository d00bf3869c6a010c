/* Who this process is on its machine, and whether another node's process can be seen from here. */
#ifndef STINT_HOST_H
#define STINT_HOST_H

#include "datastore/records.h"

/* Fills host, boot_id, pid_ns, pid, pid_start and version of a node record. What cannot be read is
 * left empty or 0, and then nobody takes this process for one they can see. */
void host_identify(struct node *node);

/* Is that node's process there? 1: yes, 0: gone, -1: it cannot be seen from here (another machine,
 * boot or pid namespace). */
int host_process_alive(const struct node *self, const struct node *peer);

/* The host's name made fit for a node's name: [A-Za-z0-9._-], never empty. */
void host_name(char ret_name[LIMIT_NAME_BYTES + 1]);

#endif
