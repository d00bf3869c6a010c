/* `stint store init|info|check`. Single-threaded. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/cli.h"
#include "cli/output.h"
#include "cli/store_check.h"
#include "cli/view.h"

static int init_run(struct cli *cli)
{
    struct datastore *ds = NULL;
    int status = cli_open(cli, DS_CREATE, &ds);
    if (status != CLI_OK)
        return status;
    datastore_close(ds);
    char shown[LIMIT_PATH_BYTES];
    printf("%s\n", uri_redact(shown, sizeof(shown), cli_store_uri(cli)));
    return CLI_OK;
}

/* ---- info ------------------------------------------------------------------------------------ */

/* The bytes of an embedded store's files; -1: it has none that can be seen. */
static int64_t files_bytes(const char *uri)
{
    static const char *const parts[] = {"", "-wal", "-shm"};
    const char *path = strncmp(uri, "sqlite:", 7) == 0 ? uri + 7 : uri;
    int64_t bytes = -1;
    if (strstr(uri, "://") != NULL)
        return -1;
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        char *part = cli_format("%.*s%s", (int)strcspn(path, "?"), path, parts[i]);
        struct stat file;
        if (stat(part, &file) == 0)
            bytes = (bytes > 0 ? bytes : 0) + file.st_size;
        free(part);
    }
    return bytes;
}

struct info {
    const char *uri, *backend;
    struct meta meta;
    int64_t bytes, ids;
    size_t live, dead, queues, lanes;
};

static int info_read(struct datastore *ds, struct info *info, struct error *err)
{
    struct view view = {0};
    struct arena mem = {0};
    struct ds_step meta = {.kind = DS_META_READ}, queues = {.kind = DS_QUEUES_READ};
    int rc = datastore_step(ds, &meta, &mem, err);
    if (rc == 0)
        rc = datastore_step(ds, &queues, &mem, err);
    if (rc == 0)
        rc = view_read(ds, false, &view, err);
    if (rc == 0) {
        info->meta = meta.meta_read.ret_meta;
        info->queues = queues.queues_read.ret_n;
        info->lanes = view.n_lanes;
        for (size_t i = 0; i < view.n_lanes; i++)
            info->ids += id_seq(view.lanes[i].tail) - 1;
        for (size_t i = 0; i < view.n_nodes; i++)
            *(view.nodes[i].state == NODE_DEAD ? &info->dead : &info->live) += 1;
    }
    view_clear(&view);
    arena_release(&mem);
    return rc;
}

static void info_print(const struct cli *cli, const struct info *info)
{
    char created[TIME_TEXT_BYTES], size[TIME_TEXT_BYTES];
    char uri[LIMIT_PATH_BYTES];
    uri_redact(uri, sizeof(uri), info->uri);
    if (cli->json) {
        struct json json;
        json_open(&json, stdout);
        json_text(&json, "store", uri);
        json_text(&json, "backend", info->backend);
        json_number(&json, "schema", info->meta.schema_version);
        json_time(&json, "created", info->meta.created_ms);
        json_number(&json, "bytes", info->bytes);
        json_number(&json, "ids", info->ids);
        json_number(&json, "queues", (int64_t)info->queues);
        json_number(&json, "lanes", (int64_t)info->lanes);
        json_number(&json, "nodes_live", (int64_t)info->live);
        json_number(&json, "nodes_dead", (int64_t)info->dead);
        json_close(&json);
        return;
    }
    printf("store    %s (%s)\n", uri, info->backend);
    printf("schema   %d (readers %d, writers %d)\n", info->meta.schema_version,
           info->meta.reader_version_min, info->meta.writer_version_min);
    printf("created  %s\n", time_format(created, info->meta.created_ms));
    if (info->bytes >= 0)
        printf("size     %s\n", size_format(size, info->bytes));
    printf("ids      %" PRId64 " handed out\n", info->ids);
    printf("queues   %zu, in %zu lanes\n", info->queues, info->lanes);
    printf("nodes    %zu live, %zu dead\n", info->live, info->dead);
}

static int info_run(struct cli *cli)
{
    struct datastore *ds = NULL;
    struct error err = {0};
    int status = cli_open(cli, DS_READ_ONLY, &ds);
    if (status != CLI_OK)
        return status;
    const char *uri = cli_store_uri(cli);
    struct info info = {.uri = uri, .backend = ds->class->name, .bytes = files_bytes(uri)};
    if (info_read(ds, &info, &err) < 0)
        status = cli_fail(&err);
    else
        info_print(cli, &info);
    datastore_close(ds);
    return status;
}

/* ---- check ----------------------------------------------------------------------------------- */

static void problem_print(void *ctx, const char *text)
{
    (void)ctx;
    printf("%s\n", text);
}

static int check_run(struct cli *cli)
{
    struct datastore *ds = NULL;
    struct error err = {0};
    struct store_check check = {.problem = problem_print};
    int status = cli_open(cli, DS_READ_ONLY, &ds);
    if (status != CLI_OK)
        return status;
    if (store_check(ds, &check, &err) < 0)
        status = cli_fail(&err);
    else if (check.problems > 0)
        status = cli_error(CLI_FAILED,
                           "%" PRId64 " problems found; keep a copy of the store "
                           "before anything else",
                           check.problems);
    else
        printf("%" PRId64 " jobs in %" PRId64 " lanes, %" PRId64 " nodes: no problem found\n",
               check.jobs, check.lanes, check.nodes);
    datastore_close(ds);
    return status;
}

const struct cli_command store_init_command = {
    .words = "store init",
    .operands = "",
    .summary = "Make the datastore (submit and node start do it, too)",
    .example = "  stint store init --store sqlite:/srv/stint.db",
    .run = init_run,
};

const struct cli_command store_info_command = {
    .words = "store info",
    .operands = "",
    .summary = "Show where the datastore is and how large",
    .example = "  stint store info",
    .json = true,
    .run = info_run,
};

const struct cli_command store_check_command = {
    .words = "store check",
    .operands = "",
    .summary = "Read everything and report what does not fit together",
    .notes = "Exit status 1 when something was found. Nodes may go on working meanwhile.",
    .example = "  stint store check",
    .run = check_run,
};
