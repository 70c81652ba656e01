#include "cache/entry.h"

#include <stdlib.h>

#include "base/compiler.h"
#include "base/error.h"
#include "base/json.h"
#include "base/str.h"

enum mc_status mc_cache_check_options(const struct mc_cache_options *options, struct mc_error *err)
{
    if (options->max_size < 1 || options->max_size > MC_CACHE_SIZE_MAX)
        return mc_fail_field(err, MC_INVALID, "cache.max_size",
                             "cache.max_size is %zu, it must be 1 to %d messages a thread",
                             options->max_size, MC_CACHE_SIZE_MAX);
    if (options->ttl_us < 0)
        return mc_fail_field(err, MC_INVALID, "cache.ttl",
                             "cache.ttl is negative, it must be 0 (none) or a positive time");
    if (options->max_bytes == 0)
        return mc_fail_field(err, MC_INVALID, "cache.max_bytes",
                             "cache.max_bytes is 0, it must be at least 1");
    return MC_OK;
}

bool mc_entry_reserve(struct mc_records *records, size_t more)
{
    size_t wanted = records->count + more;
    if (wanted <= records->capacity)
        return true;
    struct mc_record **items = realloc(records->items, wanted * sizeof(struct mc_record *));
    if (!items)
        return false;
    records->items = items;
    records->capacity = wanted;
    return true;
}

/* ---- Hash ---- */

__extension__ typedef unsigned __int128 wide;

static uint64_t fold(uint64_t a, uint64_t b)
{
    wide product = (wide)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t word(const unsigned char *bytes)
{
    uint64_t value;
    memcpy(&value, bytes, sizeof(value));
    return value;
}

uint64_t mc_entry_hash(uint64_t seed, const void *bytes, size_t len)
{
    static const uint64_t secret[3] = {UINT64_C(0xa0761d6478bd642f), UINT64_C(0xe7037ed1a0b428db),
                                       UINT64_C(0x8ebc6af09c88c6e3)};
    const unsigned char *at = bytes;
    uint64_t state = seed ^ fold(seed ^ secret[0], (uint64_t)len ^ secret[1]);
    size_t left = len;
    if (left >= 48) {
        /* Three folds that do not wait for each other. */
        uint64_t second = state, third = state;
        for (; left >= 48; left -= 48, at += 48) {
            state = fold(word(at) ^ secret[0], word(at + 8) ^ state);
            second = fold(word(at + 16) ^ secret[1], word(at + 24) ^ second);
            third = fold(word(at + 32) ^ secret[2], word(at + 40) ^ third);
        }
        state ^= second ^ third;
    }
    for (; left >= 16; left -= 16, at += 16)
        state = fold(word(at) ^ secret[1], word(at + 8) ^ state);
    unsigned char tail[16] = {0};
    if (left > 0)
        memcpy(tail, at, left);
    return fold(fold(word(tail) ^ secret[2], word(tail + 8) ^ state), state ^ secret[0]);
}

/* ---- Topics ---- */

struct scan {
    const char *at;
    const char *end;
};

static bool scan_char(struct scan *s, char wanted)
{
    while (s->at < s->end && (*s->at == ' ' || *s->at == '\n' || *s->at == '\t' || *s->at == '\r'))
        s->at++;
    if (s->at == s->end || *s->at != wanted)
        return false;
    s->at++;
    return true;
}

/* The bytes between the quotes, escapes as they are written. */
static bool scan_string(struct scan *s, mc_str *raw)
{
    if (!scan_char(s, '"'))
        return false;
    const char *start = s->at;
    for (; s->at < s->end; s->at++) {
        if (*s->at == '\\') {
            if (++s->at == s->end)
                return false;
        } else if (*s->at == '"') {
            *raw = (mc_str){start, (size_t)(s->at - start)};
            s->at++;
            return true;
        }
    }
    return false;
}

/* Skips a value: up to the comma or bracket behind it, which is not taken. */
static bool scan_value(struct scan *s)
{
    mc_str ignored;
    for (size_t depth = 0; s->at < s->end;) {
        char c = *s->at;
        if (c == '"') {
            if (!scan_string(s, &ignored))
                return false;
            continue;
        }
        if (depth == 0 && (c == ',' || c == '}' || c == ']'))
            return true;
        if (c == '{' || c == '[')
            depth++;
        else if (c == '}' || c == ']')
            depth--;
        s->at++;
    }
    return false;
}

/* Moves behind the bracket that opens the array of topics. */
static bool find_topics(struct scan *s)
{
    /* Most metadata has no topics yet, and user data behind "extra" can be long. */
    if (!memmem(s->at, (size_t)(s->end - s->at), "\"topics\"", 8) || !scan_char(s, '{'))
        return false;
    mc_str key;
    do {
        if (!scan_string(s, &key) || !scan_char(s, ':'))
            return false;
        if (mc_str_equal(key, MC_STR("topics")))
            return scan_char(s, '[');
        if (!scan_value(s))
            return false;
    } while (scan_char(s, ','));
    return false;
}

/* Bits of all topics when topic is absent, else whether it is one of them. */
static uint64_t read_topics(mc_str metadata, mc_str topic)
{
    struct scan s = {metadata.data, metadata.data + metadata.len};
    uint64_t bits = 0;
    if (metadata.len == 0 || !find_topics(&s))
        return 0;
    do {
        mc_str name;
        if (!scan_string(&s, &name))
            break;
        mc_auto(mc_json_free_ptr) struct mc_json *text = NULL;
        if (memchr(name.data, '\\', name.len)) {
            struct mc_error err;
            if (mc_json_parse((mc_str){name.data - 1, name.len + 2}, &text, &err) != MC_OK)
                continue;
            name = mc_json_string(text);
        }
        if (!mc_str_given(topic))
            bits |= mc_entry_topic_bit(name);
        else if (mc_str_equal(name, topic))
            return 1;
    } while (scan_char(&s, ','));
    return bits;
}

uint64_t mc_entry_topic_bit(mc_str topic)
{
    return UINT64_C(1) << (mc_entry_hash(0, topic.len ? topic.data : "", topic.len) & 63);
}

uint64_t mc_entry_topic_bits(mc_str metadata)
{
    return read_topics(metadata, MC_STR_NONE);
}

bool mc_entry_has_topic(mc_str metadata, mc_str topic)
{
    if (!mc_str_given(topic))
        topic = MC_STR("");
    return read_topics(metadata, topic) != 0;
}
