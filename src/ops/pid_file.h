/* SPDX-License-Identifier: MIT */
/* The file by which an operator's command finds the master.
 *
 * It holds the process id for people to read; what counts is the lock on it
 * (fcntl(2)), which the system drops with its owner: a file that a killed master
 * left behind points to nobody. Nothing but the id is in it, as everybody's
 * `kill $(cat PID_FILE)` expects; what commands wait to hear is beside it, in
 * PID_FILE.state.
 */
#pragma once

#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"

struct pid_file { int fd; const char *path; };

enum { PID_FILE_NEWS_SIZE = 64 };

/* Writes this process's id into the file and locks it; makes its folder, if only
 * that is missing. `path` must live as long. E_CONFLICT when another process has
 * it, E_IO; with a sentence in `error`. */
MUSTCHECK enum err pid_file_take(struct pid_file *f, const char *path, char *error, size_t size);

/* Removes it, wherever it is now. Only by who took it, in the process that took it. */
void pid_file_drop(struct pid_file *f);

/* A line for commands that wait for something: replaces the one before. */
void pid_file_tell(const struct pid_file *f, const char *news);

/* What that line says; "" when there is none. */
void pid_file_news(const char *path, char out[static PID_FILE_NEWS_SIZE]);

/* Makes way for a successor: the files are PATH.old... from now on, the lock with it. And
 * back, when there is none after all. E_IO. */
MUSTCHECK enum err pid_file_set_aside(const struct pid_file *f);
void pid_file_put_back(const struct pid_file *f);

/* "PATH.old" */
enum { PID_FILE_PATH_SIZE = 4096 };
void pid_file_aside(const char *path, char out[static PID_FILE_PATH_SIZE]);

/* The living process that has taken the file; 0: none. */
pid_t pid_file_owner(const char *path);
