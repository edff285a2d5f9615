/* SPDX-License-Identifier: MIT */
/* sanad config: what is set and where it came from; and the pages that are made
 * of the settings table. */
#include "cli/cli.h"
#include "settings/print.h"

/* The forms that need no settings, only the table. */
static const struct page {
    const char *name;
    void (*print)(FILE *out);
} pages[] = {
    { "example", settings_print_example },
    { "markdown", settings_print_markdown },
};
enum { PAGES = sizeof(pages) / sizeof(pages[0]) };

static int print_values(const struct cli_options *options, bool as_json)
{
    struct settings s;
    enum err e = OK;

    const int status = cli_settings(options, &s);
    if (status != CLI_OK)
        return status;
    if (as_json)
        e = settings_print_json(stdout, &s);
    else
        settings_print_values(stdout, &s);
    settings_done(&s);
    return e == OK ? cli_flush(options->command, stdout) : CLI_FAILED;
}

static int config_run(int argc, char **argv)
{
    bool as_page[PAGES] = { false }, as_json = false;
    const struct cli_option own[] = {
        { pages[0].name, &as_page[0], NULL },
        { pages[1].name, &as_page[1], NULL },
        { "json", &as_json, NULL },
        { NULL },
    };
    struct cli_options options;
    int status = cli_parse(argc, argv, own, &options);

    if (status == CLI_OK)
        status = cli_no_arguments(&options);
    if (status != CLI_OK)
        return status;
    if (as_page[0] + as_page[1] + as_json > 1)
        return cli_usage(options.command, "--example, --markdown and --json exclude each other");
    for (size_t i = 0; i < PAGES; i++) {
        if (as_page[i]) {
            pages[i].print(stdout);
            return cli_flush(options.command, stdout);
        }
    }
    return print_values(&options, as_json);
}

const struct command command_config = {
    .name = "config",
    .arguments = "[--env FILE] [--set KEY=VALUE]... [--json | --example | --markdown]",
    .summary = "Shows every setting, its value and where that came from; secrets are masked",
    .help = "  --env FILE       read this file instead of ./.env\n"
            "  --set KEY=VALUE  override a setting; may be repeated\n"
            "  --json           as JSON\n"
            "  --example        print a .env file with all settings at their defaults\n"
            "  --markdown       print the reference page of all settings\n"
            "\n"
            "Example:\n"
            "  sanad config --set PORT=9000\n"
            "  sanad config --example > .env\n",
    .run = config_run,
};
