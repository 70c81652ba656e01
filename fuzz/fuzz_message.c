/* Foreign bytes that become messages: JSON input, stored metadata, records of the disk cache. */
#include <stdint.h>

#include "base/compiler.h"
#include "message/input.h"
#include "message/metadata.h"
#include "message/record.h"

#define ARENA_MAX ((size_t)16 << 20)

static void try_input(mc_str bytes, struct mc_arena *arena)
{
    struct mc_json *root = NULL;
    if (mc_json_parse(bytes, &root, NULL))
        return;
    struct mc_message_input input;
    struct mc_message message;
    if (!mc_input_from_json(root, arena, &input, NULL) &&
        !mc_input_check(&input, MC_VISIBILITY_PRIVATE, INT64_C(1790000000000000), &message, NULL)) {
        struct mc_buf out;
        mc_buf_init(&out, ARENA_MAX);
        struct mc_json_writer w = mc_json_writer(&out);
        message.metadata = mc_str_of("{}");
        mc_message_write(&message, &w);
        struct mc_json *again = NULL;
        if (!out.failed && mc_json_parse(mc_buf_str(&out), &again, NULL))
            __builtin_trap(); /* what was accepted must be written as JSON */
        mc_json_free(again);
        mc_buf_fini(&out);
    }
    mc_json_free(root);
}

static void try_metadata(mc_str bytes, struct mc_arena *arena)
{
    struct mc_metadata metadata;
    if (mc_metadata_parse(bytes, arena, &metadata, NULL))
        return;
    struct mc_buf out;
    mc_buf_init(&out, ARENA_MAX);
    mc_metadata_write(&metadata, &out);
    struct mc_metadata again;
    if (!out.failed && mc_metadata_parse(mc_buf_str(&out), arena, &again, NULL))
        __builtin_trap();
    mc_buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    mc_str bytes = {(const char *)data, size};
    mc_auto(mc_arena_fini) struct mc_arena arena;
    mc_arena_init(&arena, ARENA_MAX);
    try_input(bytes, &arena);
    try_metadata(bytes, &arena);
    struct mc_record *record = NULL;
    if (!mc_record_decode(bytes, &record, NULL))
        mc_record_unref(record);
    int64_t time_us;
    if (mc_time_parse(bytes, &time_us)) {
        char text[MC_TIME_TEXT_SIZE];
        mc_time_format(time_us, text);
    }
    return 0;
}
