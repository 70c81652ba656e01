/*
 * A listener for scrapers: GET and HEAD of a few pages that are made anew each time, one thread, one request a
 * connection. It is what a program that embeds the library shows to Prometheus; the whole interface is
 * src/http.
 *
 * Bounds: MC_SCRAPE_CLIENTS connections (the one that has been asking longest makes room for a new one), a
 * head of MC_SCRAPE_HEAD_MAX bytes, timeout_us to send a request and as long to take its answer.
 */
#ifndef MC_SCRAPE_LISTENER_H
#define MC_SCRAPE_LISTENER_H

#include "base/address.h"
#include "base/buf.h"
#include "base/time.h"

#define MC_SCRAPE_CLIENTS 32
#define MC_SCRAPE_HEAD_MAX ((size_t)8 << 10)
#define MC_SCRAPE_ANSWER_MAX ((size_t)4 << 20)
#define MC_SCRAPE_TIMEOUT_US (10 * MC_US_PER_SECOND)

struct mc_scrape_listener;

struct mc_scrape_answer {
    int status; /* 200 unless it is set */
    const char *content_type;
    struct mc_buf body;
};
struct mc_scrape_page {
    const char *path;
    /* Runs in the listener's thread. accept: the header's value, may be absent. */
    void (*write)(void *context, mc_str accept, struct mc_scrape_answer *answer);
};

struct mc_scrape_options {
    const struct mc_address *address;
    const struct mc_scrape_page *pages; /* the last one's path is NULL; they outlive the listener */
    void *context;                      /* of the pages */
    int64_t timeout_us;                 /* 0: MC_SCRAPE_TIMEOUT_US */
};

/* Listens and starts the thread. MC_IO: the address is in use or not ours. */
MC_MUST_CHECK enum mc_status mc_scrape_start(const struct mc_scrape_options *options,
                                             struct mc_scrape_listener **listener,
                                             struct mc_error *err);
int mc_scrape_port(const struct mc_scrape_listener *listener);
/* Ends the thread and closes all connections. Accepts NULL. */
void mc_scrape_stop(struct mc_scrape_listener *listener);

#endif
