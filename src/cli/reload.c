/* SPDX-License-Identifier: MIT */
/* sanad reload: has the running server read its settings anew, and waits until workers
 * with them serve. */
#include <signal.h>
#include <stdio.h>

#include "cli/steer.h"

static const double PATIENCE_S = 120;

static bool has_answered(const struct steered *server)
{
    const struct steer_news news = steer_news(server->pid_file);

    return news.ready != server->before.ready || news.refused != server->before.refused || steer_is_gone(server);
}

static int judge(const struct steered *server, bool answered)
{
    if (steer_is_gone(server))
        return steer_fail(server, "the server (process %ld) has ended", (long)server->pid);
    if (steer_news(server->pid_file).refused != server->before.refused)
        return steer_fail(server, "the server refused the settings, and goes on with those it had; its log says why");
    if (!answered)
        return steer_fail(server, "after %.0f s not all new workers serve; the old ones do; the server's log says why",
                          PATIENCE_S);
    printf("reloaded: new workers serve (process %ld)\n", (long)server->pid);
    return CLI_OK;
}

static int reload(const struct steered *server, const void *arg)
{
    const int status = steer_signal(server, SIGHUP);

    (void)arg;
    return status != CLI_OK ? status : judge(server, steer_wait(server, has_answered, PATIENCE_S));
}

static int run(int argc, char **argv) { return steer(argc, argv, NULL, reload, NULL); }

const struct command command_reload = {
    .name = "reload",
    .arguments = "[--env FILE] [--set KEY=VALUE]...",
    .summary = "Has the running server read its settings anew",
    .help = "The server reads its .env file again, and each worker is replaced: the new one\n"
            "serves first, then the old one finishes what it has; no request is lost. Wrong\n"
            "settings change nothing. Settings that shape sockets, shared memory or the\n"
            "database stay as they are until `sanad upgrade`; the server's log names them.\n"
            "Run it as the user of the server, or root, in the server's folder (PID_FILE).\n"
            "\n"
            "  --env FILE        read this file instead of ./.env, to find the server\n"
            "  --set KEY=VALUE   override a setting; may be repeated\n"
            "\n"
            "Example:\n"
            "  sanad check && sanad reload\n",
    .run = run,
};
