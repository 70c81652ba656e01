/* Foreign bytes as the head of a request to the listener for scrapers, and as the headers it reads. */
#include <stdlib.h>
#include <string.h>

#include "base/metrics_text.h"
#include "base/str.h"
#include "scrape/head.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

static bool inside(mc_str part, mc_str whole)
{
    return part.data >= whole.data && part.data + part.len <= whole.data + whole.len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    mc_str text = {(const char *)data, size};
    struct mc_scrape_head head;
    (void)mc_metrics_format_of(text);
    (void)mc_scrape_host_is_local(text);
    size_t len = mc_scrape_head_length(text);
    must(len <= size);
    if (len == 0)
        return 0;
    mc_str whole = {text.data, len};
    int status = mc_scrape_head_parse(whole, &head);
    must(status == 0 || status == 400 || status == 505);
    if (status)
        return 0;
    must(inside(head.method, whole) && head.method.len > 0);
    must(inside(head.path, whole) && mc_str_starts(head.path, MC_STR("/")));
    must(!mc_str_given(head.host) || inside(head.host, whole));
    must(!mc_str_given(head.accept) || inside(head.accept, whole));
    return 0;
}
