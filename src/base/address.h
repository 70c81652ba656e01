/* The address to listen on: parsing, and opening its socket. */
#ifndef MC_BASE_ADDRESS_H
#define MC_BASE_ADDRESS_H

#include <sys/socket.h>

#include <mindcore/types.h>

struct mc_address {
    struct sockaddr_storage socket;
    socklen_t len;
    bool loopback; /* 127.0.0.0/8 or ::1 */
    bool wildcard; /* 0.0.0.0 or :: */
};

/* "127.0.0.1:8000", "[::1]:8000", "localhost:0". MC_CONFIG says what is wrong; field: whose text it is. */
MC_MUST_CHECK enum mc_status mc_address_parse(const char *text, const char *field,
                                              struct mc_address *address, struct mc_error *err);
/* A listening, non-blocking socket; address gets the port that was bound. MC_IO names the address. */
MC_MUST_CHECK enum mc_status mc_address_listen(struct mc_address *address, const char *field,
                                               int *fd, struct mc_error *err);
int mc_address_port(const struct mc_address *address);
/* The address without the port, "127.0.0.1" or "::1". */
#define MC_ADDRESS_SIZE 64
void mc_address_text(const struct mc_address *address, char text[MC_ADDRESS_SIZE]);

/* Of a peer: loopback (IPv4 in IPv6 too), and whether two are the same host. */
bool mc_address_is_loopback(const struct sockaddr *address);
bool mc_address_same_host(const struct sockaddr *a, const struct sockaddr *b);

#endif
