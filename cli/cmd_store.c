/* `stint store init|info|check|copy`. Single-threaded. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/cli.h"
#include "cli/output.h"
#include "cli/store_check.h"
#include "cli/store_copy.h"
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
        if (info->bytes >= 0)
            json_number(&json, "bytes", info->bytes);
        else
            json_null(&json, "bytes");
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
        printf("size     %s\n", size_format(size, (double)info->bytes));
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

/* ---- copy ------------------------------------------------------------------------------------ */

static void digest_json(struct json *json, const char *name, const struct store_digest *digest)
{
    char text[DIGEST_TEXT_BYTES];
    json_object_open(json, name);
    json_number(json, "queues", digest->queues);
    json_number(json, "lanes", digest->lanes);
    json_number(json, "nodes", digest->nodes);
    json_number(json, "jobs", digest->jobs);
    json_number(json, "slots", digest->slots);
    json_number(json, "voids", digest->voids);
    json_number(json, "chunks", digest->chunks);
    json_number(json, "stints", digest->stints);
    json_number(json, "history", digest->history);
    json_text(json, "digest", store_digest_text(text, digest));
    json_object_close(json);
}

static void digest_print(const char *what, const char *uri, const struct store_digest *digest)
{
    char text[DIGEST_TEXT_BYTES], shown[LIMIT_PATH_BYTES];
    printf("%s  %s\n", what, uri_redact(shown, sizeof(shown), uri));
    printf("      %" PRId64 " jobs, %" PRId64 " queues, %" PRId64 " lanes, %" PRId64
           " nodes, %" PRId64 " ranges, %" PRId64 " versions; digest %s\n",
           digest->jobs, digest->queues, digest->lanes, digest->nodes, digest->stints,
           digest->history, store_digest_text(text, digest));
}

static void copy_print(const struct cli *cli, const struct store_copy *copy, bool same)
{
    char shown[LIMIT_PATH_BYTES];
    if (!cli->json) {
        digest_print("from", copy->from_uri, &copy->source);
        digest_print("to  ", copy->to_uri, &copy->copy);
        return;
    }
    struct json json;
    json_open(&json, stdout);
    json_text(&json, "from", uri_redact(shown, sizeof(shown), copy->from_uri));
    json_text(&json, "to", uri_redact(shown, sizeof(shown), copy->to_uri));
    json_bool(&json, "resumed", copy->resumed);
    json_bool(&json, "complete", same);
    digest_json(&json, "source", &copy->source);
    digest_json(&json, "copy", &copy->copy);
    json_close(&json);
}

static int copy_stores(struct cli *cli, struct store_copy *copy)
{
    struct progress progress = {0};
    struct error err = {0};
    copy->progress = &progress;
    int rc = store_copy(copy, &err);
    if (rc == 0 || rc == ERR_CONFLICT)
        copy_print(cli, copy, rc == 0);
    if (rc == ERR_CONFLICT)
        return cli_error(CLI_FAILED,
                         "the two differ, as when somebody has used the source meanwhile; what is "
                         "new there the same command again adds; if they differ then, too, delete "
                         "the copy and begin anew");
    return rc < 0 ? cli_fail(&err) : CLI_OK;
}

static int copy_run(struct cli *cli)
{
    char *from = NULL, *to = NULL;
    struct store_copy copy = {0};
    int status = cli_uri(cli->operands[0], &from);
    if (status == CLI_OK)
        status = cli_uri(cli->operands[1], &to);
    if (status == CLI_OK)
        status = cli_open_uri(from, DS_READ_ONLY, &copy.from);
    if (status == CLI_OK)
        status = cli_open_uri(to, DS_CREATE | DS_COPY, &copy.to);
    copy.from_uri = from;
    copy.to_uri = to;
    if (status == CLI_OK)
        status = copy_stores(cli, &copy);
    datastore_close(copy.to);
    datastore_close(copy.from);
    free(from);
    free(to);
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

const struct cli_command store_copy_command = {
    .words = "store copy",
    .operands = "SRC DST",
    .summary = "Move to another store: copy everything, and compare",
    .notes = "SRC and DST are URIs, or @PATH for a file that holds one. No node may be alive in "
             "either; DST must be empty, or not there. Until the copy is complete, no other "
             "command takes DST. Interrupted, the same command again goes on. At last both are "
             "read and compared: exit status 1 when they differ, as when SRC was used meanwhile.",
    .example = "  stint store copy sqlite:/srv/stint.db @/etc/stint/mongodb.uri",
    .operands_min = 2,
    .operands_max = 2,
    .json = true,
    .run = copy_run,
};
