/* SPDX-License-Identifier: MIT */
/* sanad: the table of subcommands. */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "cli/cli.h"
#include "settings/nearest.h"

static const struct command *const commands[] = {
    &command_serve,   &command_check,  &command_config, &command_migrate, &command_demo,
    &command_copy,    &command_backup, &command_limits, &command_reload,  &command_stop,
    &command_upgrade, &command_status, &command_top,
};
enum { COMMANDS = sizeof(commands) / sizeof(commands[0]) };

static const struct command *find(const char *name)
{
    for (size_t i = 0; i < COMMANDS; i++) {
        if (strcmp(commands[i]->name, name) == 0)
            return commands[i];
    }
    return NULL;
}

static int print_table(FILE *out)
{
    fputs("Sanad issues, stores, verifies and serves certificates.\n\nUsage: sanad COMMAND [OPTIONS]\n\n", out);
    for (size_t i = 0; i < COMMANDS; i++)
        fprintf(out, "  %-10s %s\n", commands[i]->name, commands[i]->summary);
    fputs("\nHelp on one:  sanad COMMAND --help\nVersion:      sanad --version\n", out);
    return cli_flush("help", out);
}

static int print_version(void)
{
    puts("sanad " SANAD_VERSION);
    return cli_flush("--version", stdout);
}

static int print_help(const struct command *command)
{
    cli_print_help(command, stdout);
    return cli_flush(command->name, stdout);
}

static int unknown(const char *name)
{
    struct nearest near = nearest_to(str_of(name));

    for (size_t i = 0; i < COMMANDS; i++)
        nearest_offer(&near, commands[i]->name);
    fprintf(stderr, "sanad: there is no command %s", name);
    if (near.best)
        fprintf(stderr, "; did you mean %s?", near.best);
    fputs("\nTry: sanad help\n", stderr);
    return CLI_USAGE;
}

static bool is_help(const char *word) { return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0; }

/* Whether the arguments of a command ask for its help. */
static bool asks_help(int argc, char **argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (is_help(argv[i]))
            return true;
    }
    return false;
}

/* `sanad help` and `sanad help COMMAND` */
static int help(const char *name)
{
    const struct command *command = name ? find(name) : NULL;

    if (!name)
        return print_table(stdout);
    return command ? print_help(command) : unknown(name);
}

int main(int argc, char **argv)
{
    if (argc < 2 || is_help(argv[1]))
        return print_table(stdout);
    if (strcmp(argv[1], "--version") == 0)
        return print_version();
    if (strcmp(argv[1], "help") == 0)
        return help(argv[2]);

    const struct command *command = find(argv[1]);
    if (!command)
        return unknown(argv[1]);
    if (asks_help(argc - 1, argv + 1))
        return print_help(command);
    log_setup(LOG_NONE, LOG_TEXT, "sanad"); /* a command says itself what went wrong; serve sets up its own */
    return command->run(argc - 1, argv + 1);
}
