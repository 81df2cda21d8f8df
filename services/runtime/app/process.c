/* The process's own figures, under the names that Prometheus' client libraries use. */
#include "app/app.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static double open_descriptors(void)
{
    DIR *directory = opendir("/proc/self/fd");
    if (!directory)
        return 0;
    double count = 0;
    for (const struct dirent *entry; (entry = readdir(directory));)
        count += entry->d_name[0] != '.';
    closedir(directory);
    return count - 1; /* the directory's own */
}

static double resident_bytes(void)
{
    long long total, resident = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (!file)
        return 0;
    if (fscanf(file, "%lld %lld", &total, &resident) != 2)
        resident = 0;
    fclose(file);
    return (double)resident * (double)sysconf(_SC_PAGESIZE);
}

/* Seconds since the epoch; 0 when /proc does not say. */
static double start_time(void)
{
    char text[1024];
    FILE *file = fopen("/proc/self/stat", "re");
    if (!file)
        return 0;
    size_t length = fread(text, 1, sizeof(text) - 1, file);
    fclose(file);
    text[length] = '\0';
    /* The program's name may hold spaces; field 22 is the 20th behind its bracket. */
    const char *at = strrchr(text, ')');
    for (int field = 2; at && field < 22; field++)
        at = strchr(at + 1, ' ');
    struct timespec up, wall;
    if (!at || clock_gettime(CLOCK_BOOTTIME, &up) || clock_gettime(CLOCK_REALTIME, &wall))
        return 0;
    double since_boot = (double)strtoull(at, NULL, 10) / (double)sysconf(_SC_CLK_TCK);
    return (double)wall.tv_sec - (double)up.tv_sec + since_boot +
           (double)(wall.tv_nsec - up.tv_nsec) / 1e9;
}

void metrics_process(struct buf *out)
{
    char labels[160];
    metrics_family(out, "dialplane_build_info", "gauge", "Version of the running program.");
    snprintf(labels, sizeof(labels), "version=\"%s\"", app_version);
    metrics_sample(out, "dialplane_build_info", labels, 1);
    metrics_one(out, "process_start_time_seconds", "gauge", "Start, since the epoch.",
                start_time());
    struct timespec cpu = {0};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
    metrics_one(out, "process_cpu_seconds_total", "counter",
                "Processor time used, user and system.",
                (double)cpu.tv_sec + (double)cpu.tv_nsec / 1e9);
    metrics_one(out, "process_resident_memory_bytes", "gauge", "Resident memory.",
                resident_bytes());
    metrics_one(out, "process_open_fds", "gauge", "Open file descriptors.", open_descriptors());
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
        metrics_one(out, "process_max_fds", "gauge", "Most file descriptors allowed.",
                    (double)limit.rlim_cur);
}
