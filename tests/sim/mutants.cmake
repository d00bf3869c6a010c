# Faults made on purpose, by name: what the simulator must find, or it proves nothing.
#
# Each is the product's own source with one place changed, compiled beside it: the product itself has
# no branch for it. The place must be there exactly once, so a change of that code is noticed here.
# mutant(NAME SEEDS FILE OLD NEW): the simulator must find it within so many seeds.

function(mutant name seeds file old new)
    file(READ ${PROJECT_SOURCE_DIR}/${file} text)
    string(FIND "${text}" "${old}" first)
    string(FIND "${text}" "${old}" last REVERSE)
    if(first EQUAL -1 OR NOT first EQUAL last)
        message(FATAL_ERROR "mutant ${name}: ${file} must have this exactly once: ${old}")
    endif()
    string(REPLACE "${old}" "${new}" text "${text}")
    set(source ${CMAKE_CURRENT_BINARY_DIR}/mutants/${name}/${file})
    file(CONFIGURE OUTPUT ${source} CONTENT "${text}" @ONLY)
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/${file})
    add_executable(mutant_${name} ${source})
    set_target_properties(mutant_${name} PROPERTIES
        RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests/sim/mutants OUTPUT_NAME ${name})
    # Its own object comes before the libraries, which are asked only for what is missing then.
    target_link_libraries(mutant_${name} PRIVATE sim_main)
    target_compile_options(mutant_${name} PRIVATE -Wno-unused -Wno-unused-parameter)
    add_test(NAME sim_finds_${name} COMMAND mutant_${name} --from 1 --seeds ${seeds} --until-broken)
    stint_test_properties(sim_finds_${name} mutants)
endfunction()

# --- guards in the store ---
mutant(claim_unguarded 1000 datastore/steps.c
    [[if (old != NULL && old->g != step->g)]] [[if (false)]])
mutant(return_unguarded 10000 datastore/steps.c
    [[if (old->r != step->r)]] [[if (false)]])
mutant(bury_without_compare 1000 datastore/steps.c
    [[if (old->g != step->expect.g || old->r != step->expect.r)]] [[if (false)]])
mutant(bury_the_living 10000 datastore/steps.c
    [[if (node->state == NODE_DEAD || node->beat != step->beat)]]
    [[if (node->state == NODE_DEAD)]])
mutant(dead_may_write 1000 datastore/steps.c
    [[if (step->ret_dead || node->beat >= step->node->beat)]]
    [[if (node->beat >= step->node->beat)]])
mutant(late_outcome 1000 datastore/job_steps.c
    [[if (job->state != JOB_QUEUED || job->run != outcome->run)]] [[if (job->state != JOB_QUEUED)]])
mutant(outcome_overwrites 1000 datastore/job_steps.c
    [[if (job->state != JOB_QUEUED || job->run != outcome->run)]]
    [[if (job->run != outcome->run)]])
mutant(cancel_overwrites 1000 datastore/job_steps.c
    [[if (job_state_finished(job->state))]] [[if (false)]])
mutant(interrupted_for_ever 1000 datastore/job_steps.c
    [[job->interruptions + 1 > job_max_interruptions(job)]] [[false]])
mutant(token_ignored 1000 datastore/memory_jobs.c
    [[->job.token == job->token ? 0 : ERR_DUPLICATE]] [[->job.token == 0 ? ERR_DUPLICATE : 0]])

mutant(keys_ignored 1000 datastore/memory_jobs.c
    [[if (keyed_job(job) && tfind(&(struct row){.job = *job}, &store->unique, key_compare) != NULL)]]
    [[if (false)]])
mutant(owner_of_any_key 1000 datastore/memory_jobs.c
    [[(unfinished(job) && job->spec != NULL && text_matches(read->key, job->spec->key))]]
    [[(unfinished(job) && job->spec != NULL)]])

# --- what the node keeps to ---
mutant(return_number_forgotten 1000 node/ledger.c
    [[hold->returning = pen->lane->r + 1;]] [[hold->returning = 0;]])
mutant(claims_before_accepted 1000 node/ledger.c
    [[core_may_claim(core) && !grant_unaccepted(core)]] [[core_may_claim(core)]])
mutant(numbers_used_again 1000 node/ledger.c
    [[++lane->life << GRANT_COUNT_BITS]] [[0]])
mutant(starts_before_accepted 1000 node/tasks.c
    [[hold->accepted && !hold->barred]] [[!hold->barred]])
mutant(suspects_unnamed 1000 node/tasks.c
    [[if (page->hold->range.suspect) {]] [[if (false) {]])
mutant(buried_interrupts 1000 node/tasks.c
    [[if (core->fenced && outcome.kind == OUTCOME_INTERRUPTED)]] [[if (false)]])
mutant(finishes_with_a_hole 1000 node/holds.c
    [[hold->pages->unresolved == 0]] [[hold->pages->unresolved == hold->pages->holes]])
mutant(no_self_fencing 1000 node/core.c
    [[(uint64_t)core->self.lease_ms * 3 / 4;]] [[UINT64_MAX;]])
mutant(last_grant_forgotten 1000 node/burial.c
    [[if (!accepted && range_count(entry->last) > 0)]] [[if (false)]])
mutant(returns_forgotten 1000 node/burial.c
    [[bool taken = d->ranges[i].returning != 0 && d->ranges[i].returning <= entry->r;]]
    [[bool taken = false;]])
mutant(interrupts_nobody 1000 node/burial.c
    [[record->n_running > 0 ? BURY_INTERRUPT : BURY_LANES]] [[BURY_LANES]])

# --- what the store says that jobs did ---
mutant(failures_are_done 1000 node/tasks.c
    [[if (end->ok)]] [[if (true)]])
mutant(interruptions_are_failures 1000 node/tasks.c
    [[if (end->lost || r->interrupt)]] [[if (end->lost)]])
mutant(interruptions_cost_attempts 1000 node/tasks.c
    [[row->run - row->interruptions < job_max_attempts(row)]] [[row->run < job_max_attempts(row)]])
mutant(interrupts_what_never_ran 1000 node/burial.c
    [[.id = d->running[i].id,]] [[.id = d->running[i].id + 1,]])
mutant(cancels_forgotten 1000 node/core.c
    [[task_cancelled(core, page, index);]] [[(void)index;]])
mutant(loads_from_before_a_cancel 10000 node/holds.c
    [[core->load_outdated = true;]] [[core->load_outdated = false;]])
mutant(rows_of_other_claims 1000 node/holds.c
    [[load->range.a == hold->next_load)]] [[true)]])
mutant(names_taken_twice 1000 datastore/memory_records.c
    [[|| name_taken(call->store, node->name)]] [[]])
mutant(stints_forgotten 1000 node/ledger.c
    [[.done = hold->done,]] [[.done = 0,]])
mutant(stops_unburied 1000 node/core.c
    [[burial_start(core, core->self.id, core->self.beat, "stopped");]]
    [[core->phase = CORE_STOPPED;]])
