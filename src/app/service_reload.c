/* SPDX-License-Identifier: MIT */
/* The settings read anew while the service runs: workers forked from then on have
 * them. What sockets, shared memory and the database depend on stays as it was. */
#include <stdio.h>

#include "app/service_parts.h"
#include "base/log.h"
#include "settings/table.h"

static int workers_most(const struct settings *s)
{
    const int connections = s->db_pool_size + s->db_max_overflow; /* each worker needs one */

    return connections < WORKERS_MAX ? connections : WORKERS_MAX;
}

void service_tell_master(const struct node *n, struct master_conf *conf)
{
    const struct settings *s = n->settings;

    conf->workers = s->max_workers;
    conf->workers_most = workers_most(s);
    conf->graceful_timeout_s = s->graceful_timeout_s;
    conf->timeout_s = s->timeout_s;
    conf->log_level = s->log_level;
    conf->log_format = s->log_format;
}

static void tell_held(void *arg, const struct setting *row)
{
    (void)arg;
    log_event(LOG_WARNING, "a setting takes effect with `sanad upgrade` or a restart", LOG_C("key", row->key));
}

/* Loaded, held, tried; false: *s is empty. */
static bool load(const struct node *n, struct settings *s)
{
    if (!n->again || !n->again->load(n->again->arg, s)) {
        *s = (struct settings){ .debug = false };
        return false;
    }
    if (settings_hold(s, n->settings, tell_held, NULL) != OK) {
        log_text(LOG_ERROR, "the settings cannot be kept: out of memory");
    } else if (s->max_workers > workers_most(s)) {
        log_event(LOG_ERROR, "MAX_WORKERS is more than there are connections to the database, or room for",
                  LOG_I("workers", s->max_workers), LOG_I("most", workers_most(s)));
    } else if (service_try_settings(s)) {
        return true;
    }
    settings_done(s);
    return false;
}

void service_tell_commands(const struct node *n)
{
    char news[PID_FILE_NEWS_SIZE];

    snprintf(news, sizeof(news), "ready %u refused %u stayed %u", n->times_ready, n->times_refused, n->times_stayed);
    pid_file_tell(&n->pid_file, news);
}

bool service_reload(void *arg, struct master_conf *conf)
{
    struct node *n = arg;
    struct settings *before = n->settings == &n->reloaded[0]   ? &n->reloaded[0]
                              : n->settings == &n->reloaded[1] ? &n->reloaded[1]
                                                               : NULL;
    struct settings *fresh = before == &n->reloaded[0] ? &n->reloaded[1] : &n->reloaded[0];

    if (!load(n, fresh)) {
        n->times_refused++;
        service_tell_commands(n);
        return false;
    }
    n->settings = fresh;
    if (before)
        settings_done(before);
    log_setup(fresh->log_level, fresh->log_format, "master");
    service_tell_master(n, conf);
    return true;
}
