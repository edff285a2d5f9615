/* SPDX-License-Identifier: MIT */
/* The one list of ways in which an operation can fail.
 *
 * A function that can fail returns `enum err` (OK is 0), marked MUSTCHECK, and
 * leaves its `ret_` outputs untouched on failure. An error is logged once, by
 * the layer that decides what to do about it; the layers in between pass it on.
 * Each row also says what a client hears if the error reaches it: HTTP status
 * and a sentence that gives nothing of the machine away.
 */
#pragma once

#define MUSTCHECK __attribute__((warn_unused_result))
#define PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

/* X(name, HTTP status, sentence for the client) */
#define ERR_TABLE(X)                                                                          \
    X(OK,               200, "")                                                              \
    X(E_INVALID,        422, "The request holds a value that is not allowed.")                \
    X(E_NOT_FOUND,      404, "There is nothing here.")                                        \
    X(E_CONFLICT,       409, "This would contradict what is stored already.")                 \
    X(E_TOO_LARGE,      413, "The request is larger than this server accepts.")               \
    X(E_CANCELLED,      499, "The client closed the connection.")                             \
    X(E_TIMEOUT,        503, "The server took too long; please try again.")                   \
    X(E_BUSY,           503, "The server is busy; please try again.")                         \
    X(E_DEADLOCK,       503, "Others were changing the same; please try again.")               \
    X(E_UNAVAILABLE,    503, "A service that this server needs is away; please try again.")   \
    X(E_NO_MEMORY,      503, "The server is short of memory; please try again.")              \
    X(E_DISK_FULL,      507, "The server has no room left to store this.")                    \
    X(E_READ_ONLY,      503, "The server cannot store anything at the moment.")               \
    X(E_DATABASE,       500, "The database refused the operation.")                           \
    X(E_IO,             500, "The server could not read or write.")                           \
    X(E_CLOSED,         500, "The connection is closed.")                                     \
    X(E_SYNTAX,         400, "The request is not well formed.")                               \
    X(E_INTERNAL,       500, "The server made a mistake.")

enum err {
#define X(name, status, text) name,
    ERR_TABLE(X)
#undef X
    ERR_COUNT
};

/* The error's own name ("E_TIMEOUT"), for logs. Never NULL. */
const char *err_name(enum err e);

/* The HTTP status and the sentence that a client gets to hear. Never NULL. */
int err_http_status(enum err e);
const char *err_text(enum err e);
