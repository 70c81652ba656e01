/*
 * An HTTP/1.1 server inside the test that answers by script, well or badly, and remembers what it was
 * asked. Each connection has a thread; answers are handed out in the order in which requests are complete.
 */
#ifndef MC_TESTS_SCRIPT_SERVER_H
#define MC_TESTS_SCRIPT_SERVER_H

#include <mindcore/types.h>

struct script_request {
    const char *head; /* request line and headers, NUL-terminated */
    const char *body; /* NUL-terminated */
    size_t body_len;
    size_t number;     /* of the request, from 0 */
    size_t connection; /* of the connection that it came by, from 0 */
    int64_t at_us;     /* monotonic, when it was complete */
};

enum script_end {
    SCRIPT_KEEP,  /* the connection stays open */
    SCRIPT_CLOSE, /* it is closed after the answer, without being announced */
    SCRIPT_RESET, /* TCP reset in place of an answer */
    SCRIPT_HALF,  /* half of the body, then closed */
    SCRIPT_HANG   /* nothing more is sent until the peer closes */
};

struct script_answer {
    int code;            /* 0: 200 */
    const char *headers; /* further ones, each with "\r\n" behind it; NULL: none */
    const char *body;    /* NULL: "" */
    size_t body_bytes;   /* of the body; 0: up to its NUL */
    /*
     * The body built from the request, in place of `body`; freed by the server with free(). May change
     * *code. Called from the connection's thread.
     */
    char *(*build)(void *context, const struct script_request *request, int *code);
    void *context;
    size_t repeat_bytes; /* the body is repeated until it has so many bytes; 0: once */
    int64_t delay_us;    /* before the first byte */
    size_t drip_bytes;   /* this many bytes at a time, */
    int64_t drip_us;     /* and this long between them; 0: at once */
    enum script_end end;
};

struct script_server;
struct script_server *script_server_start(void); /* on a free port; bails out when it cannot */
void script_server_stop(struct script_server *server);
int script_server_port(const struct script_server *server);
/* The answer to one request; strings live until the server stops. */
void script_server_add(struct script_server *server, struct script_answer answer);
/* The answer when the script has no more; at first an empty 200. */
void script_server_always(struct script_server *server, struct script_answer answer);
/* Waits for answers that are under way, then forgets the requests and the rest of the script; connections stay. */
void script_server_clear(struct script_server *server);

size_t script_server_requests(struct script_server *server);
size_t script_server_connections(struct script_server *server);
/* The most requests that were answered at the same time. */
size_t script_server_most_at_once(struct script_server *server);
/* Lives until the server stops or is cleared; bails out when there is none. */
const struct script_request *script_server_request(struct script_server *server, size_t number);
/* Waits until so many requests came; false after 60 s. */
bool script_server_wait(struct script_server *server, size_t requests);

#endif
