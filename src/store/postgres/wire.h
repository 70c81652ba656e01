/* Arguments and cells in PostgreSQL's binary form. Pure. */
#ifndef MC_STORE_POSTGRES_WIRE_H
#define MC_STORE_POSTGRES_WIRE_H

#include "store/postgres/conn.h"

struct mc_pg_wire {
    int count;
    Oid types[MC_PG_ARGS_MAX];
    const char *values[MC_PG_ARGS_MAX];
    int lengths[MC_PG_ARGS_MAX];
    int formats[MC_PG_ARGS_MAX];
    uint64_t numbers[MC_PG_ARGS_MAX];
};
/* Points into args and scratch, which must stay. False: too large, or out of memory. */
MC_MUST_CHECK bool mc_pg_wire_make(struct mc_pg_wire *wire, const struct mc_pg_arg *args,
                                   struct mc_buf *scratch);

/* Microseconds since the epoch as PostgreSQL counts them; out of its range: an infinity. */
int64_t mc_pg_wire_time(int64_t time_us);
/* Appends the value of an array argument ('I', 'T', 'S'). */
void mc_pg_wire_array(struct mc_buf *out, const struct mc_pg_arg *arg);

#endif
