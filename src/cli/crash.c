#include "cli/crash.h"

#include <stdio.h>

#include "base/compiler.h"
#include "base/str.h"
#include "cli/random.h"

#define USERS 4
#define THREADS 3

static void make_sentence(uint64_t choice, unsigned a, unsigned b, char *text, size_t size)
{
    switch (choice % 5) {
    case 0:
        snprintf(text, size, "Please refund invoice %u, $%u.50 was charged twice.", a, b);
        break;
    case 1:
        snprintf(text, size, "My order A-%u has not arrived, it left %u days ago.", a, b);
        break;
    case 2:
        snprintf(text, size, "I prefer short answers. Ticket %u is urgent: error %u.", a, b);
        break;
    case 3:
        snprintf(text, size, "Contract %u moved to room %u, tell ann@example.com.", a, b);
        break;
    default:
        snprintf(text, size, "Größe und Farbe von %u stimmen nicht, %u Stück umtauschen 🙏", a, b);
        break;
    }
}

/* A sentence in several lengths, so that messages fill one page of the database or several. */
static void make_text(uint64_t *state, struct mc_crash_message *message)
{
    static const char *const trivial[] = {"thanks!", "ok", "Hello", "bye", "yes", "sorry", "hmm"};
    unsigned first = (unsigned)(mc_random_next(state) % 90000 + 1000);
    unsigned second = (unsigned)(mc_random_next(state) % 400 + 1);
    if (mc_random_next(state) % 3 == 0) {
        snprintf(message->text, sizeof(message->text), "%s", trivial[first % mc_countof(trivial)]);
        return;
    }
    size_t used = 0;
    size_t times = mc_random_next(state) % 8 == 0 ? 8 : 1;
    for (size_t i = 0; i < times; i++) {
        char sentence[160];
        make_sentence(mc_random_next(state), first, second, sentence, sizeof(sentence));
        size_t len = strlen(sentence);
        if (used + len + 2 > sizeof(message->text))
            break;
        if (used)
            message->text[used++] = ' ';
        memcpy(message->text + used, sentence, len + 1);
        used += len;
    }
}

void mc_crash_make(uint64_t seed, struct mc_crash_name name, struct mc_crash_message *message)
{
    uint64_t state =
        seed ^ ((uint64_t)name.run << 40) ^ ((uint64_t)name.thread << 32) ^ (uint64_t)name.sequence;
    memset(message, 0, sizeof(*message));
    snprintf(message->name, sizeof(message->name), "r%u-t%u-s%u", name.run, name.thread,
             name.sequence);
    if (mc_random_next(&state) % 2)
        snprintf(message->message_id, sizeof(message->message_id), "own-%s", message->name);
    snprintf(message->user_id, sizeof(message->user_id), MC_CRASH_USERS "%u",
             (unsigned)(mc_random_next(&state) % USERS));
    snprintf(message->thread_id, sizeof(message->thread_id), "thread-%u",
             (unsigned)(mc_random_next(&state) % THREADS));
    message->role = mc_random_next(&state) % 3 ? "user" : "assistant";
    make_text(&state, message);
}

static bool take_number(mc_str part, char letter, unsigned *value)
{
    int64_t number;
    if (part.len < 2 || part.data[0] != letter ||
        !mc_str_to_int64((mc_str){part.data + 1, part.len - 1}, &number) || number < 0 ||
        number > INT32_MAX)
        return false;
    *value = (unsigned)number;
    return true;
}

bool mc_crash_parse(mc_str text, struct mc_crash_name *name)
{
    mc_str run;
    mc_str thread;
    struct mc_crash_name parsed;
    mc_str sequence = text;
    if (!mc_str_split(&sequence, '-', &run) || !mc_str_split(&sequence, '-', &thread) ||
        !take_number(run, 'r', &parsed.run) || !take_number(thread, 't', &parsed.thread) ||
        !take_number(sequence, 's', &parsed.sequence))
        return false;
    *name = parsed;
    return true;
}
