/* SPDX-License-Identifier: MIT */
/* The inside of the composition: what the master makes before it forks, and
 * each worker finds at the same addresses. */
#pragma once

#include "app/service.h"
#include "base/shared.h"
#include "cache/generation.h"
#include "db/budget.h"
#include "limit/table.h"
#include "ops/listeners.h"
#include "ops/master.h"
#include "ops/notify.h"
#include "ops/pid_file.h"
#include "ops/privileges.h"
#include "ops/slots.h"
#include "redis/conf.h"

struct node {
    const struct settings    *settings;       /* as of the last reload              */
    const struct settings_source *again;
    struct settings           reloaded[2];    /* one of them is those, after one    */
    bool                      served;         /* all workers were ready once        */
    unsigned                  times_ready, times_refused, times_stayed;
    const struct application *app;
    struct shared             shared;         /* holds the five below               */
    struct worker_slots      *slots;
    struct metrics_page      *pages;          /* one a row of the slots             */
    struct cache_generations *generations;
    struct budget            *budget;         /* database connections of all workers */
    struct limit_table       *limits;         /* clients that are counted           */
    struct listeners          listeners;
    struct notify             notify;         /* the service manager                */
    struct pid_file           pid_file;
    uint8_t                   key[SERVICE_KEY_BYTES];
};

/* What the master needs to know of the settings; and its reload, `arg` is the node. */
void service_tell_master(const struct node *n, struct master_conf *conf);
bool service_reload(void *arg, struct master_conf *conf);

/* What commands that wait read in the pid file: how often all workers were ready, how
 * often a reload was refused, and an upgrade came to nothing. */
void service_tell_commands(const struct node *n);

/* What is wrong with the settings that only shows when they are tried is told: false. */
bool service_try_settings(const struct settings *s);

/* How many clients a worker may hold: WORKER_CONNECTIONS, or what the limit of
 * file descriptors leaves. */
int service_connections(const struct settings *s);

/* The life of a worker; `arg` is the node. */
int service_worker_main(void *arg, const struct worker_seat *seat);

/* Tells, once, when a database server has less room than the node may want of it;
 * true in any case: the service runs. */
bool service_look_at_server(const struct settings *s);

/* The user to become when root has started us (RUN_AS_USER); each says what is
 * wrong in the log. */
bool service_user_known(const struct settings *s);                            /* or none is named   */
void service_user_warn(const struct settings *s);                             /* of serving as root */
bool service_user_find(const struct settings *s, struct privileges *ret_who); /* false: stay who we are */
void service_user_make_folders(const struct settings *s, const struct privileges *who);
bool service_user_become(const struct node *n, const struct privileges *who);
