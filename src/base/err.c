/* SPDX-License-Identifier: MIT */
#include "base/err.h"

#include <stddef.h>

struct err_row {
    const char *name, *text;
    int status;
};

static const struct err_row rows[ERR_COUNT] = {
#define X(name, status, text) [name] = { #name, text, status },
    ERR_TABLE(X)
#undef X
};

static const struct err_row *row(enum err e) { return &rows[(size_t)e < ERR_COUNT ? e : E_INTERNAL]; }

const char *err_name(enum err e) { return row(e)->name; }
int err_http_status(enum err e) { return row(e)->status; }
const char *err_text(enum err e) { return row(e)->text; }
