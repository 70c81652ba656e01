/* The head of a request to src/scrape/listener: the little of HTTP/1.1 that a scraper needs. Pure functions. */
#ifndef MC_SCRAPE_HEAD_H
#define MC_SCRAPE_HEAD_H

#include <mindcore/types.h>

/* Borrowed from the text that was parsed. */
struct mc_scrape_head {
    mc_str method;
    mc_str path;   /* without the query */
    mc_str host;   /* absent: none was sent (HTTP/1.0) */
    mc_str accept; /* absent: anything */
};

/* The length of the head with the empty line that ends it; 0: it is not whole yet. */
size_t mc_scrape_head_length(mc_str received);

/*
 * Parses a whole head. 0, or the status that answers it: 400 (no HTTP, a line that is none, a control
 * character, a Host that is missing or there twice), 505 (a version other than 1.0 and 1.1).
 */
int mc_scrape_head_parse(mc_str text, struct mc_scrape_head *head);

/* True for an IP address or "localhost", each with or without a port: no name that a foreign page could be reached by. */
bool mc_scrape_host_is_local(mc_str host);

#endif
