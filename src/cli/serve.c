/* SPDX-License-Identifier: MIT */
/* sanad serve: the server, until a stop signal. */
#include "app/sanad.h"
#include "cli/cli.h"
#include "settings/print.h"

enum { APPLICATION_BYTES = 1024 * 1024 };

/* At a reload: from the same file, environment and options as at the start. */
static bool load_again(void *arg, struct settings *ret_settings)
{
    const struct cli_options *options = arg;

    if (cli_settings(options, ret_settings) != CLI_OK)
        return false;
    if (cli_supported(options, ret_settings) == CLI_OK)
        return true;
    settings_done(ret_settings);
    return false;
}

static int serve(const struct settings *s, struct cli_options *options)
{
    const struct settings_source again = { load_again, options };
    const struct application *app;
    struct arena arena;
    int status = CLI_FAILED;

    arena_init(&arena, APPLICATION_BYTES);
    app = sanad_application(s, &arena);
    if (app)
        status = service_run(s, app, &again);
    arena_done(&arena);
    return status;
}

static int run(int argc, char **argv)
{
    struct cli_options options;
    struct settings s;
    int status = cli_parse(argc, argv, NULL, &options);

    if (status == CLI_OK)
        status = cli_no_arguments(&options);
    if (status == CLI_OK)
        status = cli_settings(&options, &s);
    if (status != CLI_OK)
        return status;
    status = cli_supported(&options, &s);
    if (status == CLI_OK)
        status = serve(&s, &options);
    settings_done(&s);
    return status;
}

const struct command command_serve = {
    .name = "serve",
    .arguments = "[--env FILE] [--set KEY=VALUE]...",
    .summary = "Serves until stopped",
    .help = "Brings the database up to date, starts MAX_WORKERS workers on HOST:PORT, and\n"
            "serves until SIGTERM or SIGINT (Ctrl-C); then it finishes what is under way,\n"
            "within GRACEFUL_TIMEOUT, and exits with 0.\n"
            "\n"
            "Example:\n"
            "  sanad serve --set PORT=8080 --set MAX_WORKERS=4\n"
            "\n"
            "Settings, from the environment, a .env file, or --set:\n",
    .help_more = settings_print_help,
    .run = run,
};
