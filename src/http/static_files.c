/* SPDX-License-Identifier: MIT */
#include "http/static_files.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/task.h"
#include "http/conditional.h"

struct static_root {
    int fd;
};

struct static_root *static_root_new(const char *folder)
{
    struct static_root *root = calloc(1, sizeof(*root));
    if (!root)
        return NULL;
    root->fd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root->fd < 0) {
        free(root);
        return NULL;
    }
    return root;
}

void static_root_free(struct static_root *root)
{
    if (!root)
        return;
    close(root->fd);
    free(root);
}

/* ---- opening, on a thread of the pool ---- */

struct opening {
    int root;
    const struct str *segments;
    size_t count;
    int fd; /* result: the file, and what fstat said of it */
    struct stat stat;
};

/* One component beneath `folder`; -1 when there is none that may be seen. */
static int open_component(int folder, struct str name, int flags)
{
    char text[NAME_MAX + 1];
    if (name.len == 0 || name.len > NAME_MAX || name.ptr[0] == '.' || memchr(name.ptr, '/', name.len) ||
        memchr(name.ptr, '\0', name.len))
        return -1;
    memcpy(text, name.ptr, name.len);
    text[name.len] = '\0';
    return openat(folder, text, flags | O_NOFOLLOW | O_CLOEXEC);
}

/* The folder of the last segment: a descriptor of its own, or the root's. */
static int open_folder(const struct opening *o)
{
    int folder = o->root;
    for (size_t i = 0; i + 1 < o->count; i++) {
        const int next = open_component(folder, o->segments[i], O_PATH | O_DIRECTORY);
        if (folder != o->root)
            close(folder);
        if (next < 0)
            return -1;
        folder = next;
    }
    return folder;
}

/* O_NONBLOCK: to open a FIFO must not wait for its writer. */
static enum err open_file(void *arg)
{
    struct opening *o = arg;
    const int folder = open_folder(o);
    if (folder < 0)
        return E_NOT_FOUND;
    const bool index = o->count == 0 || o->segments[o->count - 1].len == 0;
    const struct str name = index ? STR("index.html") : o->segments[o->count - 1];
    const int fd = open_component(folder, name, O_RDONLY | O_NONBLOCK | O_NOCTTY);
    if (folder != o->root)
        close(folder);
    if (fd < 0)
        return E_NOT_FOUND;
    if (fstat(fd, &o->stat) != 0 || !S_ISREG(o->stat.st_mode)) {
        close(fd);
        return E_NOT_FOUND;
    }
    o->fd = fd;
    return OK;
}

/* ---- what is said of a file ---- */

static const struct {
    struct str extension;
    const char *type;
} types[] = {
    { STR(".html"), "text/html; charset=utf-8" },
    { STR(".css"), "text/css; charset=utf-8" },
    { STR(".js"), "text/javascript; charset=utf-8" },
    { STR(".mjs"), "text/javascript; charset=utf-8" },
    { STR(".json"), "application/json" },
    { STR(".map"), "application/json" },
    { STR(".webmanifest"), "application/manifest+json" },
    { STR(".svg"), "image/svg+xml" },
    { STR(".png"), "image/png" },
    { STR(".jpg"), "image/jpeg" },
    { STR(".jpeg"), "image/jpeg" },
    { STR(".webp"), "image/webp" },
    { STR(".avif"), "image/avif" },
    { STR(".gif"), "image/gif" },
    { STR(".ico"), "image/x-icon" },
    { STR(".woff2"), "font/woff2" },
    { STR(".woff"), "font/woff" },
    { STR(".ttf"), "font/ttf" },
    { STR(".txt"), "text/plain; charset=utf-8" },
    { STR(".md"), "text/markdown; charset=utf-8" },
    { STR(".csv"), "text/csv; charset=utf-8" },
    { STR(".xml"), "application/xml" },
    { STR(".yaml"), "application/yaml" },
    { STR(".pdf"), "application/pdf" },
    { STR(".wasm"), "application/wasm" },
};

static struct str type_of(struct str name)
{
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        if (str_ends_with(name, types[i].extension))
            return str_of(types[i].type);
    return STR("application/octet-stream");
}

/* A file found, with its validators. */
struct found {
    struct str type, etag, modified;
    int64_t size;
    wall_ms mtime; /* whole seconds, as HTTP dates are */
};

static struct found describe(const struct stat *st, struct str name, struct arena *arena)
{
    char date[HTTP_DATE_SIZE];
    const wall_ms mtime = (wall_ms)st->st_mtim.tv_sec * MS_PER_S;
    const size_t date_len = clock_http_date(mtime, date);
    const uint64_t mtime_ns = (uint64_t)st->st_mtim.tv_sec * NS_PER_S + (uint64_t)st->st_mtim.tv_nsec;
    return (struct found){
        .type = type_of(name),
        .etag = arena_printf(arena, "\"%" PRIx64 "-%" PRIx64 "\"", (uint64_t)st->st_size, mtime_ns),
        .modified = arena_str(arena, (struct str){ date, date_len }),
        .size = st->st_size,
        .mtime = mtime,
    };
}

/* ---- conditions and ranges ---- */

static struct str field_of(const struct request *req, struct str name)
{
    const struct http_field *field = http_find(req->head, name);
    return field ? field->value : STR_EMPTY;
}

static bool not_modified(const struct request *req, const struct found *file)
{
    const struct http_field *tags = http_find(req->head, STR("if-none-match"));
    if (tags)
        return etag_matches(tags->value, file->etag);
    const struct str since = field_of(req, STR("if-modified-since"));
    const wall_ms at = since.len > 0 ? clock_parse_http_date(since.ptr, since.len) : -1;
    return at >= 0 && file->mtime <= at;
}

/* If-Range: the very tag, or the very date. Without it any range will do. */
static bool range_applies(const struct request *req, const struct found *file)
{
    const struct str condition = field_of(req, STR("if-range"));
    return condition.len == 0 || etag_same(condition, file->etag) || str_eq(condition, file->modified);
}

enum range { RANGE_NONE, RANGE_PART, RANGE_OUTSIDE };

/* Non-negative number; -1 when the text is empty, -2 when it is none. What is
 * too large to count is beyond any file. */
static int64_t position(struct str text)
{
    if (text.len == 0)
        return -1;
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return -2;
    while (text.len > 1 && text.ptr[0] == '0')
        text = str_slice(text, 1, text.len);
    int64_t value;
    return str_to_int(text, 0, INT64_MAX, &value) == OK ? value : INT64_MAX;
}

/* "bytes=first-last", "bytes=first-" or "bytes=-suffix". Several ranges, other
 * units and what is not well formed are no range: the whole file is sent. */
static enum range parse_range(struct str field, int64_t size, int64_t *ret_first, int64_t *ret_length)
{
    const struct str unit = STR("bytes=");
    if (!str_eq_nocase(str_slice(field, 0, unit.len), unit))
        return RANGE_NONE;
    struct str rest = str_slice(field, unit.len, field.len);
    const int64_t first = position(str_trim(str_split(&rest, '-')));
    const int64_t last = rest.ptr ? position(str_trim(rest)) : -2;
    if (first == -2 || last == -2 || (first == -1 && last == -1) || (first >= 0 && last >= 0 && last < first))
        return RANGE_NONE;
    const int64_t from = first >= 0 ? first : last < size ? size - last : 0;
    const int64_t end = first < 0 || last < 0 || last >= size ? size : last + 1;
    if (from >= end)
        return RANGE_OUTSIDE;
    *ret_first = from;
    *ret_length = end - from;
    return RANGE_PART;
}

static enum range wanted_range(const struct request *req, const struct found *file, int64_t *ret_first,
                               int64_t *ret_length)
{
    const struct str field = field_of(req, STR("range"));
    if (field.len == 0 || req->head->method != HTTP_GET || !range_applies(req, file))
        return RANGE_NONE;
    return parse_range(field, file->size, ret_first, ret_length);
}

/* ---- the response ---- */

static void add_validators(struct response *r, const struct found *file)
{
    const bool page = str_starts_with(file->type, STR("text/html"));
    response_field(r, "ETag", file->etag);
    response_field(r, "Last-Modified", file->modified);
    response_field(r, "Cache-Control", page ? STR("no-cache") : STR("max-age=3600"));
}

static struct response send_file(struct request *req, const struct found *file, int fd)
{
    struct response r = response_empty(200);
    int64_t first = 0, length = file->size;
    const enum range range = wanted_range(req, file, &first, &length);
    if (range == RANGE_OUTSIDE) {
        close(fd);
        r = problem(req, 416, "The range lies outside of the file.");
        response_field(&r, "Content-Range", arena_printf(&req->arena, "bytes */%" PRId64, file->size));
        return r;
    }
    r.kind = BODY_FILE;
    r.type = file->type;
    r.fd = fd;
    r.offset = first;
    r.length = length;
    add_validators(&r, file);
    response_field(&r, "Accept-Ranges", STR("bytes"));
    if (range == RANGE_PART) {
        r.status = 206;
        response_field(
            &r, "Content-Range",
            arena_printf(&req->arena, "bytes %" PRId64 "-%" PRId64 "/%" PRId64, first, first + length - 1, file->size));
    }
    return r;
}

struct response static_answer(struct static_root *root, struct request *req, const struct str *segments, size_t count)
{
    struct opening o = { .root = root->fd, .segments = segments, .count = count, .fd = -1 };
    const enum err e = task_offload(open_file, &o);
    if (e == E_NOT_FOUND)
        return problem(req, 404, "There is no such file.");
    if (e != OK)
        return problem_err(req, e);
    const bool index = count == 0 || segments[count - 1].len == 0;
    const struct found file = describe(&o.stat, index ? STR(".html") : segments[count - 1], &req->arena);
    if (req->arena.full) {
        close(o.fd);
        return problem_err(req, E_NO_MEMORY);
    }
    if (!not_modified(req, &file))
        return send_file(req, &file, o.fd);
    close(o.fd);
    struct response r = response_empty(304);
    add_validators(&r, &file);
    return r;
}
