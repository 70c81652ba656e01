/* See base/buf.h. The capacity doubles from 64 bytes and counts the NUL, the maximum does not. */
#include "base/buf.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/compiler.h"

#define CAPACITY_MIN ((size_t)64)

void mc_buf_init(struct mc_buf *buf, size_t max_bytes)
{
    *buf = (struct mc_buf){.max = max_bytes};
}

void mc_buf_fini(struct mc_buf *buf)
{
    free(buf->data);
    mc_buf_init(buf, buf->max);
}

void mc_buf_reset(struct mc_buf *buf)
{
    buf->len = 0;
    buf->failed = false;
    if (buf->data)
        buf->data[0] = '\0';
}

/* Room for add more bytes and a NUL; otherwise the buffer is failed. */
static bool reserve(struct mc_buf *buf, size_t add)
{
    if (buf->failed)
        return false;
    if (add > buf->max - buf->len || add >= SIZE_MAX - buf->len) {
        buf->failed = true;
        return false;
    }
    size_t need = buf->len + add + 1;
    if (need <= buf->capacity)
        return true;
    size_t capacity = buf->capacity ? buf->capacity : CAPACITY_MIN;
    while (capacity < need)
        capacity = capacity > SIZE_MAX / 2 ? need : capacity * 2;
    char *data = realloc(buf->data, capacity);
    if (!data) {
        buf->failed = true;
        return false;
    }
    data[buf->len] = '\0';
    buf->data = data;
    buf->capacity = capacity;
    return true;
}

void mc_buf_append(struct mc_buf *buf, mc_str str)
{
    if (str.len == 0 || !reserve(buf, str.len))
        return;
    memcpy(buf->data + buf->len, str.data, str.len);
    buf->len += str.len;
    buf->data[buf->len] = '\0';
}

void mc_buf_text(struct mc_buf *buf, const char *text)
{
    mc_buf_append(buf, mc_str_of(text));
}

void mc_buf_char(struct mc_buf *buf, char c)
{
    if (!reserve(buf, 1))
        return;
    buf->data[buf->len++] = c;
    buf->data[buf->len] = '\0';
}

MC_PRINTF(3, 0)
static void append_format(struct mc_buf *buf, size_t len, const char *format, va_list args)
{
    if (!reserve(buf, len))
        return;
    vsnprintf(buf->data + buf->len, len + 1, format, args);
    buf->len += len;
}

void mc_buf_printf(struct mc_buf *buf, const char *format, ...)
{
    if (buf->failed)
        return;
    char text[256];
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int len = vsnprintf(text, sizeof(text), format, args);
    if (len < 0)
        buf->failed = true;
    else if ((size_t)len < sizeof(text))
        mc_buf_append(buf, (mc_str){text, (size_t)len});
    else
        append_format(buf, (size_t)len, format, again);
    va_end(again);
    va_end(args);
}

char *mc_buf_take(struct mc_buf *buf, size_t *len)
{
    if (!reserve(buf, 0))
        return NULL;
    if (len)
        *len = buf->len;
    char *data = mc_steal(buf->data);
    mc_buf_init(buf, buf->max);
    return data;
}
