/*
 * mkmodel OUT.gguf [--size tiny|small|125m] [--seed N] [--tokens N] [--quote X] [--bytes X]
 *
 * Writes a model of random weights that libllama and llama-server load, for tests and benchmarks: it
 * says nothing of sense, but costs what a trained one of its size costs.
 *
 *   tiny   2 layers of 64, 512 tokens, f16: below 300 kB, written at once
 *   small  4 layers of 256, 8,000 tokens, q8_0: 7 MB
 *   125m   12 layers of 768, 32,000 tokens, q8_0: 125 million parameters, 133 MB
 *
 * --quote makes tokens that end a string likelier, by about so many standard deviations of a logit: a
 * random model says almost anything before it says a quotation mark, so that each string is as long as it
 * may be. It is 2.5 for tiny, else 0 (nothing). --bytes does the same with tokens that are single bytes;
 * a negative number keeps broken UTF-8 out of what the model says where nobody else does.
 */
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ggml.h>
#include <gguf.h>

#include "support/mkmodel_vocab.h"

struct shape {
    const char *name;
    size_t tokens;
    int layers, width, inner, heads, key_heads, context;
    enum ggml_type type;
    unsigned file_type; /* enum llama_ftype of llama.h */
    float quote, bytes;
};

static const struct shape shapes[] = {
    {"tiny", 512, 2, 64, 96, 4, 2, 16384, GGML_TYPE_F16, 1, 2.5f, 0},
    {"small", 8000, 4, 256, 768, 4, 2, 8192, GGML_TYPE_Q8_0, 7, 0, 0},
    {"125m", 32000, 12, 768, 2048, 12, 4, 8192, GGML_TYPE_Q8_0, 7, 0, 0},
};

#define CHAT_TEMPLATE                                                                              \
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + "                    \
    "message['content'] + '<|im_end|>' + '\n'}}{% endfor %}"                                       \
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"

struct writer {
    struct gguf_context *file;
    struct ggml_context *memory;
    const struct shape *shape;
    const struct mkmodel_vocab *vocab;
    uint64_t random;
    int64_t parameters;
};

/*
 * How the weights come about. The first component of the hidden state is kept apart as a constant: 1 in
 * each token's embedding, touched by no layer. So a weight on it in the output matrix is a bias.
 */
enum fill { ONES, PLAIN, EMBEDDING, INTO_STATE, OUTPUT };

/* Evenly distributed, of the standard deviation asked for: as good as normal ones here, and faster. */
static float weight(struct writer *writer, float deviation)
{
    double even = (double)(mkmodel_random(&writer->random) >> 11) * 0x1.0p-53;
    return (float)((even * 2 - 1) * 1.7320508075688772) * deviation;
}

/* By how much the token is likelier than its weights say. */
static float bias_of(const struct writer *writer, int64_t token)
{
    if (writer->vocab->text[token][0] == '"')
        return writer->shape->quote;
    return token >= MKMODEL_FIRST_BYTE && token < MKMODEL_FIRST_BYTE + 256 ? writer->shape->bytes
                                                                           : 0;
}

static void fill_row(struct writer *writer, enum fill fill, float deviation, int64_t row,
                     float *values, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        values[i] = fill == ONES ? 1.0f : weight(writer, deviation);
    if (fill == EMBEDDING)
        values[0] = 1;
    if (fill == INTO_STATE && row == 0)
        memset(values, 0, (size_t)count * sizeof(*values));
    if (fill == OUTPUT)
        values[0] = bias_of(writer, row) * deviation * sqrtf((float)count);
}

/* rows 0: a vector. */
static void add_tensor(struct writer *writer, const char *name, enum fill fill, int64_t columns,
                       int64_t rows)
{
    enum ggml_type type = rows > 0 ? writer->shape->type : GGML_TYPE_F32;
    struct ggml_tensor *tensor = rows > 0 ? ggml_new_tensor_2d(writer->memory, type, columns, rows)
                                          : ggml_new_tensor_1d(writer->memory, type, columns);
    float deviation = fill == EMBEDDING ? 1.0f : 1.0f / sqrtf((float)columns);
    float *values = malloc((size_t)columns * sizeof(*values));
    if (!values) {
        fputs("mkmodel: out of memory\n", stderr);
        exit(1);
    }
    ggml_set_name(tensor, name);
    char *to = tensor->data;
    for (int64_t row = 0; row < (rows > 0 ? rows : 1); row++) {
        fill_row(writer, fill, deviation, row, values, columns);
        if (type == GGML_TYPE_F32)
            memcpy(to, values, (size_t)columns * sizeof(*values));
        else
            ggml_quantize_chunk(type, values, to, 0, 1, columns, NULL);
        to += ggml_row_size(type, columns);
        writer->parameters += columns;
    }
    free(values);
    gguf_add_tensor(writer->file, tensor);
}

static void add_tensors(struct writer *writer)
{
    const struct shape *shape = writer->shape;
    int64_t width = shape->width;
    int64_t keys = width / shape->heads * shape->key_heads;
    int64_t tokens = (int64_t)writer->vocab->count;
    const struct {
        const char *name;
        enum fill fill;
        int64_t columns, rows;
    } layer[] = {
        {"attn_norm", ONES, width, 0},
        {"attn_q", PLAIN, width, width},
        {"attn_k", PLAIN, width, keys},
        {"attn_v", PLAIN, width, keys},
        {"attn_output", INTO_STATE, width, width},
        {"ffn_norm", ONES, width, 0},
        {"ffn_gate", PLAIN, width, shape->inner},
        {"ffn_up", PLAIN, width, shape->inner},
        {"ffn_down", INTO_STATE, shape->inner, width},
    };
    add_tensor(writer, "token_embd.weight", EMBEDDING, width, tokens);
    for (int i = 0; i < shape->layers; i++) {
        for (size_t j = 0; j < sizeof(layer) / sizeof(layer[0]); j++) {
            char name[GGML_MAX_NAME];
            snprintf(name, sizeof(name), "blk.%d.%s.weight", i, layer[j].name);
            add_tensor(writer, name, layer[j].fill, layer[j].columns, layer[j].rows);
        }
    }
    add_tensor(writer, "output_norm.weight", ONES, width, 0);
    add_tensor(writer, "output.weight", OUTPUT, width, tokens);
}

static void set_tokenizer(struct gguf_context *file, const struct mkmodel_vocab *vocab)
{
    const char **text = calloc(vocab->count, sizeof(*text));
    if (!text) {
        fputs("mkmodel: out of memory\n", stderr);
        exit(1);
    }
    for (size_t i = 0; i < vocab->count; i++)
        text[i] = vocab->text[i];
    gguf_set_val_str(file, "tokenizer.ggml.model", "llama");
    gguf_set_val_str(file, "tokenizer.ggml.pre", "default");
    gguf_set_arr_str(file, "tokenizer.ggml.tokens", text, vocab->count);
    free(text);
    gguf_set_arr_data(file, "tokenizer.ggml.scores", GGUF_TYPE_FLOAT32, vocab->scores,
                      vocab->count);
    gguf_set_arr_data(file, "tokenizer.ggml.token_type", GGUF_TYPE_INT32, vocab->types,
                      vocab->count);
    gguf_set_val_u32(file, "tokenizer.ggml.unknown_token_id", MKMODEL_UNKNOWN);
    gguf_set_val_u32(file, "tokenizer.ggml.bos_token_id", MKMODEL_BEGIN);
    gguf_set_val_u32(file, "tokenizer.ggml.eos_token_id", MKMODEL_END);
    gguf_set_val_u32(file, "tokenizer.ggml.eot_token_id", MKMODEL_TURN_END);
    gguf_set_val_bool(file, "tokenizer.ggml.add_bos_token", true);
    gguf_set_val_bool(file, "tokenizer.ggml.add_eos_token", false);
    gguf_set_val_bool(file, "tokenizer.ggml.add_space_prefix", false);
    gguf_set_val_str(file, "tokenizer.chat_template", CHAT_TEMPLATE);
}

static void set_shape(struct gguf_context *file, const struct shape *shape, size_t tokens)
{
    const struct {
        const char *key;
        uint32_t value;
    } numbers[] = {
        {"general.file_type", shape->file_type},
        {"llama.vocab_size", (uint32_t)tokens},
        {"llama.context_length", (uint32_t)shape->context},
        {"llama.embedding_length", (uint32_t)shape->width},
        {"llama.block_count", (uint32_t)shape->layers},
        {"llama.feed_forward_length", (uint32_t)shape->inner},
        {"llama.attention.head_count", (uint32_t)shape->heads},
        {"llama.attention.head_count_kv", (uint32_t)shape->key_heads},
        {"llama.rope.dimension_count", (uint32_t)(shape->width / shape->heads)},
    };
    gguf_set_val_str(file, "general.architecture", "llama");
    gguf_set_val_str(file, "general.name", "random weights");
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        gguf_set_val_u32(file, numbers[i].key, numbers[i].value);
    gguf_set_val_f32(file, "llama.attention.layer_norm_rms_epsilon", 1e-5f);
    gguf_set_val_f32(file, "llama.rope.freq_base", 10000.0f);
}

/* Room for every tensor; generous, as a weight takes at most two bytes. */
static size_t memory_of(const struct shape *shape, size_t tokens)
{
    size_t width = (size_t)shape->width;
    size_t layer = 4 * width * width + 3 * width * (size_t)shape->inner + 2 * width;
    size_t weights = layer * (size_t)shape->layers + 2 * tokens * width + width;
    size_t tensors = 9 * (size_t)shape->layers + 3;
    return weights * (shape->type == GGML_TYPE_F16 ? 2 : 1) * 9 / 8 +
           tensors * (ggml_tensor_overhead() + 4 * width + 256);
}

static bool write_model(const char *path, const struct shape *shape, uint64_t seed)
{
    struct writer writer = {.shape = shape, .random = seed};
    struct mkmodel_vocab vocab;
    mkmodel_vocab_make(&vocab, shape->tokens, &writer.random);
    writer.vocab = &vocab;
    writer.file = gguf_init_empty();
    writer.memory = ggml_init((struct ggml_init_params){.mem_size = memory_of(shape, vocab.count)});
    if (!writer.file || !writer.memory) {
        fputs("mkmodel: out of memory\n", stderr);
        exit(1);
    }
    set_shape(writer.file, shape, vocab.count);
    set_tokenizer(writer.file, &vocab);
    add_tensors(&writer);
    bool written = gguf_write_to_file(writer.file, path, false);
    if (written)
        printf("%s: %zu tokens, %.1f million parameters\n", path, vocab.count,
               (double)writer.parameters / 1e6);
    else
        fprintf(stderr, "mkmodel: cannot write %s\n", path);
    ggml_free(writer.memory);
    gguf_free(writer.file);
    mkmodel_vocab_free(&vocab);
    return written;
}

static int usage(void)
{
    fputs("usage: mkmodel OUT.gguf [--size tiny|small|125m] [--seed N] [--tokens N] [--quote X] "
          "[--bytes X]\n",
          stderr);
    return 2;
}

/* Sets what the option says; false when it is none of ours or its value is no good. */
static bool take(const char *option, const char *value, struct shape *shape, uint64_t *seed)
{
    char *end;
    if (strcmp(option, "--seed") == 0) {
        *seed = strtoull(value, &end, 10);
    } else if (strcmp(option, "--tokens") == 0) {
        shape->tokens = strtoul(value, &end, 10);
    } else if (strcmp(option, "--quote") == 0) {
        shape->quote = strtof(value, &end);
    } else if (strcmp(option, "--bytes") == 0) {
        shape->bytes = strtof(value, &end);
    } else if (strcmp(option, "--size") == 0) {
        for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
            if (strcmp(value, shapes[i].name) == 0) {
                *shape = shapes[i];
                return true;
            }
        }
        return false;
    } else {
        return false;
    }
    return *value && !*end;
}

int main(int argc, char **argv)
{
    struct shape shape = shapes[0];
    uint64_t seed = 1;
    if (argc < 2 || argv[1][0] == '-' || argc % 2 != 0)
        return usage();
    for (int i = 2; i < argc; i += 2) {
        if (!take(argv[i], argv[i + 1], &shape, &seed))
            return usage();
    }
    if (shape.tokens < MKMODEL_TOKENS_MIN || shape.tokens > MKMODEL_TOKENS_MAX)
        return usage();
    return write_model(argv[1], &shape, seed) ? 0 : 1;
}
