/*
 * See llm/local_model.h.
 *
 * libllama reports errors only to its log, which is one for the process: it is caught here, the first
 * error is kept for the message of the failure that follows it: those behind it say only that something failed.
 */
#include "llm/local_model.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/compiler.h"
#include "base/error.h"
#include "base/log.h"
#include "base/str.h"
#include "base/thread.h"
#include "base/utf8.h"

#define GGUF_HEADER 24 /* magic, version, two counts */
#define ALL_LAYERS 9999
#define LINE 400

/* The log of libllama: guarded by its lock. */
static struct {
    pthread_mutex_t lock;
    char line[LINE]; /* in pieces, until its end comes */
    size_t len;
    enum ggml_log_level level;
    char error[LINE];
} reported = {.lock = PTHREAD_MUTEX_INITIALIZER};

static atomic_int verbose_models;
static pthread_once_t library_once = PTHREAD_ONCE_INIT;
/* Loading is slow and rare; one at a time keeps its errors apart. */
static pthread_mutex_t loading = PTHREAD_MUTEX_INITIALIZER;

static void on_report(enum ggml_log_level level, const char *text, void *context)
{
    (void)context;
    char line[LINE] = "";
    mc_mutex_lock(&reported.lock);
    if (level != GGML_LOG_LEVEL_CONT)
        reported.level = level;
    size_t len = strlen(text);
    bool ends = len > 0 && text[len - 1] == '\n';
    size_t room = sizeof(reported.line) - 1 - reported.len;
    size_t take = len - (ends ? 1 : 0);
    take = take < room ? take : room;
    memcpy(reported.line + reported.len, text, take);
    reported.len += take;
    if (ends) {
        reported.line[reported.len] = '\0';
        mc_utf8_line((mc_str){reported.line, reported.len}, line, sizeof(line));
        if (reported.level == GGML_LOG_LEVEL_ERROR && reported.error[0] == '\0')
            memcpy(reported.error, line, sizeof(line));
        reported.len = 0;
    }
    mc_mutex_unlock(&reported.lock);
    if (line[0] != '\0' && atomic_load_explicit(&verbose_models, memory_order_relaxed) > 0)
        mc_log(MC_LOG_DEBUG, "llama", "%s", line);
}

void mc_local_log_take(char *line, size_t size)
{
    mc_mutex_lock(&reported.lock);
    snprintf(line, size, "%s", reported.error);
    reported.error[0] = '\0';
    mc_mutex_unlock(&reported.lock);
}

/*
 * A libllama whose kernels are files of their own looks for them in the current folder, too, where anybody
 * may have put one: it is told where its own are. Others have theirs linked in, and need nothing.
 */
static void load_kernels(void)
{
    static const char *const folders[] = {"", "/ggml", "/ggml/backends0"};
    Dl_info place;
    if (ggml_backend_reg_count() > 0 || !dladdr((void *)(uintptr_t)ggml_backend_reg_count, &place))
        return;
    const char *slash = strrchr(place.dli_fname, '/');
    for (size_t i = 0; slash && i < mc_countof(folders) && ggml_backend_reg_count() == 0; i++) {
        char folder[1024];
        snprintf(folder, sizeof(folder), "%.*s%s", (int)(slash - place.dli_fname), place.dli_fname,
                 folders[i]);
        ggml_backend_load_all_from_path(folder);
    }
}

static void start_library(void)
{
    /* On a failed assertion of its own ggml would start a debugger. */
    (void)setenv("GGML_NO_BACKTRACE", "1", 0);
    llama_log_set(on_report, NULL);
    load_kernels();
    llama_backend_init();
}

/* Before libllama sees the file: what is wrong in words of ours. */
static enum mc_status check_file(const struct mc_local_model *model, struct mc_error *err)
{
    const char *path = model->path;
    /* Not blocking: opening a pipe would wait for a writer. */
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0 && errno == ENOENT)
        return mc_fail_field(err, MC_CONFIG, model->field,
                             "there is no file '%s'; name a model in GGUF format", path);
    if (file < 0)
        return mc_fail_field(err, MC_CONFIG, model->field, "cannot read '%s': %s", path,
                             strerror(errno));
    struct stat facts;
    unsigned char header[GGUF_HEADER] = {0};
    bool regular = fstat(file, &facts) == 0 && S_ISREG(facts.st_mode);
    ssize_t got = regular ? pread(file, header, sizeof(header), 0) : 0;
    close(file);
    if (!regular)
        return mc_fail_field(err, MC_CONFIG, model->field,
                             "'%s' is no regular file; name a model in GGUF format", path);
    if (got >= 4 && memcmp(header, "GGUF", 4) != 0)
        return mc_fail_field(err, MC_CONFIG, model->field,
                             "'%s' is no GGUF file; convert the model, or name another", path);
    if (got < GGUF_HEADER)
        return mc_fail_field(err, MC_CONFIG, model->field,
                             "'%s' is cut short: %lld bytes; fetch the model again", path,
                             (long long)facts.st_size);
    return MC_OK;
}

static bool has_text(const struct llama_vocab *vocab, int32_t count, const char *text)
{
    for (llama_token token = 0; token < count; token++) {
        const char *own = llama_vocab_get_text(vocab, token);
        if (own && strcmp(own, text) == 0)
            return true;
    }
    return false;
}

/*
 * What libllama answers with an assertion or an exception later, if it is asked to: its tokenizer of the
 * SentencePiece kind wants a token for each byte.
 */
static enum mc_status check_vocabulary(const struct mc_local_model *model, struct mc_error *err)
{
    if (model->token_count <= 0 || llama_vocab_type(model->vocab) == LLAMA_VOCAB_TYPE_NONE)
        return mc_fail_field(err, MC_CONFIG, model->field,
                             "'%s' has no vocabulary; name a language model", model->path);
    if (llama_vocab_get_add_bos(model->vocab) && llama_vocab_bos(model->vocab) == LLAMA_TOKEN_NULL)
        return mc_fail_field(err, MC_CONFIG, model->field,
                             "'%s' begins texts with a token that it has not; name another model",
                             model->path);
    if (llama_vocab_type(model->vocab) != LLAMA_VOCAB_TYPE_SPM)
        return MC_OK;
    for (unsigned byte = 0; byte < 256; byte += 51) { /* a sample: there are all or none */
        char text[8];
        snprintf(text, sizeof(text), "<0x%02X>", byte);
        if (!has_text(model->vocab, model->token_count, text))
            return mc_fail_field(err, MC_CONFIG, model->field,
                                 "the vocabulary of '%s' has no token for byte %u; name another "
                                 "model",
                                 model->path, byte);
    }
    return MC_OK;
}

static enum mc_status check_kind(const struct mc_local_model *model, struct mc_error *err)
{
    if (!model->embeddings &&
        (!llama_model_has_decoder(model->model) || llama_model_has_encoder(model->model)))
        return mc_fail_field(err, MC_CONFIG, model->field,
                             "'%s' (%s) is no model that continues a text; name a chat model",
                             model->path, model->name);
#ifdef MC_LLAMA_HAS_DIFFUSION
    if (llama_model_is_diffusion(model->model))
        return mc_fail_field(err, MC_CONFIG, model->field,
                             "'%s' (%s) is a diffusion model, which is not supported; name another",
                             model->path, model->name);
#endif
    return check_vocabulary(model, err);
}

/* The bytes of every token, so that no call of libllama is needed while an answer is made. */
static enum mc_status read_pieces(struct mc_local_model *model, struct mc_error *err)
{
    size_t capacity = (size_t)model->token_count * 8 + 1024;
    model->piece_at = calloc((size_t)model->token_count + 1, sizeof(*model->piece_at));
    model->pieces = malloc(capacity);
    if (!model->piece_at || !model->pieces)
        return mc_fail_memory(err);
    size_t used = 0;
    for (llama_token token = 0; token < model->token_count;) {
        size_t room = capacity - used < 65536 ? capacity - used : 65536;
        int32_t len = llama_token_to_piece(model->vocab, token, model->pieces + used, (int32_t)room,
                                           0, false);
        if (len >= 0) {
            used += (size_t)len;
            model->piece_at[++token] = (uint32_t)used;
            continue;
        }
        if (capacity > UINT32_MAX / 4)
            return mc_fail_field(err, MC_CONFIG, model->field,
                                 "the vocabulary of '%s' is out of measure", model->path);
        capacity = capacity * 2 + (size_t)(-(int64_t)len);
        char *more = realloc(model->pieces, capacity);
        if (!more)
            return mc_fail_memory(err);
        model->pieces = more;
    }
    return MC_OK;
}

static void read_name(struct mc_local_model *model)
{
    char name[64] = "", kind[64] = "";
    if (llama_model_meta_val_str(model->model, "general.name", name, sizeof(name)) <= 0) {
        const char *slash = strrchr(model->path, '/');
        snprintf(name, sizeof(name), "%s", slash ? slash + 1 : model->path);
    }
    (void)llama_model_desc(model->model, kind, sizeof(kind));
    char line[sizeof(model->name)];
    snprintf(line, sizeof(line), "%.60s (%.60s)", name, kind);
    mc_utf8_line(mc_str_of(line), model->name, sizeof(model->name));
}

static void warn_of(struct mc_local_model *model, const struct mc_local_options *options)
{
    size_t len = 0;
    if (options->n_gpu_layers != 0 && !llama_supports_gpu_offload())
        len = (size_t)snprintf(
            model->warning, sizeof(model->warning),
            "n_gpu_layers: this build of llama.cpp uses no GPU, all layers run on the processor");
    int32_t trained = llama_model_n_ctx_train(model->model);
    if (trained > 0 && options->n_ctx > (uint32_t)trained && len < sizeof(model->warning))
        snprintf(model->warning + len, sizeof(model->warning) - len,
                 "%sn_ctx: the model was trained for %d tokens, fewer than the %u asked for",
                 len ? "; " : "", (int)trained, (unsigned)options->n_ctx);
    if (model->warning[0] != '\0')
        mc_log(MC_LOG_WARNING, "llm", "%s", model->warning);
}

static enum mc_status load(struct mc_local_model *model, const struct mc_local_options *options,
                           struct mc_error *err)
{
    char why[LINE];
    struct llama_model_params params = llama_model_default_params();
    bool gpu = llama_supports_gpu_offload();
    params.n_gpu_layers = !gpu ? 0 : options->n_gpu_layers < 0 ? ALL_LAYERS : options->n_gpu_layers;
    mc_mutex_lock(&loading);
    mc_local_log_take(why, sizeof(why));
    model->model = llama_model_load_from_file(model->path, params);
    mc_local_log_take(why, sizeof(why));
    mc_mutex_unlock(&loading);
    if (!model->model)
        return mc_fail_field(err, MC_CONFIG, model->field,
                             "llama.cpp cannot load '%s': %s; it may be cut short, damaged, or of "
                             "a kind that llama.cpp %s does not know",
                             model->path, why[0] ? why : "no reason given", mc_local_version());
    model->vocab = llama_model_get_vocab(model->model);
    model->token_count = llama_vocab_n_tokens(model->vocab);
    return MC_OK;
}

/* Whether a text of one letter comes back with a space before it. */
static bool adds_space(const struct mc_local_model *model)
{
    llama_token tokens[8];
    int32_t count = llama_tokenize(model->vocab, "a", 1, tokens, mc_countof(tokens), false, false);
    for (int32_t i = 0; i < count; i++) {
        mc_str piece = mc_local_piece(model, tokens[i]);
        if (piece.len > 0 && piece.data)
            return piece.data[0] == ' ';
    }
    return false;
}

static enum mc_status open_model(const struct mc_local_options *options,
                                 struct mc_local_model *model, struct mc_error *err)
{
    enum mc_status status = check_file(model, err);
    if (status == MC_OK)
        status = load(model, options, err);
    if (status != MC_OK)
        return status;
    read_name(model);
    status = check_kind(model, err);
    if (status == MC_OK)
        status = read_pieces(model, err);
    if (status != MC_OK)
        return status;
    model->leading_space = adds_space(model);
    warn_of(model, options);
    return MC_OK;
}

enum mc_status mc_local_model_open(const struct mc_local_options *options,
                                   struct mc_local_model *model, struct mc_error *err)
{
    struct mc_local_model made = {.verbose = options->verbose, .embeddings = options->embeddings};
    made.field = made.embeddings ? "embeddings.llama_cpp.model_path" : "llm.llama_cpp.model_path";
    if (!options->model_path || options->model_path[0] == '\0')
        return mc_fail_field(err, MC_CONFIG, made.field, "no model file is named");
    pthread_once(&library_once, start_library);
    made.path = mc_str_dup(mc_str_of(options->model_path));
    if (!made.path)
        return mc_fail_memory(err);
    if (made.verbose)
        atomic_fetch_add(&verbose_models, 1);
    enum mc_status status = open_model(options, &made, err);
    if (status != MC_OK) {
        mc_local_model_close(&made);
        return status;
    }
    *model = made;
    return MC_OK;
}

void mc_local_model_close(struct mc_local_model *model)
{
    if (model->model)
        llama_model_free(model->model);
    if (model->verbose)
        atomic_fetch_sub(&verbose_models, 1);
    free(model->pieces);
    free(model->piece_at);
    free(model->path);
    *model = (struct mc_local_model){0};
}

const char *mc_local_version(void)
{
#ifdef MC_LLAMA_HAS_VERSION
    return llama_version();
#else
    return MC_LLAMA_VERSION;
#endif
}
