/* A wrong clock for the processes that are started with this in LD_PRELOAD: what they read of the time of day is off by
   the seconds (a double) that lie in the file CHAOS_CLOCK, and changes with it while they run. How long something takes
   (CLOCK_MONOTONIC) and what the kernel waits for stay true, as on a machine whose clock was set wrongly. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <math.h>
#include <semaphore.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static volatile double *offset;
static int (*real_clock)(clockid_t, struct timespec *);
static int (*real_wait)(sem_t *, const struct timespec *);

__attribute__((constructor)) static void begin(void) {
    real_clock = dlsym(RTLD_NEXT, "clock_gettime");
    real_wait = dlsym(RTLD_NEXT, "sem_timedwait");
    int file = open(getenv("CHAOS_CLOCK") ? getenv("CHAOS_CLOCK") : "", O_RDONLY);
    if (file < 0) return;
    void *page = mmap(NULL, sizeof(double), PROT_READ, MAP_SHARED, file, 0);
    if (page != MAP_FAILED) offset = page;
    close(file);
}

static void move(struct timespec *at, double seconds) {
    double whole = floor(seconds);
    at->tv_sec += (time_t)whole;
    at->tv_nsec += (long)((seconds - whole) * 1e9);
    if (at->tv_nsec >= 1000000000L) at->tv_nsec -= 1000000000L, at->tv_sec++;
}

int clock_gettime(clockid_t which, struct timespec *at) {
    if (real_clock == NULL) begin();
    int failed = real_clock(which, at);
    if (!failed && offset && (which == CLOCK_REALTIME || which == CLOCK_REALTIME_COARSE)) move(at, *offset);
    return failed;
}

int gettimeofday(struct timeval *restrict at, void *restrict zone) {
    struct timespec now;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &now);
    at->tv_sec = now.tv_sec, at->tv_usec = now.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *at) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (at) *at = now.tv_sec;
    return now.tv_sec;
}

/* A deadline that was reckoned by the wrong clock is told to the kernel by the right one. */
int sem_timedwait(sem_t *what, const struct timespec *until) {
    struct timespec right = *until;
    if (offset) move(&right, -*offset);
    return real_wait(what, &right);
}
