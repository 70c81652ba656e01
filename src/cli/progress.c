#include "cli/progress.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/time.h"
#include "cli/show.h"

#define QUIET_US (500 * MC_US_PER_MS)
#define REDRAW_US (100 * MC_US_PER_MS)
#define BAR_COLUMNS 24

void mc_progress_start(struct mc_progress *progress, const char *what, const char *unit, bool quiet)
{
    const char *term = getenv("TERM");
    progress->what = what;
    progress->unit = unit;
    progress->shown = !quiet && isatty(STDERR_FILENO) == 1 && !(term && strcmp(term, "dumb") == 0);
    progress->drawn = false;
    progress->start_us = mc_time_monotonic_us();
    progress->last_us = 0;
}

static void draw_bar(uint64_t done, uint64_t total)
{
    double part = (double)done / (double)total;
    int filled = (int)((part > 1 ? 1 : part) * BAR_COLUMNS);
    fputs(" [", stderr);
    for (int i = 0; i < BAR_COLUMNS; i++)
        fputc(i < filled ? '#' : '.', stderr);
    fprintf(stderr, "] %3.0f %%", part > 1 ? 100 : part * 100);
}

static void draw_amount(const struct mc_progress *progress, uint64_t amount, const char *suffix)
{
    char human[MC_HUMAN_SIZE];
    if (strcmp(progress->unit, "B") == 0) {
        mc_human_bytes((double)amount, human);
        fprintf(stderr, "  %s%s", human, suffix);
    } else {
        fprintf(stderr, "  %llu%s%s", (unsigned long long)amount, suffix[0] ? "" : " ",
                suffix[0] ? suffix : progress->unit);
    }
}

bool mc_progress_update(void *context, uint64_t done, uint64_t total)
{
    struct mc_progress *progress = context;
    if (!progress->shown)
        return true;
    int64_t now = mc_time_monotonic_us();
    int64_t elapsed = now - progress->start_us;
    if (elapsed < QUIET_US || now - progress->last_us < REDRAW_US)
        return true;
    progress->last_us = now;
    progress->drawn = true;
    double rate = (double)done * 1e6 / (double)elapsed;
    fprintf(stderr, "\r\033[K%s", progress->what);
    if (total)
        draw_bar(done, total);
    draw_amount(progress, done, "");
    draw_amount(progress, (uint64_t)rate, "/s");
    if (total > done && rate > 0) {
        char human[MC_HUMAN_SIZE];
        mc_human_seconds((double)(total - done) / rate, human);
        fprintf(stderr, "  %s left", human);
    }
    fflush(stderr);
    return true;
}

void mc_progress_stop(struct mc_progress *progress)
{
    if (progress->drawn)
        fputs("\r\033[K", stderr);
    progress->drawn = false;
    fflush(stderr);
}
