#include "scrape/head.h"

#include <arpa/inet.h>
#include <string.h>

#include "base/str.h"

#define LINE_END "\r\n"
#define HEAD_END "\r\n\r\n"

size_t mc_scrape_head_length(mc_str received)
{
    const char *end =
        received.len ? memmem(received.data, received.len, HEAD_END, strlen(HEAD_END)) : NULL;
    return end ? (size_t)(end - received.data) + strlen(HEAD_END) : 0;
}

/* The text before the first CR LF, which is taken off the rest; the whole rest when there is none. */
static mc_str next_line(mc_str *rest)
{
    const char *end = memmem(rest->data, rest->len, LINE_END, strlen(LINE_END));
    mc_str line = {rest->data, end ? (size_t)(end - rest->data) : rest->len};
    size_t used = end ? line.len + strlen(LINE_END) : line.len;
    *rest = (mc_str){rest->data + used, rest->len - used};
    return line;
}

static bool is_plain(mc_str line)
{
    for (size_t i = 0; i < line.len; i++) {
        unsigned char c = (unsigned char)line.data[i];
        if ((c < ' ' && c != '\t') || c == 0x7f)
            return false;
    }
    return true;
}

static int parse_request_line(mc_str line, struct mc_scrape_head *head)
{
    mc_str target = MC_STR_NONE;
    if (!mc_str_split(&line, ' ', &head->method) || head->method.len == 0 ||
        !mc_str_split(&line, ' ', &target) || !mc_str_starts(target, MC_STR("/")) ||
        !mc_str_starts(line, MC_STR("HTTP/")))
        return 400;
    mc_str_split(&target, '?', &head->path);
    bool known = mc_str_equal(line, MC_STR("HTTP/1.1")) || mc_str_equal(line, MC_STR("HTTP/1.0"));
    return known ? 0 : 505;
}

/* Keeps the two that matter. Of several Accept the first counts. */
static int parse_field(mc_str line, struct mc_scrape_head *head)
{
    mc_str name;
    mc_str value = line;
    bool has_colon = line.len && memchr(line.data, ':', line.len);
    if (!has_colon || !mc_str_split(&value, ':', &name) || name.len == 0 ||
        name.len != mc_str_trim(name).len)
        return 400;
    value = mc_str_trim(value);
    if (mc_str_equal_nocase(name, MC_STR("Host"))) {
        if (mc_str_given(head->host))
            return 400;
        head->host = value;
    } else if (mc_str_equal_nocase(name, MC_STR("Accept")) && !mc_str_given(head->accept)) {
        head->accept = value;
    }
    return 0;
}

int mc_scrape_head_parse(mc_str text, struct mc_scrape_head *head)
{
    struct mc_scrape_head made = {.host = MC_STR_NONE};
    mc_str rest = text;
    mc_str line = next_line(&rest);
    int status = is_plain(line) ? parse_request_line(line, &made) : 400;
    bool needs_host = status == 0 && text.data[line.len - 1] == '1';
    while (status == 0 && rest.len > 0) {
        line = next_line(&rest);
        if (line.len == 0)
            break;
        status = is_plain(line) ? parse_field(line, &made) : 400;
    }
    if (status == 0 && needs_host && !mc_str_given(made.host))
        status = 400;
    if (status == 0)
        *head = made;
    return status;
}

bool mc_scrape_host_is_local(mc_str host)
{
    char copy[INET6_ADDRSTRLEN];
    struct in6_addr address;
    bool brackets = mc_str_starts(host, MC_STR("["));
    mc_str name = brackets ? (mc_str){host.data + 1, host.len - 1} : host;
    mc_str rest = name;
    mc_str_split(&rest, brackets ? ']' : ':', &name);
    if (mc_str_equal_nocase(name, MC_STR("localhost")))
        return true;
    if (name.len == 0 || name.len >= sizeof(copy))
        return false;
    memcpy(copy, name.data, name.len);
    copy[name.len] = '\0';
    return inet_pton(brackets ? AF_INET6 : AF_INET, copy, &address) == 1;
}
