/*
 * A growing buffer with a maximum. Once an append fails (maximum reached or out of memory) the buffer
 * is failed, keeps what it has, and further appends do nothing: check once at the end.
 */
#ifndef MC_BASE_BUF_H
#define MC_BASE_BUF_H

#include <stdarg.h>

#include <mindcore/types.h>

struct mc_buf {
    char *data; /* NUL-terminated when not NULL */
    size_t len;
    size_t capacity;
    size_t max;
    bool failed;
};

void mc_buf_init(struct mc_buf *buf, size_t max_bytes);
void mc_buf_fini(struct mc_buf *buf);
/* Empties it and forgets a failure; keeps the memory. */
void mc_buf_reset(struct mc_buf *buf);
void mc_buf_append(struct mc_buf *buf, mc_str str);
void mc_buf_text(struct mc_buf *buf, const char *text);
void mc_buf_char(struct mc_buf *buf, char c);
void mc_buf_printf(struct mc_buf *buf, const char *format, ...) MC_PRINTF(2, 3);
static inline mc_str mc_buf_str(const struct mc_buf *buf)
{
    return (mc_str){buf->data ? buf->data : "", buf->len};
}
/* The text as memory for mc_free, the buffer empty afterwards; NULL when failed or out of memory. */
char *mc_buf_take(struct mc_buf *buf, size_t *len);

#endif
