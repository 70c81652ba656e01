/* What of a long message is shown: the sentences that make points, and the part around a word. */
#include "tap.h"

#include "base/compiler.h"
#include "base/str.h"
#include "context/points.h"
#include "context/render.h"

struct set {
    struct mc_vocabulary *vocabulary;
    struct mc_arena arena;
    struct mc_query query;
};

static void must(enum mc_status status, const struct mc_error *err)
{
    if (status)
        bail_out("%s", err->message);
}

/* Every term of the query has matched 10 of 1,000 messages. */
static void set_open(struct set *s, const char *query)
{
    struct mc_error err;
    mc_arena_init(&s->arena, 16U << 20);
    must(mc_vocabulary_new(&s->vocabulary, &err), &err);
    must(mc_query_read(mc_str_of(query), s->vocabulary, 0, &s->arena, &s->query, &err), &err);
    uint32_t df[MC_MATCH_TERMS_MAX];
    for (size_t i = 0; i < MC_MATCH_TERMS_MAX; i++)
        df[i] = 10;
    mc_query_weigh(&s->query, df, 1000);
}

static void set_close(struct set *s)
{
    mc_vocabulary_free(s->vocabulary);
    mc_arena_fini(&s->arena);
}

struct row {
    const char *query, *text, *want; /* want: points joined by '|' */
};

static const struct row rows[] = {
    {"When does the ferry leave?", "It rained. The ferry leaves at ten. I slept.",
     "The ferry leaves at ten."},
    {"When does the ferry leave?", "It rained. I slept.", ""},
    {"the ferry of order ORD-4821", "I paid. The ferry is ord-4821. It rained.",
     "The ferry is ord-4821."},
    /* Accents, and what an apostrophe ties to a word. */
    {"O\xc3\xb9 \xc3\xa9tait le caf\xc3\xa9 ?", "Il pleuvait. Un caf\xc3\xa9 ferm\xc3\xa9. Rien.",
     "Un caf\xc3\xa9 ferm\xc3\xa9."},
    {"le cafe de Besancon", "Il pleuvait. Mon caf\xc3\xa9 \xc3\xa0 Besan\xc3\xa7on. Rien.",
     "Mon caf\xc3\xa9 \xc3\xa0 Besan\xc3\xa7on."},
    {"l'appareil photo", "Il pleuvait. Cherche un appareil. Rien.", "Cherche un appareil."},
    {"appareil photo", "Il pleuvait. Cherche l'appareil. Rien.", "Cherche l'appareil."},
    {"what of O'Brien", "It rained. Ask O'Brien. I slept.", "Ask O'Brien."},
    /* "Where is the passport number?", "I slept. The passport number lies in the safe. It rained." */
    {"\u62a4\u7167\u53f7\u7801\u5728\u54ea\u91cc",
     "\u6211\u7761\u4e86\u3002\u6211\u7684\u62a4\u7167\u53f7\u7801\u653e\u5728\u4fdd\u9669\u7bb1"
     "\u91cc\u3002\u4e0b\u96e8\u4e86\u3002",
     "\u6211\u7684\u62a4\u7167\u53f7\u7801\u653e\u5728\u4fdd\u9669\u7bb1\u91cc\u3002"},
};

static void test_points(void)
{
    for (size_t i = 0; i < mc_countof(rows); i++) {
        struct set s;
        struct mc_error err;
        struct mc_points points = {.count = 0};
        struct mc_message m = {.text = mc_str_of(rows[i].text), .metadata = MC_STR("{}")};
        char joined[512] = "";
        size_t len = 0;
        set_open(&s, rows[i].query);
        must(mc_points_add(&points, &s.query, &m, &s.arena, &err), &err);
        for (size_t k = 0; k < points.count; k++)
            len += (size_t)snprintf(joined + len, sizeof(joined) - len, "%s%.*s", k ? "|" : "",
                                    MC_STR_ARG(points.items[k]));
        is_str(joined, rows[i].want, "%s", rows[i].query);
        set_close(&s);
    }
}

/* Behind 6,000 bytes of other words, what the query asks for is in the part that is shown. */
static void test_excerpts(void)
{
    static char text[20000];
    for (size_t i = 0; i < mc_countof(rows); i++) {
        if (rows[i].want[0] == '\0')
            continue;
        struct set s;
        struct mc_error err;
        size_t len = 0;
        for (int k = 0; k < 1000; k++)
            len += (size_t)snprintf(text + len, sizeof(text) - len, "hm hm ");
        len += (size_t)snprintf(text + len, sizeof(text) - len, "%s ", rows[i].want);
        for (int k = 0; k < 1000; k++)
            len += (size_t)snprintf(text + len, sizeof(text) - len, "hm hm ");
        set_open(&s, rows[i].query);
        mc_str excerpt;
        must(mc_render_excerpt(&s.query, NULL, mc_str_of(text), 400, &s.arena, &excerpt, &err),
             &err);
        const char *at = memmem(excerpt.data, excerpt.len, rows[i].want, strlen(rows[i].want));
        ok(at && at - excerpt.data < 400, "the part around it: %s", rows[i].query);
        set_close(&s);
    }
}

/* One word of the query at the beginning, two of them behind it: the part that has two is shown. */
static void test_together(void)
{
    static char text[20000];
    static const char want[] = "The ferry leaves at ten.";
    struct set s;
    struct mc_error err;
    size_t len = (size_t)snprintf(text, sizeof(text), "No ferry here. ");
    for (int k = 0; k < 1000; k++)
        len += (size_t)snprintf(text + len, sizeof(text) - len, "hm hm ");
    snprintf(text + len, sizeof(text) - len, "%s It rained.", want);
    set_open(&s, "When does the ferry leave?");
    mc_str excerpt;
    must(mc_render_excerpt(&s.query, NULL, mc_str_of(text), 400, &s.arena, &excerpt, &err), &err);
    const char *at = memmem(excerpt.data, excerpt.len, want, strlen(want));
    ok(at && at - excerpt.data < 400, "the part with both words");
    set_close(&s);
}

int main(void)
{
    test_points();
    test_excerpts();
    test_together();
    return done_testing();
}
