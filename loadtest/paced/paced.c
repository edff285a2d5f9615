/* SPDX-License-Identifier: MIT */
/* Users who ask at moments of their own choice, and what they waited.
 *
 *   paced --port 8000 --users 500 --seconds 60 [--think-min 1000 --think-max 3000] ...
 *
 * The specification's scenario (weights 3:2:1, 1..3 s between two requests) as an
 * open load: see crowd.h. Users come evenly during `--ramp` milliseconds; then
 * `--warmup` seconds pass that are not counted; then `--seconds` are measured.
 * "measuring" and "measured" are said on standard error at the ends of these; the
 * result is one line of JSON on standard output. Exit status 0 also when requests
 * failed: that is a result.
 */
#include "paced/crowd.h"
#include "paced/report.h"

#include <err.h>
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { USAGE = 64, PROCESSES_MAX = 64, USERS_MAX = 1 << 22, SPARE_DESCRIPTORS = 100 };

struct options {
    int64_t port, users, processes, seconds, warmup, ramp, think_min, think_max, timeout, seed;
};

#define AT(member) offsetof(struct options, member)
static const struct option_row {
    const char *name;
    size_t at;
    int64_t usual, least, most;
    const char *help;
} rows[] = {
    { "--port", AT(port), 8000, 1, 65535, "of 127.0.0.1" },
    { "--users", AT(users), 500, 1, USERS_MAX, "each with a connection and an address" },
    { "--processes", AT(processes), 1, 1, PROCESSES_MAX, "that share the users and may open so many files each" },
    { "--seconds", AT(seconds), 60, 1, 86400, "measured" },
    { "--warmup", AT(warmup), 3, 0, 3600, "seconds before that, not counted" },
    { "--ramp", AT(ramp), 2000, 0, 3600000, "milliseconds in which the users come" },
    { "--think-min", AT(think_min), 1000, 0, 86400000, "milliseconds between two requests, at least" },
    { "--think-max", AT(think_max), 3000, 1, 86400000, "and at most" },
    { "--timeout", AT(timeout), 10, 1, 3600, "seconds after which a request has failed" },
    { "--seed", AT(seed), 1, 0, INT32_MAX, "of all that is drawn" },
};
#undef AT
enum { ROWS = sizeof(rows) / sizeof(rows[0]) };

/* --- options ---------------------------------------------------------------------- */

static int64_t *member_of(struct options *o, const struct option_row *row)
{
    return (int64_t *)(void *)((char *)o + row->at);
}

static int print_usage(FILE *out, int status)
{
    (void)fputs("usage: paced [OPTION NUMBER]...\n", out);
    for (size_t i = 0; i < ROWS; i++)
        (void)fprintf(out, "  %-12s %s (%lld)\n", rows[i].name, rows[i].help, (long long)rows[i].usual);
    return status;
}

static bool read_option(struct options *o, const char *name, const char *value)
{
    for (size_t i = 0; i < ROWS; i++)
        if (str_eq(str_of(rows[i].name), str_of(name)))
            return str_to_int(str_of(value), rows[i].least, rows[i].most, member_of(o, &rows[i])) == OK;
    return false;
}

static bool read_options(struct options *o, char **argv)
{
    for (size_t i = 0; i < ROWS; i++)
        *member_of(o, &rows[i]) = rows[i].usual;
    for (char **at = argv + 1; at[0]; at += 2)
        if (!at[1] || !read_option(o, at[0], at[1]))
            return false;
    if (o->processes > o->users)
        o->processes = o->users;
    return o->think_min <= o->think_max;
}

/* --- the run ---------------------------------------------------------------------- */

static void sleep_until(mono_ns moment)
{
    const struct timespec at = { .tv_sec = moment / NS_PER_S, .tv_nsec = moment % NS_PER_S };

    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) == EINTR) {
    }
}

static void allow_descriptors(int64_t users, int64_t processes)
{
    const rlim_t wanted = (rlim_t)(users / processes) + SPARE_DESCRIPTORS;
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        err(1, "RLIMIT_NOFILE");
    if (limit.rlim_cur >= wanted)
        return;
    limit.rlim_cur = wanted;
    if (limit.rlim_max < wanted)
        limit.rlim_max = wanted;
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
        errx(1, "%lld users in %lld processes need %llu open files each, and so many are not allowed (ulimit -n)",
             (long long)users, (long long)processes, (unsigned long long)wanted);
}

static struct plan make_plan(const struct options *o)
{
    struct plan p = {
        .server = { .sin_family = AF_INET,
                    .sin_port = htons((uint16_t)o->port),
                    .sin_addr = { htonl(INADDR_LOOPBACK) } },
        .users = (uint64_t)o->users,
        .seed = (uint64_t)o->seed,
        .think_min = o->think_min * NS_PER_MS,
        .think_max = o->think_max * NS_PER_MS,
        .timeout = o->timeout * NS_PER_S,
        .ramp = o->ramp * NS_PER_MS,
        .start = clock_mono() + 10 * (mono_ns)NS_PER_MS,
    };
    p.measured = p.start + p.ramp + o->warmup * NS_PER_S;
    p.end = p.measured + o->seconds * NS_PER_S;
    return p;
}

/* One of the processes: users first..end-1, counted in memory that the others see. */
static void live(const struct plan *p, struct tally *tally, uint32_t first, uint32_t end)
{
    static struct crowd crowd;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_TIMERSLACK, 1); /* sleep no longer than said */
    if (crowd_init(&crowd, p, tally, first, end - first) != OK)
        errx(1, "no memory");
    crowd_run(&crowd);
    sleep_until(p->end + NS_PER_S / 10); /* what it has worked is asked at the end */
    crowd_done(&crowd);
}

static void start_crowds(const struct plan *p, struct tally *tallies, pid_t *pids, uint32_t processes)
{
    for (uint32_t i = 0; i < processes; i++) {
        const uint32_t first = (uint32_t)(p->users * i / processes), end = (uint32_t)(p->users * (i + 1) / processes);
        pids[i] = fork();
        if (pids[i] < 0)
            err(1, "process");
        if (pids[i] == 0) {
            live(p, &tallies[i], first, end);
            _exit(0);
        }
    }
}

static double cpu_seconds(const pid_t *pids, uint32_t processes)
{
    double sum = 0;

    for (uint32_t i = 0; i < processes; i++) {
        struct timespec used;
        clockid_t clock;
        if (clock_getcpuclockid(pids[i], &clock) == 0 && clock_gettime(clock, &used) == 0)
            sum += (double)used.tv_sec + (double)used.tv_nsec / NS_PER_S;
    }
    return sum;
}

static void gather(const pid_t *pids, uint32_t processes, const struct tally *tallies, struct tally *total)
{
    for (uint32_t i = 0; i < processes; i++) {
        int status;
        if (waitpid(pids[i], &status, 0) < 0 || status != 0)
            errx(1, "one of the processes failed");
        report_merge(total, &tallies[i]);
    }
}

/* Zeroed, and the same for all processes. */
static struct tally *share_tallies(uint32_t processes)
{
    void *shared = mmap(NULL, processes * sizeof(struct tally), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
                        0);

    if (shared == MAP_FAILED)
        err(1, "shared memory");
    return shared;
}

static int run(const struct options *o)
{
    static struct tally total;
    const uint32_t processes = (uint32_t)o->processes;
    struct tally *tallies = share_tallies(processes);
    pid_t pids[PROCESSES_MAX];
    const struct plan plan = make_plan(o);

    start_crowds(&plan, tallies, pids, processes);
    sleep_until(plan.measured);
    (void)fputs("measuring\n", stderr);
    const double before = cpu_seconds(pids, processes);
    sleep_until(plan.end);
    const double used = cpu_seconds(pids, processes) - before;
    (void)fputs("measured\n", stderr);
    gather(pids, processes, tallies, &total);
    return report_print(&plan, &total, processes, used) == OK ? 0 : 1;
}

int main(int argc, char **argv)
{
    struct options options;

    if (argc == 2 && str_eq(str_of(argv[1]), STR("--help")))
        return print_usage(stdout, 0);
    if (!read_options(&options, argv))
        return print_usage(stderr, USAGE);
    allow_descriptors(options.users, options.processes);
    return run(&options);
}
