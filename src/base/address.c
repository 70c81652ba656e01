#include "base/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <unistd.h>

#include "base/error.h"
#include "base/str.h"

#define BACKLOG 1024

static enum mc_status fail_address(const char *text, const char *field, struct mc_error *err)
{
    return mc_fail_field(err, MC_CONFIG, field,
                         "'%.100s' is no address to listen on: write host:port with an IP address, "
                         "as in 127.0.0.1:8000 or [::1]:8000",
                         text);
}

static bool parse_ipv4(const char *host, int64_t port, struct mc_address *address)
{
    struct sockaddr_in *in = (struct sockaddr_in *)(void *)&address->socket;
    if (inet_pton(AF_INET, host, &in->sin_addr) != 1)
        return false;
    in->sin_family = AF_INET;
    in->sin_port = htons((uint16_t)port);
    address->len = sizeof(*in);
    address->wildcard = in->sin_addr.s_addr == htonl(INADDR_ANY);
    return true;
}

static bool parse_ipv6(const char *host, int64_t port, struct mc_address *address)
{
    struct sockaddr_in6 *in = (struct sockaddr_in6 *)(void *)&address->socket;
    if (inet_pton(AF_INET6, host, &in->sin6_addr) != 1)
        return false;
    in->sin6_family = AF_INET6;
    in->sin6_port = htons((uint16_t)port);
    address->len = sizeof(*in);
    address->wildcard = IN6_IS_ADDR_UNSPECIFIED(&in->sin6_addr);
    return true;
}

enum mc_status mc_address_parse(const char *text, const char *field, struct mc_address *address,
                                struct mc_error *err)
{
    struct mc_address made = {.len = 0};
    const char *colon = strrchr(text, ':');
    int64_t port = -1;
    if (!colon || !mc_str_to_int64(mc_str_of(colon + 1), &port) || port < 0 || port > 65535)
        return fail_address(text, field, err);
    mc_str host = {text, (size_t)(colon - text)};
    bool brackets = host.len >= 2 && host.data[0] == '[' && host.data[host.len - 1] == ']';
    if (brackets)
        host = (mc_str){host.data + 1, host.len - 2};
    if (mc_str_equal_nocase(host, MC_STR("localhost")))
        host = MC_STR("127.0.0.1");
    char copy[MC_ADDRESS_SIZE];
    if (host.len >= sizeof(copy))
        return fail_address(text, field, err);
    memcpy(copy, host.data, host.len);
    copy[host.len] = '\0';
    if (!(brackets ? parse_ipv6(copy, port, &made) : parse_ipv4(copy, port, &made)))
        return fail_address(text, field, err);
    made.loopback = mc_address_is_loopback((const struct sockaddr *)&made.socket);
    *address = made;
    return MC_OK;
}

enum mc_status mc_address_listen(struct mc_address *address, const char *field, int *fd,
                                 struct mc_error *err)
{
    char text[MC_ADDRESS_SIZE];
    mc_address_text(address, text);
    int made = socket(address->socket.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (made < 0)
        return mc_fail(err, MC_IO, "cannot make a socket: %s", strerror(errno));
    int on = 1;
    int off = 0;
    (void)setsockopt(made, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (address->socket.ss_family == AF_INET6)
        (void)setsockopt(made, IPPROTO_IPV6, IPV6_V6ONLY, address->wildcard ? &off : &on,
                         sizeof(on));
    if (bind(made, (const struct sockaddr *)&address->socket, address->len) != 0 ||
        listen(made, BACKLOG) != 0) {
        int reason = errno;
        close(made);
        return mc_fail_field(
            err, MC_IO, field, "cannot listen on %s port %d: %s%s", text, mc_address_port(address),
            strerror(reason),
            reason == EADDRINUSE ? "; stop the other program or choose another port" : "");
    }
    address->len = sizeof(address->socket);
    if (getsockname(made, (struct sockaddr *)&address->socket, &address->len) != 0) {
        close(made);
        return mc_fail(err, MC_IO, "cannot read the address of a socket: %s", strerror(errno));
    }
    *fd = made;
    return MC_OK;
}

int mc_address_port(const struct mc_address *address)
{
    const void *socket = &address->socket;
    if (address->socket.ss_family == AF_INET6)
        return ntohs(((const struct sockaddr_in6 *)socket)->sin6_port);
    return ntohs(((const struct sockaddr_in *)socket)->sin_port);
}

void mc_address_text(const struct mc_address *address, char text[MC_ADDRESS_SIZE])
{
    const void *socket = &address->socket;
    const void *bytes = address->socket.ss_family == AF_INET6
                            ? (const void *)&((const struct sockaddr_in6 *)socket)->sin6_addr
                            : (const void *)&((const struct sockaddr_in *)socket)->sin_addr;
    if (!inet_ntop(address->socket.ss_family, bytes, text, MC_ADDRESS_SIZE))
        snprintf(text, MC_ADDRESS_SIZE, "?");
}

/* The host as an IPv6 address; IPv4 is mapped. */
static struct in6_addr host_of(const struct sockaddr *address)
{
    struct in6_addr host = IN6ADDR_ANY_INIT;
    const void *socket = address;
    if (address->sa_family == AF_INET6)
        return ((const struct sockaddr_in6 *)socket)->sin6_addr;
    if (address->sa_family == AF_INET) {
        host.s6_addr[10] = host.s6_addr[11] = 0xff;
        memcpy(&host.s6_addr[12], &((const struct sockaddr_in *)socket)->sin_addr, 4);
    }
    return host;
}

bool mc_address_is_loopback(const struct sockaddr *address)
{
    struct in6_addr host = host_of(address);
    return IN6_IS_ADDR_LOOPBACK(&host) || (IN6_IS_ADDR_V4MAPPED(&host) && host.s6_addr[12] == 127);
}

bool mc_address_same_host(const struct sockaddr *a, const struct sockaddr *b)
{
    struct in6_addr host_a = host_of(a);
    struct in6_addr host_b = host_of(b);
    return memcmp(&host_a, &host_b, sizeof(host_a)) == 0;
}
