/* Writes first inputs for the fuzz targets that read records: the full ones of the unit tests, as
 * the backends write them. `fuzz_seeds FOLDER` fills FOLDER/TARGET; script/fuzz --minimize does so
 * and keeps what says something new. */
#include <sys/stat.h>

#include "datastore/record_bson.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/docs.h"

/* One input: `lead` first, then the document. */
static void seed(const char *folder, const char *target, const char *name, struct bytes lead,
                 struct bytes doc)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/%s", folder, target);
    (void)mkdir(path, 0777);
    snprintf(path, sizeof(path), "%s/%s/seed-%s", folder, target, name);
    FILE *file = fopen(path, "wbe");
    REQUIRE(file != NULL);
    REQUIRE(fwrite(lead.data, 1, lead.len, file) == lead.len);
    REQUIRE(fwrite(doc.data, 1, doc.len, file) == doc.len);
    REQUIRE(fclose(file) == 0);
}

static void seed_numbered(const char *folder, const char *target, const char *name, uint8_t number,
                          struct bytes doc)
{
    seed(folder, target, name, (struct bytes){&number, 1}, doc);
}

/* As record_bson.c writes them; numbered as in fuzz_bson.c. */
static void bson_seeds(const char *folder, struct arena *mem)
{
    struct bytes none = {0};
    struct meta meta = full_meta;
    struct queue queue = full_queue();
    snprintf(meta.copying, sizeof(meta.copying), "sqlite:/tmp/x.db");
    const struct {
        const char *name;
        struct bytes doc;
    } docs[] = {
        {"meta", meta_encode(&meta, none, mem)},      {"queue", queue_encode(&queue, none, mem)},
        {"lane", lane_encode(&full_lane, none, mem)}, {"node", node_encode(&full_node, none, mem)},
        {"spec", spec_encode(&full_spec, mem)},       {"ending", ending_encode(&full_ending, mem)},
    };
    for (size_t i = 0; i < sizeof(docs) / sizeof(docs[0]); i++)
        seed_numbered(folder, "bson", docs[i].name, (uint8_t)i, docs[i].doc);
}

/* As mongo_bson.c writes them; numbered as in docs.h. */
static void docs_seeds(const char *folder, struct arena *mem)
{
    static const char *const names[RECORDS] = {"meta", "queue", "lane",   "node",
                                               "job",  "stint", "history"};
    bson_t docs[RECORDS];
    docs_make(docs, mem);
    for (int i = 0; i < RECORDS; i++)
        seed_numbered(folder, "docs", names[i], (uint8_t)i,
                      (struct bytes){bson_get_data(&docs[i]), docs[i].len});
    seed_numbered(folder, "docs", "chunk", CHUNK,
                  (struct bytes){bson_get_data(&docs[JOB]), docs[JOB].len});
    seed_numbered(folder, "print", "job", 0,
                  (struct bytes){bson_get_data(&docs[JOB]), docs[JOB].len});
    docs_destroy(docs);
}

int main(int argc, char **argv)
{
    struct arena mem = {0};
    if (argc != 2)
        return EXIT_FAILURE;
    bson_seeds(argv[1], &mem);
    docs_seeds(argv[1], &mem);
    arena_release(&mem);
    return EXIT_SUCCESS;
}
