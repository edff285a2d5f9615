/* SPDX-License-Identifier: MIT */
/* The rows of the settings table: everything that is known of each setting. */
#pragma once

#include <stddef.h>

#include "base/str.h"
#include "settings/settings.h"

enum setting_kind {
    SET_BOOL,    /* True/False, 1/0, yes/no, on/off   bool                                  */
    SET_INT,     /* 42                                int                                   */
    SET_BYTES,   /* 4096, 64K, 10M, 1G                int64_t                               */
    SET_SECONDS, /* 30, 0.5, 500ms, 30s, 5m, 1h       double                                */
    SET_TEXT,    /* min..max bytes                    struct str                            */
    SET_ADDRESS, /* an IPv4 or IPv6 address           struct str                            */
    SET_MODE,    /* a file's, octal: 0660             unsigned                              */
    SET_URL,     /* scheme one of `choices`           struct str                            */
    SET_CHOICE,  /* one of `choices`                  an enum that counts as they do        */
    SET_LIST,    /* comma-separated, up to max        struct str_list                       */
    SET_CIDRS,   /* address ranges, up to max         struct cidr_list                      */
    SET_KIND_COUNT
};

enum setting_group { GROUP_APP, GROUP_DB, GROUP_LIMIT, GROUP_REDIS, GROUP_CACHE, GROUP_WORKERS, GROUP_COUNT };

enum setting_flag {
    SECRET = 1 << 0,        /* never shown                                           */
    SECRET_INSIDE = 1 << 1, /* a URL whose user and password are not shown           */
    NOT_EMPTY = 1 << 2,     /* a text that must not be empty                         */
    RESTART = 1 << 3,       /* a reload does not change it: sockets, memory, database */
    PLANNED = 1 << 4,       /* this version reads and checks it, and does no more    */
};

struct setting {
    const char *key;
    enum setting_kind kind;
    size_t offset;              /* of the member in struct settings                   */
    const char *initial;        /* the default, as one would write it                 */
    double min, max;            /* of the number; of the text's length; of the count  */
    const char *const *choices; /* NULL-terminated; SET_CHOICE and SET_URL            */
    unsigned flags;
    enum setting_group group;
    const char *help; /* one line, no full stop                             */
};

extern const struct setting settings_table[];
extern const size_t settings_count;
extern const char *const setting_groups[GROUP_COUNT]; /* titles */

/* The row of that exact name; NULL when there is none. */
const struct setting *settings_find(struct str key);

/* The known name nearest to a misspelt one; NULL when none is near. */
const char *settings_nearest(struct str key);
