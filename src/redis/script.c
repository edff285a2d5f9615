/* SPDX-License-Identifier: MIT */
/* Functions in the server: each is known there by the hash of its text, which the
 * server itself tells when it loads one. */
#include <string.h>

#include "redis/redis_parts.h"

static void on_loaded(struct ask *a, enum err e, const struct redis_value *v)
{
    struct script_slot *s = container_of(a, struct script_slot, load);
    const struct str sha = e == OK ? redis_text(v) : STR_EMPTY;

    s->loading = false;
    if (e == OK && v->kind == REDIS_ERROR)
        redis_note_refusal(s->r, s->script->name, v->s);
    if (sha.len != sizeof(s->sha) - 1)
        return;
    memcpy(s->sha, sha.ptr, sha.len);
    s->sha[sha.len] = '\0';
}

enum err script_load(struct script_slot *s)
{
    struct buf *out = &s->r->scratch;
    enum err e;

    if (s->loading)
        return OK;
    buf_clear(out);
    command_write(out, REDIS_COMMAND(RA_TEXT("SCRIPT"), RA_TEXT("LOAD"), RA_STR(str_of(s->script->text))), STR_EMPTY,
                  NULL);
    s->load.answered = on_loaded;
    e = buf_ok(out) ? session_ask(&s->r->session, buf_view(out), &s->load) : out->err;
    s->loading = e == OK;
    return e;
}

struct script_slot *script_find(struct redis *r, const struct redis_script *script)
{
    for (size_t i = 0; i < r->script_count; i++)
        if (r->scripts[i].script == script)
            return &r->scripts[i];
    return NULL;
}

enum err redis_add_script(struct redis *r, const struct redis_script *script)
{
    struct script_slot *s;

    if (script_find(r, script))
        return OK;
    if (r->script_count == REDIS_SCRIPTS_MAX)
        return E_BUSY;
    s = &r->scripts[r->script_count++];
    *s = (struct script_slot){ .script = script, .r = r };
    /* Otherwise the next greeting does it. */
    return session_is_ready(&r->session) ? script_load(s) : OK;
}
