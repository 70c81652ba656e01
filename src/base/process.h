/* What this process uses, as the kernel counts it. */
#ifndef MC_BASE_PROCESS_H
#define MC_BASE_PROCESS_H

/* Each is NaN where the kernel does not tell. */
struct mc_process {
    double resident_bytes, virtual_bytes;
    double cpu_s;     /* user and system, all threads */
    double started_s; /* since the epoch */
    double open_fds, max_fds;
};
void mc_process_read(struct mc_process *process);

#endif
