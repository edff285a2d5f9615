/* SPDX-License-Identifier: MIT */
/* From root to a user of the service's own: what is made for it before, and what
 * the operator is told (ops/privileges.h has the how and why). */
#include <unistd.h>

#include "app/service_parts.h"
#include "base/log.h"

enum { ERROR_SIZE = 256 };

static bool wants_another(const struct settings *s) { return s->run_as_user.len > 0 && privileges_of_root(); }

static bool find(const struct settings *s, struct privileges *ret_who)
{
    char error[ERROR_SIZE];

    if (privileges_find(s->run_as_user.ptr, s->run_as_group.ptr, ret_who, error, sizeof(error)) == OK)
        return true;
    log_text(LOG_ERROR, "%s", error);
    return false;
}

bool service_user_known(const struct settings *s)
{
    struct privileges ignored;

    return !wants_another(s) || find(s, &ignored);
}

/* Process 1 is the first of a container, whose root is often none outside. */
void service_user_warn(const struct settings *s)
{
    if (s->run_as_user.len == 0 && privileges_of_root() && getpid() != 1)
        log_text(LOG_WARNING, "running as root: set RUN_AS_USER to a user of its own (useradd --system sanad), or to "
                              "root if that is meant");
}

bool service_user_find(const struct settings *s, struct privileges *ret_who)
{
    return wants_another(s) && find(s, ret_who) && ret_who->user != 0;
}

void service_user_make_folders(const struct settings *s, const struct privileges *who)
{
    const struct str files[] = {
        s->db_driver == DB_DRIVER_SQLITE ? s->db_path : STR_EMPTY,
        s->pid_file,
        s->access_log,
        s->slow_log,
        s->unix_socket,
    };

    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        if (files[i].len > 0)
            privileges_make_folder(who, files[i].ptr);
    }
}

bool service_user_become(const struct node *n, const struct privileges *who)
{
    char error[ERROR_SIZE] = "the sockets cannot be given to another user";

    if (listeners_give(&n->listeners, who->user, who->group) != OK ||
        privileges_drop(who, error, sizeof(error)) != OK) {
        log_text(LOG_ERROR, "RUN_AS_USER: %s", error);
        return false;
    }
    log_event(LOG_INFO, "left root behind", LOG_I("user", (int64_t)who->user), LOG_I("group", (int64_t)who->group));
    return true;
}
