#include "cache/lmdb_seen.h"

#include <stdlib.h>

struct mc_seen_place {
    uint64_t entry_no;
    int64_t version;
    uint64_t verified; /* the epoch in which it was compared with the store; 0: never */
    uint64_t asked;    /* the epoch in which a read found that it must be; 0: none did since */
    int64_t used_us;
    int64_t written_us; /* when its use was last written to the file, or tried to be */
};

#define PLACES_MIN 1024
#define PLACES_MAX ((size_t)1 << 20)

bool mc_seen_init(struct mc_seen *seen, size_t entries)
{
    size_t size = PLACES_MIN;
    while (size < entries && size < PLACES_MAX)
        size *= 2;
    seen->places = calloc(size, sizeof(struct mc_seen_place));
    seen->mask = size - 1;
    atomic_init(&seen->epoch, 1);
    for (size_t i = 0; i < MC_SEEN_LOCKS; i++)
        mc_mutex_init(&seen->locks[i]);
    return seen->places != NULL;
}

void mc_seen_fini(struct mc_seen *seen)
{
    free(seen->places);
    for (size_t i = 0; i < MC_SEEN_LOCKS; i++)
        mc_mutex_fini(&seen->locks[i]);
}

void mc_seen_doubt(struct mc_seen *seen)
{
    atomic_fetch_add_explicit(&seen->epoch, 1, memory_order_acq_rel);
}

static struct mc_seen_place *lock_place(struct mc_seen *seen, uint64_t entry_no)
{
    mc_mutex_lock(&seen->locks[entry_no % MC_SEEN_LOCKS]);
    return &seen->places[entry_no & seen->mask];
}

static void unlock_place(struct mc_seen *seen, uint64_t entry_no)
{
    mc_mutex_unlock(&seen->locks[entry_no % MC_SEEN_LOCKS]);
}

bool mc_seen_read(struct mc_seen *seen, uint64_t entry_no, int64_t version, int64_t now_us)
{
    struct mc_seen_place *place = lock_place(seen, entry_no);
    uint64_t epoch = atomic_load_explicit(&seen->epoch, memory_order_acquire);
    if (place->entry_no != entry_no)
        *place = (struct mc_seen_place){.entry_no = entry_no, .version = version};
    if (place->version != version) {
        place->version = version;
        place->verified = place->asked = 0;
    }
    bool verified = place->verified == epoch;
    if (!verified && place->asked == 0)
        place->asked = epoch;
    if (place->used_us < now_us)
        place->used_us = now_us;
    unlock_place(seen, entry_no);
    return verified;
}

void mc_seen_confirm(struct mc_seen *seen, uint64_t entry_no, int64_t version)
{
    struct mc_seen_place *place = lock_place(seen, entry_no);
    /* The store was asked after the read: a doubt since then is not settled by its answer. */
    if (place->entry_no == entry_no && place->version == version && place->asked != 0) {
        place->verified = place->asked;
        place->asked = 0;
    }
    unlock_place(seen, entry_no);
}

void mc_seen_changed(struct mc_seen *seen, uint64_t entry_no, int64_t version, int64_t now_us)
{
    struct mc_seen_place *place = lock_place(seen, entry_no);
    if (place->entry_no == entry_no && place->version == version - 1)
        place->version = version;
    if (place->entry_no == entry_no && place->used_us < now_us)
        place->used_us = now_us;
    unlock_place(seen, entry_no);
}

int64_t mc_seen_used(struct mc_seen *seen, uint64_t entry_no, int64_t used_us)
{
    struct mc_seen_place *place = lock_place(seen, entry_no);
    if (place->entry_no == entry_no && place->used_us > used_us)
        used_us = place->used_us;
    unlock_place(seen, entry_no);
    return used_us;
}

bool mc_seen_write_due(struct mc_seen *seen, uint64_t entry_no, int64_t now_us, int64_t interval_us)
{
    struct mc_seen_place *place = lock_place(seen, entry_no);
    bool due = place->entry_no == entry_no && now_us - place->written_us > interval_us;
    if (due)
        place->written_us = now_us;
    unlock_place(seen, entry_no);
    return due;
}
