/* SPDX-License-Identifier: MIT */
/* sanad stop: ends the running server, and waits for its end. */
#include <signal.h>
#include <stdio.h>

#include "cli/steer.h"

/* Beyond GRACEFUL_TIMEOUT, after which the master ends the workers itself. */
static const double LENIENCE_S = 10;

static int stop(const struct steered *server, const void *now)
{
    const double patience = server->settings->graceful_timeout_s + LENIENCE_S;
    const int status = steer_signal(server, *(const bool *)now ? SIGTERM : SIGQUIT);

    if (status != CLI_OK)
        return status;
    if (!steer_wait(server, steer_is_gone, patience))
        return steer_fail(server, "the server (process %ld) is still there after %.0f s; its log says why",
                          (long)server->pid, patience);
    printf("stopped (process %ld)\n", (long)server->pid);
    return CLI_OK;
}

static int run(int argc, char **argv)
{
    bool now = false;
    const struct cli_option own[] = { { "now", .given = &now }, { NULL } };

    return steer(argc, argv, own, stop, &now);
}

const struct command command_stop = {
    .name = "stop",
    .arguments = "[--now] [--env FILE] [--set KEY=VALUE]...",
    .summary = "Stops the running server, and waits for its end",
    .help = "Nobody new is let in; requests under way are finished, and an idle connection\n"
            "is closed after its next request or when KEEP_ALIVE is over, all within\n"
            "GRACEFUL_TIMEOUT. Run it as the user of the server, or root, in the server's\n"
            "folder (PID_FILE).\n"
            "\n"
            "  --now             close idle connections at once\n"
            "  --env FILE        read this file instead of ./.env\n"
            "  --set KEY=VALUE   override a setting; may be repeated\n"
            "\n"
            "Example:\n"
            "  sanad stop --now\n",
    .run = run,
};
