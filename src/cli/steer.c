/* SPDX-License-Identifier: MIT */
#include "cli/steer.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "cli/running.h"
#include "ops/pid_file.h"

static const struct timespec PAUSE = { .tv_nsec = 20 * 1000 * 1000 };

int steer_fail(const struct steered *server, const char *format, ...)
{
    va_list args;

    fprintf(stderr, "sanad %s: ", server->command);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    return CLI_FAILED;
}

/* What stands after a word, up to a blank; 0 when that is no number. */
static unsigned number_after(const char *text, const char *word)
{
    const char *at = strstr(text, word);
    int64_t number = 0;

    if (!at)
        return 0;
    at += strlen(word);
    return str_to_int((struct str){ at, strcspn(at, " ") }, 0, INT32_MAX, &number) == OK ? (unsigned)number : 0;
}

struct steer_news steer_news(const char *pid_file)
{
    char news[PID_FILE_NEWS_SIZE];

    pid_file_news(pid_file, news);
    return (struct steer_news){
        .ready = number_after(news, "ready "),
        .refused = number_after(news, "refused "),
        .stayed = number_after(news, "stayed "),
    };
}

static int find(struct steered *server)
{
    char why[RUNNING_WHY_SIZE] = "";

    server->pid_file = server->settings->pid_file.ptr;
    server->pid = running_pid(server->settings, why);
    if (server->pid == 0)
        return steer_fail(server, "%s", why);
    server->before = steer_news(server->pid_file);
    return CLI_OK;
}

int steer(int argc, char **argv, const struct cli_option *own, steer_fn *work, const void *arg)
{
    struct steered server = { .command = argv[0] };
    struct cli_options options;
    struct settings s;
    int status = cli_parse(argc, argv, own, &options);

    if (status == CLI_OK)
        status = cli_no_arguments(&options);
    if (status == CLI_OK)
        status = cli_settings(&options, &s);
    if (status != CLI_OK)
        return status;
    server.settings = &s;
    status = find(&server);
    if (status == CLI_OK)
        status = work(&server, arg);
    settings_done(&s);
    return status != CLI_OK ? status : cli_flush(server.command, stdout);
}

int steer_signal(const struct steered *server, int number)
{
    if (kill(server->pid, number) == 0)
        return CLI_OK;
    if (errno == EPERM)
        return steer_fail(server, "the running server (process %ld) is another user's; run this as that user, or root",
                          (long)server->pid);
    return steer_fail(server, "the server (process %ld) has just ended", (long)server->pid);
}

bool steer_wait(const struct steered *server, bool (*is)(const struct steered *server), double seconds)
{
    const mono_ns until = clock_mono() + (mono_ns)(seconds * NS_PER_S);

    while (!is(server)) {
        if (clock_mono() >= until)
            return false;
        (void)nanosleep(&PAUSE, NULL);
    }
    return true;
}

/* A process that nobody has waited for yet has let go of its files, too. */
bool steer_is_gone(const struct steered *server)
{
    char aside[PID_FILE_PATH_SIZE];

    pid_file_aside(server->pid_file, aside);
    return pid_file_owner(server->pid_file) != server->pid && pid_file_owner(aside) != server->pid;
}
