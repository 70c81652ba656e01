/* Counters from many threads, quantiles, the Prometheus text. */
#include "tap.h"

#include "base/metrics_text.h"
#include "base/str.h"

#define THREADS 24
#define EACH 5000

static void *count(void *context)
{
    for (int i = 0; i < EACH; i++) {
        mc_metrics_add(context, MC_COUNT_INGESTED, 2);
        mc_metrics_observe_us(context, MC_TIME_INGEST, 100);
    }
    return NULL;
}

static void test_threads(struct mc_metrics *metrics)
{
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, count, metrics);
    uint64_t last = 0;
    bool rises = true;
    for (int i = 0; i < 1000; i++) {
        uint64_t now = mc_metrics_count(metrics, MC_COUNT_INGESTED);
        rises = rises && now >= last;
        last = now;
    }
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    int64_t sum_us = 0;
    ok(rises, "a counter never goes back");
    is_int(mc_metrics_count(metrics, MC_COUNT_INGESTED), 2 * THREADS * EACH, "no addition is lost");
    is_int(mc_metrics_observed(metrics, MC_TIME_INGEST, &sum_us), THREADS * EACH, "no observation");
    is_int(sum_us, 100 * THREADS * EACH, "and their sum");
}

static void test_quantiles(struct mc_metrics *metrics)
{
    is_double(mc_metrics_quantile_us(metrics, MC_TIME_SEARCH, 0.5), 0, 0, "nothing observed");
    for (int i = 0; i < 90; i++)
        mc_metrics_observe_us(metrics, MC_TIME_SEARCH, 60); /* bucket of 50 to 100 us */
    for (int i = 0; i < 10; i++)
        mc_metrics_observe_us(metrics, MC_TIME_SEARCH, 1500); /* 1 to 2.5 ms */
    is_double(mc_metrics_quantile_us(metrics, MC_TIME_SEARCH, 0.45), 75, 1e-9,
              "middle of the first");
    is_double(mc_metrics_quantile_us(metrics, MC_TIME_SEARCH, 0.9), 100, 1e-6, "its bound");
    is_double(mc_metrics_quantile_us(metrics, MC_TIME_SEARCH, 0.95), 1750, 1e-6,
              "middle of the second");
    is_double(mc_metrics_quantile_us(metrics, MC_TIME_SEARCH, 7), 2500, 1e-6, "above 1 is 1");
    is_double(mc_metrics_quantile_us(metrics, MC_TIME_SEARCH, -1), 50, 1e-9, "below 0 is 0");
    mc_metrics_observe_us(metrics, MC_TIME_CONTEXT, -5);
    mc_metrics_observe_us(metrics, MC_TIME_CONTEXT, INT64_C(7200000000));
    int64_t sum_us = 0;
    is_int(mc_metrics_observed(metrics, MC_TIME_CONTEXT, &sum_us), 2, "both extremes");
    is_int(sum_us, INT64_C(7200000000), "negative counts as zero");
    is_double(mc_metrics_quantile_us(metrics, MC_TIME_CONTEXT, 1), 60e6, 0, "over the last bound");
    mc_metrics_observe_us(metrics, MC_TIME_ENRICH_LLM, 50);
}

static void *count_requests(void *context)
{
    for (int i = 0; i < EACH; i++)
        mc_metrics_add_request(context, 7, i % 5 ? MC_CODE_2XX : MC_CODE_5XX, 60);
    return NULL;
}

static void test_routes(struct mc_metrics *metrics)
{
    struct mc_route_counts counts;
    pthread_t threads[THREADS];
    ok(!mc_metrics_route(metrics, 7, &counts), "a route without a name is not shown");
    mc_metrics_name_route(metrics, 7, "GET", "/v1/users/{user_id}");
    ok(!mc_metrics_route(metrics, 7, &counts), "nor one that was never asked");
    ok(mc_metrics_route(metrics, 0, &counts), "what has no route is, from the start");
    is_int(counts.requests, 0, "with zeros");
    for (size_t i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, count_requests, metrics);
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    ok(mc_metrics_route(metrics, 7, &counts), "one that was asked is shown");
    is_int(counts.requests, THREADS * EACH, "no request is lost");
    is_int(counts.codes[MC_CODE_2XX], THREADS * EACH / 5 * 4, "by the class of its status");
    is_int(counts.codes[MC_CODE_5XX], THREADS * EACH / 5, "and the others");
    is_int(counts.buckets[1], THREADS * EACH, "in its bucket");
    is_int(counts.sum_us, 60 * THREADS * EACH, "with its time");
    mc_metrics_shift(metrics, MC_GAUGE_HTTP_CONNECTIONS, 1);
    mc_metrics_shift(metrics, MC_GAUGE_HTTP_CONNECTIONS, 2);
    mc_metrics_shift(metrics, MC_GAUGE_HTTP_CONNECTIONS, -1);
    is_double(mc_metrics_gauge(metrics, MC_GAUGE_HTTP_CONNECTIONS), 2, 0, "up and down");
}

static size_t occurrences(const char *text, const char *part)
{
    size_t found = 0;
    for (const char *at = strstr(text, part); at; at = strstr(at + 1, part))
        found++;
    return found;
}

static void test_text(struct mc_metrics *metrics)
{
    struct mc_buf out;
    mc_buf_init(&out, 1 << 20);
    mc_metrics_set(metrics, MC_GAUGE_UPTIME, 1.5);
    mc_metrics_add(metrics, MC_COUNT_LLM_OPENAI_ENRICH, 3);
    for (int i = 0; i < 1000; i++) /* a sum of doubles would be off */
        mc_metrics_add(metrics, MC_COUNT_LLM_OPENAI_COST, 12000000 + 1);
    mc_metrics_add(metrics, MC_COUNT_LLM_OPENAI_COST, UINT64_C(9007199254) * 1000000000);
    mc_metrics_set(metrics, MC_GAUGE_STORE_SIZE, 9007199254740993.0);
    mc_metrics_expose(metrics, MC_METRICS_PROMETHEUS, &out);
    static const char *const once[] = {
        "# TYPE mindcore_messages_ingested_total counter\nmindcore_messages_ingested_total "
        "240000\n",
        "# HELP mindcore_messages_enriched_total Messages enriched, by method\n",
        "# TYPE mindcore_messages_enriched_total counter\n"
        "mindcore_messages_enriched_total{method=\"trivial\"} 0\n"
        "mindcore_messages_enriched_total{method=\"builtin\"} 0\n",
        "# TYPE mindcore_enrichment_duration_seconds histogram\n",
        "mindcore_enrichment_duration_seconds_bucket{method=\"llm\",le=\"5e-05\"} 1\n",
        "mindcore_enrichment_duration_seconds_count{method=\"llm\"} 1\n",
        "mindcore_enrichment_duration_seconds_sum{method=\"llm\"} 5e-05\n",
        "mindcore_search_duration_seconds_bucket{le=\"0.001\"} 90\n",
        "mindcore_search_duration_seconds_bucket{le=\"0.0025\"} 100\n",
        "mindcore_context_retrieval_duration_seconds_bucket{le=\"60.0\"} 1\n",
        "mindcore_context_retrieval_duration_seconds_bucket{le=\"+Inf\"} 2\n",
        "mindcore_context_retrieval_duration_seconds_sum 7200\n",
        "\nmindcore_uptime_seconds 1.5\n",
        "\nmindcore_store_size_bytes 9007199254740992\n",
        "# TYPE mindcore_llm_calls_total counter\n",
        "mindcore_llm_calls_total{provider=\"openai\",operation=\"enrich\"} 3\n",
        "# TYPE mindcore_llm_cost_usd_total counter\n"
        "mindcore_llm_cost_usd_total{provider=\"llama_cpp\"} 0.000000000\n"
        "mindcore_llm_cost_usd_total{provider=\"openai\"} 9007199266.000001000\n",
        "# TYPE mindcore_llm_circuit_open gauge\n",
        "mindcore_llm_call_duration_seconds_count{provider=\"llama_cpp\"} 0\n",
        "mindcore_errors_total{error_type=\"llm\"} 0\n",
        "mindcore_build_info{version=\"",
        "# TYPE mindcore_http_requests_total counter\n"
        "mindcore_http_requests_total{route=\"other\",method=\"other\",code=\"2xx\"} 0\n",
        "mindcore_http_requests_total{route=\"/v1/users/{user_id}\",method=\"GET\",code=\"5xx\"} "
        "24000\n",
        "# TYPE mindcore_http_request_duration_seconds histogram\n",
        "mindcore_http_request_duration_seconds_bucket{route=\"/v1/users/"
        "{user_id}\",method=\"GET\","
        "le=\"0.0001\"} 120000\n",
        "mindcore_http_request_duration_seconds_count{route=\"/v1/users/"
        "{user_id}\",method=\"GET\"} "
        "120000\n",
        "\nmindcore_http_connections 2\n",
        "\nprocess_resident_memory_bytes ",
        "\nprocess_virtual_memory_bytes ",
        "\nprocess_cpu_seconds_total ",
        "\nprocess_open_fds ",
        "\nprocess_max_fds ",
        "\nprocess_start_time_seconds ",
    };
    for (size_t i = 0; i < sizeof(once) / sizeof(once[0]); i++)
        is_int(occurrences(out.data, once[i]), 1, "once: %s", once[i]);
    is_int(occurrences(out.data, "# HELP "), occurrences(out.data, "# TYPE "),
           "help and type of each");
    ok(out.data[out.len - 1] == '\n' && !strstr(out.data, "null"), "whole lines, numbers only");
    const char *start = strstr(out.data, "\nprocess_start_time_seconds ");
    double started = start ? strtod(start + 28, NULL) : 0;
    ok(started > 1.7e9 && started < 4e9, "start time %g", started);
    if (getenv("MC_TEST_SHOW_METRICS"))
        fprintf(stderr, "%s", out.data);
    mc_buf_fini(&out);
    mc_buf_init(&out, 100);
    mc_metrics_expose(metrics, MC_METRICS_PROMETHEUS, &out);
    ok(out.failed, "a small buffer fails");
    mc_buf_fini(&out);
}

int main(void)
{
    struct mc_metrics *metrics = mc_metrics_new();
    if (!metrics)
        bail_out("out of memory");
    test_threads(metrics);
    test_quantiles(metrics);
    test_routes(metrics);
    test_text(metrics);
    mc_metrics_free(metrics);
    mc_metrics_free(NULL);
    return done_testing();
}
