/* See llm/openai_run.h: what becomes of a request that arrived. */
#include <stdlib.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/error.h"
#include "base/id.h"
#include "base/str.h"
#include "base/time.h"
#include "base/utf8.h"
#include "llm/openai_run.h"

#define BACK_OFF_US (MC_US_PER_SECOND / 2)
#define BACK_OFF_MAX_US (8 * MC_US_PER_SECOND)
#define MODEL_SIZE 128 /* of its name */

static void end_request(struct mc_openai_request *request)
{
    request->phase = MC_OPENAI_OVER;
    request->run->open--;
}

static void fail_item(struct mc_openai_item *item, const struct mc_error *err, int64_t retry_at_us)
{
    struct mc_llm_call *call = item->call;
    call->status = err->status;
    call->error = *err;
    call->retry_at_us = retry_at_us;
    call->no_attempt = !item->asked;
}

void mc_openai_fail_request(struct mc_openai_request *request, const struct mc_error *err,
                            int64_t retry_at_us)
{
    for (size_t i = 0; i < request->count; i++)
        fail_item(request->items[i], err, retry_at_us);
    end_request(request);
}

/* The model as the service names it, in one line as it may come to be shown. */
static mc_str name_model(struct mc_openai_run *run, mc_str said)
{
    char line[MODEL_SIZE];
    size_t len = mc_utf8_line(mc_str_trim(said), line, sizeof(line));
    return mc_arena_copy(run->results,
                         len > 0 ? (mc_str){line, len} : mc_str_of(run->openai->model));
}

static void succeed(struct mc_openai_run *run, struct mc_openai_item *item, mc_str answer,
                    mc_str model)
{
    struct mc_llm_call *call = item->call;
    struct mc_error err = {0};
    call->answer = mc_arena_copy(run->results, answer);
    call->model = name_model(run, model);
    if (!call->answer.data || !call->model.data) {
        mc_fail_memory(&err);
        fail_item(item, &err, 0);
        return;
    }
    call->status = MC_OK;
    call->error = (struct mc_error){0};
    call->provider = "openai";
    call->no_attempt = false;
}

/* An equal share for each of `count`; what is left over goes to the first ones. */
static int64_t share(int64_t whole, size_t count, size_t index)
{
    int64_t parts = (int64_t)count;
    return whole / parts + ((int64_t)index < whole % parts ? 1 : 0);
}

/* The request and its time are the first one's, so that calls and times belong together. */
static void share_usage(const struct mc_openai_request *request, const struct mc_llm_usage *usage)
{
    for (size_t i = 0; i < request->count; i++) {
        struct mc_llm_usage part = {.calls = share(usage->calls, request->count, i),
                                    .failures = share(usage->failures, request->count, i),
                                    .tokens_in = share(usage->tokens_in, request->count, i),
                                    .tokens_cached = share(usage->tokens_cached, request->count, i),
                                    .tokens_out = share(usage->tokens_out, request->count, i),
                                    .took_us = i == 0 ? usage->took_us : 0,
                                    .cost_usd = usage->cost_usd / (double)request->count};
        mc_llm_usage_add(&request->items[i]->call->usage, &part);
    }
}

/* Counts the request that arrived, for the calls and for the provider. */
static void account(struct mc_openai_request *request, struct mc_openai_outcome *outcome,
                    bool failure)
{
    struct mc_openai *openai = request->run->openai;
    struct mc_llm_usage *usage = &outcome->usage;
    outcome->count = request->count;
    usage->calls = 1;
    usage->failures = failure ? 1 : 0;
    usage->took_us = request->took_us;
    usage->cost_usd = ((double)usage->tokens_in * openai->price_in +
                       (double)usage->tokens_out * openai->price_out) /
                      1e6;
    share_usage(request, usage);
    mc_openai_note(openai, outcome);
}

static int64_t back_off_us(int tries)
{
    int64_t whole_us = tries < 5 ? BACK_OFF_US << (tries - 1) : BACK_OFF_MAX_US;
    uint32_t dice;
    mc_random_bytes(&dice, sizeof(dice));
    return whole_us / 2 + (int64_t)((double)whole_us / 2 * ((double)dice / UINT32_MAX));
}

/* Another try after a failure that may pass, if there is one left and time for it. */
static void retry(struct mc_openai_request *request, const struct mc_error *err)
{
    struct mc_openai_run *run = request->run;
    int64_t now_us = mc_time_monotonic_us();
    int64_t wait_us = back_off_us(++request->tries);
    if (request->retry_after_us > wait_us)
        wait_us = request->retry_after_us;
    bool give_up = request->tries > run->openai->max_retries ||
                   mc_openai_is_too_late(run, now_us + wait_us, now_us);
    if (give_up) {
        mc_openai_fail_request(request, err, now_us + wait_us);
        return;
    }
    request->not_before_us = now_us + wait_us;
    request->phase = MC_OPENAI_WAITING;
}

/* One more request for the item alone, or its end. */
static void ask_again(struct mc_openai_request *request, struct mc_openai_item *item,
                      const struct mc_error *err, bool more_tokens)
{
    if (item->again) {
        fail_item(item, err, 0);
        return;
    }
    item->again = true;
    item->max_tokens *= more_tokens ? 2 : 1;
    struct mc_openai_request *alone = mc_openai_add_request(request->run, &item, 1);
    struct mc_error memory;
    if (!alone) {
        mc_fail_memory(&memory);
        fail_item(item, &memory, 0);
        return;
    }
    alone->tries = request->tries;
    alone->no_limit = request->no_limit;
    alone->dialect = request->dialect;
}

static void ask_all_again(struct mc_openai_request *request, const struct mc_error *err,
                          bool more_tokens)
{
    for (size_t i = 0; i < request->count; i++)
        ask_again(request, request->items[i], err, more_tokens);
    end_request(request);
}

/* Gives the item its part of the answer, or asks again when it is not accepted. */
static void settle(struct mc_openai_request *request, struct mc_openai_item *item,
                   const struct mc_json *result, mc_str model)
{
    const struct mc_llm_call *call = item->call;
    struct mc_error err = {0};
    enum mc_status status = MC_OK;
    mc_auto(mc_buf_fini) struct mc_buf text;
    mc_buf_init(&text, MC_OPENAI_REQUEST_BYTES);
    if (!result)
        status = mc_fail(&err, MC_INVALID, "the model left this item out of its answer");
    else if (mc_json_type(result) != MC_JSON_OBJECT)
        status = mc_fail(&err, MC_INVALID, "the model's answer is %s, not an object",
                         mc_json_type_name(mc_json_type(result)));
    if (status == MC_OK)
        mc_json_dump(result, &text);
    if (status == MC_OK && text.failed)
        status = mc_fail_memory(&err);
    if (status == MC_OK && call->accept)
        status = call->accept(call->accept_context, mc_buf_str(&text), &err);
    if (status == MC_OK)
        succeed(request->run, item, mc_buf_str(&text), model);
    else if (status == MC_NO_MEMORY)
        fail_item(item, &err, 0);
    else
        ask_again(request, item, &err, false);
}

/* The text of a complete answer; MC_OK when each item has its result or another request. */
static enum mc_status settle_all(struct mc_openai_request *request,
                                 const struct mc_openai_answer *answer, struct mc_error *err)
{
    mc_auto(mc_json_free_ptr) struct mc_json *object = NULL;
    const struct mc_json *results[MC_OPENAI_BATCH_MAX];
    enum mc_status status = mc_openai_object(answer->content, &object, err);
    results[0] = object;
    if (status == MC_OK && request->count > 1)
        status = mc_openai_match(object, request->count, results, err);
    if (status != MC_OK)
        return status;
    for (size_t i = 0; i < request->count; i++)
        settle(request, request->items[i], results[i], answer->model);
    end_request(request);
    return MC_OK;
}

/* Each item has its numbers, whatever they are: `accept` looks at them. */
static void take_vectors(struct mc_openai_request *request)
{
    struct mc_openai_answer answer = {0};
    struct mc_error err = {0};
    mc_str body = {request->body, request->body_len}, vectors[MC_OPENAI_BATCH_MAX];
    enum mc_status status =
        mc_openai_read_vectors(body, request->count, &request->run->work, vectors, &answer, &err);
    for (size_t i = 0; status == MC_OK && i < request->count; i++) {
        const struct mc_llm_call *call = request->items[i]->call;
        status = call->accept ? call->accept(call->accept_context, vectors[i], &err) : MC_OK;
    }
    struct mc_openai_outcome outcome = {.status = status,
                                        .message = status == MC_OK ? NULL : err.message,
                                        .usage = {.tokens_in = answer.tokens_in}};
    account(request, &outcome, status != MC_OK);
    if (status == MC_OK) {
        for (size_t i = 0; i < request->count; i++)
            succeed(request->run, request->items[i], vectors[i], answer.model);
        end_request(request);
    } else if (status == MC_INVALID && request->count > 1) {
        ask_all_again(request, &err, false);
    } else {
        mc_openai_fail_request(request, &err, 0);
    }
}

static void take_answer(struct mc_openai_request *request)
{
    struct mc_openai_answer answer = {0};
    struct mc_error err = {0};
    mc_str body = {request->body, request->body_len};
    enum mc_status status = mc_openai_read(body, &request->run->work, &answer, &err);
    bool cut = status == MC_OK && answer.finish == MC_OPENAI_CUT;
    bool refused = status == MC_OK && answer.finish == MC_OPENAI_REFUSED;
    char reason[MC_OPENAI_REASON_SIZE];
    if (cut) {
        status = mc_fail(&err, MC_INVALID, "the answer did not end within its limit of tokens");
    } else if (refused) {
        char *words = mc_str_dup(answer.content);
        mc_openai_scrub(request->run->openai, words ? words : "", reason);
        free(words);
        status = mc_fail(&err, MC_INVALID, "the model refuses to answer: %s", reason);
    }
    size_t count = request->count;
    struct mc_openai_outcome outcome = {.usage = {.tokens_in = answer.tokens_in,
                                                  .tokens_cached = answer.tokens_cached,
                                                  .tokens_out = answer.tokens_out},
                                        .taken = &request->dialect,
                                        .too_many = cut};
    bool settled = status == MC_OK && settle_all(request, &answer, &err) == MC_OK;
    outcome.status = settled ? MC_OK : err.status;
    outcome.message = settled ? NULL : err.message;
    account(request, &outcome, !settled);
    if (settled)
        return;
    if (err.status == MC_NO_MEMORY || (refused && count == 1))
        mc_openai_fail_request(request, &err, 0);
    else
        ask_all_again(request, &err, cut);
}

/* Says the same in less, as the server's refusal suggests; false when there is nothing less. */
static bool say_less(struct mc_openai_request *request, enum mc_openai_refusal refusal)
{
    struct mc_openai_dialect *dialect = &request->dialect;
    bool limited = !request->no_limit && dialect->limit != MC_OPENAI_NO_LIMIT;
    if (refusal == MC_OPENAI_OF_FORMAT && dialect->format < MC_OPENAI_PLAIN)
        dialect->format++;
    else if (refusal == MC_OPENAI_OF_LIMIT && limited)
        dialect->limit++;
    else if (refusal == MC_OPENAI_OF_LIMIT_VALUE && limited)
        request->no_limit = true;
    else if (refusal == MC_OPENAI_OF_TEMPERATURE && !dialect->no_temperature)
        dialect->no_temperature = true;
    else
        return false;
    return true;
}

/* 400, 413, 422: the request is at fault, perhaps only its dialect, or one item of several. */
static void take_refusal(struct mc_openai_request *request, const char *reason)
{
    enum mc_openai_refusal refusal = mc_openai_classify(request->code, reason);
    struct mc_openai_outcome outcome = {0};
    struct mc_error err = {0};
    if (!request->run->openai->embeddings && say_less(request, refusal)) {
        account(request, &outcome, false);
        request->phase = MC_OPENAI_WAITING;
        return;
    }
    bool length = refusal == MC_OPENAI_OF_LENGTH || refusal == MC_OPENAI_OF_LIMIT_VALUE;
    if (length)
        mc_fail(&err, MC_TOO_LARGE, "the request does not fit the model's context: %s", reason);
    else
        mc_fail(&err, MC_INVALID, "the service refuses the request (%d): %s", request->code,
                reason);
    outcome.status = err.status;
    outcome.message = err.message;
    outcome.too_many = length;
    account(request, &outcome, true);
    if (request->count > 1)
        ask_all_again(request, &err, false);
    else
        mc_openai_fail_request(request, &err, 0);
}

static bool is_passing(int code)
{
    return code == 408 || code == 409 || code == 425 || code == 429 || code >= 500;
}

/* What another code than 200 means; the whole sentence, with what to do. */
static void explain(const struct mc_openai_request *request, const char *reason,
                    struct mc_error *err)
{
    const struct mc_openai *openai = request->run->openai;
    int code = request->code;
    const char *colon = reason[0] ? ": " : "";
    const char *section = mc_openai_section(openai->embeddings);
    if (code == 401)
        mc_fail(err, MC_UNAUTHENTICATED, "%s %s (401): check OPENAI_API_KEY", openai->place,
                openai->api_key[0] ? "does not accept the key" : "wants a key");
    else if (code == 403)
        mc_fail(err, MC_UNAUTHENTICATED,
                "%s does not allow this with the key (403): check OPENAI_API_KEY%s%s",
                openai->place, colon, reason);
    else if (code == 404)
        mc_fail(err, MC_CONFIG,
                "%s does not know model '%s' or has no %s (404): check %s.model and "
                "%s.base_url%s%s",
                openai->place, openai->model,
                openai->embeddings ? "/embeddings" : "/chat/completions", section, section, colon,
                reason);
    else if (code == 429)
        mc_fail(err, MC_RATE_LIMITED, "%s limits requests (429)%s%s", openai->place, colon, reason);
    else if (is_passing(code))
        mc_fail(err, MC_UNAVAILABLE, "%s cannot answer now (%d)%s%s", openai->place, code, colon,
                reason);
    else
        mc_fail(err, MC_CONFIG, "%s answers %d%s%s: check %s.base_url", openai->place, code, colon,
                reason, section);
}

static void take_code(struct mc_openai_request *request)
{
    const struct mc_openai *openai = request->run->openai;
    char words[MC_OPENAI_REASON_SIZE], reason[MC_OPENAI_REASON_SIZE];
    struct mc_error err = {0};
    mc_openai_reason((mc_str){request->body, request->body_len}, words);
    mc_openai_scrub(openai, words, reason);
    if (request->code == 400 || request->code == 413 || request->code == 422) {
        take_refusal(request, reason);
        return;
    }
    explain(request, reason, &err);
    bool pass = is_passing(request->code) && !mc_openai_no_quota(reason);
    struct mc_openai_outcome outcome = {.status = err.status, .message = err.message};
    if (pass && request->retry_after_us > 0)
        outcome.pause_until_us = mc_time_monotonic_us() + request->retry_after_us;
    account(request, &outcome, true);
    /* An answer that the server cannot make may be of one item only. */
    bool one_by_one =
        request->code == 500 && request->count > 1 && request->tries >= openai->max_retries;
    if (one_by_one)
        ask_all_again(request, &err, false);
    else if (pass)
        retry(request, &err);
    else
        mc_openai_fail_request(request, &err, 0);
}

/* No answer came. */
static void take_failure(struct mc_openai_request *request)
{
    struct mc_error err = {0};
    bool too_long = request->status == MC_TOO_LARGE;
    bool pass = request->status == MC_TIMEOUT || request->status == MC_UNAVAILABLE;
    mc_fail(&err, too_long ? MC_INVALID : request->status, "%s", request->message);
    struct mc_openai_outcome outcome = {.status = err.status, .message = err.message};
    const struct mc_openai *openai = request->run->openai;
    /* Several answers may take longer than there is: the other try is one by one, and the last. */
    outcome.too_many = request->status == MC_TIMEOUT && request->count > 1 &&
                       request->took_us >= openai->timeout_us;
    bool one_by_one = too_long || (outcome.too_many && request->tries < openai->max_retries);
    account(request, &outcome, true);
    if (one_by_one) {
        request->tries = too_long ? request->tries : openai->max_retries;
        ask_all_again(request, &err, false);
    } else if (pass) {
        retry(request, &err);
    } else {
        mc_openai_fail_request(request, &err, 0);
    }
}

void mc_openai_take(struct mc_openai_request *request)
{
    request->run->flying--;
    if (request->status != MC_OK)
        take_failure(request);
    else if (request->code / 100 == 2 && request->run->openai->embeddings)
        take_vectors(request);
    else if (request->code / 100 == 2)
        take_answer(request);
    else
        take_code(request);
    free(request->body);
    request->body = NULL;
}

void mc_openai_count_lost(struct mc_openai_request *request, enum mc_status status)
{
    struct mc_openai_outcome outcome = {.status = status};
    account(request, &outcome, status != MC_CANCELLED);
    free(request->body);
    request->body = NULL;
}
