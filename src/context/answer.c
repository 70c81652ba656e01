#include "context/answer.h"

#include <stdlib.h>

#include "base/error.h"
#include "base/str.h"
#include "base/utf8.h"

struct mc_source_answer *mc_answer_new(void)
{
    struct mc_source_answer *answer = calloc(1, sizeof(*answer));
    if (answer)
        atomic_init(&answer->refs, 1);
    return answer;
}

struct mc_source_answer *mc_answer_ref(struct mc_source_answer *answer)
{
    atomic_fetch_add(&answer->refs, 1);
    return answer;
}

void mc_answer_unref(struct mc_source_answer *answer)
{
    if (!answer || atomic_fetch_sub(&answer->refs, 1) != 1)
        return;
    for (size_t i = 0; i < answer->count; i++)
        free(answer->pieces[i].memory);
    free(answer);
}

static enum mc_status check(mc_str text, struct mc_error *err)
{
    size_t bad = 0;
    if (text.len > 0 && !text.data)
        return mc_fail_field(err, MC_INVALID, "text", "the text has a length but no bytes");
    if (!mc_utf8_check(text, NULL, &bad))
        return mc_fail_field(err, MC_INVALID, "text",
                             "the text is not valid UTF-8 at byte %zu; convert it first", bad);
    if (mc_utf8_is_blank(text))
        return mc_fail_field(err, MC_INVALID, "text",
                             "the text is blank; add nothing when nothing is known");
    return MC_OK;
}

enum mc_status mc_answer_add(struct mc_source_answer *answer, mc_str title, mc_str text,
                             struct mc_error *err)
{
    if (answer->count == MC_ANSWER_PIECES)
        return MC_OK;
    enum mc_status status = check(text, err);
    if (status) {
        answer->rejected++;
        return status;
    }
    char line[MC_ANSWER_TITLE_BYTES + 1];
    size_t line_bytes = mc_str_given(title) ? mc_utf8_line(title, line, sizeof(line)) : 0;
    title = mc_str_trim((mc_str){line, line_bytes});
    text = mc_utf8_cut(mc_str_trim(text), MC_ANSWER_TEXT_BYTES);
    char *memory = malloc(title.len + text.len);
    if (!memory) {
        answer->no_memory = true;
        return mc_fail_memory(err);
    }
    memcpy(memory, title.data, title.len);
    memcpy(memory + title.len, text.data, text.len);
    answer->pieces[answer->count++] = (struct mc_answer_piece){
        .memory = memory,
        .title = {memory, title.len},
        .text = {memory + title.len, text.len},
    };
    answer->bytes += title.len + text.len;
    return MC_OK;
}

size_t mc_answer_bytes(const struct mc_source_answer *answer)
{
    return sizeof(*answer) + answer->bytes;
}
