/* SPDX-License-Identifier: MIT */
/* Writes the migrations into a C file, as C17 has no #embed.
 *
 *   embed OUTPUT.c OUTPUT.d MIGRATIONS
 *
 * MIGRATIONS holds a folder for each dialect with files NNNN_name.sql. The
 * dependency file names files and folders, so that the next build sees a file
 * that was changed, added or removed. Any other name ending in .sql is an error.
 */
#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NUMBER_DIGITS = 4, PATH_BYTES = 4096 };

static const char *const dialects[] = { "sqlite", "mysql" };

static int is_sql(const struct dirent *entry)
{
    const size_t n = strlen(entry->d_name);

    return n > 4 && entry->d_name[0] != '.' && strcmp(entry->d_name + n - 4, ".sql") == 0;
}

/* NNNN_name.sql, the name of letters, digits and underscores. */
static int is_well_named(const char *file)
{
    const size_t n = strlen(file) - 4;

    if (n <= NUMBER_DIGITS + 1 || file[NUMBER_DIGITS] != '_')
        return 0;
    for (size_t i = 0; i < n; i++)
        if (i < NUMBER_DIGITS ? !isdigit((unsigned char)file[i]) : !isalnum((unsigned char)file[i]) && file[i] != '_')
            return 0;
    return 1;
}

static int number_of(const char *file)
{
    int number = 0;

    for (size_t i = 0; i < NUMBER_DIGITS; i++)
        number = number * 10 + (file[i] - '0');
    return number;
}

static void write_dependency(FILE *deps, const char *path)
{
    putc(' ', deps);
    for (; *path; path++) {
        if (*path == ' ')
            putc('\\', deps);
        putc(*path, deps);
    }
}

/* The file's bytes as a string literal, one source line a line. Octal escapes
 * are always three digits, so that no following digit can join them. */
static int write_literal(FILE *out, FILE *in)
{
    int c;

    fputs("      \"", out);
    while ((c = getc(in)) != EOF) {
        if (c == 0)
            return 0;
        if (c == '\n')
            fputs("\\n\"\n      \"", out);
        else if (c == '"' || c == '\\' || c == '?')
            fprintf(out, "\\%c", c);
        else if (c < 32 || c > 126)
            fprintf(out, "\\%03o", (unsigned)c);
        else
            putc(c, out);
    }
    fputs("\"", out);
    return !ferror(in);
}

static int write_file(FILE *out, FILE *deps, const char *folder, const char *file)
{
    char path[PATH_BYTES];
    FILE *in;
    int ok;

    if (!is_well_named(file)) {
        fprintf(stderr, "embed: %s/%s: a migration is called NNNN_name.sql\n", folder, file);
        return 0;
    }
    snprintf(path, sizeof(path), "%s/%s", folder, file);
    write_dependency(deps, path);
    in = fopen(path, "rb");
    if (!in) {
        perror(path);
        return 0;
    }
    fprintf(out, "    { %d, \"%.*s\",\n", number_of(file), (int)(strlen(file) - NUMBER_DIGITS - 5),
            file + NUMBER_DIGITS + 1);
    ok = write_literal(out, in);
    fputs(" },\n", out);
    fclose(in);
    return ok;
}

/* Writes one dialect's table; a folder that is not there is an empty one. */
static int write_dialect(FILE *out, FILE *deps, const char *migrations, const char *dialect)
{
    char folder[PATH_BYTES - 256];
    struct dirent **entries = NULL;
    int count, ok = 1;

    snprintf(folder, sizeof(folder), "%s/%s", migrations, dialect);
    count = scandir(folder, &entries, is_sql, alphasort);
    if (count >= 0)
        write_dependency(deps, folder);
    fprintf(out, "static const struct migration %s[] = {\n", dialect);
    for (int i = 0; i < count; i++) {
        ok = ok && write_file(out, deps, folder, entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
    fputs("    { 0, NULL, NULL },\n};\n\n", out);
    return ok;
}

static void write_lookup(FILE *out)
{
    fputs("static const struct { const char *dialect; const struct migration *list; size_t count; } all[] = {\n", out);
    for (size_t i = 0; i < sizeof(dialects) / sizeof(dialects[0]); i++)
        fprintf(out, "    { \"%s\", %s, sizeof(%s) / sizeof(%s[0]) - 1 },\n", dialects[i], dialects[i], dialects[i],
                dialects[i]);
    fputs("};\n\n"
          "const struct migration *migrations_of(const char *dialect, size_t *ret_count)\n"
          "{\n"
          "    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {\n"
          "        if (strcmp(all[i].dialect, dialect) != 0)\n"
          "            continue;\n"
          "        *ret_count = all[i].count;\n"
          "        return all[i].list;\n"
          "    }\n"
          "    *ret_count = 0;\n"
          "    return NULL;\n"
          "}\n",
          out);
}

static int write_all(FILE *out, FILE *deps, const char *output, const char *migrations)
{
    int ok = 1;

    fprintf(deps, "%s:", output);
    write_dependency(deps, migrations);
    fputs("/* Generated from migrations/; do not edit. */\n#include \"db/migrate.h\"\n\n#include <string.h>\n\n", out);
    for (size_t i = 0; i < sizeof(dialects) / sizeof(dialects[0]); i++)
        ok = ok && write_dialect(out, deps, migrations, dialects[i]);
    write_lookup(out);
    fputs("\n", deps);
    return ok;
}

int main(int argc, char **argv)
{
    FILE *out, *deps;
    int ok;

    if (argc != 4) {
        fputs("usage: embed OUTPUT.c OUTPUT.d MIGRATIONS\n", stderr);
        return 64;
    }
    out = fopen(argv[1], "wb");
    deps = fopen(argv[2], "wb");
    ok = out && deps && write_all(out, deps, argv[1], argv[3]);
    ok = out && fclose(out) == 0 && ok;
    ok = deps && fclose(deps) == 0 && ok;
    if (!ok) {
        fprintf(stderr, "embed: cannot write %s\n", argv[1]);
        remove(argv[1]);
    }
    return ok ? 0 : 1;
}
