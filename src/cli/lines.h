/*
 * Lines from a descriptor in bounded memory. "\n" and "\r\n" end a line; the last one needs
 * neither. A line above the maximum is skipped to its end and reported as too long.
 */
#ifndef MC_CLI_LINES_H
#define MC_CLI_LINES_H

#include "base/buf.h"

enum mc_line { MC_LINE_END, MC_LINE_TEXT, MC_LINE_TOO_LONG, MC_LINE_FAILED };

struct mc_lines {
    int descriptor;
    bool opened; /* the descriptor is closed with the lines */
    size_t max_bytes;
    uint64_t size;   /* of a file in bytes, 0 of anything else */
    uint64_t number; /* of the line read last, from 1 */
    uint64_t bytes;  /* read so far */
    struct mc_buf line;
    char *chunk;
    size_t chunk_len;
    size_t chunk_at;
    bool ended;
};

/* Lines of a file, of standard input for "-". MC_NOT_FOUND, MC_IO: it cannot be read. */
MC_MUST_CHECK enum mc_status mc_lines_open(struct mc_lines *lines, const char *path,
                                           size_t max_bytes, struct mc_error *err);
MC_MUST_CHECK enum mc_status mc_lines_init(struct mc_lines *lines, int descriptor, size_t max_bytes,
                                           struct mc_error *err);
void mc_lines_fini(struct mc_lines *lines);
/* The next line, without its end; valid until the next call. MC_LINE_FAILED: err says why. */
enum mc_line mc_lines_next(struct mc_lines *lines, mc_str *line, struct mc_error *err);

#endif
