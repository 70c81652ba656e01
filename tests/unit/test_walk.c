/* Smoke. */
#include "tap.h"
#include "llm/schema.h"
int main(void)
{
    struct mc_schema *s = NULL; struct mc_error err = {0};
    const char *j = "{\"type\":\"object\",\"properties\":{\"topics\":{\"type\":\"array\",\"items\":{\"enum\":[\"a\",\"b\",\"abc\"]},\"minItems\":1,\"maxItems\":3,\"uniqueItems\":true},\"n\":{\"type\":\"integer\",\"minimum\":-1,\"maximum\":12},\"t\":{\"type\":\"string\",\"maxLength\":5},\"l\":{\"type\":\"array\",\"items\":{\"type\":\"integer\",\"minimum\":0,\"maximum\":12},\"maxItems\":3}}}";
    is_status(mc_schema_new(mc_str_of(j), &s, &err), MC_OK, &err, "new");
    struct mc_walk w; mc_walk_start(&w, s);
    struct mc_walk_scratch *sc = mc_walk_scratch_new(); struct mc_next n;
    printf("# %s\n# size %zu longest %zu\n", mc_schema_portable(s).data, sizeof w, mc_schema_longest(s));
    for (int i = 0; i < 40; i++) {
        mc_walk_next(&w, sc, &n);
        if (n.kind == MC_NEXT_DONE) { printf("# done\n"); break; }
        if (n.kind == MC_NEXT_FIXED) { printf("# fixed %.*s\n", (int)n.fixed.len, n.fixed.data); ok(mc_walk_feed(&w, n.fixed), "f"); }
        if (n.kind == MC_NEXT_TEXT) { printf("# text %zu\n", n.text_left); ok(mc_walk_feed(&w, mc_str_of("\xc3\xa4\\u00e4\",\"l\":[")), "t"); }
        if (n.kind == MC_NEXT_CHOICE) { printf("# choice"); for (size_t k = 0; k < n.choice_count; k++) printf(" %.*s", (int)n.choices[k].len, n.choices[k].data); puts(""); ok(mc_walk_feed(&w, n.choices[(size_t)i * 7 % n.choice_count]), "c"); }
    }
    mc_walk_scratch_free(sc); mc_schema_free(s);
    return done_testing();
}
