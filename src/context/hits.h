/* Lists of hits (<mindcore/search.h>) in the making. */
#ifndef MC_CONTEXT_HITS_H
#define MC_CONTEXT_HITS_H

#include <mindcore/search.h>

#include "context/rank.h"

/* An empty list with room for so many hits, each explained or none. NULL when out of memory. */
struct mc_hit_list *mc_hits_new(size_t capacity, bool explain);

/* Adds a hit, which takes a reference of the record. There must be room. features: those of its score. */
void mc_hits_add(struct mc_hit_list *hits, struct mc_record *record, double score,
                 const double features[MC_FEATURE_COUNT]);

#endif
