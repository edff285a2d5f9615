/* SPDX-License-Identifier: MIT */
#include "ops/privileges.h"

#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ENTRY_BYTES = 16384, PATH_LIMIT = 4096, FOLDER_MODE = 0750 };

static const int64_t ID_MOST = UINT32_MAX - 1; /* the last is "none" */

bool privileges_of_root(void) { return geteuid() == 0; }

/* ---- who -------------------------------------------------------------------------- */

static bool read_number(const char *text, uint32_t *ret_id)
{
    int64_t number;

    if (str_to_int(str_of(text), 0, ID_MOST, &number) != OK)
        return false;
    *ret_id = (uint32_t)number;
    return true;
}

/* Whether a user is known; a number need not be. */
static bool find_user(const char *user, struct privileges *who, bool *ret_has_group)
{
    struct passwd entry, *found = NULL;
    char text[ENTRY_BYTES];

    *ret_has_group = false;
    if (getpwnam_r(user, &entry, text, sizeof(text), &found) != 0 || !found) {
        if (!read_number(user, &who->user))
            return false;
        if (getpwuid_r(who->user, &entry, text, sizeof(text), &found) != 0 || !found)
            return true;
    }
    who->user = found->pw_uid;
    who->group = found->pw_gid;
    *ret_has_group = true;
    if (strlen(found->pw_name) < sizeof(who->name))
        memcpy(who->name, found->pw_name, strlen(found->pw_name) + 1);
    return true;
}

static bool find_group(const char *group, gid_t *ret_group)
{
    struct group entry, *found = NULL;
    char text[ENTRY_BYTES];

    if (getgrnam_r(group, &entry, text, sizeof(text), &found) != 0 || !found)
        return read_number(group, ret_group);
    *ret_group = found->gr_gid;
    return true;
}

enum err privileges_find(const char *user, const char *group, struct privileges *ret_who, char *error, size_t size)
{
    struct privileges who = { .name = "" };
    bool has_group;

    if (!find_user(user, &who, &has_group)) {
        (void)snprintf(error, size, "RUN_AS_USER: this machine has no user \"%s\"", user);
        return E_INVALID;
    }
    if (*group && !find_group(group, &who.group)) {
        (void)snprintf(error, size, "RUN_AS_GROUP: this machine has no group \"%s\"", group);
        return E_INVALID;
    }
    if (!*group && !has_group) {
        (void)snprintf(error, size, "RUN_AS_USER: user %s has no name here, so RUN_AS_GROUP must say its group", user);
        return E_INVALID;
    }
    *ret_who = who;
    return OK;
}

/* ---- what it needs --------------------------------------------------------------------- */

void privileges_make_folder(const struct privileges *who, const char *path)
{
    const char *slash = strrchr(path, '/');
    char folder[PATH_LIMIT];
    int fd;

    if (!slash || slash == path || (size_t)(slash - path) >= sizeof(folder))
        return;
    (void)snprintf(folder, sizeof(folder), "%.*s", (int)(slash - path), path);
    if (mkdir(folder, FOLDER_MODE) != 0)
        return;
    fd = open(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return;
    (void)!fchown(fd, who->user, who->group);
    (void)close(fd);
}

/* ---- the drop ---------------------------------------------------------------------------- */

static bool take_groups(const struct privileges *who)
{
    const int r = who->name[0] ? initgroups(who->name, who->group) : setgroups(1, &who->group);

    return r == 0 && setresgid(who->group, who->group, who->group) == 0;
}

static bool take_user(const struct privileges *who)
{
    return setresuid(who->user, who->user, who->user) == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
}

/* Not by what the calls said, but by what is. */
static bool is_for_good(const struct privileges *who)
{
    uid_t real, effective, saved;
    gid_t real_group, effective_group, saved_group;

    if (getresuid(&real, &effective, &saved) != 0 || getresgid(&real_group, &effective_group, &saved_group) != 0)
        return false;
    if (real != who->user || effective != who->user || saved != who->user || real_group != who->group ||
        effective_group != who->group || saved_group != who->group)
        return false;
    return who->user == 0 || (setuid(0) != 0 && seteuid(0) != 0 && (who->group == 0 || setgid(0) != 0));
}

enum err privileges_drop(const struct privileges *who, char *error, size_t size)
{
    errno = 0;
    if (take_groups(who) && take_user(who) && is_for_good(who)) {
        /* Else the commands of this user (sanad status) may not look at its process. */
        (void)prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
        return OK;
    }
    (void)snprintf(error, size, "cannot become user %ld, group %ld (%s)", (long)who->user, (long)who->group,
                   errno != 0 ? strerrordesc_np(errno) : "root could be had back");
    return E_IO;
}
