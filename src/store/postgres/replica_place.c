/* Entries of database.replicas: where a replica is. */
#include "store/postgres/replica.h"

#include <stdlib.h>

#include "base/error.h"

static enum mc_status fail_entry(size_t number, const char *what, struct mc_error *err)
{
    return mc_fail_field(err, MC_CONFIG, "database.replicas",
                         "entry %zu of database.replicas %s; give HOST, HOST:PORT or "
                         "postgresql://USER:PASSWORD@HOST:PORT/NAME?sslmode=...",
                         number, what);
}

static bool take(char **place, const char *value)
{
    free(*place);
    *place = mc_str_dup(mc_str_of(value));
    return *place != NULL;
}

static enum mc_status set_port(struct mc_pg_replica_place *place, mc_str text, size_t number,
                               struct mc_error *err)
{
    int64_t port;
    if (!mc_str_to_int64(text, &port) || port < 1 || port > 65535)
        return fail_entry(number, "has a port that is not 1 to 65535", err);
    place->port = (int)port;
    return MC_OK;
}

static enum mc_status set_part(struct mc_pg_replica_place *place, const char *keyword,
                               const char *value, size_t number, struct mc_error *err)
{
    const struct {
        const char *keyword;
        char **place;
    } parts[] = {{"host", &place->host},
                 {"dbname", &place->name},
                 {"user", &place->user},
                 {"password", &place->password},
                 {"sslmode", &place->sslmode}};
    if (strcmp(keyword, "port") == 0)
        return set_port(place, mc_str_of(value), number, err);
    if (strcmp(keyword, "host") == 0 && strchr(value, ','))
        return fail_entry(number, "names several hosts: each is an entry of its own", err);
    for (size_t i = 0; i < mc_countof(parts); i++)
        if (strcmp(keyword, parts[i].keyword) == 0)
            return take(parts[i].place, value) ? MC_OK : mc_fail_memory(err);
    return fail_entry(number, "has a parameter other than sslmode", err);
}

static enum mc_status parse_url(const char *entry, size_t number, struct mc_pg_replica_place *place,
                                struct mc_error *err)
{
    char *text = NULL;
    PQconninfoOption *options = PQconninfoParse(entry, &text);
    PQfreemem(text); /* it may hold the password */
    if (!options)
        return fail_entry(number, "is not a URL that PostgreSQL understands", err);
    enum mc_status status = MC_OK;
    for (const PQconninfoOption *o = options; status == MC_OK && o->keyword; o++)
        if (o->val && o->val[0])
            status = set_part(place, o->keyword, o->val, number, err);
    PQconninfoFree(options);
    if (status == MC_OK && !place->host)
        status = fail_entry(number, "names no host", err);
    return status;
}

/* HOST, HOST:PORT, [IPV6]:PORT, or the folder of a socket. */
static enum mc_status parse_address(mc_str entry, size_t number, struct mc_pg_replica_place *place,
                                    struct mc_error *err)
{
    mc_str host = entry, port = MC_STR_NONE;
    bool bracket = entry.len > 0 && entry.data[0] == '[';
    const char *end = bracket ? memchr(entry.data, ']', entry.len) : NULL;
    const char *colon = memrchr(entry.data, ':', entry.len);
    if (colon && (!end || colon > end)) {
        host.len = (size_t)(colon - entry.data);
        port = (mc_str){colon + 1, entry.len - host.len - 1};
    }
    if (end && end + 1 == host.data + host.len)
        host = (mc_str){entry.data + 1, host.len - 2};
    else if (bracket || strcspn(entry.data, ":") < host.len)
        return fail_entry(number, "is not a host; an IPv6 address with a port is in brackets", err);
    if (host.len == 0 || strcspn(entry.data, ",@= \t\r\n") < entry.len)
        return fail_entry(number, "is not a host", err);
    place->host = mc_str_dup(host);
    if (!place->host)
        return mc_fail_memory(err);
    return port.data ? set_port(place, port, number, err) : MC_OK;
}

enum mc_status mc_pg_replica_parse(const char *entry, size_t number,
                                   struct mc_pg_replica_place *place, struct mc_error *err)
{
    mc_auto(mc_pg_replica_place_fini) struct mc_pg_replica_place made = {.port = 0};
    bool url = strncmp(entry, "postgresql://", 13) == 0 || strncmp(entry, "postgres://", 11) == 0;
    enum mc_status status = url ? parse_url(entry, number, &made, err)
                                : parse_address(mc_str_of(entry), number, &made, err);
    if (status == MC_OK) {
        *place = made;
        made = (struct mc_pg_replica_place){.port = 0};
    }
    return status;
}

void mc_pg_replica_place_fini(struct mc_pg_replica_place *place)
{
    char *texts[] = {place->host, place->name, place->user, place->sslmode, place->password};
    if (place->password)
        explicit_bzero(place->password, strlen(place->password));
    for (size_t i = 0; i < mc_countof(texts); i++)
        free(texts[i]);
    *place = (struct mc_pg_replica_place){.port = 0};
}
