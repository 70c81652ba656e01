/* Who speaks in messages, and whom of them a query names. */
#include "tap.h"

#include "base/compiler.h"
#include "base/str.h"
#include "context/speaker.h"

static void test_labels(void)
{
    static const char *const rows[][2] = {
        {"Ann: see you tomorrow", "Ann"},
        {"Ann Lee: hello", "Ann Lee"},
        {"Ann Van Lee: hello", "Ann Van Lee"},
        {"Dr. Lee: hello", "Dr. Lee"},
        {"ANN: hello", "ANN"},
        {"\xc3\x96tzi: hello", "\xc3\x96tzi"},
        {"\xe5\xa4\xaa\xe9\x83\x8e: hello", "\xe5\xa4\xaa\xe9\x83\x8e"},
        {"ann: hello", ""},
        {"Ann said: hello", ""},
        {"A Long Way Home: hello", ""}, /* four words */
        {"Ann:", ""},
        {"Ann: ", "Ann"},
        {"Ann:hello", ""},
        {"Ann\n: hello", ""},
        {": hello", ""},
        {"Ann ", ""},
        {"Ann", ""},
        {"", ""},
        {"10:30 is fine", ""},
        {"https://example.org/ is down", ""},
        {"At 5: the station", ""},
        {"Anabellabellabellabellabellabellabellabella: hello", ""},
    };
    for (size_t i = 0; i < mc_countof(rows); i++)
        is_text(mc_speaker_of(mc_str_of(rows[i][0])), rows[i][1], "'%s'", rows[i][0]);
}

struct set {
    struct mc_vocabulary *vocabulary;
    struct mc_arena arena;
    struct mc_query query;
    struct mc_records records;
    double gains[8], mass; /* before the speakers were looked for */
};

static void must(enum mc_status status, const struct mc_error *err)
{
    if (status)
        bail_out("%s", err->message);
}

/* Reads the query and finds its speakers in the texts, a list that ends with NULL. */
static void find(struct set *s, const char *query, const char *const *texts)
{
    struct mc_error err;
    *s = (struct set){.mass = 0};
    mc_arena_init(&s->arena, 16U << 20);
    must(mc_vocabulary_new(&s->vocabulary, &err), &err);
    must(mc_query_read(mc_str_of(query), s->vocabulary, 0, &s->arena, &s->query, &err), &err);
    for (size_t i = 0; texts[i]; i++) {
        struct mc_message m = {.message_id = MC_STR("m"),
                               .user_id = MC_STR("u"),
                               .thread_id = MC_STR("t"),
                               .session_id = MC_STR("s"),
                               .text = mc_str_of(texts[i])};
        struct mc_record *record;
        must(mc_record_new(&m, (int64_t)i + 1, MC_STR(""), &record, &err), &err);
        if (!mc_records_push(&s->records, record))
            bail_out("out of memory");
    }
    uint32_t df[MC_MATCH_TERMS_MAX];
    for (size_t i = 0; i < mc_countof(df); i++)
        df[i] = 10;
    mc_query_weigh(&s->query, df, 1000);
    s->mass = s->query.mass;
    for (size_t i = 0; i < s->query.word_count && i < mc_countof(s->gains); i++)
        s->gains[i] = s->query.gains[i];
    mc_speakers_find(&s->query, &s->records);
}

static void close_set(struct set *s)
{
    mc_records_fini(&s->records);
    mc_vocabulary_free(s->vocabulary);
    mc_arena_fini(&s->arena);
}

/* How much of its gain a term of the query keeps; -1 when the query has no such term. */
static double kept(const struct set *s, const char *term)
{
    for (size_t i = 0; i < s->query.word_count; i++) {
        if (mc_str_equal(s->query.terms[i], mc_str_of(term)))
            return s->query.gains[i] / s->gains[i];
    }
    return -1;
}

static const char *const chat[] = {
    "Zora: the falcon nests", "Alexandra Poe: where?", "Zora: on the tower",
    "Alexandra Poe: I see",   "Note: buy a ladder",    "\xc3\x96tzi: hm",
    "\xc3\x96tzi: a ladder",  "no name here",          NULL,
};

static void test_named(void)
{
    static const char *const rows[][2] = {
        {"where does the falcon of Zora nest?", "Zora"},
        {"what is Zora's falcon?", "Zora"},
        {"what did ZORA say?", "Zora"},
        {"what did zora say?", ""}, /* a name has a capital */
        {"what did Zo say?", ""},   /* too short to be a short form */
        {"what did Alex see?", "Alexandra Poe"},
        {"what did Poe see?", "Alexandra Poe"},
        {"what did Alexa see?", ""}, /* too long to be a short form */
        {"what did \xc3\x96tzi say?", "\xc3\x96tzi"},
        {"did Zora answer Alexandra?", ""}, /* two of them */
        {"what does the Note say?", ""},    /* a label of one message is no speaker */
        {"what did Bob say?", ""},
    };
    for (size_t i = 0; i < mc_countof(rows); i++) {
        struct set s;
        find(&s, rows[i][0], chat);
        is_text(s.query.speaker, rows[i][1], "%s", rows[i][0]);
        close_set(&s);
    }
}

/* Words that begin a question begin many a name, too. */
static void test_common_words(void)
{
    static const char *const team[] = {
        "Howard: hi",  "Howard: ho", "Candice: hi", "Candice: ho", "William: hi", "William: ho",
        "Hassan: hi",  "Hassan: ho", "Didier: hi",  "Didier: ho",  "Maria: hi",   "Maria: ho",
        "Willa: only", "Janet: hi",  "Janet: ho",   "Theo: hi",    "Theo: ho",    NULL,
    };
    static const char *const rows[][2] = {
        {"How was Maria's trip to the coast?", "Maria"},
        {"Can you tell me of Maria's trip?", "Maria"},
        {"Will Maria travel again?", "Maria"},
        {"Has Maria travelled?", "Maria"},
        {"Did Maria travel? Has she?", "Maria"},
        {"\"Did Maria travel?\"", "Maria"},
        {"The trip of Maria", "Maria"},
        {"What did Will say?", "William"},
        {"Was the trip of Will long?", "William"},
        {"William said what?", "William"},
        {"Did Howard travel in Jan 2024?", "Howard"},
        {"What did Jan say?", "Janet"},
    };
    for (size_t i = 0; i < mc_countof(rows); i++) {
        struct set s;
        find(&s, rows[i][0], team);
        is_text(s.query.speaker, rows[i][1], "%s", rows[i][0]);
        close_set(&s);
    }
    static const char *const pair[] = {"Will: hi", "Will: ho", "Zora: hi", "Zora: ho", NULL};
    struct set s;
    find(&s, "Will said what of the falcon?", pair);
    is_text(s.query.speaker, "Will", "a whole name is one wherever it stands");
    close_set(&s);
}

static void test_weaker(void)
{
    struct set s;
    find(&s, "Zora, does the falcon of Zora nest?", chat);
    is_double(kept(&s, "zora"), 0.3, 1e-9, "the name weighs less, once");
    is_double(kept(&s, "falcon"), 1, 1e-9, "other words do not");
    ok(s.query.mass > 0 && s.query.mass < s.mass, "the query's mass follows");
    close_set(&s);
    find(&s, "what did Zora tell Alexandra?", chat);
    is_double(kept(&s, "zora"), 0.3, 1e-9, "of two who are named both weigh less");
    is_double(kept(&s, "alexandra"), 0.3, 1e-9, "the other one too");
    close_set(&s);

    static const char *const family[] = {"Ann Lee: a", "Ann Lee: b", "Ann Poe: c", "Ann Poe: d",
                                         NULL};
    find(&s, "what did Ann say of the falcon?", family);
    is_text(s.query.speaker, "", "a name of two is nobody's");
    is_double(kept(&s, "ann"), 0.3, 1e-9, "and weighs less once");
    close_set(&s);
    find(&s, "what did Ann Poe say of the falcon?", family);
    is_text(s.query.speaker, "", "nor with the name of one: both are named");
    close_set(&s);

    static const char *const none[] = {NULL};
    find(&s, "what did Zora say?", none);
    is_text(s.query.speaker, "", "nobody speaks");
    is_double(s.query.mass, s.mass, 0, "and nothing changes");
    close_set(&s);
}

/* More labels than are looked at: those that come first count. */
static void test_many(void)
{
    static char texts[400][40];
    static const char *list[401];
    for (int i = 0; i < 400; i++) {
        snprintf(texts[i], sizeof(texts[i]), "Label%d: x", i % 200);
        list[i] = texts[i];
    }
    struct set s;
    find(&s, "what does Label7 say?", list);
    is_text(s.query.speaker, "Label7", "the first labels");
    close_set(&s);
    find(&s, "what does Label150 say?", list);
    is_text(s.query.speaker, "", "are all that is looked at");
    close_set(&s);
}

int main(void)
{
    test_labels();
    test_named();
    test_common_words();
    test_weaker();
    test_many();
    return done_testing();
}
