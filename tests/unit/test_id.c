/* Identifiers: form, order, uniqueness over threads. */
#include "tap.h"

#include "base/id.h"
#include "base/time.h"

#define THREADS 4
#define EACH 20000

static char ids[THREADS][EACH][MC_ID_TEXT_SIZE];

static void *make_ids(void *context)
{
    char(*own)[MC_ID_TEXT_SIZE] = context;
    for (size_t i = 0; i < EACH; i++)
        mc_id_new("msg_", mc_time_now_us(), own[i]);
    return NULL;
}

static int compare(const void *a, const void *b)
{
    return memcmp(a, b, MC_ID_TEXT_SIZE);
}

static void test_form(void)
{
    char text[MC_ID_TEXT_SIZE], next[MC_ID_TEXT_SIZE];
    /* The example of RFC 9562, appendix A.6. */
    mc_id_new("msg_", INT64_C(0x017F22E279B0) * 1000, text);
    ok(strncmp(text, "msg_017f22e279b07000", 20) == 0, "milliseconds, version, steps: %s", text);
    ok(strchr("89ab", text[20]) != NULL, "variant: %c", text[20]);
    is_int(strlen(text), 36, "length");
    is_int(strspn(text + 4, "0123456789abcdef"), 32, "lower-case hexadecimal");
    mc_id_new("msg_", INT64_C(0x017F22E279B0) * 1000 + 500, next);
    ok(strncmp(next, "msg_017f22e279b07800", 20) == 0, "half a millisecond: %s", next);
    mc_id_new("msg_", 0, text);
    ok(strcmp(text, next) > 0, "an earlier time still gives a later id");
    mc_id_new("msg_", -5, next);
    ok(strcmp(next, text) > 0, "a negative time too");
    mc_id_new("job_", 0, text);
    ok(strncmp(text, "job_", 4) == 0, "prefix");
}

static void test_threads(void)
{
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, make_ids, ids[i]);
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    size_t wrong = 0;
    for (size_t t = 0; t < THREADS; t++) {
        for (size_t i = 1; i < EACH; i++)
            wrong += strcmp(ids[t][i - 1], ids[t][i]) >= 0;
    }
    is_int(wrong, 0, "ids of each thread rise");
    qsort(ids, (size_t)THREADS * EACH, MC_ID_TEXT_SIZE, compare);
    const char *all = ids[0][0];
    for (size_t i = 1; i < (size_t)THREADS * EACH; i++) /* the first 20 characters alone differ */
        wrong += memcmp(all + (i - 1) * MC_ID_TEXT_SIZE, all + i * MC_ID_TEXT_SIZE, 20) == 0;
    is_int(wrong, 0, "no step is given out twice");
}

int main(void)
{
    test_form();
    test_threads();
    unsigned char zero[64] = {0}, bytes[64] = {0};
    mc_random_bytes(bytes, 0);
    ok(memcmp(bytes, zero, 64) == 0, "no random bytes asked, none written");
    mc_random_bytes(bytes, 64);
    ok(memcmp(bytes, zero, 64) != 0, "random bytes");
    return done_testing();
}
