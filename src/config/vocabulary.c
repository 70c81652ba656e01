/* The vocabulary of a configuration, for programs that show it or check it before an engine is open. */
#include <stdio.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/error.h"
#include "base/json.h"
#include "base/str.h"
#include "config/config.h"
#include "vocabulary/vocabulary.h"

#define TEXT_MAX ((size_t)32 * 1024 * 1024)

void mc_config_vocabulary_section(const struct mc_config *config, struct mc_buf *out)
{
    static const char *const PARTS[] = {"topics", "categories", "synonyms", "topic_categories"};
    struct mc_json_writer w = mc_json_writer(out);
    mc_json_begin(&w, '{');
    for (size_t i = 0; i < mc_countof(PARTS); i++) {
        char key[64];
        snprintf(key, sizeof(key), "vocabulary.%s", PARTS[i]);
        const char *value = mc_config_get(config, key);
        if (!value || !*value)
            continue;
        mc_json_key(&w, PARTS[i]);
        mc_json_put_raw(&w, mc_str_of(value));
    }
    mc_json_end(&w, '}');
}

static void put_names(struct mc_json_writer *w, const char *key,
                      const struct mc_vocabulary *vocabulary, size_t count,
                      mc_str (*name_at)(const struct mc_vocabulary *vocabulary, size_t index))
{
    mc_json_key(w, key);
    mc_json_begin(w, '[');
    for (size_t i = 0; i < count; i++)
        mc_json_put_string(w, name_at(vocabulary, i));
    mc_json_end(w, ']');
}

/* A word that leads to two topics is listed with the first. */
static void put_synonyms(struct mc_json_writer *w)
{
    mc_json_key(w, "synonyms");
    mc_json_begin(w, '{');
    for (size_t i = 0; i < mc_vocabulary_topics_count; i++) {
        mc_str rest = mc_str_of(mc_vocabulary_topics[i].words);
        mc_str words;
        while (mc_str_split(&rest, '|', &words)) {
            mc_json_key_str(w, words);
            mc_json_put_text(w, mc_vocabulary_topics[i].topic);
        }
    }
    mc_json_end(w, '}');
}

enum mc_status mc_config_vocabulary(const struct mc_config *config, char **json,
                                    struct mc_error *err)
{
    mc_auto(mc_buf_fini) struct mc_buf section;
    mc_buf_init(&section, TEXT_MAX);
    mc_auto(mc_buf_fini) struct mc_buf out;
    mc_buf_init(&out, TEXT_MAX);
    mc_config_vocabulary_section(config, &section);
    if (section.failed)
        return mc_fail_memory(err);
    struct mc_vocabulary *vocabulary = NULL;
    enum mc_status status = mc_vocabulary_new(&vocabulary, err);
    if (!status)
        status = mc_vocabulary_extend_json(vocabulary, mc_buf_str(&section), err);
    if (!status) {
        struct mc_json_writer w = mc_json_writer(&out);
        mc_json_begin(&w, '{');
        put_names(&w, "topics", vocabulary, mc_vocabulary_topic_count(vocabulary),
                  mc_vocabulary_topic_at);
        put_names(&w, "categories", vocabulary, mc_vocabulary_category_count(vocabulary),
                  mc_vocabulary_category_at);
        put_synonyms(&w);
        mc_json_end(&w, '}');
        char *text = mc_buf_take(&out, NULL);
        if (text)
            *json = text;
        else
            status = mc_fail_memory(err);
    }
    mc_vocabulary_free(vocabulary);
    return status;
}
