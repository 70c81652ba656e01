#include "net/retry_after.h"

#include <curl/curl.h>

#include "base/str.h"
#include "base/time.h"

bool mc_net_date(mc_str value, int64_t *time_s)
{
    char text[64];
    mc_str date = mc_str_trim(value);
    if (date.len == 0 || date.len >= sizeof(text))
        return false;
    memcpy(text, date.data, date.len);
    text[date.len] = '\0';
    time_t time = curl_getdate(text, NULL);
    if (time == (time_t)-1)
        return false;
    *time_s = (int64_t)time;
    return true;
}

int64_t mc_retry_after_us(mc_str value, int64_t now_s)
{
    mc_str text = mc_str_trim(value);
    size_t digits = 0;
    while (digits < text.len && text.data[digits] >= '0' && text.data[digits] <= '9')
        digits++;
    int64_t wait_s = 0;
    int64_t date_s;
    if (digits > 0 && digits == text.len) {
        if (!mc_str_to_int64(text, &wait_s))
            wait_s = MC_RETRY_AFTER_MAX_S; /* more than 64 bits hold */
    } else if (digits == 0 && mc_net_date(text, &date_s)) {
        wait_s = date_s > now_s ? date_s - now_s : 0;
    } else {
        return -1;
    }
    return (wait_s < MC_RETRY_AFTER_MAX_S ? wait_s : MC_RETRY_AFTER_MAX_S) * MC_US_PER_SECOND;
}
