/*
 * What a measurement is: items a second, and the processor time of each, which depends less on what else the machine
 * does; and what is said of them.
 */
#include "postgres.h"

#include <glob.h>
#include <sys/resource.h>

#include "base/time.h"

static bool missed;

/* ---- Processor time ---- */

/* The beginning of a file, as a text. */
static bool read_start(const char *path, char *text, size_t size)
{
    FILE *file = fopen(path, "r");
    size_t len = file ? fread(text, 1, size - 1, file) : 0;
    text[len] = '\0';
    if (file)
        fclose(file);
    return len > 0; /* the process may have ended */
}

/* Of a process that is the server's and works for a database; else 0. */
static double ticks_of(const char *folder, const char *database)
{
    char path[64], title[64], text[1024];
    int parent;
    unsigned long user, system;
    snprintf(path, sizeof(path), "%scmdline", folder);
    snprintf(title, sizeof(title), "postgres: postgres %s [local]", database);
    if (!read_start(path, text, sizeof(text)) || strncmp(text, title, strlen(title)) != 0)
        return 0;
    snprintf(path, sizeof(path), "%sstat", folder);
    const char *end = read_start(path, text, sizeof(text)) ? strrchr(text, ')') : NULL;
    if (!end || sscanf(end, ") %*c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &parent, &user,
                       &system) != 3)
        return 0;
    return parent == server.postgres ? (double)(user + system) : 0;
}

struct processor_time processor_time(const char *database)
{
    struct rusage used;
    glob_t found;
    double ticks = 0;
    CHECK(getrusage(RUSAGE_SELF, &used) == 0);
    CHECK(glob("/proc/[0-9]*/", 0, NULL, &found) == 0);
    for (size_t i = 0; i < found.gl_pathc; i++)
        ticks += ticks_of(found.gl_pathv[i], database);
    globfree(&found);
    return (struct processor_time){
        .client_s = (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
                    (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6,
        .server_s = ticks / (double)sysconf(_SC_CLK_TCK)};
}

/* ---- Figures ---- */

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double quantile(double *values, size_t count, double q)
{
    qsort(values, count, sizeof(*values), ascending);
    size_t at = (size_t)(q * (double)count);
    return values[at < count ? at : count - 1];
}

void goal(const char *what, double value, double bound, bool at_least)
{
    bool met = at_least ? value >= bound : value <= bound;
    printf("target: %-44s %10.2f, at %s %8.2f: %s\n", what, value, at_least ? "least" : "most",
           bound, met ? "reached" : "MISSED");
    missed = missed || !met;
}

bool goals_missed(void)
{
    return missed;
}

/* ---- Blocks ---- */

double since_s(int64_t start_us)
{
    return (double)(mc_time_monotonic_us() - start_us) / 1e6;
}

struct block block_of(int64_t items, int64_t start_us, const char *database,
                      const struct processor_time *before)
{
    struct processor_time after = processor_time(database);
    double count = (double)items;
    return (struct block){count / since_s(start_us),
                          (after.client_s - before->client_s) * 1e6 / count,
                          (after.server_s - before->server_s) * 1e6 / count};
}

struct block median(const struct block *blocks)
{
    double rates[BLOCKS], clients[BLOCKS], servers[BLOCKS];
    for (int i = 0; i < BLOCKS; i++) {
        rates[i] = blocks[i].rate;
        clients[i] = blocks[i].client_us;
        servers[i] = blocks[i].server_us;
    }
    return (struct block){quantile(rates, BLOCKS, 0.5), quantile(clients, BLOCKS, 0.5),
                          quantile(servers, BLOCKS, 0.5)};
}

void compare(const char *what, const struct block *ours, const struct block *plain,
             const char *unit, double bound)
{
    struct block a = median(ours), b = median(plain);
    char line[96];
    printf("%-34s %9.0f %s/s   plain %9.0f   ratio %5.2f\n", what, a.rate, unit, b.rate,
           a.rate / b.rate);
    if (b.server_us > 0)
        printf("    processor, us each: server %5.1f, client %4.1f   plain: server %5.1f,"
               " client %4.1f   ratio %5.2f\n",
               a.server_us, a.client_us, b.server_us, b.client_us,
               (b.server_us + b.client_us) / (a.server_us + a.client_us));
    snprintf(line, sizeof(line), "%s, of the plain client", what);
    if (bound > 0)
        goal(line, a.rate / b.rate, bound, true);
}
