/* mindcore loadtest: the load of a day's busiest hour, and what came of it. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/compiler.h"
#include "base/error.h"
#include "base/id.h"
#include "base/str.h"
#include "base/time.h"
#include "cli/cli.h"
#include "cli/load_report.h"

#define CLIENTS 16

static const char *wrong_options(const struct mc_args *args)
{
    bool remote = mc_args_given(args, "url");
    if (remote && mc_args_given(args, "db"))
        return "--url and --db name two different targets; give one of them";
    if (!remote && mc_args_given(args, "api-key"))
        return "--api-key needs --url";
    if (!remote && mc_args_given(args, "ca-file"))
        return "--ca-file needs --url";
    return NULL;
}

static bool make_plan(const struct mc_args *args, struct mc_load_plan *plan)
{
    mc_str duration = mc_args_text(args, "duration");
    uint32_t run;
    mc_random_bytes(&run, sizeof(run));
    *plan = (struct mc_load_plan){
        .profile = mc_load_profile_find(mc_args_text(args, "profile")),
        .times = mc_args_number(args, "times", 1),
        .duration_us = 60 * MC_US_PER_SECOND,
        .clients = (unsigned)mc_args_integer(args, "clients", CLIENTS),
        .talk.seed = (uint64_t)mc_args_integer(args, "seed", (int64_t)(run & 0xffff)),
    };
    snprintf(plan->talk.run, sizeof(plan->talk.run), "%08x", (unsigned)run);
    return !mc_str_given(duration) || mc_load_parse_duration(duration, &plan->duration_us);
}

/* The server is asked whether it may be used at all, and whether the users can be removed afterwards. */
static enum mc_status check_target(struct mc_load_run *run, struct mc_error *err)
{
    bool keep = mc_args_given(&run->cli->args, "keep");
    struct mc_json **status_fact = &run->result->facts[MC_LOAD_STATUS];
    char nobody[MC_LOAD_ID_SIZE];
    enum mc_status status = run->target->ops->fact(run->target, MC_LOAD_STATUS, status_fact, err);
    if (status == MC_UNAUTHENTICATED)
        return mc_fail_prefix(err, status, "option --api-key is missing or not the server's");
    if (status != MC_OK)
        return mc_fail_prefix(err, status, "cannot use %s", run->target->where);
    mc_load_talk_user(&run->plan->talk, 0, nobody);
    if (!keep)
        status = run->target->ops->erase(run->target, nobody, err);
    return status == MC_OK
               ? MC_OK
               : mc_fail_prefix(err, status,
                                "the users of the test could not be removed; give --api-key of "
                                "scope admin, or --keep");
}

static void note_model(const struct mc_load_run *run)
{
    mc_str provider = mc_json_string(mc_json_get(run->result->facts[MC_LOAD_STATUS], "provider"));
    if (!mc_str_equal(provider, MC_STR("builtin")))
        mc_cli_note(run->cli,
                    "messages are enriched by '%.*s', which may cost; with -o llm.provider=builtin "
                    "only the rules do",
                    MC_STR_ARG(provider));
}

/* What cannot be asked any more stays as it was; but for the workers' health, which may be another now. */
static void ask_facts(struct mc_load_run *run)
{
    for (int i = 0; i < MC_LOAD_FACTS; i++) {
        struct mc_json *now = NULL;
        struct mc_error ignored;
        enum mc_status status =
            run->target->ops->fact(run->target, (enum mc_load_fact)i, &now, &ignored);
        if (status != MC_OK && i != MC_LOAD_WORKERS)
            continue;
        mc_json_free(run->result->facts[i]);
        run->result->facts[i] = now;
    }
}

/* Whatever came before: users that were made go. */
static bool clean(struct mc_load_run *run)
{
    struct mc_error err = {0};
    unsigned left = 0;
    if (mc_args_given(&run->cli->args, "keep")) {
        mc_cli_note(run->cli, "kept: the users " MC_LOAD_USERS "%s-0 to -%u", run->plan->talk.run,
                    run->result->users ? run->result->users - 1 : 0);
        return true;
    }
    if (run->interrupted)
        mc_cli_note(run->cli, "removing what the test stored; interrupt again to leave it there");
    if (mc_load_clean(run, &left, &err) == MC_OK)
        return true;
    (void)mc_fail_prefix(
        &err, err.status,
        "%u users of the test were not removed; do it with 'mindcore erase', from " MC_LOAD_USERS
        "%s-0 to -%u",
        left, run->plan->talk.run, left - 1);
    (void)mc_cli_fail(&err);
    return false;
}

static int report(struct mc_load_run *run, struct mc_error *err)
{
    struct mc_load_checks checks;
    const struct mc_load_outcome outcome = {run->plan, run->result, run->target, &checks};
    mc_load_check_all(run->plan, run->result, run->target, &checks);
    if (!run->cli->json)
        mc_load_report_table(&outcome, &run->cli->out);
    else if (mc_load_report_json(&outcome, err) != MC_OK)
        return mc_cli_fail(err);
    fflush(stdout);
    return checks.failed || run->result->failure_count ? MC_CLI_FAILED : MC_CLI_DONE;
}

static int run_phases(struct mc_load_run *run)
{
    struct mc_error err = {0};
    enum mc_status status = check_target(run, &err);
    if (status != MC_OK)
        return mc_cli_fail(&err);
    note_model(run);
    ask_facts(run);
    status = mc_load_warm(run, &err);
    if (status == MC_OK)
        status = mc_load_drive(run, &err);
    int result = MC_CLI_FAILED;
    if (status == MC_OK) {
        mc_load_drain(run);
        ask_facts(run);
        result = report(run, &err);
    } else {
        (void)mc_cli_fail(&err);
    }
    return clean(run) ? result : MC_CLI_FAILED;
}

static sigset_t ending_signals(void)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGHUP);
    return signals;
}

static void free_result(struct mc_load_result *result)
{
    mc_buf_fini(&result->before);
    mc_buf_fini(&result->after);
    for (int i = 0; i < MC_LOAD_FACTS; i++)
        mc_json_free(result->facts[i]);
    free(result);
}

int mc_cli_loadtest(struct mc_cli *cli)
{
    struct mc_load_plan plan;
    struct mc_error err = {0};
    const char *wrong = wrong_options(&cli->args);
    if (wrong)
        return mc_cli_usage(cli, "%s", wrong);
    if (!make_plan(&cli->args, &plan))
        return mc_cli_usage(cli, "option --duration takes 1s to 24h, as in 90s, 5m or 1h, not '%s'",
                            mc_args_text(&cli->args, "duration").data);
    sigset_t signals = ending_signals();
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    struct mc_load_run run = {.plan = &plan, .cli = cli, .signals = &signals};
    run.result = calloc(1, sizeof(*run.result));
    if (!run.result) {
        (void)mc_fail_memory(&err);
        return mc_cli_fail(&err);
    }
    mc_buf_init(&run.result->before, MC_LOAD_METRICS_BYTES);
    mc_buf_init(&run.result->after, MC_LOAD_METRICS_BYTES);
    mc_mutex_init(&run.mutex);
    mc_cond_init(&run.wake);
    enum mc_status status = mc_args_given(&cli->args, "url")
                                ? mc_load_remote_open(cli, plan.clients, &run.target, &err)
                                : mc_load_embedded_open(cli, &run.target, &err);
    int result = status == MC_OK ? run_phases(&run) : mc_cli_fail(&err);
    if (status == MC_OK)
        run.target->ops->close(run.target);
    mc_cond_fini(&run.wake);
    mc_mutex_fini(&run.mutex);
    free_result(run.result);
    return result;
}
