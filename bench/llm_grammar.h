/* A JSON Schema, of the kinds that llm/schema.h understands, as a grammar for llama.cpp's own sampler. */
#ifndef MC_BENCH_LLM_GRAMMAR_H
#define MC_BENCH_LLM_GRAMMAR_H

#include "base/buf.h"

/*
 * GBNF with the rule "root"; the text is canonical JSON. uniqueItems has no counterpart there and is passed
 * over. False when the schema holds what is not known, or out of memory.
 */
bool llm_grammar_write(mc_str schema, struct mc_buf *out);

#endif
