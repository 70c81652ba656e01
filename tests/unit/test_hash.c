/* The hash of contents: its value is fixed, and no two sequences of texts share one. */
#include "tap.h"

#include <stdio.h>

#include "base/hash.h"
#include "base/str.h"

static const char *hex_of(const mc_str *parts, size_t count)
{
    static char texts[4][MC_HASH_BYTES * 2 + 1];
    static unsigned turn;
    char *text = texts[turn++ % 4];
    unsigned char hash[MC_HASH_BYTES];
    mc_hash_of(parts, count, hash);
    for (size_t i = 0; i < MC_HASH_BYTES; i++)
        snprintf(text + 2 * i, 3, "%02x", hash[i]);
    return text;
}

int main(void)
{
    is_str(hex_of(NULL, 0), "0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8",
           "BLAKE2b of nothing, 32 bytes");
    mc_str abc[] = {MC_STR("abc")}, ab_c[] = {MC_STR("ab"), MC_STR("c")},
           a_bc[] = {MC_STR("a"), MC_STR("bc")}, none[] = {MC_STR("")};
    is_str(hex_of(abc, 1), "3bdc62cfd65e3b78e3d90e32e0a91ebfbc229c30abe54e6abd16c5d4def0db7b",
           "of a text behind its length");
    is_str(hex_of(abc, 1), hex_of(abc, 1), "the same again");
    ok(strcmp(hex_of(ab_c, 2), hex_of(a_bc, 2)) != 0, "where a text ends matters");
    ok(strcmp(hex_of(abc, 1), hex_of(ab_c, 2)) != 0, "so does their number");
    ok(strcmp(hex_of(none, 1), hex_of(none, 0)) != 0, "an empty text is one");
    mc_str absent[] = {MC_STR_NONE};
    is_str(hex_of(absent, 1), hex_of(none, 1), "an absent text is an empty one");
    return done_testing();
}
