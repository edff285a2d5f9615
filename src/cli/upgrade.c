/* SPDX-License-Identifier: MIT */
/* sanad upgrade: the program that is installed now takes the place of the one that
 * runs, on the same sockets. */
#include <signal.h>
#include <stdio.h>

#include "cli/steer.h"
#include "ops/pid_file.h"

static const double BEGIN_S = 10, START_S = 120, LENIENCE_S = 10;

static pid_t owner_aside(const struct steered *server)
{
    char aside[PID_FILE_PATH_SIZE];

    pid_file_aside(server->pid_file, aside);
    return pid_file_owner(aside);
}

/* The new master's process id, when it has taken the pid file; 0: not yet. */
static pid_t successor(const struct steered *server)
{
    const pid_t pid = pid_file_owner(server->pid_file);

    return pid != server->pid ? pid : 0;
}

static bool has_stayed(const struct steered *server)
{
    return successor(server) == 0 && steer_news(server->pid_file).stayed != server->before.stayed;
}

static bool has_begun(const struct steered *server)
{
    return owner_aside(server) == server->pid || has_stayed(server) || steer_is_gone(server);
}

/* The new one serves, or the old one has its file back. */
static bool is_decided(const struct steered *server)
{
    if (successor(server) != 0 && steer_news(server->pid_file).ready > 0)
        return true;
    return owner_aside(server) != server->pid;
}

static int hand_over(const struct steered *server)
{
    const pid_t new = successor(server);
    const double patience = server->settings->graceful_timeout_s + LENIENCE_S;
    const int status = steer_signal(server, SIGQUIT);

    if (status != CLI_OK)
        return status;
    printf("the new program serves (process %ld); the old one finishes what it has\n", (long)new);
    (void)fflush(stdout);
    if (!steer_wait(server, steer_is_gone, patience))
        return steer_fail(server, "the old program (process %ld) is still there after %.0f s; its log says why",
                          (long)server->pid, patience);
    printf("upgraded: process %ld has taken over from %ld\n", (long)new, (long)server->pid);
    return CLI_OK;
}

static int upgrade(const struct steered *server, const void *arg)
{
    const int status = steer_signal(server, SIGUSR2);

    (void)arg;
    if (status != CLI_OK)
        return status;
    if (!steer_wait(server, has_begun, BEGIN_S))
        return steer_fail(server, "the server (process %ld) does not begin; its log says why", (long)server->pid);
    if (!steer_wait(server, is_decided, START_S))
        return steer_fail(server, "after %.0f s the new program does not serve; both run; its log says why", START_S);
    if (successor(server) != 0)
        return hand_over(server);
    if (steer_is_gone(server))
        return steer_fail(server, "the server (process %ld) has ended", (long)server->pid);
    return steer_fail(server, "the new program could not start; the old one (process %ld) serves on; its log says why",
                      (long)server->pid);
}

static int run(int argc, char **argv) { return steer(argc, argv, NULL, upgrade, NULL); }

const struct command command_upgrade = {
    .name = "upgrade",
    .arguments = "[--env FILE] [--set KEY=VALUE]...",
    .summary = "Has the newly installed program take over from the one that runs",
    .help = "The program's file is started anew, with the arguments and the environment that\n"
            "the running server was started with, on the same sockets. When its workers\n"
            "serve, the old ones finish what they have, and end; no request is lost. If it\n"
            "cannot start, the old one serves on. Install a new version by renaming its file\n"
            "over the old one's. Until the old one has ended, both may have connections to\n"
            "the database. Run it as the user of the server, or root, in the server's folder\n"
            "(PID_FILE).\n"
            "\n"
            "  --env FILE        read this file instead of ./.env, to find the server\n"
            "  --set KEY=VALUE   override a setting; may be repeated\n"
            "\n"
            "Example:\n"
            "  sudo install sanad /usr/local/bin/sanad && sudo -u sanad sanad upgrade\n",
    .run = run,
};
