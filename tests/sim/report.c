/* The report of many runs: how much was run, how often each trouble came, and where none came. */
#include "tests/sim/report.h"

#include <inttypes.h>

static void events_print(FILE *out, uint64_t seeds, const struct cluster_tally *total)
{
    fprintf(out, "seeds %" PRIu64 ", events %" PRIu64 ", steps %" PRIu64 ", simulated hours %.1f\n",
            seeds, total->events, total->steps, (double)total->simulated_ms / 3600e3);
    fprintf(out,
            "jobs: accepted %" PRIu64 ", told for their keys %" PRIu64 ", started %" PRIu64
            ", interrupted %" PRIu64 ", cancelled %" PRIu64 ", voided %" PRIu64 "\n",
            total->acked, total->told, total->starts, total->interrupted, total->cancelled,
            total->voided);
    fprintf(out,
            "nodes: crashes %" PRIu64 ", freezes %" PRIu64 ", stops %" PRIu64 ", buried %" PRIu64
            ", fenced %" PRIu64 ", with wrong clocks %" PRIu64 "\n",
            total->crashes, total->freezes, total->stops, total->buried, total->fenced,
            total->drifting);
}

static void troubles_print(FILE *out, const struct cluster_tally *total)
{
    fputs("steps hit:", out);
    for (enum weather i = WEATHER_UNAVAILABLE; i < WEATHERS; i++)
        fprintf(out, " %s %" PRIu64, weather_name(i), total->weather[i]);
    fputs("\naround them:", out);
    for (enum chaos i = 0; i < CHAOS_KINDS; i++)
        fprintf(out, " %s %" PRIu64, chaos_name(i), total->chaos[i]);
    fprintf(out,
            "\nways: stalls %" PRIu64 ", replies overtaken %" PRIu64 ", wakes lost %" PRIu64
            ", submits broken off %" PRIu64 "\n",
            total->stalls, total->reordered, total->deaf, total->holes);
    fprintf(
        out,
        "jobs: 10,000 times as long %" PRIu64 ", refused by the machine %" PRIu64
        ", never runnable %" PRIu64 ", ends lost %" PRIu64 ", nodes killed by them %" PRIu64 "\n",
        total->long_jobs, total->busy, total->never_jobs, total->lost_ends, total->killed_nodes);
}

size_t report_print(FILE *out, uint64_t seeds, const struct cluster_tally *total)
{
    size_t gaps = 0;
    events_print(out, seeds, total);
    troubles_print(out, total);
    for (int before = 0; before <= DS_KINDS; before++)
        for (enum ds_kind kind = 0; kind < DS_KINDS; kind++)
            for (enum weather i = WEATHER_UNAVAILABLE; i < WEATHERS; i++) {
                if (total->passed[before][kind] == 0 || total->hit[i][before][kind] > 0 ||
                    !weather_can_hit(i, kind))
                    continue;
                gaps++;
                fprintf(out, "gap: %s never came to %s after %s (passed %" PRIu64 " times)\n",
                        weather_name(i), ds_kind_name(kind),
                        before < DS_KINDS ? ds_kind_name((enum ds_kind)before) : "nothing",
                        total->passed[before][kind]);
            }
    fprintf(out, "gaps: %zu\n", gaps);
    return gaps;
}
