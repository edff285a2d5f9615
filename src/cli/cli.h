/* SPDX-License-Identifier: MIT */
/* What the subcommands share: their shape, their options, their exit statuses.
 *
 * A subcommand is one file and one `const struct command command_NAME`, declared
 * below and listed in main.c. Its run() gets argv from its own name on:
 *
 *   static int run(int argc, char **argv)
 *   {
 *       bool wet = false;
 *       const struct cli_option own[] = { { "wet", .given = &wet }, { NULL } };
 *       struct cli_options options;
 *       struct settings s;
 *       int status = cli_parse(argc, argv, own, &options);
 *
 *       if (status == CLI_OK)
 *           status = cli_settings(&options, &s);
 *       if (status != CLI_OK)
 *           return status;
 *       ...
 *       settings_done(&s);
 *       return CLI_OK;
 *   }
 *
 * `sanad NAME --help` never reaches run(): main prints the help.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/err.h"
#include "base/str.h"
#include "settings/settings.h"

/* Exit statuses; those over 1 are sysexits.h's. */
enum cli_status { CLI_OK = 0, CLI_FAILED = 1, CLI_USAGE = 64, CLI_SETTINGS = 78 };

struct command {
    const char *name;
    const char *arguments;             /* "[--example] [--json]"; "" for none               */
    const char *summary;               /* one line                                          */
    const char *help;                  /* its options and an example; lines end in '\n'     */
    void (*help_more)(FILE *out);      /* printed after `help`; NULL for nothing            */
    int (*run)(int argc, char **argv); /* returns the exit status                           */
};

extern const struct command command_serve, command_check, command_config, command_migrate, command_demo,
    command_copy, command_backup, command_limits, command_reload, command_stop, command_upgrade, command_status, command_top;

/* An option of one command, "--name" or "--name VALUE": one of the pointers is
 * set, and written to. A row with a NULL name ends the list. */
struct cli_option {
    const char *name;
    bool *given;
    const char **value;
};

enum { CLI_SET_MAX = 64, CLI_OPTION_MAX = 24 };

struct cli_options {
    const char *command;         /* argv[0]                                      */
    const char *env_file;        /* --env FILE; NULL when not given              */
    struct str set[CLI_SET_MAX]; /* --set KEY=VALUE, in order                    */
    size_t set_count;
    char **args; /* what is left, NULL at the end                */
    int arg_count;
};

/* Reads --env, --set and the command's own options. CLI_OK, or CLI_USAGE with
 * the reason printed. `own` may be NULL. Arguments that are left are the
 * command's to judge; one that takes none calls cli_no_arguments(). */
MUSTCHECK int cli_parse(int argc, char **argv, const struct cli_option *own, struct cli_options *ret_options);

/* CLI_OK, or CLI_USAGE (printed) when arguments are left. */
MUSTCHECK int cli_no_arguments(const struct cli_options *options);

/* Prints "sanad NAME: ..." and where help is; returns CLI_USAGE. */
int cli_usage(const char *command, const char *format, ...) PRINTF(2, 3);

/* Loads the settings as the options say and prints all warnings and errors.
 * CLI_OK: *ret_settings is the caller's, to be given to settings_done().
 * CLI_SETTINGS or CLI_FAILED: there is nothing to free. */
MUSTCHECK int cli_settings(const struct cli_options *options, struct settings *ret_settings);

/* CLI_OK, or CLI_SETTINGS (printed) when settings that belong together are not
 * all there. */
MUSTCHECK int cli_supported(const struct cli_options *options, const struct settings *s);

/* What is written so far has arrived: CLI_OK, or CLI_FAILED (printed), as when
 * the disk is full. */
MUSTCHECK int cli_flush(const char *command, FILE *out);

/* Prints a command's help. */
void cli_print_help(const struct command *command, FILE *out);
