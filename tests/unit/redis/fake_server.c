/* SPDX-License-Identifier: MIT */
#include "fake_server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <hiredis/hiredis.h>

struct fake_client {
    uv_pipe_t pipe;
    struct fake *f;
    redisReader *reader;
    char room[65536];
};

struct piece {
    uv_write_t req;
    char bytes[];
};

static void on_written(uv_write_t *req, int status)
{
    (void)status;
    free(req);
}

static void send_bytes(struct fake_client *c, const char *bytes, size_t length)
{
    struct piece *p = malloc(sizeof(*p) + length);
    uv_buf_t buf;

    if (length == 0 || uv_is_closing((uv_handle_t *)&c->pipe)) {
        free(p);
        return;
    }
    memcpy(p->bytes, bytes, length);
    buf = uv_buf_init(p->bytes, (unsigned)length);
    uv_write(&p->req, (uv_stream_t *)&c->pipe, &buf, 1, on_written);
}

static void say(struct fake_client *c, struct str s)
{
    if (c->f->byte_by_byte)
        for (size_t i = 0; i < s.len; i++)
            send_bytes(c, s.ptr + i, 1);
    else
        send_bytes(c, s.ptr, s.len);
}

static void note(struct fake *f, const redisReply *command)
{
    size_t used = strlen(f->log);

    for (size_t i = 0; i < command->elements && used < sizeof(f->log) - 64; i++)
        used += (size_t)snprintf(f->log + used, sizeof(f->log) - used, "%s%.40s", i > 0 ? " " : "",
                                 command->element[i]->str);
    if (used < sizeof(f->log) - 64)
        snprintf(f->log + used, sizeof(f->log) - used, ";");
}

static const char * or (const char *told, const char *usual) { return told ? told : usual; }

/* Each channel is confirmed by itself. */
static void confirm(struct fake_client *c, const redisReply *command)
{
    char text[512];

    if (c->f->to_subscribe) {
        say(c, str_of(c->f->to_subscribe));
        return;
    }
    for (size_t i = 1; i < command->elements; i++) {
        const int n = snprintf(text, sizeof(text), "*3\r\n$9\r\nsubscribe\r\n$%zu\r\n%s\r\n:%zu\r\n",
                               command->element[i]->len, command->element[i]->str, i);
        say(c, (struct str){ text, (size_t)n });
    }
}

static void answer(struct fake_client *c, const redisReply *command)
{
    static const char sha[] = "$40\r\n0123456789012345678901234567890123456789\r\n";
    struct fake *f = c->f;
    const struct str name = str_of(command->element[0]->str);

    f->commands++;
    f->loads += str_eq(name, STR("SCRIPT"));
    f->evals += str_eq(name, STR("EVALSHA"));
    note(f, command);
    if (f->dumb)
        return;
    if (str_eq(name, STR("SUBSCRIBE")))
        confirm(c, command);
    else if (str_eq(name, STR("PING")))
        say(c, str_of(or (f->to_ping, "+PONG\r\n")));
    else if (str_eq(name, STR("AUTH")))
        say(c, str_of(or (f->to_auth, "+OK\r\n")));
    else if (str_eq(name, STR("SELECT")))
        say(c, str_of(or (f->to_select, "+OK\r\n")));
    else if (str_eq(name, STR("CLIENT")))
        say(c, STR("-NOPERM this user has no permissions to run the 'client|setname' command\r\n"));
    else if (str_eq(name, STR("SCRIPT")))
        say(c, str_of(or (f->to_load, sha)));
    else if (str_eq(name, STR("EVALSHA")) && f->to_eval)
        say(c, str_of(f->to_eval));
    else
        say(c, f->to_others);
}

static void on_closed(uv_handle_t *h)
{
    struct fake_client *c = h->data;

    redisReaderFree(c->reader);
    free(c);
}

static void drop(struct fake_client *c)
{
    if (c->f->client == c)
        c->f->client = NULL;
    if (!uv_is_closing((uv_handle_t *)&c->pipe))
        uv_close((uv_handle_t *)&c->pipe, on_closed);
}

static void on_room(uv_handle_t *h, size_t size, uv_buf_t *buf)
{
    struct fake_client *c = h->data;
    (void)size;

    *buf = uv_buf_init(c->room, sizeof(c->room));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct fake_client *c = stream->data;
    void *command = NULL;

    if (n < 0) {
        drop(c);
        return;
    }
    if (n == 0)
        return;
    c->f->reads++;
    redisReaderFeed(c->reader, buf->base, (size_t)n);
    while (redisReaderGetReply(c->reader, &command) == REDIS_OK && command) {
        answer(c, command);
        freeReplyObject(command);
    }
}

static void on_connection(uv_stream_t *listener, int status)
{
    struct fake *f = listener->data;
    struct fake_client *c = calloc(1, sizeof(*c));
    (void)status;

    c->f = f;
    c->pipe.data = c;
    c->reader = redisReaderCreate();
    uv_pipe_init(f->loop, &c->pipe, 0);
    uv_accept(listener, (uv_stream_t *)&c->pipe);
    f->client = c;
    f->accepted++;
    uv_read_start((uv_stream_t *)&c->pipe, on_room, on_read);
}

void fake_be_deaf(struct fake *f)
{
    if (f->client)
        uv_read_stop((uv_stream_t *)&f->client->pipe);
}

void fake_listen(struct fake *f)
{
    unlink(f->path);
    uv_pipe_init(f->loop, &f->listener, 0);
    f->listener.data = f;
    uv_pipe_bind(&f->listener, f->path);
    uv_listen((uv_stream_t *)&f->listener, 8, on_connection);
    f->listening = true;
}

void fake_start(struct fake *f, uv_loop_t *loop)
{
    *f = (struct fake){ .loop = loop };
    snprintf(f->path, sizeof(f->path), "/tmp/fake-redis-%ld.sock", (long)getpid());
    fake_listen(f);
}

/* The loop must run for the handle before it is used again. */
void fake_refuse(struct fake *f)
{
    if (f->listening)
        uv_close((uv_handle_t *)&f->listener, NULL);
    f->listening = false;
    uv_run(f->loop, UV_RUN_NOWAIT);
    unlink(f->path);
}

void fake_say(struct fake *f, struct str bytes)
{
    if (f->client)
        say(f->client, bytes);
}

void fake_hang_up(struct fake *f)
{
    if (f->client)
        drop(f->client);
}

void fake_stop(struct fake *f)
{
    fake_hang_up(f);
    fake_refuse(f);
}
