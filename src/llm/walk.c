/*
 * See llm/schema.h: the walk through a shape, byte by byte.
 *
 * A walk is always at one of five places: in text between values (glue), in one of a set of literal
 * texts, inside of a string, behind the bracket of an array that may be empty, or behind an element.
 * What follows without a byte (a member after its key, the end of an object after its last value) is
 * entered at once, so each place has a next byte to ask for.
 *
 * The values of a set are sorted: those that agree with what was written are a range of it, narrowed by
 * each byte. A value ends when it is the only one left; one that is the beginning of another (1 of 12)
 * ends when a byte comes that continues none.
 */
#include <stdlib.h>

#include "base/compiler.h"
#include "base/str.h"
#include "llm/shape.h"

#define CHOICES_MAX ((size_t)2 * MC_SCHEMA_ENUM + 1)
#define NUMBER_BYTES 40 /* a number that begins another one, and the byte behind it */

enum place { PLACE_GLUE, PLACE_SET, PLACE_TEXT, PLACE_OPENED, PLACE_ELEMENT };

/* Places */

static const mc_str quotation_mark = {"\"", 1};
static const mc_str opening = {"[", 1};
static const mc_str closing = {"]", 1};
static const mc_str comma = {",", 1};

static struct mc_walk_frame *top(struct mc_walk *walk)
{
    return &walk->frames[walk->depth - 1];
}

/* The array around the value being written, when its elements are unique. */
static bool is_unique(const struct mc_walk *walk)
{
    const struct mc_shape *around = walk->depth > 0 ? walk->frames[walk->depth - 1].shape : NULL;
    return around && around->kind == MC_SHAPE_ARRAY && around->unique;
}

static bool is_used(const struct mc_walk *walk, size_t value)
{
    return is_unique(walk) && (walk->used[value / 64] >> (value % 64) & 1U);
}

/* The first value from `from` on that may still be written; the end of the range when none. */
static size_t first_alive(const struct mc_walk *walk, size_t from)
{
    while (from < walk->to && is_used(walk, from))
        from++;
    return from;
}

/* Whether exactly one is left. */
static bool is_decided(const struct mc_walk *walk)
{
    size_t first = first_alive(walk, walk->from);
    return first < walk->to && first_alive(walk, first + 1) == walk->to;
}

static void write_glue(struct mc_walk *walk, mc_str glue)
{
    walk->place = PLACE_GLUE;
    walk->glue = glue;
    walk->at = 0;
}

static void push(struct mc_walk *walk, const struct mc_shape *shape)
{
    walk->frames[walk->depth++] = (struct mc_walk_frame){shape, 0};
}

static void enter(struct mc_walk *walk, const struct mc_shape *shape)
{
    switch (shape->kind) {
    case MC_SHAPE_OBJECT:
        push(walk, shape);
        write_glue(walk, shape->glue[0]);
        break;
    case MC_SHAPE_ARRAY:
        push(walk, shape);
        if (shape->unique)
            memset(walk->used, 0, sizeof(walk->used));
        write_glue(walk, opening);
        break;
    case MC_SHAPE_TEXT:
        walk->leaf = shape;
        write_glue(walk, quotation_mark);
        break;
    case MC_SHAPE_SET:
        walk->leaf = shape;
        walk->place = PLACE_SET;
        walk->at = 0;
        walk->from = 0;
        walk->to = (uint16_t)shape->count;
        break;
    }
}

/* A value is complete: on in the object or array around it. */
static void leave_value(struct mc_walk *walk)
{
    if (walk->depth == 0) {
        walk->finished = true;
        return;
    }
    struct mc_walk_frame *frame = top(walk);
    const struct mc_shape *shape = frame->shape;
    frame->step++;
    if (shape->kind == MC_SHAPE_OBJECT)
        write_glue(walk, shape->glue[frame->step]);
    else if (frame->step >= shape->max)
        write_glue(walk, closing);
    else if (frame->step < shape->min)
        write_glue(walk, comma);
    else
        walk->place = PLACE_ELEMENT;
}

static void leave_frame(struct mc_walk *walk)
{
    walk->depth--;
    leave_value(walk);
}

static void leave_set(struct mc_walk *walk, size_t value)
{
    const struct mc_shape *set = walk->leaf;
    if (set->objects)
        push(walk, set->objects[value]); /* whose first member is complete, too */
    else if (is_unique(walk))
        walk->used[value / 64] |= UINT64_C(1) << (value % 64);
    leave_value(walk);
}

static void leave_glue(struct mc_walk *walk)
{
    if (walk->glue.data == quotation_mark.data) {
        walk->place = PLACE_TEXT;
        memset(&walk->text, 0, sizeof(walk->text));
        return;
    }
    const struct mc_walk_frame *frame = top(walk);
    if (frame->shape->kind == MC_SHAPE_OBJECT) {
        if (frame->step < frame->shape->count)
            enter(walk, frame->shape->members[frame->step]);
        else
            leave_frame(walk);
    } else if (walk->glue.data == closing.data) {
        leave_frame(walk);
    } else if (walk->glue.data == comma.data || frame->shape->min > 0) {
        enter(walk, frame->shape->item);
    } else if (frame->shape->max == 0) {
        write_glue(walk, closing);
    } else {
        walk->place = PLACE_OPENED;
    }
}

/* One byte anywhere */

/* Whether a value is complete where the walk stands; which one. */
static bool may_end(const struct mc_walk *walk, size_t *value)
{
    *value = walk->from;
    return walk->from < walk->to && walk->leaf->values[walk->from].len == walk->at &&
           !is_used(walk, walk->from);
}

/* The bound of the values in the range whose next byte is below the limit. */
static size_t bound(const struct mc_walk *walk, unsigned limit)
{
    const mc_str *values = walk->leaf->values;
    size_t low = walk->from, high = walk->to;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        bool below =
            values[middle].len <= walk->at || (unsigned char)values[middle].data[walk->at] < limit;
        low = below ? middle + 1 : low;
        high = below ? high : middle;
    }
    return low;
}

/* One more byte of a value; false, and nothing changed, when no value goes on with it. */
static bool narrow(struct mc_walk *walk, unsigned char byte)
{
    uint16_t from = walk->from, to = walk->to;
    size_t low = bound(walk, byte);
    size_t high = bound(walk, byte + 1U);
    walk->from = (uint16_t)low;
    walk->to = (uint16_t)high;
    if (first_alive(walk, low) == high) {
        walk->from = from;
        walk->to = to;
        return false;
    }
    walk->at++;
    size_t value = first_alive(walk, low);
    if (is_decided(walk) && walk->leaf->values[value].len == walk->at)
        leave_set(walk, value);
    return true;
}

static bool step(struct mc_walk *walk, unsigned char byte)
{
    size_t value;
    while (!walk->finished) {
        switch ((enum place)walk->place) {
        case PLACE_GLUE:
            if ((unsigned char)walk->glue.data[walk->at] != byte)
                return false;
            if (++walk->at == walk->glue.len)
                leave_glue(walk);
            return true;
        case PLACE_SET:
            if (narrow(walk, byte))
                return true;
            if (!may_end(walk, &value))
                return false;
            leave_set(walk, value);
            break; /* the byte belongs to what follows */
        case PLACE_TEXT:
            switch (mc_text_take_byte(&walk->text, walk->leaf, byte)) {
            case MC_TEXT_REFUSED:
                return false;
            case MC_TEXT_CLOSED:
                leave_value(walk);
                return true;
            case MC_TEXT_TAKEN:
                return true;
            }
            break;
        case PLACE_OPENED:
            if (byte == ']') {
                leave_frame(walk);
                return true;
            }
            enter(walk, top(walk)->shape->item);
            break;
        case PLACE_ELEMENT:
            write_glue(walk, byte == ',' ? comma : closing);
            break;
        }
    }
    return false;
}

/* Cheap tests of the first byte, for masks; true when it needs a closer look. */
static bool may_begin(const struct mc_walk *walk, unsigned char byte)
{
    if (walk->finished)
        return false;
    if (walk->place == PLACE_GLUE)
        return (unsigned char)walk->glue.data[walk->at] == byte;
    if (walk->place == PLACE_ELEMENT)
        return byte == ',' || byte == ']';
    if (walk->place == PLACE_SET && walk->at == walk->leaf->lead)
        return walk->leaf->first[byte / 64] >> (byte % 64) & 1U;
    return true;
}

enum outcome { NOT, WITHIN_TEXT, BEYOND };

/* Where the bytes lead: *text while they stay inside of a string, else *copy. */
static inline enum outcome advance(const struct mc_walk *walk, mc_str bytes,
                                   struct mc_walk_text *text, struct mc_walk *copy)
{
    size_t done = 0;
    if (bytes.len > 0 && !may_begin(walk, (unsigned char)bytes.data[0]))
        return NOT;
    if (walk->place == PLACE_TEXT && !walk->finished) {
        *text = walk->text;
        enum mc_text_verdict verdict = mc_text_take(text, walk->leaf, bytes, &done);
        if (verdict != MC_TEXT_CLOSED)
            return verdict == MC_TEXT_TAKEN ? WITHIN_TEXT : NOT;
        *copy = *walk;
        leave_value(copy);
    } else {
        *copy = *walk;
    }
    for (; done < bytes.len; done++) {
        if (!step(copy, (unsigned char)bytes.data[done]))
            return NOT;
    }
    return BEYOND;
}

void mc_walk_start(struct mc_walk *walk, const struct mc_schema *schema)
{
    memset(walk, 0, sizeof(*walk));
    walk->schema = schema;
    enter(walk, schema->root);
}

bool mc_walk_feed(struct mc_walk *walk, mc_str bytes)
{
    struct mc_walk_text text;
    struct mc_walk copy;
    enum outcome outcome = advance(walk, bytes, &text, &copy);
    if (outcome == WITHIN_TEXT)
        walk->text = text;
    else if (outcome == BEYOND)
        *walk = copy;
    return outcome != NOT;
}

bool mc_walk_may(const struct mc_walk *walk, mc_str bytes)
{
    struct mc_walk_text text;
    struct mc_walk copy;
    return advance(walk, bytes, &text, &copy) != NOT;
}

/* What may follow */

struct mc_walk_scratch {
    char fixed[MC_NEXT_FIXED_MAX];
    mc_str choices[CHOICES_MAX];
    char numbers[CHOICES_MAX][NUMBER_BYTES];
};

struct mc_walk_scratch *mc_walk_scratch_new(void)
{
    return malloc(sizeof(struct mc_walk_scratch));
}

void mc_walk_scratch_free(struct mc_walk_scratch *scratch)
{
    free(scratch);
}

/* The next byte, when there is only one. */
static bool find_certain(const struct mc_walk *walk, char *byte)
{
    const struct mc_shape *leaf = walk->leaf;
    const struct mc_walk_text *text = &walk->text;
    switch ((enum place)walk->place) {
    case PLACE_GLUE:
        *byte = walk->glue.data[walk->at];
        return true;
    case PLACE_SET:
        if (walk->at >= leaf->lead && !is_decided(walk))
            return false;
        *byte = leaf->values[first_alive(walk, walk->from)].data[walk->at];
        return true;
    case PLACE_TEXT:
        *byte = '"';
        return text->written >= leaf->max; /* so nothing can be unfinished */
    case PLACE_OPENED:
    case PLACE_ELEMENT:
        break;
    }
    return false;
}

/* What is left of a value, with each byte that may be behind it where it begins another value. */
static void add_value(const struct mc_walk *walk, size_t value, struct mc_walk_scratch *scratch,
                      struct mc_next *next)
{
    const struct mc_shape *set = walk->leaf;
    mc_str whole = set->values[value];
    mc_str rest = {whole.data + walk->at, whole.len - walk->at};
    bool begins = value + 1 < set->count && mc_str_starts(set->values[value + 1], whole);
    if (!begins) {
        scratch->choices[next->choice_count++] = rest;
        return;
    }
    struct mc_walk after = *walk;
    leave_set(&after, value);
    char followers[2] = {',', ']'};
    size_t count = 2;
    if (after.place == PLACE_GLUE) {
        followers[0] = after.glue.data[0];
        count = 1;
    }
    for (size_t i = 0; i < count; i++) {
        char *text = scratch->numbers[next->choice_count];
        memcpy(text, rest.data, rest.len);
        text[rest.len] = followers[i];
        scratch->choices[next->choice_count++] = (mc_str){text, rest.len + 1};
    }
}

static void add_values(const struct mc_walk *walk, struct mc_walk_scratch *scratch,
                       struct mc_next *next)
{
    for (size_t i = first_alive(walk, walk->from); i < walk->to; i = first_alive(walk, i + 1))
        add_value(walk, i, scratch, next);
}

static void add_choices(const struct mc_walk *walk, struct mc_walk_scratch *scratch,
                        struct mc_next *next)
{
    next->choices = scratch->choices;
    if (walk->place == PLACE_SET) {
        add_values(walk, scratch, next);
        return;
    }
    if (walk->place == PLACE_ELEMENT)
        scratch->choices[next->choice_count++] = comma;
    scratch->choices[next->choice_count++] = closing;
    if (walk->place == PLACE_ELEMENT)
        return;
    struct mc_walk element = *walk;
    enter(&element, top(&element)->shape->item);
    char byte;
    if (find_certain(&element, &byte)) {
        const struct mc_shape *set = element.leaf;
        const char *from = element.place == PLACE_GLUE
                               ? element.glue.data
                               : set->values[first_alive(&element, element.from)].data;
        scratch->choices[next->choice_count++] = (mc_str){from, 1};
    } else {
        add_values(&element, scratch, next);
    }
}

void mc_walk_next(const struct mc_walk *walk, struct mc_walk_scratch *scratch, struct mc_next *next)
{
    memset(next, 0, sizeof(*next));
    struct mc_walk ahead = *walk;
    while (next->fixed.len < sizeof(scratch->fixed) && !ahead.finished &&
           find_certain(&ahead, &scratch->fixed[next->fixed.len])) {
        step(&ahead, (unsigned char)scratch->fixed[next->fixed.len]);
        next->fixed.len++;
    }
    if (next->fixed.len > 0) {
        next->kind = MC_NEXT_FIXED;
        next->fixed.data = scratch->fixed;
    } else if (walk->finished) {
        next->kind = MC_NEXT_DONE;
    } else if (walk->place == PLACE_TEXT) {
        const struct mc_shape *shape = walk->leaf;
        size_t written = walk->text.written;
        next->kind = MC_NEXT_TEXT;
        next->text_left = shape->max - written;
        next->text_need = shape->min > written ? shape->min - written : 0;
    } else {
        next->kind = MC_NEXT_CHOICE;
        add_choices(walk, scratch, next);
    }
}

size_t mc_walk_close_text(const struct mc_walk *walk, char out[16])
{
    return walk->place == PLACE_TEXT && !walk->finished
               ? mc_text_close(&walk->text, walk->leaf, out)
               : 0;
}
