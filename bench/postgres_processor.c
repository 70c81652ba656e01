/* Processor time, which tells what work costs also on a machine that others use. */
#include "postgres.h"

#include <glob.h>
#include <sys/resource.h>

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
