#include "base/process.h"

#include <dirent.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define UNKNOWN ((double)NAN)

/* Fields 14, 15, 22, 23 and 24 of /proc/self/stat, see proc(5). */
struct process_stat {
    unsigned long long user_ticks, system_ticks, start_ticks, virtual_bytes;
    long long resident_pages;
};

static bool read_process_stat(struct process_stat *stat)
{
    char text[1024];
    FILE *file = fopen("/proc/self/stat", "re");
    if (!file)
        return false;
    size_t len = fread(text, 1, sizeof(text) - 1, file);
    fclose(file);
    text[len] = '\0';
    const char *name_end = strrchr(text, ')'); /* the name may hold spaces and brackets */
    return name_end &&
           sscanf(name_end + 1,
                  " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu %*d %*d %*d %*d %*d %*d "
                  "%llu %llu %lld",
                  &stat->user_ticks, &stat->system_ticks, &stat->start_ticks, &stat->virtual_bytes,
                  &stat->resident_pages) == 5;
}

static double count_descriptors(void)
{
    DIR *folder = opendir("/proc/self/fd");
    if (!folder)
        return (double)NAN;
    double count = -1; /* the folder's own */
    for (const struct dirent *entry = readdir(folder); entry; entry = readdir(folder))
        count += entry->d_name[0] == '.' ? 0 : 1;
    closedir(folder);
    return count;
}

/* Seconds since the epoch at which the machine started, as seen now. */
static double boot_time(void)
{
    struct timespec now = {0, 0}, up = {0, 0};
    clock_gettime(CLOCK_REALTIME, &now);
    clock_gettime(CLOCK_BOOTTIME, &up);
    double seconds = (double)(now.tv_sec - up.tv_sec) + (double)(now.tv_nsec - up.tv_nsec) / 1e9;
    return round(seconds * 100) / 100; /* the difference jitters by the time between the calls */
}

void mc_process_read(struct mc_process *process)
{
    struct mc_process read = {UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN};
    struct process_stat stat;
    struct rlimit limit;
    double ticks = (double)sysconf(_SC_CLK_TCK);
    if (read_process_stat(&stat)) {
        read.resident_bytes = (double)stat.resident_pages * (double)sysconf(_SC_PAGESIZE);
        read.virtual_bytes = (double)stat.virtual_bytes;
        read.cpu_s = (double)(stat.user_ticks + stat.system_ticks) / ticks;
        read.started_s = boot_time() + (double)stat.start_ticks / ticks;
    }
    read.open_fds = count_descriptors();
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
        read.max_fds = limit.rlim_cur == RLIM_INFINITY ? (double)INFINITY : (double)limit.rlim_cur;
    *process = read;
}
