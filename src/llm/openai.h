/*
 * A model behind an OpenAI-compatible API (OpenAI, vLLM, Ollama, llama-server, ...): chat completions, or
 * embeddings. Errors name options of "llm.openai", or "embeddings.openai".
 *
 * The answer's shape goes along as response_format json_schema; a server that refuses (400) what it does
 * not know gets less: without length limits, then json_object with the schema in the prompt; what it
 * takes is remembered. Joinable calls of one system text and schema go together, up to `batch` in a
 * request, and are matched by id; an item that is missing or refused is asked for again alone. So are
 * all when the server cannot answer them together (time-out, too long, 500); after a time-out or too
 * long an answer fewer go together for a while. Temperature is 0.
 *
 * A request that failed for a passing reason (time-out, connection, 408, 409, 425, 429, 5xx) is made
 * again, at most max_retries times, after 0.5 s doubled each time up to 8 s, between half and all of it
 * at random; or after Retry-After where the server says so. A wait beyond the deadline, or of more than
 * 60 s, is not begun: the call fails at once, and so do others (no_attempt) until that time has come.
 * libcurl by itself sends a request again that met a kept connection just when the server closed it.
 */
#ifndef MC_LLM_OPENAI_H
#define MC_LLM_OPENAI_H

#include "llm/llm.h"

struct mc_openai_options {
    const char *api_key;  /* "" or NULL: none is sent */
    const char *base_url; /* "https://api.openai.com/v1" */
    const char *model;
    int64_t timeout_us;         /* of one request */
    int max_retries;            /* further tries of a request, 0..20 */
    size_t batch;               /* joinable calls in one request, 1..16 */
    size_t in_flight;           /* requests at once for each thread that generates, 1..16 */
    double price_in, price_out; /* USD per million tokens, 0: unknown */
    const char *ca_file;        /* NULL: the system's certificates */
    bool
        embeddings; /* /embeddings instead of chat completions: calls of MC_LLM_EMBED alone, up to 64 in a request */
    int64_t dimensions; /* of embeddings, asked for; 0: as the model likes */
};

/* Opens no connection. MC_CONFIG names the option at fault. */
MC_MUST_CHECK enum mc_status mc_openai_open(const struct mc_openai_options *options,
                                            struct mc_llm **llm, struct mc_error *err);

#endif
