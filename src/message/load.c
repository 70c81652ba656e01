#include "message/load.h"

/* So much a request may hold before memory is asked, and so much is asked for at once. */
#define RESERVE_STEP ((size_t)1 << 20)

void mc_load_begin(struct mc_load *load, size_t max_bytes)
{
    if (!load)
        return;
    size_t left = load->held_bytes < MC_READ_BYTES_MAX ? MC_READ_BYTES_MAX - load->held_bytes : 0;
    load->end_bytes = load->held_bytes + (max_bytes < left ? max_bytes : left);
    load->full = load->refused;
}

size_t mc_load_left(const struct mc_load *load)
{
    if (!load)
        return SIZE_MAX;
    return load->held_bytes < load->end_bytes ? load->end_bytes - load->held_bytes : 0;
}

/* Whether so many bytes may be held. */
static bool reserve(struct mc_load *load, size_t bytes)
{
    if (!load->memory || bytes <= load->reserved_bytes + RESERVE_STEP)
        return true;
    size_t more = (bytes - load->reserved_bytes - 1) / RESERVE_STEP * RESERVE_STEP;
    load->refused = !load->memory->reserve(load->memory->context, more);
    if (!load->refused)
        load->reserved_bytes += more;
    return !load->refused;
}

bool mc_load_take(struct mc_load *load, const struct mc_record *record)
{
    if (!load)
        return true;
    if (load->refused || record->size_bytes > mc_load_left(load) ||
        !reserve(load, load->held_bytes + record->size_bytes)) {
        load->full = true;
        return false;
    }
    load->held_bytes += record->size_bytes;
    return true;
}

size_t mc_load_mark(const struct mc_load *load)
{
    return load ? load->held_bytes : 0;
}

void mc_load_rewind(struct mc_load *load, size_t mark)
{
    if (load)
        load->held_bytes = mark;
}
