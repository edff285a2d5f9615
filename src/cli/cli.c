/* SPDX-License-Identifier: MIT */
#include "cli/cli.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <string.h>

#include "settings/nearest.h"
#include "settings/print.h"

/* What getopt_long returns: these, or FIRST_OWN + the index of an own option. */
enum { OPTION_ENV = 1, OPTION_SET, FIRST_OWN = 1000 };

static const char default_env_file[] = ".env";

int cli_usage(const char *command, const char *format, ...)
{
    va_list args;

    fprintf(stderr, "sanad %s: ", command);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fprintf(stderr, "\nTry: sanad %s --help\n", command);
    return CLI_USAGE;
}

/* The rows that getopt_long wants, ended by an empty one. */
static void list_options(const struct cli_option *own, struct option rows[static CLI_OPTION_MAX])
{
    size_t n = 0;

    rows[n++] = (struct option){ "env", required_argument, NULL, OPTION_ENV };
    rows[n++] = (struct option){ "set", required_argument, NULL, OPTION_SET };
    for (size_t i = 0; own && own[i].name && n + 1 < CLI_OPTION_MAX; i++) {
        const int argument = own[i].value ? required_argument : no_argument;
        rows[n++] = (struct option){ own[i].name, argument, NULL, FIRST_OWN + (int)i };
    }
    rows[n] = (struct option){ 0 };
}

static int unknown_option(const char *command, const char *word, const struct option *rows)
{
    const struct str name = str_of(word + strspn(word, "-"));
    struct nearest near = nearest_to(str_slice(name, 0, str_find(name, '=', 0)));

    for (; rows->name; rows++)
        nearest_offer(&near, rows->name);
    if (near.best)
        return cli_usage(command, "there is no option %s; did you mean --%s?", word, near.best);
    return cli_usage(command, "there is no option %s", word);
}

/* What getopt_long did not understand: it leaves in optopt the letter of a short
 * option, the code of a long one that takes no value but got one, or 0. */
static int refuse(const char *command, char **argv, const struct option *rows)
{
    if (optopt >= FIRST_OWN)
        return cli_usage(command, "%s: this option takes no value", argv[optind - 1]);
    if (optopt > 0)
        return cli_usage(command, "there is no option -%c", optopt);
    return unknown_option(command, argv[optind - 1], rows);
}

static int take_set(struct cli_options *o, const char *text)
{
    const struct str pair = str_of(text);

    if (str_find(pair, '=', 0) == pair.len)
        return cli_usage(o->command, "--set wants KEY=VALUE");
    if (o->set_count == CLI_SET_MAX)
        return cli_usage(o->command, "--set may be given at most %d times", CLI_SET_MAX);
    o->set[o->set_count++] = pair;
    return CLI_OK;
}

static int take_own(const struct cli_option *option)
{
    if (option->value)
        *option->value = optarg;
    else
        *option->given = true;
    return CLI_OK;
}

static int take_option(int option, const struct cli_option *own, struct cli_options *o)
{
    switch (option) {
    case OPTION_SET:
        return take_set(o, optarg);
    case OPTION_ENV:
        o->env_file = optarg;
        return CLI_OK;
    default:
        return take_own(&own[option - FIRST_OWN]);
    }
}

int cli_parse(int argc, char **argv, const struct cli_option *own, struct cli_options *ret_options)
{
    struct option rows[CLI_OPTION_MAX];
    struct cli_options o = { .command = argv[0] };
    int status = CLI_OK, option;

    list_options(own, rows);
    opterr = 0;
    optind = 0; /* GNU: start anew */
    while (status == CLI_OK && (option = getopt_long(argc, argv, ":", rows, NULL)) != -1) {
        if (option == ':')
            status = cli_usage(o.command, "%s wants a value", argv[optind - 1]);
        else if (option == '?')
            status = refuse(o.command, argv, rows);
        else
            status = take_option(option, own, &o);
    }
    o.args = argv + optind;
    o.arg_count = argc - optind;
    if (status == CLI_OK)
        *ret_options = o;
    return status;
}

int cli_no_arguments(const struct cli_options *options)
{
    if (options->arg_count == 0)
        return CLI_OK;
    return cli_usage(options->command, "%s is one argument too many", options->args[0]);
}

int cli_settings(const struct cli_options *options, struct settings *ret_settings)
{
    const struct settings_sources from = {
        .file = options->env_file ? options->env_file : default_env_file,
        .file_required = options->env_file != NULL,
        .overrides = options->set,
        .override_count = options->set_count,
    };
    struct settings_report report;

    const enum err e = settings_load_from(ret_settings, &from, &report);
    settings_print_report(stderr, &report);
    if (e == OK)
        return CLI_OK;
    settings_done(ret_settings);
    if (e != E_INVALID)
        fprintf(stderr, "sanad: error: the settings cannot be read: %s\n", err_text(e));
    return e == E_INVALID ? CLI_SETTINGS : CLI_FAILED;
}

int cli_supported(const struct cli_options *options, const struct settings *s)
{
    const char *missing = NULL;

    if (s->db_pool_size + s->db_max_overflow < s->max_workers) {
        fprintf(stderr,
                "sanad %s: DB_POOL_SIZE (%d) and DB_MAX_OVERFLOW (%d) together are fewer than MAX_WORKERS (%d): each "
                "worker needs a connection\n",
                options->command, s->db_pool_size, s->db_max_overflow, s->max_workers);
        return CLI_SETTINGS;
    }
    if (s->db_driver == DB_DRIVER_SQLITE)
        return CLI_OK;
    if (s->db_host.count == 0 && s->db_socket.len == 0)
        missing = "DB_HOST, or DB_SOCKET";
    else if (s->db_name.len == 0)
        missing = "DB_NAME";
    else if (s->db_user.len == 0)
        missing = "DB_USER";
    if (!missing)
        return CLI_OK;
    fprintf(stderr, "sanad %s: DB_DRIVER is mysql, which needs %s\n", options->command, missing);
    return CLI_SETTINGS;
}

int cli_flush(const char *command, FILE *out)
{
    if (fflush(out) == 0 && !ferror(out))
        return CLI_OK;
    fprintf(stderr, "sanad %s: cannot write: %s\n", command, strerrordesc_np(errno));
    return CLI_FAILED;
}

void cli_print_help(const struct command *command, FILE *out)
{
    fprintf(out, "Usage: sanad %s%s%s\n\n%s.\n\n%s", command->name, command->arguments[0] ? " " : "",
            command->arguments, command->summary, command->help);
    if (command->help_more) {
        fputc('\n', out);
        command->help_more(out);
    }
}
