/* Goal: whatever a store holds, what people and programs get to see of it is lines: valid JSON, one
 * object a line; and no byte in a table or a message that would move a terminal's cursor.
 * Method: the first byte chooses: a job (a document of the MongoDB backend) printed in the three
 * ways, or a text quoted and put into an error line. What goes to stdout is looked at. */
#include "tests/fuzz/bson_mutator.h"

#include "cli/cli.h"
#include "cli/job_print.h"
#include "datastore/mongo_bson.h"

enum { NODE_ID = 77 };

/* Two lanes, and a node that runs the job. */
static void view_make(struct view *view, const struct job *job)
{
    static struct lane lanes[] = {
        {.number = 0, .name = {"default", PRIORITY_DEFAULT, 0}},
        {.number = 1, .name = {"mail", 2, 3}},
    };
    static struct node node = {.id = NODE_ID, .name = "one", .state = NODE_WORKING};
    static struct node_running running = {.started_ms = 1700000000000, .type = "exec"};
    static struct view_running shown = {.node = &node, .job = &running};
    running.id = shown.id = job->id;
    running.run = job->run;
    *view = (struct view){.lanes = lanes, .n_lanes = 2, .nodes = &node, .n_nodes = 1};
    if (job->node == NODE_ID) {
        view->running = &shown;
        view->n_running = 1;
    }
}

/* Ends with a line's end, and holds nothing else that moves the cursor. */
static void require_lines(const char *text, size_t len)
{
    REQUIRE(len > 0 && text[len - 1] == '\n' && strlen(text) == len);
    for (const char *at = text; *at != '\0'; at++) {
        const unsigned char *c = (const unsigned char *)at;
        REQUIRE(*c >= ' ' || *c == '\n');
        REQUIRE(*c != 0x7f && !(c[0] == 0xc2 && c[1] < 0xa0 && c[1] >= 0x80));
    }
    REQUIRE(bson_utf8_validate(text, len, false));
}

static void require_json(const char *text, size_t len)
{
    bson_error_t error;
    require_lines(text, len);
    REQUIRE(strchr(text, '\n') == text + len - 1);
    bson_t *json = bson_new_from_json((const uint8_t *)text, (ssize_t)len, &error);
    REQUIRE(json != NULL && bson_has_field(json, "id") && bson_has_field(json, "state"));
    bson_destroy(json);
}

enum form { FORM_JSON, FORM_FULL, FORM_TABLE, FORMS };

static void job_look(const struct view *view, const struct job *job, enum form form)
{
    struct caught caught;
    struct table table;
    catch_begin(&caught, &stdout);
    if (form == FORM_JSON) {
        job_print_json(view, job);
    } else if (form == FORM_FULL) {
        job_print_full(view, job);
    } else {
        job_table_open(&table);
        job_table_add(&table, view, job);
        table_close(&table);
    }
    catch_end(&caught);
    if (form == FORM_JSON)
        require_json(caught.text, caught.len);
    else
        require_lines(caught.text, caught.len);
    free(caught.text);
}

static void jobs_print(struct bytes input)
{
    struct arena mem = {0};
    struct job_texts texts = {0};
    struct view view;
    struct job job;
    bson_t doc;
    if (bson_init_static(&doc, input.data, input.len) &&
        job_from_doc(&doc, &mem, &texts, &job) == 0) {
        view_make(&view, &job);
        for (int form = 0; form < FORMS; form++)
            job_look(&view, &job, (enum form)form);
    }
    arena_release(&mem);
}

static void text_quote(struct bytes input)
{
    struct caught caught;
    char quoted[QUOTE_BYTES], *text = take_rest(&input);
    cli_quote(quoted, text);
    REQUIRE(memchr(quoted, '\0', sizeof(quoted)) != NULL);
    catch_begin(&caught, &stderr);
    (void)cli_error(CLI_USAGE, "'%s', in full %s", quoted, text);
    catch_end(&caught);
    require_message(&caught);
    require_lines(caught.text, caught.len);
    free(caught.text);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes input = {data, size};
    if (take_byte(&input) % 2 == 0)
        jobs_print(input);
    else
        text_quote(input);
    return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
    static const char *const names[] = {
        "_id",          "state",         "run",         "type",   "created", "payload",    "argv",
        "batch",        "started",       "node",        "slot",   "due",     "key",        "spec",
        "ending",       "exit",          "signal",      "output", "result",  "error",      "trace",
        "env",          "cwd",           "after",       "done",   "failed",  "finished",   "queued",
        "user_ms",      "maxrss_kb",     "sys_ms",      "exec",   "group",   "timeout_ms", "run_at",
        "output_total", "interruptions", "max_attempts"};
    if (size > 0 && data[0] % 2 != 0)
        return LLVMFuzzerMutate(data, size, max_size);
    return mutate_documents(data, size, max_size, seed, 1, names, sizeof(names) / sizeof(names[0]));
}
