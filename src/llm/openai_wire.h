/*
 * What is sent to an OpenAI-compatible service and what comes back: building a request, reading an
 * answer or a refusal. Private to the openai provider. Pure functions; foreign text is data.
 */
#ifndef MC_LLM_OPENAI_WIRE_H
#define MC_LLM_OPENAI_WIRE_H

#include "base/arena.h"
#include "base/json.h"
#include "llm/llm.h"

#define MC_OPENAI_BATCH_MAX 64
#define MC_OPENAI_REASON_SIZE 256

/* How the shape of the answer is asked for; a server that refuses one gets the next. */
enum mc_openai_format {
    MC_OPENAI_SCHEMA,   /* json_schema, as it is */
    MC_OPENAI_PORTABLE, /* json_schema without what strict servers refuse */
    MC_OPENAI_OBJECT,   /* json_object, the schema in the system text */
    MC_OPENAI_PLAIN     /* the schema in the system text alone */
};
/* How the length of the answer is limited. */
enum mc_openai_limit { MC_OPENAI_MAX_TOKENS, MC_OPENAI_MAX_COMPLETION_TOKENS, MC_OPENAI_NO_LIMIT };

/* What a server takes. */
struct mc_openai_dialect {
    enum mc_openai_format format;
    enum mc_openai_limit limit;
    bool no_temperature;
};

struct mc_openai_question {
    const char *model;
    struct mc_openai_dialect dialect;
    const struct mc_llm_call *const *calls; /* more than one: of one system text and schema */
    size_t count;
    size_t max_tokens; /* of the whole answer */
};

/* The body of the request; MC_NO_MEMORY or MC_TOO_LARGE when `out` does not hold it. */
MC_MUST_CHECK enum mc_status mc_openai_build(const struct mc_openai_question *question,
                                             struct mc_buf *out, struct mc_error *err);
/* The same of texts to embed: the calls' only turns. dimensions 0: as the model likes. */
MC_MUST_CHECK enum mc_status mc_openai_build_texts(const char *model, int64_t dimensions,
                                                   const struct mc_llm_call *const *calls,
                                                   size_t count, struct mc_buf *out,
                                                   struct mc_error *err);
/* The tokens that an answer may have: as the call says, or else what its schema needs. */
size_t mc_openai_tokens(const struct mc_llm_call *call);

enum mc_openai_finish { MC_OPENAI_COMPLETE, MC_OPENAI_CUT, MC_OPENAI_REFUSED };
struct mc_openai_answer {
    enum mc_openai_finish finish;
    mc_str model;   /* as the server names it, may be empty */
    mc_str content; /* the model's text; why not, when it refused */
    int64_t tokens_in, tokens_cached, tokens_out;
};
/*
 * Reads a chat completion; the strings are in the arena. MC_INVALID when it is none: *answer then holds
 * the tokens that it names.
 */
MC_MUST_CHECK enum mc_status mc_openai_read(mc_str body, struct mc_arena *arena,
                                            struct mc_openai_answer *answer, struct mc_error *err);

/*
 * Reads `count` vectors, by their index, each as its floats in the arena; answer->content stays absent. MC_INVALID:
 * not so many, one that is no list of numbers, or lists of different lengths.
 */
MC_MUST_CHECK enum mc_status mc_openai_read_vectors(mc_str body, size_t count,
                                                    struct mc_arena *arena, mc_str *vectors,
                                                    struct mc_openai_answer *answer,
                                                    struct mc_error *err);

/* The JSON object that the model wrote; a fence around it is passed over. */
MC_MUST_CHECK enum mc_status mc_openai_object(mc_str content, struct mc_json **object,
                                              struct mc_error *err);
/*
 * The results of a joined answer by the number of their call (0 is id "1"): NULL where the id is missing
 * or came twice.
 */
MC_MUST_CHECK enum mc_status mc_openai_match(const struct mc_json *object, size_t count,
                                             const struct mc_json *results[MC_OPENAI_BATCH_MAX],
                                             struct mc_error *err);

/* What a server means by refusing a request (400, 413, 422). */
enum mc_openai_refusal {
    MC_OPENAI_OF_REQUEST,
    MC_OPENAI_OF_FORMAT,
    MC_OPENAI_OF_LIMIT,       /* the name of the limit */
    MC_OPENAI_OF_LIMIT_VALUE, /* the limit is more than the model allows */
    MC_OPENAI_OF_TEMPERATURE,
    MC_OPENAI_OF_LENGTH /* the request does not fit the model's context */
};
/* The server's own words for an error, one line; "" when it has none. */
void mc_openai_reason(mc_str body, char reason[MC_OPENAI_REASON_SIZE]);
enum mc_openai_refusal mc_openai_classify(int code, const char *reason);
/* Whether the account is used up (of a 429): waiting does not help. */
bool mc_openai_no_quota(const char *reason);

#endif
