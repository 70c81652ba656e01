/* Trivial messages: the table of tests/data/trivial.tsv, roles, users' patterns, time. */
#include "tap.h"

#include "base/str.h"
#include "base/time.h"
#include "text/trivial.h"

static struct mc_trivial_detector *detector;

static const char *category_of(const char *text)
{
    enum mc_trivial category = MC_TRIVIAL_NONE;
    return mc_trivial_detect(detector, MC_ROLE_USER, mc_str_of(text), &category)
               ? mc_trivial_name(category)
               : "-";
}

static void test_table(void)
{
    char path[1024], line[1024];
    const char *root = getenv("MINDCORE_SOURCE");
    snprintf(path, sizeof(path), "%s/tests/data/trivial.tsv", root ? root : ".");
    FILE *file = fopen(path, "r");
    if (!ok(file != NULL, "open %s", path))
        return;
    size_t trivial = 0, other = 0;
    while (fgets(line, sizeof(line), file)) {
        line[strcspn(line, "\n")] = '\0';
        char *text = strchr(line, '\t');
        if (!text)
            continue;
        *text++ = '\0';
        is_str(category_of(text), line, "%s", text);
        *(line[0] == '-' ? &other : &trivial) += 1;
    }
    fclose(file);
    ok(trivial + other >= 330 && other >= 170, "%zu trivial phrases, %zu others", trivial, other);
}

static void test_roles(void)
{
    enum mc_trivial category = MC_TRIVIAL_APOLOGY;
    ok(mc_trivial_detect(detector, MC_ROLE_ASSISTANT, MC_STR("Thanks!"), &category), "assistant");
    is_int(category, MC_TRIVIAL_THANKS, "thanks");
    ok(mc_trivial_detect(detector, MC_ROLE_TOOL, MC_STR("ok"), NULL), "tool");
    category = MC_TRIVIAL_APOLOGY;
    ok(!mc_trivial_detect(detector, MC_ROLE_SYSTEM, MC_STR("ok"), &category), "system never");
    is_int(category, MC_TRIVIAL_APOLOGY, "output untouched");
}

static void test_edges(void)
{
    is_str(category_of("  hello  \n"), "greeting", "white space around");
    is_str(category_of(""), "-", "empty");
    is_str(category_of("\xFF\xFE"), "-", "bad bytes");
    is_str(category_of("thanks \xFF"), "thanks", "bad byte at the end");
    char text[4096];
    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = "ok "[i % 3];
    ok(!mc_trivial_detect(detector, MC_ROLE_USER, (mc_str){text, sizeof(text)}, NULL),
       "too long for a trivial message");
    enum mc_trivial category;
    for (int i = 1; i < MC_TRIVIAL_COUNT; i++)
        ok(mc_trivial_parse(mc_str_of(mc_trivial_name((enum mc_trivial)i)), &category) &&
               (int)category == i,
           "name of %d", i);
    ok(!mc_trivial_parse(MC_STR("nonsense"), &category), "no such name");
    is_str(mc_trivial_name(MC_TRIVIAL_NONE), "", "none has no name");
}

static void test_patterns(void)
{
    struct mc_error err;
    struct mc_trivial_detector *own = NULL;
    mc_str good = MC_STR("[{\"category\":\"greeting\",\"pattern\":\"moin( moin)? kumpel\"},"
                         "{\"category\":\"filler\",\"pattern\":\"(a+)+b\"},"
                         "{\"category\":\"thanks\",\"pattern\":\"\\u00fcber danke\"}]");
    is_status(mc_trivial_new(&own, good, &err), MC_OK, &err, "patterns");
    enum mc_trivial category = MC_TRIVIAL_NONE;
    ok(mc_trivial_detect(own, MC_ROLE_USER, MC_STR(" Moin MOIN Kumpel "), &category) &&
           category == MC_TRIVIAL_GREETING,
       "matches whatever the case");
    ok(mc_trivial_detect(own, MC_ROLE_USER,
                         MC_STR("\xC3\x9C"
                                "BER danke"),
                         &category) &&
           category == MC_TRIVIAL_THANKS,
       "case of Unicode");
    ok(!mc_trivial_detect(own, MC_ROLE_USER, MC_STR("moin kumpel, mein Paket fehlt"), NULL),
       "only as a whole");
    ok(!mc_trivial_detect(own, MC_ROLE_USER,
                          MC_STR("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaac"), NULL),
       "a pattern that explodes is given up");
    ok(!mc_trivial_detect(own, MC_ROLE_USER, MC_STR("x\xFF"), NULL), "bad bytes match no pattern");
    mc_trivial_free(own);
    static const struct {
        const char *json;
        enum mc_status status;
        const char *says;
    } bad[] = {
        {"[{\"category\":\"greeting\",\"pattern\":\"moin(\"}]", MC_CONFIG, "offset 5"},
        {"[{\"category\":\"hello\",\"pattern\":\"x\"}]", MC_CONFIG, "no category \"hello\""},
        {"[{\"category\":\"greeting\"}]", MC_CONFIG, "patterns 1 must be an object"},
        {"[{\"category\":\"greeting\",\"pattern\":\"\"}]", MC_CONFIG, "0 bytes"},
        {"[3]", MC_CONFIG, "patterns 1"},
        {"{}", MC_CONFIG, "must be a JSON array"},
        {"[", MC_INVALID, "not JSON"},
        {"[{\"category\":\"greeting\",\"pattern\":\"a\\\\Cb\"}]", MC_CONFIG, "offset"},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        own = NULL;
        is_int(mc_trivial_new(&own, mc_str_of(bad[i].json), &err), bad[i].status, "%s",
               bad[i].json);
        ok(own == NULL && strstr(err.message, bad[i].says), "says: %s", err.message);
    }
    mc_trivial_free(NULL);
}

static void test_time(void)
{
    static const char *const texts[] = {
        "thanks, but my order never came and nobody answers my emails",
        "Great, thank you so much for your help, have a nice day!",
        "ok ok ok ok ok ok ok ok ok ok ok ok ok ok ok ok ok ok ok ok ok ok ok ok ok ok ok ok order",
        "I would like to know why my invoice is wrong",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        double best = HUGE_VAL; /* of several rounds: others may take the processor in some */
        for (int round = 0; round < 20; round++) {
            int64_t start = mc_time_monotonic_us();
            for (int k = 0; k < 100; k++)
                (void)mc_trivial_detect(detector, MC_ROLE_USER, mc_str_of(texts[i]), NULL);
            best = fmin(best, (double)(mc_time_monotonic_us() - start) / 100);
        }
        /* Generous, because sanitizers slow it down. */
        ok(best < 100, "%.2f microseconds: %.30s", best, texts[i]);
    }
}

int main(void)
{
    struct mc_error err;
    is_status(mc_trivial_new(&detector, MC_STR_NONE, &err), MC_OK, &err, "new");
    test_table();
    test_roles();
    test_edges();
    test_patterns();
    test_time();
    mc_trivial_free(detector);
    return done_testing();
}
