/*
 * What every back-end of the cache does: the cases of tests/contract/test_cache.c, run over each. A
 * case opens its own cache and closes it.
 */
#ifndef MC_TESTS_CACHE_CONTRACT_H
#define MC_TESTS_CACHE_CONTRACT_H

#include <mindcore/types.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/str.h"
#include "base/thread.h"
#include "cache/cache.h"
#include "tap.h"

#define SECOND INT64_C(1000000)
#define NOW (INT64_C(1700000000) * SECOND)
#define MIB ((size_t)1 << 20)

/* A back-end under test: a fresh cache each time. */
struct subject {
    const char *name;
    struct mc_cache *(*open)(size_t max_size, int64_t ttl_us, size_t max_bytes);
};

/* ---- Helpers ---- */

static struct mc_record *record_full(const char *user, const char *thread, int64_t row,
                                     int64_t created_us, const char *text, const char *metadata)
{
    char id[64];
    snprintf(id, sizeof(id), "msg_%lld", (long long)row);
    struct mc_message m = {
        .message_id = mc_str_of(id),
        .user_id = mc_str_of(user),
        .thread_id = mc_str_of(thread),
        .session_id = mc_str_of("s"),
        .text = mc_str_of(text),
        .metadata = mc_str_of(metadata),
        .created_at_us = created_us,
        .importance = 0.5,
    };
    struct mc_record *record;
    struct mc_error err;
    if (mc_record_new(&m, row, MC_STR_NONE, &record, &err) != MC_OK)
        bail_out("record: %s", err.message);
    return record;
}

static struct mc_record *record_of(const char *user, const char *thread, int64_t row)
{
    char text[64];
    snprintf(text, sizeof(text), "text %lld", (long long)row);
    return record_full(user, thread, row, NOW + row, text, "{}");
}

/* Stores message `row` of a thread whose versions and rows run together from 1. */
static void append_row(struct mc_cache *cache, const char *user, const char *thread, int64_t row)
{
    struct mc_record *record = record_of(user, thread, row);
    cache->ops->append(cache, record, row, row, NOW + row);
    mc_record_unref(record);
}

/* Fills with rows last - count + 1 .. last at version last. */
static void fill_rows(struct mc_cache *cache, const char *user, const char *thread, int64_t last,
                      size_t count, bool complete, int64_t now_us)
{
    struct mc_records records = {0};
    for (size_t i = 0; i < count; i++) {
        if (!mc_records_push(&records, record_of(user, thread, last - (int64_t)i)))
            bail_out("out of memory");
    }
    cache->ops->fill(cache, mc_str_of(user), mc_str_of(thread), records.items, count, last,
                     complete, now_us);
    mc_records_fini(&records);
}

static bool hit(struct mc_cache *cache, const char *user, const char *thread, size_t limit,
                int64_t now_us)
{
    struct mc_records out = {0};
    struct mc_cache_read read;
    bool found =
        cache->ops->get(cache, mc_str_of(user), mc_str_of(thread), limit, now_us, &out, &read);
    mc_records_fini(&out);
    return found;
}

/* The rows of a read, "5 4 3"; "miss". */
static const char *rows_of(struct mc_cache *cache, const char *user, const char *thread,
                           size_t limit, struct mc_cache_read *read)
{
    static char text[512];
    struct mc_records out = {0};
    struct mc_cache_read own;
    size_t len = 0;
    text[0] = '\0';
    if (!cache->ops->get(cache, mc_str_of(user), mc_str_of(thread), limit, NOW, &out,
                         read ? read : &own))
        return "miss";
    for (size_t i = 0; i < out.count && len < sizeof(text) - 24; i++)
        len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%lld", i ? " " : "",
                                (long long)out.items[i]->row);
    mc_records_fini(&out);
    return text;
}

static struct mc_cache_stats stats_of(struct mc_cache *cache)
{
    struct mc_cache_stats stats;
    memset(&stats, 0x5a, sizeof(stats));
    cache->ops->stats(cache, &stats);
    return stats;
}

static uint64_t drop(struct mc_cache *cache, const char *user, const char *thread)
{
    return cache->ops->drop(cache, mc_str_of(user), mc_str_of(thread), NOW);
}

/* ---- Cases ---- */

static void case_hits_and_limits(const struct subject *subject)
{
    struct mc_cache *cache = subject->open(50, 0, 8 * MIB);
    ok(!hit(cache, "u", "t", 1, NOW), "%s: an unknown thread is a miss", subject->name);
    fill_rows(cache, "u", "t", 100, 10, false, NOW);
    struct mc_cache_read read;
    is_str(rows_of(cache, "u", "t", 3, &read), "100 99 98", "newest first");
    is_int(read.version, 100, "the version of the fill");
    ok(!read.complete, "not the whole thread");
    is_str(rows_of(cache, "u", "t", 10, NULL), "100 99 98 97 96 95 94 93 92 91", "all ten");
    ok(!hit(cache, "u", "t", 11, NOW), "more than it holds of a longer thread is a miss");
    is_str(rows_of(cache, "u", "t", 0, NULL), "", "nothing asked, nothing given");
    fill_rows(cache, "u", "t", 3, 3, true, NOW);
    is_str(rows_of(cache, "u", "t", 50, &read), "3 2 1", "all of a short thread");
    ok(read.complete, "the whole thread");
    cache->ops->fill(cache, mc_str_of("u"), mc_str_of("new"), NULL, 0, 0, true, NOW);
    is_str(rows_of(cache, "u", "new", 20, NULL), "", "that a thread is empty is known too");
    append_row(cache, "u", "new", 1);
    is_str(rows_of(cache, "u", "new", 20, NULL), "1", "its first message");
    struct mc_cache_stats stats = stats_of(cache);
    is_int(stats.hits, 6, "hits");
    is_int(stats.misses, 2, "misses");
    is_int(stats.threads, 2, "threads");
    is_int(stats.messages, 4, "messages");
    ok(stats.bytes > 0, "bytes");
    is_int(stats.errors + stats.evictions + stats.expirations + stats.by_change, 0, "no trouble");
    is_int(stats.last_invalidation_us, 0, "nothing was dropped yet");
    cache->ops->close(cache);
}

static void case_content(const struct subject *subject)
{
    struct mc_cache *cache = subject->open(50, 0, 8 * MIB);
    mc_str groups[2] = {MC_STR("one"), MC_STR("two")};
    struct mc_message m = {.message_id = MC_STR("msg_1"),
                           .user_id = MC_STR("u"),
                           .thread_id = MC_STR("t"),
                           .session_id = MC_STR("s"),
                           .agent_id = MC_STR("agent"),
                           .text = MC_STR("h\xc3\xa9llo"),
                           .metadata = MC_STR("{\"topics\":[\"billing\"]}"),
                           .sharing_groups = groups,
                           .sharing_group_count = 2,
                           .created_at_us = NOW,
                           .importance = 0.25,
                           .role = MC_ROLE_ASSISTANT,
                           .visibility = MC_VISIBILITY_SHARED,
                           .tier = MC_TIER_MID,
                           .enrichment_state = MC_ENRICHMENT_ENRICHED};
    struct mc_record *record;
    struct mc_error err;
    if (mc_record_new(&m, 7, MC_STR("hello"), &record, &err) != MC_OK)
        bail_out("record");
    cache->ops->append(cache, record, 1, 1, NOW);
    mc_record_unref(record);
    struct mc_records out = {0};
    struct mc_cache_read read;
    if (ok(cache->ops->get(cache, MC_STR("u"), MC_STR("t"), 1, NOW, &out, &read), "%s: a hit",
           subject->name)) {
        const struct mc_record *got = out.items[0];
        is_int(got->row, 7, "row");
        is_text(got->terms, "hello", "terms");
        is_text(got->m.text, "h\xc3\xa9llo", "text");
        is_text(got->m.agent_id, "agent", "agent");
        is_text(got->m.metadata, "{\"topics\":[\"billing\"]}", "metadata");
        is_int(got->m.sharing_group_count, 2, "groups");
        is_text(got->m.sharing_groups[1], "two", "second group");
        is_int(got->m.role, MC_ROLE_ASSISTANT, "role");
        is_int(got->m.tier, MC_TIER_MID, "tier");
        is_double(got->m.importance, 0.25, 0, "importance");
    }
    /* What was read stays when the cache lets it go. */
    is_int(drop(cache, "u", "t"), 1, "dropped");
    is_text(out.items[0]->m.text, "h\xc3\xa9llo", "and still readable");
    mc_records_fini(&out);
    cache->ops->close(cache);
}

static void append_at(struct mc_cache *cache, const char *thread, int64_t row, int64_t created_us,
                      int64_t version, int64_t messages)
{
    struct mc_record *record = record_full("u", thread, row, created_us, "x", "{}");
    cache->ops->append(cache, record, version, messages, NOW);
    mc_record_unref(record);
}

static void case_order(const struct subject *subject)
{
    struct mc_cache *cache = subject->open(5, 0, 8 * MIB);
    append_at(cache, "t", 1, NOW + 100, 1, 1);
    append_at(cache, "t", 2, NOW + 300, 2, 2);
    append_at(cache, "t", 3, NOW + 200, 3, 3);
    append_at(cache, "t", 4, NOW + 200, 4, 4);
    struct mc_cache_read read;
    is_str(rows_of(cache, "u", "t", 5, &read), "2 4 3 1", "%s: by time, then row", subject->name);
    ok(read.complete, "complete");
    append_at(cache, "t", 5, NOW + 50, 5, 5);
    is_str(rows_of(cache, "u", "t", 5, &read), "2 4 3 1 5", "older than all of a whole thread");
    ok(read.complete, "still complete");
    append_at(cache, "t", 6, NOW + 20, 6, 6);
    is_str(rows_of(cache, "u", "t", 5, &read), "2 4 3 1 5", "no room for an older one");
    ok(!read.complete, "no longer complete");
    is_int(read.version, 6, "but up to date");
    append_at(cache, "t", 7, NOW + 250, 7, 7);
    is_str(rows_of(cache, "u", "t", 5, &read), "2 7 4 3 1", "in its place, the oldest leaves");
    append_at(cache, "t", 8, NOW - 5000000000, 8, 8);
    is_str(rows_of(cache, "u", "t", 5, &read), "2 7 4 3 1", "before 1970 or so");
    is_int(read.version, 8, "version 8");
    /* Others may lie between the oldest held and an older one. */
    fill_rows(cache, "u", "part", 100, 3, false, NOW);
    append_at(cache, "part", 101, NOW + 5, 101, 101);
    is_str(rows_of(cache, "u", "part", 3, &read), "100 99 98", "left out of a part");
    ok(!hit(cache, "u", "part", 4, NOW), "which does not grow");
    append_at(cache, "neg", 1, -5, 1, 1);
    append_at(cache, "neg", 2, 5, 2, 2);
    append_at(cache, "neg", 3, -9, 3, 3);
    is_str(rows_of(cache, "u", "neg", 3, NULL), "2 1 3", "times before the epoch");
    cache->ops->close(cache);
}

static void case_max_size(const struct subject *subject)
{
    struct mc_cache *cache = subject->open(3, 0, 8 * MIB);
    struct mc_cache_read read;
    for (int64_t row = 1; row <= 3; row++)
        append_row(cache, "u", "t", row);
    is_str(rows_of(cache, "u", "t", 9, &read), "3 2 1", "%s: three of three", subject->name);
    append_row(cache, "u", "t", 4);
    is_str(rows_of(cache, "u", "t", 3, &read), "4 3 2", "cut to max_size");
    ok(!read.complete, "not complete any more");
    ok(!hit(cache, "u", "t", 4, NOW), "four are a miss");
    for (int64_t row = 5; row <= 60; row++)
        append_row(cache, "u", "t", row);
    is_str(rows_of(cache, "u", "t", 3, &read), "60 59 58", "after many");
    fill_rows(cache, "u", "long", 10, 10, true, NOW);
    is_str(rows_of(cache, "u", "long", 3, &read), "10 9 8", "a fill is cut to its newest");
    ok(!read.complete, "and not the whole thread");
    is_int(stats_of(cache).messages, 6, "messages");
    cache->ops->close(cache);
    cache = subject->open(1, 0, 8 * MIB);
    append_row(cache, "u", "t", 1);
    append_row(cache, "u", "t", 2);
    is_str(rows_of(cache, "u", "t", 1, NULL), "2", "max_size 1");
    cache->ops->close(cache);
}

static void case_ttl(const struct subject *subject)
{
    struct mc_cache *cache = subject->open(50, 10 * SECOND, 8 * MIB);
    fill_rows(cache, "u", "t", 5, 5, true, NOW);
    ok(hit(cache, "u", "t", 5, NOW + 9 * SECOND), "%s: young enough", subject->name);
    ok(hit(cache, "u", "t", 5, NOW - 900 * SECOND), "a clock that was set back");
    ok(!hit(cache, "u", "t", 5, NOW + 10 * SECOND), "reading does not make it younger");
    ok(!hit(cache, "u", "t", 5, NOW), "gone for good");
    is_int(stats_of(cache).expirations, 1, "one expiration");
    is_int(stats_of(cache).threads, 0, "no threads");
    fill_rows(cache, "u", "t", 5, 5, true, NOW);
    struct mc_record *record = record_of("u", "t", 6);
    cache->ops->append(cache, record, 6, 6, NOW + 8 * SECOND);
    ok(hit(cache, "u", "t", 5, NOW + 17 * SECOND), "a change makes it younger");
    cache->ops->update(cache, record, 7, NULL, 0, NOW + 16 * SECOND);
    mc_record_unref(record);
    ok(hit(cache, "u", "t", 5, NOW + 25 * SECOND), "an update too");
    ok(!hit(cache, "u", "t", 5, NOW + 26 * SECOND), "old again");
    cache->ops->close(cache);
}

static void case_versions(const struct subject *subject)
{
    struct mc_cache *cache = subject->open(50, 0, 8 * MIB);
    struct mc_cache_read read;
    fill_rows(cache, "u", "t", 5, 5, true, NOW);
    append_row(cache, "u", "t", 4);
    append_row(cache, "u", "t", 5);
    is_str(rows_of(cache, "u", "t", 9, &read), "5 4 3 2 1", "%s: known changes are ignored",
           subject->name);
    append_row(cache, "u", "t", 6);
    is_str(rows_of(cache, "u", "t", 9, &read), "6 5 4 3 2 1", "the next one is applied");
    append_row(cache, "u", "t", 8);
    is_str(rows_of(cache, "u", "t", 9, &read), "miss", "one missed: dropped");
    is_int(stats_of(cache).by_change, 1, "counted");
    is_int(stats_of(cache).invalidations, 0, "not by request");
    append_row(cache, "u", "t", 9);
    is_str(rows_of(cache, "u", "t", 9, &read), "miss", "an append to nothing makes nothing");
    fill_rows(cache, "u", "t", 9, 3, false, NOW);
    fill_rows(cache, "u", "t", 7, 2, false, NOW);
    is_str(rows_of(cache, "u", "t", 2, &read), "7 6", "a fill replaces whatever is there");
    ok(!read.verified, "and has yet to be compared with the store");

    struct mc_record *changed =
        record_full("u", "t", 7, NOW + 7, "text 7", "{\"topics\":[\"refund\"]}");
    mc_str topic = MC_STR("refund");
    cache->ops->update(cache, changed, 8, &topic, 1, NOW);
    struct mc_records out = {0};
    ok(cache->ops->get(cache, MC_STR("u"), MC_STR("t"), 2, NOW, &out, &read), "updated");
    is_int(read.version, 8, "version after the update");
    is_text(out.items[0]->m.metadata, "{\"topics\":[\"refund\"]}", "new metadata in place");
    is_int(out.items[1]->row, 6, "the other one stays");
    mc_records_fini(&out);
    struct mc_record *gone = record_of("u", "t", 2);
    cache->ops->update(cache, gone, 9, NULL, 0, NOW);
    is_str(rows_of(cache, "u", "t", 2, &read), "7 6", "an update of one that is not held");
    is_int(read.version, 9, "counts as seen");
    cache->ops->update(cache, gone, 11, NULL, 0, NOW);
    is_str(rows_of(cache, "u", "t", 2, &read), "miss", "an update that missed one drops");
    cache->ops->update(cache, gone, 12, NULL, 0, NOW);
    is_int(stats_of(cache).threads, 0, "an update to nothing makes nothing");
    mc_record_unref(changed);
    mc_record_unref(gone);

    fill_rows(cache, "u", "odd", 4, 4, true, NOW);
    append_at(cache, "odd", 5, NOW + 9, 5, 9);
    is_str(rows_of(cache, "u", "odd", 2, &read), "miss", "a count that cannot be: dropped");
    cache->ops->close(cache);
}

static void case_doubt(const struct subject *subject)
{
    struct mc_cache *cache = subject->open(50, 0, 8 * MIB);
    struct mc_cache_read read;
    append_row(cache, "u", "t", 1);
    rows_of(cache, "u", "t", 1, &read);
    ok(!read.verified, "%s: not compared yet", subject->name);
    cache->ops->confirm(cache, MC_STR("u"), MC_STR("t"), 2);
    rows_of(cache, "u", "t", 1, &read);
    ok(!read.verified, "another version confirms nothing");
    cache->ops->confirm(cache, MC_STR("u"), MC_STR("t"), 1);
    rows_of(cache, "u", "t", 1, &read);
    ok(read.verified, "confirmed");
    append_row(cache, "u", "t", 2);
    rows_of(cache, "u", "t", 1, &read);
    ok(read.verified, "the next change keeps it verified");
    is_int(read.version, 2, "at version 2");
    cache->ops->doubt(cache);
    /* The answer to a question from before the doubt settles nothing. */
    cache->ops->confirm(cache, MC_STR("u"), MC_STR("t"), 2);
    rows_of(cache, "u", "t", 1, &read);
    ok(!read.verified, "doubted");
    cache->ops->doubt(cache);
    cache->ops->confirm(cache, MC_STR("u"), MC_STR("t"), 2);
    rows_of(cache, "u", "t", 1, &read);
    ok(!read.verified, "doubted again between the question and the answer");
    cache->ops->confirm(cache, MC_STR("u"), MC_STR("t"), 2);
    rows_of(cache, "u", "t", 1, &read);
    ok(read.verified, "confirmed again");
    cache->ops->confirm(cache, MC_STR("nobody"), MC_STR("t"), 2);
    is_int(stats_of(cache).errors, 0, "confirming what is not there is nothing");
    cache->ops->close(cache);
}

static void fill_topics(struct mc_cache *cache, const char *thread, const char *metadata)
{
    struct mc_record *records[2] = {record_full("u", thread, 2, NOW, "b", "{}"),
                                    record_full("u", thread, 1, NOW, "a", metadata)};
    cache->ops->fill(cache, MC_STR("u"), mc_str_of(thread), records, 2, 2, true, NOW);
    mc_record_unref(records[0]);
    mc_record_unref(records[1]);
}

static uint64_t drop_topic(struct mc_cache *cache, const char *topic)
{
    return cache->ops->drop_topic(cache, mc_str_of(topic), NOW + 77);
}

static void case_topics(const struct subject *subject)
{
    struct mc_cache *cache = subject->open(3, 0, 8 * MIB);
    fill_topics(cache, "a", "{\"topics\":[\"billing\",\"refund\"]}");
    fill_topics(cache, "b", "{ \"intent\" : \"x\" , \"topics\" : [ \"refund\" , \"billing\" ] }");
    fill_topics(cache, "c", "{\"extra\":{\"topics\":[\"billing\"]},\"topics\":[]}");
    fill_topics(cache, "d", "{\"note\":\"\\\"topics\\\":[\\\"billing\\\"]\"}");
    fill_topics(cache, "e", "{\"topics\":[\"bill\",\"billing2\",\"xbilling\"]}");
    fill_topics(cache, "f", "{\"topics\":[\"qu\\\"ote\",\"caf\\u00e9\"]}");
    fill_topics(cache, "g", "{\"topics\":\"billing\"}");
    fill_topics(cache, "h", "{\"topics\":[\"billing\"");
    is_int(drop_topic(cache, "billing"), 3, "%s: topics of the metadata itself", subject->name);
    ok(!hit(cache, "u", "a", 1, NOW) && !hit(cache, "u", "b", 1, NOW), "these were dropped");
    ok(hit(cache, "u", "c", 1, NOW) && hit(cache, "u", "d", 1, NOW) && hit(cache, "u", "e", 1, NOW),
       "these were not");
    is_int(drop_topic(cache, "qu\"ote"), 1, "written with an escape");
    fill_topics(cache, "f", "{\"topics\":[\"qu\\\"ote\",\"caf\\u00e9\"]}");
    is_int(drop_topic(cache, "caf\xc3\xa9"), 1, "written as a code point");
    is_int(drop_topic(cache, "nothing"), 0, "an unknown topic");
    is_int(drop_topic(cache, ""), 0, "an empty one");

    struct mc_record *record = record_of("u", "live", 1);
    cache->ops->append(cache, record, 1, 1, NOW);
    mc_record_unref(record);
    is_int(drop_topic(cache, "order"), 0, "not yet about it");
    record = record_full("u", "live", 1, NOW + 1, "text 1", "{\"topics\":[\"order\"]}");
    mc_str topic = MC_STR("order");
    cache->ops->update(cache, record, 2, &topic, 1, NOW);
    for (int64_t version = 3; version <= 4; version++)
        append_at(cache, "live", version, NOW + version, version, version - 1);
    is_int(stats_of(cache).by_change, 0, "the thread went on");
    is_int(drop_topic(cache, "order"), 1, "learned by the update");
    cache->ops->fill(cache, MC_STR("u"), MC_STR("live"), &record, 1, 2, true, NOW);
    mc_record_unref(record);
    for (int64_t version = 3; version <= 5; version++)
        append_at(cache, "live", version, NOW + version, version, version - 1);
    is_int(drop_topic(cache, "order"), 0, "its only message about it has left");
    struct mc_cache_stats stats = stats_of(cache);
    is_int(stats.by_topic, 6, "by topic");
    is_int(stats.invalidations, 6, "invalidations");
    is_int(stats.last_invalidation_us, NOW + 77, "the time of the last one");
    cache->ops->close(cache);
}

static void case_drops(const struct subject *subject)
{
    struct mc_cache *cache = subject->open(50, 0, 8 * MIB);
    char user[16], thread[16];
    for (int i = 0; i < 200; i++) {
        snprintf(user, sizeof(user), "u%d", i % 4);
        snprintf(thread, sizeof(thread), "t%d", i);
        fill_rows(cache, user, thread, 3, 3, true, NOW + i * SECOND);
    }
    is_int(stats_of(cache).threads, 200, "%s: two hundred threads", subject->name);
    is_int(stats_of(cache).messages, 600, "of three messages");
    is_int(drop(cache, "u1", "t1"), 1, "one thread");
    is_int(drop(cache, "u1", "t1"), 0, "once");
    is_int(drop(cache, "u1", "t2"), 0, "not another user's");
    is_int(drop(cache, "u2", NULL), 50, "all of a user");
    is_int(drop(cache, "u", NULL), 0, "not of a user with a longer name");
    ok(hit(cache, "u1", "t5", 3, NOW), "others stay");
    is_int(cache->ops->drop_older(cache, 100 * SECOND, NOW + 199 * SECOND), 74,
           "a hundred seconds old or more");
    struct mc_cache_stats stats = stats_of(cache);
    is_int(stats.threads, 75, "threads left");
    is_int(stats.messages, 225, "messages left");
    is_int(drop(cache, NULL, NULL), 75, "everything");
    stats = stats_of(cache);
    is_int(stats.threads, 0, "no threads");
    is_int(stats.messages, 0, "no messages");
    is_int(stats.invalidations, 200, "all by request");
    is_int(stats.by_user, 50, "by user");
    is_int(stats.by_age, 74, "by age");
    is_int(stats.by_topic, 0, "by topic");
    is_int(stats.last_invalidation_us, NOW, "last");
    fill_rows(cache, "u1", "t1", 3, 3, true, NOW);
    is_str(rows_of(cache, "u1", "t1", 3, NULL), "3 2 1", "and it goes on");
    is_int(cache->ops->drop_older(cache, 0, NOW), 1, "age 0 is every thread");
    cache->ops->close(cache);
}

static void case_keys(const struct subject *subject)
{
    struct mc_cache *cache = subject->open(50, 0, 8 * MIB);
    static const char *const pairs[][2] = {{"a", "b:c"}, {"a:b", "c"}, {"a", "b"}, {"ab", ""},
                                           {"", "ab"},   {"b", "a"},   {"A", "b"}};
    for (size_t i = 0; i < 7; i++) {
        struct mc_record *record = record_of(pairs[i][0], pairs[i][1], (int64_t)i + 1);
        cache->ops->append(cache, record, 1, 1, NOW);
        mc_record_unref(record);
    }
    for (size_t i = 0; i < 7; i++) {
        char want[8];
        snprintf(want, sizeof(want), "%zu", i + 1);
        is_str(rows_of(cache, pairs[i][0], pairs[i][1], 5, NULL), want, "%s: '%s' and '%s'",
               subject->name, pairs[i][0], pairs[i][1]);
    }
    is_int(drop(cache, "a", NULL), 2, "of user a");
    is_int(drop(cache, "", NULL), 1, "of the empty user");

    char user[256], thread[256];
    memset(user, 'x', 255);
    memset(thread, 'y', 255);
    user[255] = thread[255] = '\0';
    append_row(cache, user, thread, 1);
    thread[254] = 'z';
    append_row(cache, user, thread, 1);
    append_row(cache, user, thread, 2);
    is_str(rows_of(cache, user, thread, 5, NULL), "2 1", "ids of 255 bytes");
    thread[254] = 'y';
    is_str(rows_of(cache, user, thread, 5, NULL), "1", "that differ at the end");
    user[0] = 'z';
    is_str(rows_of(cache, user, thread, 5, NULL), "miss", "or at the beginning");
    user[0] = 'x';
    is_int(drop(cache, user, NULL), 2, "dropped by user");
    is_int(stats_of(cache).errors, 0, "no errors");
    cache->ops->close(cache);
}

static void fill_big(struct mc_cache *cache, const char *thread, size_t text_bytes, int64_t now_us)
{
    char *text = malloc(text_bytes + 1);
    if (!text)
        bail_out("out of memory");
    memset(text, 'x', text_bytes);
    text[text_bytes] = '\0';
    struct mc_record *record = record_full("u", thread, 1, NOW, text, "{}");
    cache->ops->fill(cache, MC_STR("u"), mc_str_of(thread), &record, 1, 1, true, now_us);
    mc_record_unref(record);
    free(text);
}

static void case_bound(const struct subject *subject)
{
    struct mc_cache *cache = subject->open(50, 0, 256 << 10);
    char thread[16];
    int64_t now_us = NOW;
    for (int i = 0; i < 10; i++) {
        snprintf(thread, sizeof(thread), "t%d", i);
        fill_big(cache, thread, 16000, now_us += SECOND);
    }
    is_int(stats_of(cache).evictions, 0, "%s: ten fit", subject->name);
    ok(hit(cache, "u", "t0", 1, now_us += SECOND), "the first is used again");
    ok(hit(cache, "u", "t3", 1, now_us += SECOND), "and the fourth");
    struct mc_cache_stats stats;
    int last = 10;
    do {
        snprintf(thread, sizeof(thread), "t%d", last++);
        fill_big(cache, thread, 16000, now_us += SECOND);
        stats = stats_of(cache);
    } while (stats.evictions < 5 && last < 40);
    is_int(stats.evictions, 5, "five had to leave");
    is_int(stats.threads, (uint64_t)last - 5, "the others are there");
    ok(stats.bytes <= 256 << 10, "within the bound: %llu", (unsigned long long)stats.bytes);
    static const bool gone[10] = {false, true, true, false, true, true, true, false, false, false};
    for (int i = 0; i < 10; i++) {
        snprintf(thread, sizeof(thread), "t%d", i);
        ok(hit(cache, "u", thread, 1, now_us) == !gone[i], "%s %s", thread,
           gone[i] ? "left" : "stayed");
    }
    fill_big(cache, "huge", 400000, now_us += SECOND);
    ok(!hit(cache, "u", "huge", 1, now_us), "larger than the bound: not kept");
    is_int(stats_of(cache).evictions, 5, "and nobody left for it");
    fill_big(cache, "t0", 400000, now_us += SECOND);
    ok(!hit(cache, "u", "t0", 1, now_us), "nor the old form of what became too large");
    for (int i = 0; i < 200; i++) {
        snprintf(thread, sizeof(thread), "s%d", i);
        fill_big(cache, thread, 3000, now_us += SECOND);
    }
    stats = stats_of(cache);
    ok(stats.bytes <= 256 << 10 && stats.threads > 20, "many small: %llu bytes in %llu threads",
       (unsigned long long)stats.bytes, (unsigned long long)stats.threads);
    ok(hit(cache, "u", "s199", 1, now_us), "the last one is there");
    is_int(stats.errors, 0, "no errors");
    cache->ops->close(cache);

    cache = subject->open(50, 0, 1);
    append_row(cache, "u", "t", 1);
    ok(!hit(cache, "u", "t", 1, NOW), "a bound of one byte keeps nothing");
    cache->ops->close(cache);
}

static void case_growing(const struct subject *subject)
{
    struct mc_cache *cache = subject->open(10000, 0, 256 << 10);
    char *text = malloc(20001);
    if (!text)
        bail_out("out of memory");
    memset(text, 'y', 20000);
    text[20000] = '\0';
    append_row(cache, "u", "other", 1);
    for (int64_t row = 1; row <= 30; row++) {
        struct mc_record *record = record_full("u", "t", row, NOW + row, text, "{}");
        cache->ops->append(cache, record, row, row, NOW + row * SECOND);
        mc_record_unref(record);
    }
    struct mc_cache_stats stats = stats_of(cache);
    ok(stats.evictions >= 1, "%s: a thread that outgrows the bound leaves", subject->name);
    ok(stats.bytes <= 256 << 10, "bytes %llu", (unsigned long long)stats.bytes);
    ok(!hit(cache, "u", "t", 1, NOW), "it is a miss");
    free(text);
    cache->ops->close(cache);
}

/* ---- Threads ---- */

#define WORKERS 8
#define SHARED_THREADS 5
#define ROUNDS 300

struct worker {
    struct mc_cache *cache;
    int number;
    int wrong;
    int hits;
};

/* Rows of one read: newest first without a gap. */
static bool sound(const struct mc_records *out, const struct mc_cache_read *read,
                  const char *thread)
{
    for (size_t i = 0; i < out->count; i++) {
        if (out->items[i]->row != read->version - (int64_t)i ||
            !mc_str_equal(out->items[i]->m.thread_id, mc_str_of(thread)))
            return false;
    }
    return out->count == 5;
}

static void *work(void *context)
{
    struct worker *worker = context;
    struct mc_cache *cache = worker->cache;
    char own[16], shared[16];
    snprintf(own, sizeof(own), "own%d", worker->number);
    for (int64_t row = 1; row <= ROUNDS; row++) {
        append_row(cache, "u", own, row);
        snprintf(shared, sizeof(shared), "shared%d", (int)row % SHARED_THREADS);
        /* Everybody tells the same history of the shared threads, some of it late. */
        append_row(cache, "u", shared, (row + worker->number) / SHARED_THREADS + 1);
        if (row % 16 == worker->number)
            fill_rows(cache, "u", shared, row, 5, false, NOW);
        if (row % 97 == 0)
            drop(cache, "u", shared);
        if (row % 50 == 0)
            cache->ops->doubt(cache);
        for (int i = 0; i < 2; i++) {
            const char *thread = i ? own : shared;
            struct mc_records out = {0};
            struct mc_cache_read read;
            if (cache->ops->get(cache, MC_STR("u"), mc_str_of(thread), 5, NOW, &out, &read)) {
                worker->hits++;
                worker->wrong += !sound(&out, &read, thread) && read.version > 5;
                if (!read.verified)
                    cache->ops->confirm(cache, MC_STR("u"), mc_str_of(thread), read.version);
            }
            mc_records_fini(&out);
        }
    }
    return NULL;
}

static void case_threads(const struct subject *subject)
{
    struct mc_cache *cache = subject->open(20, 0, 8 * MIB);
    struct worker workers[WORKERS];
    pthread_t threads[WORKERS];
    for (int i = 0; i < WORKERS; i++) {
        workers[i] = (struct worker){.cache = cache, .number = i};
        pthread_create(&threads[i], NULL, work, &workers[i]);
    }
    int wrong = 0, hits = 0;
    for (int i = 0; i < WORKERS; i++) {
        pthread_join(threads[i], NULL);
        wrong += workers[i].wrong;
        hits += workers[i].hits;
    }
    is_int(wrong, 0, "%s: eight threads read nothing wrong in %d hits", subject->name, hits);
    ok(hits > WORKERS * ROUNDS, "and their own threads always");
    char own[16];
    for (int i = 0; i < WORKERS; i++) {
        snprintf(own, sizeof(own), "own%d", i);
        is_str(rows_of(cache, "u", own, 3, NULL), "300 299 298", "%s", own);
    }
    is_int(stats_of(cache).errors, 0, "no errors");
    uint64_t left = stats_of(cache).threads;
    is_int(drop(cache, "u", NULL), left, "all of the user's threads");
    is_int(stats_of(cache).messages, 0, "nothing left");
    cache->ops->close(cache);
}

static void run_contract(const struct subject *subject)
{
    case_hits_and_limits(subject);
    case_content(subject);
    case_order(subject);
    case_max_size(subject);
    case_ttl(subject);
    case_versions(subject);
    case_doubt(subject);
    case_topics(subject);
    case_drops(subject);
    case_keys(subject);
    case_bound(subject);
    case_growing(subject);
    case_threads(subject);
}

#endif
