/* SPDX-License-Identifier: MIT */
/* The settings in writing: help, example file, reference page, and what is set
 * now. All of it comes from the table, so none of it can be out of date. */
#pragma once

#include <stdio.h>

#include "settings/settings.h"

/* Each setting with its default, by group; for `--help`. */
void settings_print_help(FILE *out);

/* .env.example: each setting commented out, at its default. */
void settings_print_example(FILE *out);

/* docs/settings.md. */
void settings_print_markdown(FILE *out);

/* Each value and where it came from; secrets masked. */
void settings_print_values(FILE *out, const struct settings *s);

/* The same as one JSON object: {"PORT": {"value": 8000, "origin": "default", ...}}.
 * E_NO_MEMORY. */
MUSTCHECK enum err settings_print_json(FILE *out, const struct settings *s);

/* Errors and warnings, a line each:
 *   sanad: error: .env:3: PORT=99999: must be a whole number from 0 to 65535 */
void settings_print_report(FILE *out, const struct settings_report *report);
