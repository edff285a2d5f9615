/* SPDX-License-Identifier: MIT */
/* Files of one folder, over HTTP.
 *
 * Nothing outside the folder can be reached: each component of the path is
 * opened beneath the one before, symbolic links are not followed, and names
 * that begin with a dot, or hold a slash, do not exist. What is not a regular
 * file does not exist either. The file is opened off the loop, and served with
 * ETag, Last-Modified and single byte ranges (RFC 9110 §13, §14).
 */
#pragma once

#include <stddef.h>

#include "http/request.h"
#include "http/response.h"

struct static_root;

/* NULL when there is no such folder (errno says why) or no memory. */
struct static_root *static_root_new(const char *folder);
void static_root_free(struct static_root *root);   /* NULL is fine */

/* Answers GET and HEAD for the file at segments[0, count), "index.html" of the
 * folder for none, or for a last segment that is empty. For handlers: may wait. */
struct response static_answer(struct static_root *root, struct request *req, const struct str *segments, size_t count);
