/* Counting by a model's tokenizer: prefixes, cuts, the cache, and exact budgets where counts do not add up. */
#include "support/retrieval.h"

#include "context/measure.h"
#include "context/tokens.h"
#include "support/fake_llm.h"

/* ---- Tokenizers ---- */

static int counted; /* calls, of this program's one thread */
static int fail_from;

/* A token for each run of letters, each other character, and three for every text: no sum is right. */
static bool count_words(struct mc_llm *llm, mc_str text, size_t *tokens)
{
    (void)llm;
    counted++;
    if (fail_from > 0 && counted >= fail_from)
        return false;
    size_t count = text.len > 0 ? 3 : 0;
    bool word = false;
    for (size_t i = 0; i < text.len; i++) {
        bool letter = (text.data[i] | 32) >= 'a' && (text.data[i] | 32) <= 'z';
        count += !(letter && word);
        word = letter;
    }
    *tokens = count;
    return true;
}

/* The whole is longer than its parts: a text beyond some length costs more for each byte. */
static bool count_steeply(struct mc_llm *llm, mc_str text, size_t *tokens)
{
    (void)llm;
    counted++;
    *tokens = text.len / 4 + (text.len * text.len) / 20000;
    return true;
}

/* Falls now and then while a text grows. */
static bool count_unevenly(struct mc_llm *llm, mc_str text, size_t *tokens)
{
    (void)llm;
    counted++;
    *tokens = text.len / 3 + (text.len % 7) * 2;
    return true;
}

static bool count_none(struct mc_llm *llm, mc_str text, size_t *tokens)
{
    (void)llm;
    (void)text;
    (void)tokens;
    return false;
}

typedef bool (*count_fn)(struct mc_llm *, mc_str, size_t *);
static const struct {
    const char *name;
    count_fn count;
} TOKENIZERS[] = {{"words", count_words}, {"steep", count_steeply}, {"uneven", count_unevenly}};

/* A model that counts in this way; its operations stay until the next call. */
static struct mc_llm *model_with(count_fn count)
{
    static struct mc_llm_ops ops;
    struct mc_llm *llm = mc_fake_llm(mc_fake_llm_new(NULL));
    ops = *llm->ops;
    ops.count_tokens = count;
    llm->ops = &ops;
    counted = 0;
    fail_from = 0;
    return llm;
}

static size_t tokens_of(count_fn count, mc_str text)
{
    size_t tokens = 0;
    (void)count(NULL, text, &tokens);
    return tokens;
}

/* ---- Measures ---- */

static const char SAMPLE[] = "The quick brown fox, \xc3\xa4 jumps over 12 lazy dogs; \xe2\x82\xac"
                             " 30 each. It was seen again on Tuesday, behind the house, "
                             "\xf0\x9f\xa6\x8a and nobody knew why it had come so far.";

static void test_estimate(void)
{
    struct mc_arena arena;
    struct mc_measure measure;
    mc_arena_init(&arena, 1 << 20);
    struct mc_llm *llm = model_with(count_none);
    for (int i = 0; i < 3; i++) {
        struct mc_measure *m = i == 0 ? NULL : &measure;
        if (m)
            mc_measure_init(m, i == 1 ? NULL : llm, &arena);
        mc_str text = mc_str_of(SAMPLE);
        is_int(mc_measure_units(m, text), mc_tokens_units(text), "the estimate's units");
        is_int(mc_measure_prefix(m, text, 40).len, mc_tokens_prefix(text, 40).len, "its prefix");
        is_text(mc_measure_cut(m, MC_STR("alpha beta gamma delta"), 16, &arena),
                mc_tokens_cut(MC_STR("alpha beta gamma delta"), 16, &arena).data, "its cut");
    }
    is_str(measure.name, "estimate", "its name");
    ok(!measure.counted, "no tokenizer has counted");
    llm->ops->close(llm);
    mc_arena_fini(&arena);
}

static void test_prefixes(size_t which)
{
    struct mc_arena arena;
    struct mc_measure measure;
    mc_arena_init(&arena, 8 << 20);
    struct mc_llm *llm = model_with(TOKENIZERS[which].count);
    mc_measure_init(&measure, llm, &arena);
    char longer[3000];
    for (size_t i = 0; i < sizeof(longer); i++)
        longer[i] = i % 11 == 10 ? ' ' : (char)('a' + i % 7);
    const mc_str texts[] = {mc_str_of(SAMPLE), {longer, sizeof(longer)}, MC_STR("x"), MC_STR("")};
    size_t over = 0, broken = 0, cut_over = 0, not_whole = 0, empty = 0;
    for (size_t t = 0; t < mc_countof(texts); t++) {
        for (size_t tokens = 1; tokens < 80; tokens++) {
            size_t units = tokens * MC_TOKEN_UNITS;
            mc_str prefix = mc_measure_prefix(&measure, texts[t], units);
            over += tokens_of(TOKENIZERS[which].count, prefix) > tokens;
            broken += !mc_utf8_check(prefix, NULL, NULL);
            mc_str cut = mc_measure_cut(&measure, texts[t], units, &arena);
            cut_over += tokens_of(TOKENIZERS[which].count, cut) > tokens;
            broken += !mc_utf8_check(cut, NULL, NULL);
            bool fits = tokens_of(TOKENIZERS[which].count, texts[t]) <= tokens;
            not_whole += fits && cut.len != texts[t].len;
            empty += tokens > 40 && texts[t].len > 100 && cut.len < 20;
        }
    }
    is_int(over, 0, "%s: no prefix is too long", TOKENIZERS[which].name);
    is_int(cut_over, 0, "%s: no cut is too long", TOKENIZERS[which].name);
    is_int(broken, 0, "%s: characters stay whole", TOKENIZERS[which].name);
    is_int(not_whole, 0, "%s: what fits is not cut", TOKENIZERS[which].name);
    is_int(empty, 0, "%s: and what does not is not cut to nothing", TOKENIZERS[which].name);
    llm->ops->close(llm);
    mc_arena_fini(&arena);
}

static void test_cache(void)
{
    struct mc_arena arena;
    struct mc_measure measure;
    mc_arena_init(&arena, 1 << 20);
    struct mc_llm *llm = model_with(count_words);
    mc_measure_init(&measure, llm, &arena);
    is_str(measure.name, "fake-1", "the model's name");
    int before = counted;
    size_t units = mc_measure_units(&measure, mc_str_of(SAMPLE));
    is_int(units, tokens_of(count_words, mc_str_of(SAMPLE)) * MC_TOKEN_UNITS, "its count");
    is_int(counted, before + 2, "counted once here, once by the test");
    is_int(mc_measure_units(&measure, mc_str_of(SAMPLE)), units, "the same again");
    is_int(counted, before + 2, "without counting");
    is_int(mc_measure_units(&measure, MC_STR("")), 0, "nothing is nothing");
    fail_from = 1;
    is_int(mc_measure_units(&measure, MC_STR("some words")), mc_tokens_units(MC_STR("some words")),
           "a tokenizer that fails: the estimate");
    is_str(measure.name, "estimate", "and it says so");
    ok(measure.counted, "but remembers that sums hold other counts");
    before = counted;
    (void)mc_measure_units(&measure, mc_str_of(SAMPLE));
    is_int(counted, before, "it is not asked again");
    llm->ops->close(llm);
    mc_arena_fini(&arena);
}

/* ---- Budgets ---- */

static void fill(struct fixture *f)
{
    static const char *const TEXTS[] = {
        "Where is my order ORD-48213? It should have come on Monday.",
        "It left our warehouse and is with the carrier now; expect it on Thursday, 12:00.",
        "My address: 12 Long Road, Springfield. Please tell them!!! (the bell is broken...)",
        "\xe6\x88\x91\xe7\x9a\x84\xe8\xae\xa2\xe5\x8d\x95\xe5\x9c\xa8\xe5\x93\xaa\xe9\x87\x8c",
        "I am allergic to peanuts, and I like my coffee black.",
    };
    char id[32];
    for (int i = 0; i < 40; i++) {
        snprintf(id, sizeof(id), "m%d", i);
        say(f, i % 3 ? "t1" : "t2", id, i % 2 ? "assistant" : "user",
            TEXTS[i % (int)mc_countof(TEXTS)]);
    }
    char *huge = malloc(20001);
    for (size_t i = 0; i < 20000; i++)
        huge[i] = i % 9 == 8 ? ' ' : (char)('a' + i % 5);
    huge[20000] = '\0';
    say(f, "t1", "huge", "user", huge);
    free(huge);
    enrich(f);
}

static size_t most_of(size_t i)
{
    return i < 60 ? i + 1 : i < 80 ? 60 + (i - 60) * 25 : 4000;
}

static mc_str member_text(const struct mc_context *context, const char *key, struct mc_json **root)
{
    struct mc_error err;
    must(mc_json_parse(context->metadata, root, &err), &err);
    return mc_json_string(mc_json_get(*root, key));
}

static void test_budgets(struct fixture *f, size_t which)
{
    size_t over = 0, differs = 0, messages = 0, cut_short = 0;
    for (size_t i = 0; i < 81; i++) {
        struct mc_llm *llm = model_with(TOKENIZERS[which].count);
        struct mc_error err;
        struct mc_context *context = NULL;
        struct mc_context_query query = {
            .user_id = MC_STR("ann"),
            .thread_id = MC_STR("t1"),
            .query = MC_STR("Where is order ORD-48213, and what am I allergic to?"),
            .mode = MC_CONTEXT_FAST,
            .max_tokens = most_of(i),
            .additional_context = i % 2 ? MC_STR("The shop closes at six.") : MC_STR_NONE,
        };
        f->r.llm = llm;
        must(mc_retrieve_context(&f->r, &query, &everyone,
                                 MC_STR("{\"language\":\"de\",\"interests\":[\"chess\"]}"), NOW,
                                 &context, &err),
             &err);
        size_t tokens = tokens_of(TOKENIZERS[which].count, context->assembled_context);
        over += tokens > query.max_tokens;
        differs += tokens != context->tokens;
        cut_short += query.max_tokens >= 200 && tokens < query.max_tokens / 5 && tokens < 500;
        mc_json_free(NULL);
        struct mc_json *root = NULL;
        is_text(member_text(context, "tokens_by", &root), "fake-1", "%s, %zu: counted by the model",
                TOKENIZERS[which].name, query.max_tokens);
        /* What the metadata tells of is what is in the text. */
        size_t entries = 0;
        mc_str rest = context->assembled_context, line;
        while (rest.len > 0 && mc_str_split(&rest, '\n', &line)) {
            bool entry = mc_str_starts(line, MC_STR("[20")) || mc_str_starts(line, MC_STR("~ [20"));
            entries += entry && !contains(line, " to 20");
        }
        messages += entries != (size_t)mc_json_integer(mc_json_get(root, "messages")) ||
                    entries != mc_json_count(mc_json_get(root, "items"));
        mc_json_free(root);
        mc_context_free(context);
        llm->ops->close(llm);
    }
    f->r.llm = NULL;
    is_int(over, 0, "%s: never over the budget", TOKENIZERS[which].name);
    is_int(differs, 0, "%s: tokens is the count of the text", TOKENIZERS[which].name);
    is_int(messages, 0, "%s: messages and items tell of the text", TOKENIZERS[which].name);
    is_int(cut_short, 0, "%s: the budget is used", TOKENIZERS[which].name);
}

static void test_same(struct fixture *f)
{
    struct mc_llm *llm = model_with(count_words);
    struct mc_error err;
    struct mc_context *first = NULL, *second = NULL;
    struct mc_context_query query = {.user_id = MC_STR("ann"),
                                     .thread_id = MC_STR("t1"),
                                     .query = MC_STR("Where is order ORD-48213?"),
                                     .mode = MC_CONTEXT_FAST,
                                     .max_tokens = 300};
    f->r.llm = llm;
    must(mc_retrieve_context(&f->r, &query, &everyone, MC_STR(""), NOW, &first, &err), &err);
    int once = counted;
    must(mc_retrieve_context(&f->r, &query, &everyone, MC_STR(""), NOW, &second, &err), &err);
    is_text(second->assembled_context, first->assembled_context.data, "the same bytes again");
    ok(once > 20 && once < 600, "%d counts", once);
    mc_context_free(first);
    mc_context_free(second);

    /* It fails in the middle: what is left is counted by the estimate, and the budget holds by it. */
    size_t over = 0;
    for (int i = 2; i <= once; i++) {
        struct mc_context *context = NULL;
        counted = 0;
        fail_from = i;
        must(mc_retrieve_context(&f->r, &query, &everyone, MC_STR(""), NOW, &context, &err), &err);
        over += mc_tokens_estimate(context->assembled_context) > 300 ||
                mc_tokens_estimate(context->assembled_context) != context->tokens;
        mc_context_free(context);
    }
    is_int(over, 0, "a tokenizer that fails on the way breaks no budget");
    fail_from = 0;

    struct mc_window_query window = {.user_id = MC_STR("ann"), .thread_id = MC_STR("t1")};
    over = 0;
    for (window.max_tokens = 1; window.max_tokens < 400; window.max_tokens += 7) {
        struct mc_records found = {0};
        size_t sum = 0;
        must(mc_retrieve_window(&f->r, &window, &everyone, NOW, &found, &err), &err);
        for (size_t i = 0; i < found.count; i++)
            sum += tokens_of(count_words, found.items[i]->m.text);
        over += sum > window.max_tokens || (found.count == 0 && window.max_tokens > 10);
        mc_records_fini(&found);
    }
    is_int(over, 0, "windows hold the budget by the model's counts");
    f->r.llm = NULL;
    llm->ops->close(llm);
}

int main(void)
{
    struct fixture f;
    test_estimate();
    test_cache();
    fixture_open(&f, 50);
    fill(&f);
    for (size_t i = 0; i < mc_countof(TOKENIZERS); i++) {
        test_prefixes(i);
        test_budgets(&f, i);
    }
    test_same(&f);
    fixture_close(&f);
    return done_testing();
}
