/* Growing buffers: limits, sticky failure, taking. */
#include "tap.h"

#include "base/buf.h"
#include "base/compiler.h"
#include "base/str.h"

static void test_maximum(void)
{
    mc_auto(mc_buf_fini) struct mc_buf buf;
    mc_buf_init(&buf, 10);
    mc_buf_text(&buf, "0123456789");
    ok(!buf.failed, "the maximum itself fits");
    mc_buf_append(&buf, MC_STR_NONE);
    ok(!buf.failed, "nothing more fits too");
    mc_buf_char(&buf, 'x');
    ok(buf.failed, "one more does not");
    is_text(mc_buf_str(&buf), "0123456789", "what was there is kept");
    size_t len = 77;
    ok(!mc_buf_take(&buf, &len), "a failed buffer gives nothing");
    is_int(len, 77, "output untouched");
    mc_buf_reset(&buf);
    mc_buf_printf(&buf, "%s", "abc");
    mc_buf_printf(&buf, "%020d", 1);
    mc_buf_text(&buf, "d");
    ok(buf.failed, "still failed though this would fit");
    is_text(mc_buf_str(&buf), "abc", "reset buffer is usable, failed print adds nothing");
    is_int(strlen(buf.data), 3, "NUL-terminated");
    mc_buf_reset(&buf);
    mc_buf_append(&buf, (mc_str){"", SIZE_MAX});
    ok(buf.failed, "length that overflows");
}

static void test_growth(void)
{
    mc_auto(mc_buf_fini) struct mc_buf buf;
    mc_buf_init(&buf, SIZE_MAX);
    is_text(mc_buf_str(&buf), "", "empty without memory");
    mc_buf_char(&buf, 'a');
    is_int(buf.capacity, 64, "first capacity");
    for (int i = 1; i < 64; i++)
        mc_buf_char(&buf, 'a');
    is_int(buf.capacity, 128, "the NUL counts");
    for (int i = 0; i < 1000; i++)
        mc_buf_printf(&buf, "%d,", i);
    is_int(buf.len, 64 + 3890, "all is there");
    is_int(strlen(buf.data), buf.len, "one string");
    char large[3000];
    memset(large, 'z', sizeof(large) - 1);
    large[sizeof(large) - 1] = '\0';
    mc_buf_reset(&buf);
    mc_buf_printf(&buf, "<%s>", large);
    is_int(buf.len, 3001, "long print");
    ok(buf.data[3000] == '>' && buf.data[3001] == '\0', "its end");
    mc_buf_append(&buf, (mc_str){"", SIZE_MAX - 1});
    ok(buf.failed, "no overflow with an unlimited buffer");
}

static void test_take(void)
{
    mc_auto(mc_buf_fini) struct mc_buf buf;
    mc_buf_init(&buf, 100);
    size_t len = 9;
    char *text = mc_buf_take(&buf, &len);
    is_str(text, "", "the empty buffer gives the empty string");
    is_int(len, 0, "of no length");
    mc_free(text);
    mc_buf_append(&buf, MC_STR("a\0b"));
    text = mc_buf_take(&buf, &len);
    ok(text && len == 3 && memcmp(text, "a\0b", 4) == 0, "bytes with a NUL");
    mc_free(text);
    is_int(buf.len, 0, "empty afterwards");
    is_int(buf.max, 100, "with its maximum");
    mc_buf_text(&buf, "again");
    text = mc_buf_take(&buf, NULL);
    is_str(text, "again", "used again, length not wanted");
    mc_free(text);
}

int main(void)
{
    test_maximum();
    test_growth();
    test_take();
    return done_testing();
}
