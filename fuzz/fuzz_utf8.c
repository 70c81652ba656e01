/* Foreign bytes as UTF-8: checking, walking, cutting, lines and folding agree with each other. */
#include <stdlib.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/str.h"
#include "base/time.h"
#include "base/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

static void check_walk(mc_str text, bool valid, size_t characters, size_t bad)
{
    size_t good = 0, offset = 0, first_bad = SIZE_MAX;
    while (offset < text.len) {
        char bytes[4];
        size_t before = offset;
        int32_t code = mc_utf8_next(text, &offset);
        must(offset > before);
        if (code < 0) {
            first_bad = first_bad == SIZE_MAX ? before : first_bad;
            must(offset == before + 1);
            continue;
        }
        good++;
        must(mc_utf8_put(code, bytes) == offset - before);
        must(memcmp(bytes, text.data + before, offset - before) == 0);
        (void)mc_utf8_is_letter(code);
        (void)mc_utf8_is_mark(code);
        (void)mc_utf8_is_emoji(code);
        (void)mc_utf8_lower(code);
    }
    must(valid ? good == characters && first_bad == SIZE_MAX : first_bad == bad);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    mc_str text = {(const char *)data, size};
    size_t characters = 0, bad = 0;
    bool valid = mc_utf8_check(text, &characters, &bad);
    check_walk(text, valid, characters, bad);
    for (size_t max = 0; max <= size && max < 64; max++) {
        mc_str cut = mc_utf8_cut(text, max);
        char line[64];
        must(cut.len <= max && (!valid || (max - cut.len < 4 && mc_utf8_check(cut, NULL, NULL))));
        size_t len = mc_utf8_line(text, line, max);
        must(max == 0 || (len < max && line[len] == '\0'));
        must(mc_utf8_check((mc_str){line, len}, NULL, NULL));
        must(!memchr(line, '\n', len));
    }
    mc_auto(mc_buf_fini) struct mc_buf folded;
    mc_buf_init(&folded, SIZE_MAX);
    must(mc_utf8_fold(text, &folded) == valid);
    must(mc_utf8_check(mc_buf_str(&folded), NULL, NULL));
    (void)mc_utf8_is_blank(text);

    int64_t time_us, back_us;
    double number;
    char formatted[MC_TIME_TEXT_SIZE];
    if (mc_time_parse(text, &time_us)) {
        mc_time_format(time_us, formatted);
        /* An offset may carry the first or last day out of the four-digit years. */
        if (time_us >= mc_time_from_civil(0, 1, 1) && time_us < mc_time_from_civil(10000, 1, 1))
            must(mc_time_parse(mc_str_of(formatted), &back_us) && back_us == time_us);
    }
    (void)mc_str_to_double(text, &number);
    (void)mc_str_to_int64(text, &time_us);
    return 0;
}
