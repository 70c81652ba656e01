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
 * "title" and "description" are passed over, "type" may stand beside an enum or const of that type;
 * anything else is MC_INVALID and named. The whole is an object or an anyOf. At most MC_SCHEMA_DEPTH
 * objects and arrays are nested, and all enums together have at most MC_SCHEMA_VALUES values.
 *
 * The text is canonical: no white space, members in order.
 */
#ifndef MC_LLM_SCHEMA_H
#define MC_LLM_SCHEMA_H

#include <mindcore/types.h>

#define MC_SCHEMA_DEPTH 8
#define MC_SCHEMA_ENUM 512
#define MC_SCHEMA_TEXT 4096
#define MC_SCHEMA_VALUES 16384
#define MC_SCHEMA_BYTES ((size_t)256 * 1024) /* of the schema's own text, more is MC_TOO_LARGE */

struct mc_schema; /* immutable; any thread */
MC_MUST_CHECK enum mc_status mc_schema_new(mc_str json, struct mc_schema **schema,
                                           struct mc_error *err);
void mc_schema_free(struct mc_schema *schema); /* accepts NULL */
/* As it was given. */
mc_str mc_schema_text(const struct mc_schema *schema);
/*
 * The same without the keywords that strict servers refuse (minLength, maxLength, uniqueItems), every
 * property required and no other allowed, as these servers demand; lives as long as the schema.
 */
mc_str mc_schema_portable(const struct mc_schema *schema);
/*
 * A bound on the bytes of an answer (each character of a string as two \uXXXX); SIZE_MAX when that
 * overflows.
 */
size_t mc_schema_longest(const struct mc_schema *schema);

/*
 * A place in an answer. Plain data: a copy is another, independent place. All but `finished` is the
 * walk's own.
 */
struct mc_shape;
struct mc_walk {
    const struct mc_schema *schema;
    struct mc_walk_frame {
        const struct mc_shape *shape; /* an object or array being written */
        uint32_t step;                /* members or elements done */
    } frames[MC_SCHEMA_DEPTH];
    const struct mc_shape *leaf;        /* the value being written: one of a set, or a string */
    mc_str glue;                        /* the text between values being written */
    uint64_t used[MC_SCHEMA_ENUM / 64]; /* values of the unique array being written */
    struct mc_walk_text {
        uint32_t written;        /* code points of the string so far */
        uint16_t surrogate;      /* high half that waits for its low half */
        uint16_t code;           /* of the escape being written */
        uint8_t escape;          /* 1 after the backslash, 2 to 5 after its u and 0 to 3 digits */
        uint8_t left, low, high; /* bytes the character lacks, and the bounds of the next one */
    } text;
    uint32_t at;       /* bytes into the glue or the value */
    uint16_t from, to; /* values of the set that agree with what was written so far */
    uint8_t depth;
    uint8_t place;
    bool finished; /* the answer is complete */
};

enum mc_next_kind {
    MC_NEXT_FIXED,  /* `fixed` follows, whatever the model thinks */
    MC_NEXT_CHOICE, /* one of at least two `choices` follows */
    MC_NEXT_TEXT,   /* inside a string: up to text_left code points, then its quotation mark */
    MC_NEXT_DONE    /* the answer is complete */
};
struct mc_next {
    enum mc_next_kind kind;
    /*
     * As long as it is certain: over members and brackets to the next choice, and through the rest of
     * a value when no other is left; at most MC_NEXT_FIXED_MAX bytes at a time.
     */
    mc_str fixed;
    /*
     * What is left of each alternative; none is the prefix of another, and each is at least one byte:
     * - of an enum, constant or integer: the values, in the order of their bytes. Strings have their
     *   closing quotation mark, and the opening one only where something else than a string is allowed
     *   too (otherwise it is fixed text). A beginning that values share is in each of them. A number
     *   that is the beginning of another one (1 of 12) is followed by the next byte: `1,` or `1}`; in
     *   an array where both may follow it is there twice, `1,` and `1]`.
     * - of an anyOf: the values of the first members, like those of an enum
     * - of an array that may be empty, after its `[`: `]`, and the first byte of an element; each
     *   value instead where elements begin in several ways
     * - of an array that may end or go on, after an element: `,` and `]`
     */
    mc_str *choices;
    size_t choice_count;
    size_t text_left; /* code points, with one that is begun but not complete */
    size_t text_need; /* of these, so many must come before the quotation mark */
};
#define MC_NEXT_FIXED_MAX 4096

struct mc_walk_scratch;                            /* room for one mc_next; of one thread */
struct mc_walk_scratch *mc_walk_scratch_new(void); /* NULL when out of memory */
void mc_walk_scratch_free(struct mc_walk_scratch *scratch);

void mc_walk_start(struct mc_walk *walk, const struct mc_schema *schema);
/* What may follow. *next borrows from the schema and the scratch until the next call with it. */
void mc_walk_next(const struct mc_walk *walk, struct mc_walk_scratch *scratch,
                  struct mc_next *next);
/*
 * Takes the bytes when all of them may follow; else false, and the walk is unchanged. They may begin
 * and end anywhere, inside of a value, an escape or a character.
 */
bool mc_walk_feed(struct mc_walk *walk, mc_str bytes);
/* Whether mc_walk_feed would take them. Made for whole vocabularies: no allocation, little copying. */
bool mc_walk_may(const struct mc_walk *walk, mc_str bytes);
/*
 * The shortest text that closes the string being written (its quotation mark, an unfinished escape or
 * character completed first), at most 16 bytes, written to `out`; its length. 0 outside of strings,
 * and while the string lacks further characters of its minLength.
 */
size_t mc_walk_close_text(const struct mc_walk *walk, char out[16]);

/*
 * Whether a JSON text, of any white space and order of members, has the shape; names the member that
 * has not, also as the error's field ("topics[2].name"). For answers of remote models, when they
 * must be exact.
 */
MC_MUST_CHECK enum mc_status mc_schema_check(const struct mc_schema *schema, mc_str json,
                                             struct mc_error *err);

#endif
