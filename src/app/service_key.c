/* SPDX-License-Identifier: MIT */
/* The secret of an installation. An operator who runs several nodes gives all
 * of them one SECRET_KEY; who runs one on an embedded database needs to do
 * nothing: a file beside it holds 32 bytes. Such a secret has a written form,
 * "key:" and base64url, which as SECRET_KEY is that secret and no other, so that
 * it can move with the data. */
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/service.h"
#include "base/random.h"

enum { SECRET_BYTES = 32, PATH_LIMIT = 4096, BASE64 = sodium_base64_VARIANT_URLSAFE_NO_PADDING };

static const struct str written_start = { "key:", 4 };

static enum err complain(char *error, size_t size, const char *what, const char *path)
{
    snprintf(error, size, "%s %s: %s", what, path, strerrordesc_np(errno));
    return E_IO;
}

static bool read_secret(const char *path, uint8_t secret[SECRET_BYTES])
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    ssize_t n;

    if (fd < 0)
        return false;
    n = read(fd, secret, SECRET_BYTES);
    close(fd);
    if (n != SECRET_BYTES)
        errno = EINVAL;
    return n == SECRET_BYTES;
}

/* Written under another name: the file is never half there. Linked, so that of two
 * processes that start at once one wins, or put in the place of what is there. */
static enum err write_secret(const char *path, const uint8_t secret[SECRET_BYTES], bool replace, char *error,
                             size_t size)
{
    char draft[PATH_LIMIT + 32];
    int fd;
    bool ok;

    snprintf(draft, sizeof(draft), "%s.%ld", path, (long)getpid());
    fd = open(draft, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return complain(error, size, "cannot create", draft);
    ok = write(fd, secret, SECRET_BYTES) == SECRET_BYTES && fsync(fd) == 0;
    close(fd);
    ok = ok && (replace ? rename(draft, path) == 0 : link(draft, path) == 0 || errno == EEXIST);
    if (!ok)
        (void)complain(error, size, "cannot write", path);
    unlink(draft);
    return ok ? OK : E_IO;
}

static enum err make_secret(const char *path, char *error, size_t size)
{
    uint8_t secret[SECRET_BYTES];
    enum err e;

    random_secret(secret, sizeof(secret));
    e = write_secret(path, secret, false, error, size);
    sodium_memzero(secret, sizeof(secret));
    return e;
}

static enum err name_file(struct str db_path, char path[static PATH_LIMIT], char *error, size_t size)
{
    if (snprintf(path, PATH_LIMIT, STR_FMT ".key", STR_ARG(db_path)) < PATH_LIMIT - 16)
        return OK;
    snprintf(error, size, "DB_PATH is too long");
    return E_IO;
}

static enum err file_secret(struct str db_path, uint8_t secret[SECRET_BYTES], char *error, size_t size)
{
    char path[PATH_LIMIT];
    enum err e = name_file(db_path, path, error, size);

    if (e == OK && access(path, F_OK) != 0)
        e = make_secret(path, error, size);
    if (e != OK)
        return e;
    return read_secret(path, secret) ? OK : complain(error, size, "cannot read", path);
}

/* A written secret that lost a letter must not pass for another one. */
static enum err text_secret(struct str text, uint8_t secret[SECRET_BYTES], char *error, size_t size)
{
    const struct str code = str_slice(text, written_start.len, text.len);
    size_t n = 0;

    if (!str_starts_with(text, written_start)) {
        crypto_generichash(secret, SECRET_BYTES, (const uint8_t *)text.ptr, text.len, NULL, 0);
        return OK;
    }
    if (sodium_base642bin(secret, SECRET_BYTES, code.ptr, code.len, NULL, &n, NULL, BASE64) == 0 && n == SECRET_BYTES)
        return OK;
    snprintf(error, size, "SECRET_KEY begins with key: but does not go on as sanad copy --show-secret writes it");
    return E_INVALID;
}

/* Of a file that is there, and is not made by asking. */
static enum err present_secret(const char *db_path, uint8_t secret[SECRET_BYTES], char *error, size_t size)
{
    char path[PATH_LIMIT];
    enum err e = name_file(str_of(db_path), path, error, size);

    if (e != OK || read_secret(path, secret))
        return e;
    e = errno == ENOENT ? E_NOT_FOUND : E_IO;
    (void)complain(error, size, "cannot read", path);
    return e;
}

enum err service_key_write(const char *db_path, char out[static SERVICE_KEY_TEXT], char *error, size_t size)
{
    uint8_t secret[SECRET_BYTES];
    const enum err e = present_secret(db_path, secret, error, size);

    if (e != OK)
        return e;
    memcpy(out, written_start.ptr, written_start.len);
    sodium_bin2base64(out + written_start.len, SERVICE_KEY_TEXT - written_start.len, secret, sizeof(secret), BASE64);
    sodium_memzero(secret, sizeof(secret));
    return OK;
}

static enum err keep_secret(const char *path, const uint8_t secret[SECRET_BYTES], bool replace, char *error,
                            size_t size)
{
    uint8_t there[SECRET_BYTES];
    const bool readable = read_secret(path, there), absent = !readable && errno == ENOENT;
    const bool same = readable && sodium_memcmp(there, secret, SECRET_BYTES) == 0;

    sodium_memzero(there, sizeof(there));
    if (same)
        return OK;
    if (absent || replace)
        return write_secret(path, secret, !absent, error, size);
    snprintf(error, size, "%s is there already, with another secret", path);
    return E_CONFLICT;
}

enum err service_key_copy(const char *db_path, const char *to_path, bool replace, char *error, size_t size)
{
    uint8_t secret[SECRET_BYTES];
    char to[PATH_LIMIT];
    enum err e = name_file(str_of(to_path), to, error, size);

    if (e == OK)
        e = present_secret(db_path, secret, error, size);
    if (e != OK)
        return e;
    e = keep_secret(to, secret, replace, error, size);
    sodium_memzero(secret, sizeof(secret));
    return e;
}

enum err service_key(const struct settings *s, const char *purpose, uint8_t ret_key[SERVICE_KEY_BYTES], char *error,
                     size_t size)
{
    uint8_t secret[SECRET_BYTES];
    enum err e = OK;

    if (s->secret_key.len > 0)
        e = text_secret(s->secret_key, secret, error, size);
    else if (s->db_driver != DB_DRIVER_SQLITE) {
        snprintf(error, size, "SECRET_KEY must be set (the same on every node) when the database is a server");
        e = E_INVALID;
    } else
        e = file_secret(s->db_path, secret, error, size);
    if (e == OK)
        crypto_generichash(ret_key, SERVICE_KEY_BYTES, (const uint8_t *)purpose, strlen(purpose), secret,
                           sizeof(secret));
    sodium_memzero(secret, sizeof(secret));
    return e;
}
