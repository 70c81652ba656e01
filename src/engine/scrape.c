/* mc_metrics_listen: the engine's pages for scrapers. */
#include "scrape/listener.h"

#include <mindcore/operate.h>

#include <stdio.h>

#include "base/compiler.h"
#include "base/error.h"
#include "base/str.h"
#include "base/time.h"
#include "engine/engine.h"

#define ADDRESS_FIELD "address"
#define ANY_HOST "0.0.0.0"

/* Hands over a text of the engine, or why there is none. */
static void put(enum mc_status status, char *text, const char *type, const struct mc_error *err,
                struct mc_scrape_answer *answer)
{
    if (status) {
        answer->status = 500;
        mc_buf_printf(&answer->body, "%s\n", err->message);
        return;
    }
    answer->content_type = type;
    mc_buf_text(&answer->body, text);
    mc_free(text);
}

static void write_metrics(void *context, mc_str accept, struct mc_scrape_answer *answer)
{
    char *text = NULL;
    const char *type = NULL;
    struct mc_error error;
    enum mc_status status = mc_metrics_exposition(context, accept, &text, &type, &error);
    put(status, text, type, &error, answer);
}

static void write_health(void *context, mc_str accept, struct mc_scrape_answer *answer)
{
    (void)accept;
    bool healthy = false;
    char *json = NULL;
    struct mc_error error;
    enum mc_status status =
        mc_engine_health_within(context, MC_US_PER_SECOND, &healthy, &json, &error);
    if (!status && !healthy)
        answer->status = 503;
    put(status, json, "application/json", &error, answer);
}

static const struct mc_scrape_page pages[] = {
    {"/metrics", write_metrics},
    {"/health", write_health},
    {NULL, NULL},
};

static enum mc_status fail_listening(const struct mc_engine *engine, struct mc_error *err)
{
    return mc_fail(err, MC_CONFLICT,
                   "this engine shows its metrics on port %d already, until it is closed",
                   mc_metrics_port(engine));
}

enum mc_status mc_metrics_listen(struct mc_engine *engine, const char *address,
                                 struct mc_error *err)
{
    char text[MC_ADDRESS_SIZE + sizeof(ANY_HOST) + sizeof("[]:65535")];
    if (!address || !*address || strlen(address) >= sizeof(text) - strlen(ANY_HOST))
        return mc_fail_field(err, MC_INVALID, ADDRESS_FIELD,
                             "give the address to listen on, as in 127.0.0.1:9090 or :9090");
    snprintf(text, sizeof(text), "%s%s", address[0] == ':' ? ANY_HOST : "", address);
    struct mc_address parsed;
    enum mc_status status = mc_address_parse(text, ADDRESS_FIELD, &parsed, err);
    if (status)
        return status;
    if (mc_metrics_port(engine))
        return fail_listening(engine, err);
    struct mc_scrape_listener *listener = NULL, *none = NULL;
    const struct mc_scrape_options options = {
        .address = &parsed, .pages = pages, .context = engine};
    status = mc_scrape_start(&options, &listener, err);
    if (!status && !atomic_compare_exchange_strong(&engine->scrape, &none, listener)) {
        mc_scrape_stop(listener); /* another thread was faster */
        return fail_listening(engine, err);
    }
    return status;
}

int mc_metrics_port(const struct mc_engine *engine)
{
    const struct mc_scrape_listener *listener = atomic_load(&engine->scrape);
    return listener ? mc_scrape_port(listener) : 0;
}
