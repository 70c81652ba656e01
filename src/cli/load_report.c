#include "cli/load_report.h"

#include <math.h>
#include <stdio.h>

#include "base/compiler.h"
#include "base/error.h"
#include "base/str.h"
#include "cli/load_metrics.h"
#include "cli/show.h"
#include "cli/table.h"

#define JSON_BYTES ((size_t)1 << 20)

static const struct quantile {
    const char *name;
    double q;
} quantiles[] = {{"p50", 0.50}, {"p95", 0.95}, {"p99", 0.99}};

static double wanted_rate(const struct mc_load_outcome *o, int kind)
{
    return (double)o->result->counts[kind].scheduled * 1e6 / (double)o->result->elapsed_us;
}

static double achieved_rate(const struct mc_load_outcome *o, int kind)
{
    return (double)o->result->counts[kind].in_time * 1e6 / (double)o->result->elapsed_us;
}

static double quantile_ms(const struct mc_load_count *count, double q)
{
    return (double)mc_load_histogram_quantile_us(&count->latency, q) / 1000;
}

static double enriched(const struct mc_load_outcome *o)
{
    return mc_load_grown(mc_buf_str(&o->result->before), mc_buf_str(&o->result->after),
                         "mindcore_messages_enriched_total", "");
}

/* The present depth of the queue, after it was waited for. */
static double depth_now(const struct mc_load_outcome *o)
{
    return o->result->unreadable ? (double)NAN
                                 : mc_load_metric(mc_buf_str(&o->result->after),
                                                  "mindcore_enrichment_queue_depth", "");
}

static mc_str fact_text(const struct mc_load_outcome *o, const char *key)
{
    const struct mc_json *status = o->result->facts[MC_LOAD_STATUS];
    return status ? mc_json_string(mc_json_get(status, key)) : MC_STR("unknown");
}

static double messages_per_second(const struct mc_load_outcome *o)
{
    return mc_load_kind_rate(MC_LOAD_INGEST, mc_load_turn_rate(o->plan->profile, o->plan->times));
}

/* ---- For people ---- */

static void print_head(const struct mc_load_outcome *o, struct mc_out *out)
{
    mc_out_print(out, MC_STYLE_BOLD, "%s", o->plan->profile->name);
    fprintf(out->file,
            " x %g: %.0f messages a day, %.3g a second in the busiest hour; %.0f s, %u clients, %u "
            "users, seed %llu%s\n",
            o->plan->times, (double)o->plan->profile->messages_per_day * o->plan->times,
            messages_per_second(o), (double)o->result->elapsed_us / 1e6, o->plan->clients,
            o->result->users, (unsigned long long)o->plan->talk.seed,
            o->result->interrupted ? ", interrupted" : "");
    fprintf(out->file, "%s, enrichment: ", o->target->where);
    mc_out_line(out, fact_text(o, "provider"), 0);
    fputs("\n\n", out->file);
}

static void print_operations(const struct mc_load_outcome *o, struct mc_out *out)
{
    static const char *const heads[] = {"operation", "wanted/s", "achieved/s", "done",   "errors",
                                        "not sent",  "p50 ms",   "p95 ms",     "p99 ms", "max ms"};
    mc_auto(mc_table_fini) struct mc_table table;
    mc_table_init(&table);
    for (size_t i = 0; i < mc_countof(heads); i++)
        mc_table_head(&table, mc_str_of(heads[i]));
    for (int i = 0; i < MC_LOAD_KINDS; i++) {
        const struct mc_load_count *count = &o->result->counts[i];
        mc_table_cell(&table, mc_str_of(mc_load_kind_name((enum mc_load_kind)i)));
        mc_table_printf(&table, "%.2f", wanted_rate(o, i));
        mc_table_printf(&table, "%.2f", achieved_rate(o, i));
        mc_table_printf(&table, "%llu", (unsigned long long)count->done);
        mc_table_printf(&table, "%llu", (unsigned long long)count->failed);
        mc_table_printf(&table, "%llu", (unsigned long long)count->not_sent);
        for (size_t q = 0; q < mc_countof(quantiles); q++)
            mc_table_printf(&table, "%.2f", quantile_ms(count, quantiles[q].q));
        mc_table_printf(&table, "%.2f", (double)count->latency.max_us / 1000);
    }
    mc_table_print(&table, out, 0);
    fputc('\n', out->file);
}

static void print_errors(const struct mc_load_outcome *o, struct mc_out *out)
{
    for (size_t i = 0; i < o->result->failure_count; i++) {
        const struct mc_load_failure *failure = &o->result->failures[i];
        mc_out_print(out, MC_STYLE_RED, "%llu x %s: ", (unsigned long long)failure->count,
                     mc_load_kind_name(failure->operation));
        mc_out_line(out, mc_str_of(failure->kind), 0);
        fputs(failure->first[0] ? ": " : "", out->file);
        mc_out_line(out, mc_str_of(failure->first), 0);
        fputc('\n', out->file);
    }
    if (o->result->failure_count)
        fputc('\n', out->file);
}

static void print_bytes(struct mc_out *out, double bytes, const char *when)
{
    char text[MC_HUMAN_SIZE];
    mc_human_bytes(bytes, text);
    fprintf(out->file, "%s%s", isnan(bytes) ? "unknown" : text, when);
}

static void print_state(const struct mc_load_outcome *o, struct mc_out *out)
{
    const struct mc_load_result *r = o->result;
    char text[MC_HUMAN_SIZE];
    double now = depth_now(o);
    fputs("queue     ", out->file);
    if (isnan(now))
        fputs("unknown now", out->file);
    else
        fprintf(out->file, "%.0f now", now);
    mc_human_seconds(r->oldest_most_s, text);
    fprintf(out->file, ", %.0f at the end of the load, %.0f at most; oldest job %s; ",
            r->depth_at_end, r->depth_most, r->oldest_most_s > 0 ? text : "0 s");
    mc_human_seconds((double)r->drained_us / 1e6, text);
    if (r->drained_us >= 0)
        fprintf(out->file, "empty %s after the load\n", text);
    else
        fputs("not seen empty after the load\n", out->file);
    fprintf(out->file, "enriched  %.0f messages\n", enriched(o));
    fputs("memory    ", out->file);
    print_bytes(out, r->resident_start, " at the start, ");
    print_bytes(out, r->resident_half, " at half-time, ");
    print_bytes(out, r->resident_end, " at the end, ");
    print_bytes(out, r->resident_most, " at most\n\n");
}

static void print_checks(const struct mc_load_checks *checks, struct mc_out *out)
{
    static const enum mc_style styles[] = {MC_STYLE_GREEN, MC_STYLE_YELLOW, MC_STYLE_RED,
                                           MC_STYLE_DIM};
    static const char *const words[] = {"pass", "warn", "FAIL", "skip"};
    for (size_t i = 0; i < checks->count; i++) {
        const struct mc_load_check *check = &checks->items[i];
        mc_out_print(out, styles[check->verdict], "%-5s", words[check->verdict]);
        fprintf(out->file, "%s: ", check->name);
        mc_out_line(out, mc_str_of(check->detail), 0);
        fputc('\n', out->file);
        if (check->advice[0])
            fprintf(out->file, "     %s\n", check->advice);
    }
}

void mc_load_report_table(const struct mc_load_outcome *outcome, struct mc_out *out)
{
    print_head(outcome, out);
    print_operations(outcome, out);
    print_errors(outcome, out);
    print_state(outcome, out);
    print_checks(outcome->checks, out);
}

/* ---- For programs ---- */

static void write_plan(struct mc_json_writer *w, const struct mc_load_outcome *o)
{
    mc_json_member_text(w, "profile", o->plan->profile->name);
    mc_json_member_number(w, "times", o->plan->times);
    mc_json_member_number(w, "messages_per_day",
                          (double)o->plan->profile->messages_per_day * o->plan->times);
    mc_json_member_fixed(w, "messages_per_second", messages_per_second(o), 4);
    mc_json_member_integer(w, "clients", o->plan->clients);
    mc_json_member_integer(w, "users", o->result->users);
    mc_json_member_integer(w, "seed", (int64_t)o->plan->talk.seed);
    mc_json_member_text(w, "run", o->plan->talk.run);
    mc_json_member_text(w, "target", o->target->where);
    mc_json_member_string(w, "backend", fact_text(o, "backend"));
    mc_json_member_string(w, "provider", fact_text(o, "provider"));
    mc_json_member_fixed(w, "seconds", (double)o->result->elapsed_us / 1e6, 3);
    mc_json_member_boolean(w, "interrupted", o->result->interrupted);
}

static void write_operations(struct mc_json_writer *w, const struct mc_load_outcome *o)
{
    mc_json_key(w, "operations");
    mc_json_begin(w, '{');
    for (int i = 0; i < MC_LOAD_KINDS; i++) {
        const struct mc_load_count *count = &o->result->counts[i];
        mc_json_key(w, mc_load_kind_name((enum mc_load_kind)i));
        mc_json_begin(w, '{');
        mc_json_member_fixed(w, "wanted_per_second", wanted_rate(o, i), 3);
        mc_json_member_fixed(w, "achieved_per_second", achieved_rate(o, i), 3);
        mc_json_member_integer(w, "scheduled", (int64_t)count->scheduled);
        mc_json_member_integer(w, "done", (int64_t)count->done);
        mc_json_member_integer(w, "errors", (int64_t)count->failed);
        mc_json_member_integer(w, "not_sent", (int64_t)count->not_sent);
        for (size_t q = 0; q < mc_countof(quantiles); q++) {
            char key[16];
            snprintf(key, sizeof(key), "%s_ms", quantiles[q].name);
            mc_json_member_fixed(w, key, quantile_ms(count, quantiles[q].q), 3);
        }
        mc_json_member_fixed(w, "max_ms", (double)count->latency.max_us / 1000, 3);
        mc_json_end(w, '}');
    }
    mc_json_end(w, '}');
}

static void write_errors(struct mc_json_writer *w, const struct mc_load_result *r)
{
    mc_json_key(w, "errors");
    mc_json_begin(w, '[');
    for (size_t i = 0; i < r->failure_count; i++) {
        mc_json_begin(w, '{');
        mc_json_member_text(w, "operation", mc_load_kind_name(r->failures[i].operation));
        mc_json_member_text(w, "kind", r->failures[i].kind);
        mc_json_member_text(w, "first", r->failures[i].first);
        mc_json_member_integer(w, "count", (int64_t)r->failures[i].count);
        mc_json_end(w, '}');
    }
    mc_json_end(w, ']');
}

static void write_state(struct mc_json_writer *w, const struct mc_load_outcome *o)
{
    const struct mc_load_result *r = o->result;
    mc_json_key(w, "backlog");
    mc_json_begin(w, '{');
    mc_json_member_fixed(w, "seconds_max", (double)r->late_most_us / 1e6, 3);
    mc_json_member_fixed(w, "seconds_at_end_of_load", (double)r->late_at_end_us / 1e6, 3);
    mc_json_end(w, '}');
    mc_json_key(w, "queue");
    mc_json_begin(w, '{');
    mc_json_member_number(w, "depth", depth_now(o));
    mc_json_member_number(w, "depth_at_end_of_load", r->depth_at_end);
    mc_json_member_number(w, "depth_max", r->depth_most);
    mc_json_member_number(w, "oldest_job_seconds_max", r->oldest_most_s);
    mc_json_member_number(w, "empty_after_seconds",
                          r->drained_us >= 0 ? (double)r->drained_us / 1e6 : (double)NAN);
    mc_json_end(w, '}');
    mc_json_member_number(w, "enriched", enriched(o));
    mc_json_key(w, "resident_bytes");
    mc_json_begin(w, '{');
    mc_json_member_number(w, "start", r->resident_start);
    mc_json_member_number(w, "half", r->resident_half);
    mc_json_member_number(w, "end", r->resident_end);
    mc_json_member_number(w, "max", r->resident_most);
    mc_json_end(w, '}');
}

static void write_checks(struct mc_json_writer *w, const struct mc_load_checks *checks)
{
    mc_json_key(w, "checks");
    mc_json_begin(w, '[');
    for (size_t i = 0; i < checks->count; i++) {
        mc_json_begin(w, '{');
        mc_json_member_text(w, "name", checks->items[i].name);
        mc_json_member_text(w, "result", mc_load_verdict_name(checks->items[i].verdict));
        mc_json_member_text(w, "detail", checks->items[i].detail);
        mc_json_member_text(w, "advice", checks->items[i].advice);
        mc_json_end(w, '}');
    }
    mc_json_end(w, ']');
}

enum mc_status mc_load_report_json(const struct mc_load_outcome *outcome, struct mc_error *err)
{
    mc_auto(mc_buf_fini) struct mc_buf buf;
    mc_buf_init(&buf, JSON_BYTES);
    struct mc_json_writer w = mc_json_writer(&buf);
    mc_json_begin(&w, '{');
    mc_json_member_boolean(&w, "ok",
                           !outcome->checks->failed && outcome->result->failure_count == 0);
    write_plan(&w, outcome);
    write_operations(&w, outcome);
    write_errors(&w, outcome->result);
    write_state(&w, outcome);
    write_checks(&w, outcome->checks);
    mc_json_end(&w, '}');
    if (buf.failed)
        return mc_fail_memory(err);
    printf("%s\n", buf.data);
    return MC_OK;
}
