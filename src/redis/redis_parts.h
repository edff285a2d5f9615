/* SPDX-License-Identifier: MIT */
/* The inside of the client: commands under way and scripts. */
#pragma once

#include "redis/redis.h"
#include "redis/session.h"

enum { SCRIPT_SHA_SIZE = 41 };

/* A function as the server of this connection knows it. */
struct script_slot {
    const struct redis_script *script;
    struct redis              *r;
    struct ask                 load;
    bool                       loading;                 /* SCRIPT LOAD is under way     */
    char                       sha[SCRIPT_SHA_SIZE];    /* empty: not known             */
};

struct redis {
    const struct redis_conf *conf;
    struct session           session;
    uv_timer_t               limit;         /* of the command that waits longest        */
    int                      open_handles;  /* the session and the timer                */
    struct link              waiting;       /* of struct sent, by their time limits     */
    unsigned                 late;          /* timeouts since the last answer in time   */
    mono_ns                  late_since;    /* the first of those                       */
    mono_ns                  complain_due;  /* of refusals                              */
    struct buf               scratch;       /* a command being written                  */
    struct script_slot       scripts[REDIS_SCRIPTS_MAX];
    size_t                   script_count;
};

/* A command under way. It outlasts its time limit: its answer must be awaited. */
struct sent {
    struct ask          ask;
    struct link         waiting;            /* in redis->waiting, while somebody waits  */
    struct redis       *r;
    redis_reply_fn     *done;               /* NULL: nobody waits any more              */
    void               *arg;
    mono_ns             at, deadline;
    struct script_slot *script;             /* NULL: none                               */
    bool                repeated;
    size_t              length;             /* of a call of a function, kept whole      */
    char                bytes[];
};

/* As redis_send(); *ret_sent is valid until `done` is called. */
MUSTCHECK enum err redis_start(struct redis *r, const struct redis_command *c, redis_reply_fn *done, void *arg,
                               struct sent **ret_sent);

/* `done` will not be called. */
void redis_abandon(struct sent *s);

/* What a server's refusal means here. */
enum err refusal_of(struct str error);

/* Counts a refusal, and tells it, if that is due. */
void redis_note_refusal(struct redis *r, const char *what, struct str error);

struct script_slot *script_find(struct redis *r, const struct redis_script *script);

/* Sends SCRIPT LOAD, unless that is under way. */
MUSTCHECK enum err script_load(struct script_slot *s);
