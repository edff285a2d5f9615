/* SPDX-License-Identifier: MIT */
/* What the commands have in common that have a running server do something: finding
 * it, a signal, and waiting for what comes of it. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "cli/cli.h"

/* How often it was ready, refused a reload, and stayed because its heir did not. */
struct steer_news { unsigned ready, refused, stayed; };

/* The server of the settings, and what it has told so far. */
struct steered {
    const char *command;     /* for messages                               */
    const struct settings *settings;
    const char *pid_file;
    pid_t       pid;
    struct steer_news before;
};

/* Reads options and settings, finds the server, calls work(server, arg): its status.
 * `own` as in cli_parse(). */
typedef int steer_fn(const struct steered *server, const void *arg);
MUSTCHECK int steer(int argc, char **argv, const struct cli_option *own, steer_fn *work, const void *arg);

/* CLI_OK, or CLI_FAILED with the reason printed. */
MUSTCHECK int steer_signal(const struct steered *server, int number);

/* Of the server that has the pid file. */
struct steer_news steer_news(const char *pid_file);

/* Looks again and again until is(server); false when so many seconds were not enough. */
MUSTCHECK bool steer_wait(const struct steered *server, bool (*is)(const struct steered *server), double seconds);

bool steer_is_gone(const struct steered *server);

/* "sanad NAME: ..."; returns CLI_FAILED. */
int steer_fail(const struct steered *server, const char *format, ...) PRINTF(2, 3);
