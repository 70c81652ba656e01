/*
 * The shape of a model's answer: compiled from a JSON Schema, walked byte by byte while the answer is
 * made, so that it cannot come out malformed. Pure.
 *
 * The schema is sent to remote models as it was written (mc_schema_text); a local model is led through
 * it: where the shape leaves no choice the text is known without asking the model (MC_NEXT_FIXED), where
 * it leaves a choice the alternatives are known (MC_NEXT_CHOICE), and only inside a string does the model
 * write freely (MC_NEXT_TEXT), strict UTF-8 and JSON escapes enforced.
 *
 * Understood of JSON Schema:
 *   {"type":"object","properties":{...},"required":[...],"additionalProperties":false}: all members,
 *     in the order written (every property counts as required)
 *   {"enum":[...]} and {"const":...} of strings, numbers, booleans, null; {"type":"boolean"}
 *   {"type":"integer","minimum":a,"maximum":b}, at most 256 values
 *   {"type":"string","minLength":n,"maxLength":m}: code points; maxLength is required, at most 4096
 *   {"type":"array","items":...,"minItems":n,"maxItems":m,"uniqueItems":true}: maxItems is required, at
 *     most 64; unique only of items that are an enum, of at most 512 values
 *   {"anyOf":[...]} of objects whose first member is a const string, each another one
 * "title" and "description" are passed over; anything else is MC_INVALID and named. Nesting is at most
 * MC_SCHEMA_DEPTH.
 *
 * The text is canonical: no white space, members in order.
 */
#ifndef MC_LLM_SCHEMA_H
#define MC_LLM_SCHEMA_H

#include <mindcore/types.h>

#define MC_SCHEMA_DEPTH 8
#define MC_SCHEMA_ENUM 512
#define MC_SCHEMA_TEXT 4096

struct mc_schema; /* immutable; any thread */
MC_MUST_CHECK enum mc_status mc_schema_new(mc_str json, struct mc_schema **schema,
                                           struct mc_error *err);
void mc_schema_free(struct mc_schema *schema); /* accepts NULL */
/* As it was given. */
mc_str mc_schema_text(const struct mc_schema *schema);
/*
 * Without the keywords that strict servers refuse (minLength, maxLength, uniqueItems); lives as long as
 * the schema.
 */
mc_str mc_schema_portable(const struct mc_schema *schema);
/* The most bytes that an answer can have; SIZE_MAX when that overflows. */
size_t mc_schema_longest(const struct mc_schema *schema);

/* A place in an answer. Plain data: a copy is another, independent place. */
struct mc_walk {
    const struct mc_schema *schema;
    struct mc_walk_frame {
        uint16_t node;
        uint16_t step; /* member, element or alternative */
        uint16_t done; /* elements so far */
    } frames[MC_SCHEMA_DEPTH + 1];
    uint8_t depth;
    uint8_t utf8_left, utf8_low, utf8_high; /* of the character being written, in a string */
    uint8_t escape;                         /* of the escape being written, in a string */
    uint16_t surrogate;                     /* high half that waits for its low half */
    uint32_t at;                            /* bytes into the literal being written */
    uint32_t written;                       /* code points of the string so far */
    uint64_t used[MC_SCHEMA_ENUM / 64]; /* values of the unique array being written */
    uint64_t alive[MC_SCHEMA_ENUM / 64]; /* alternatives that agree with what was written so far */
    bool finished;
};

enum mc_next_kind {
    MC_NEXT_FIXED,  /* `fixed` follows, whatever the model thinks */
    MC_NEXT_CHOICE, /* one of at least two `choices` follows */
    MC_NEXT_TEXT,   /* inside a string: up to text_left code points, then its quotation mark */
    MC_NEXT_DONE    /* the answer is complete */
};
struct mc_next {
    enum mc_next_kind kind;
    mc_str fixed; /* as long as it is certain: over members and brackets, to the next choice */
    /*
     * What is left of each alternative, none the prefix of another: a value with what closes it, `,`
     * or `]` of an array. Borrowed from *scratch.
     */
    mc_str *choices;
    size_t choice_count;
    size_t text_left;
};
struct mc_walk_scratch; /* room for one mc_next; of one thread */
struct mc_walk_scratch *mc_walk_scratch_new(void); /* NULL when out of memory */
void mc_walk_scratch_free(struct mc_walk_scratch *scratch);

void mc_walk_start(struct mc_walk *walk, const struct mc_schema *schema);
/* What may follow. *next borrows from the schema and the scratch until the next call with it. */
void mc_walk_next(const struct mc_walk *walk, struct mc_walk_scratch *scratch,
                  struct mc_next *next);
/* Takes the bytes when all of them may follow; else false, and the walk is unchanged. Parts of literals and of characters may be fed. */
bool mc_walk_feed(struct mc_walk *walk, mc_str bytes);
/*
 * The shortest text that closes the string being written (its quotation mark, an unfinished escape or
 * character completed first); empty outside of strings. At most 16 bytes, written to `out`.
 */
size_t mc_walk_close_text(const struct mc_walk *walk, char out[16]);

/*
 * Whether a JSON text, of any white space and order of members, has the shape; names the member that
 * has not. For answers of remote models, when they must be exact.
 */
MC_MUST_CHECK enum mc_status mc_schema_check(const struct mc_schema *schema, mc_str json,
                                             struct mc_error *err);

#endif
