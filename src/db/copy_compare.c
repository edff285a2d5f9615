/* SPDX-License-Identifier: MIT */
/* The end of a copy: both sides of each table are read in step, in the order of
 * their keys, counted, and hashed by us: what databases call a checksum differs
 * from one to the next. */
#include <sodium.h>

#include "db/copy_parts.h"

enum { COMPARE_ROWS = 1000 };

/* One side of a table that is read. */
struct reading {
    struct db_scope *scope;
    int64_t after;
    int64_t count;
    bool ended;
    crypto_generichash_state hash;
    struct db_rows page;
};

/* Both of them. */
struct comparing {
    struct copy *copy;
    const struct twin *twin;
    struct reading from, to;
    bool differs;
    int64_t differs_at;
};

static void start(struct reading *r, struct db_scope *scope)
{
    *r = (struct reading){ .scope = scope, .after = COPY_START };
    crypto_generichash_init(&r->hash, NULL, 0, COPY_HASH_BYTES);
}

/* Kind and length stand before the bytes: no two rows give the same sequence. */
static void hash_value(crypto_generichash_state *hash, const struct db_value *v)
{
    const bool bytes = v->kind == DB_TEXT || v->kind == DB_BLOB;
    struct {
        uint64_t kind, content;
    } head = { (uint64_t)(bytes ? DB_TEXT : v->kind), 0 };

    if (bytes)
        head.content = v->s.len;
    else if (v->kind != DB_NULL)
        memcpy(&head.content, &v->i, sizeof(head.content));
    crypto_generichash_update(hash, (const unsigned char *)&head, sizeof(head));
    if (bytes && v->s.len > 0)
        crypto_generichash_update(hash, (const unsigned char *)v->s.ptr, v->s.len);
}

static enum err read_page(struct comparing *c, struct reading *r)
{
    r->page = (struct db_rows){ .count = 0 };
    return r->ended ? OK : twin_page(c->twin, r->scope, r->after, c->copy->limit, &r->page);
}

static void take_page(const struct comparing *c, struct reading *r)
{
    const struct db_rows *page = &r->page;

    for (size_t i = 0; i < page->count * page->columns; i++)
        hash_value(&r->hash, &page->values[i]);
    if (page->count > 0)
        r->after = twin_key(db_row(page, page->count - 1));
    r->count += (int64_t)page->count;
    r->ended = page->count < c->copy->limit;
}

/* Beyond every other key when the page is over. */
static int64_t key_at(const struct db_rows *page, size_t i)
{
    return i < page->count ? twin_key(db_row(page, i)) : INT64_MAX;
}

static bool same_at(const struct comparing *c, size_t i)
{
    const struct db_rows *a = &c->from.page, *b = &c->to.page;

    return i < a->count && i < b->count && twin_difference(c->twin, db_row(a, i), db_row(b, i)) == c->twin->columns;
}

/* The first row that is not the same on both sides; what comes behind it on one
 * side may be shifted against the other. */
static void find_difference(struct comparing *c)
{
    const struct db_rows *a = &c->from.page, *b = &c->to.page;

    for (size_t i = 0; !c->differs && (i < a->count || i < b->count); i++) {
        const int64_t one = key_at(a, i), other = key_at(b, i);

        if (same_at(c, i))
            continue;
        c->differs = true;
        c->differs_at = one < other ? one : other;
    }
}

static enum err step(struct comparing *c, char *error, size_t size)
{
    enum err e;

    arena_reset(&c->copy->rows);
    e = read_page(c, &c->from);
    if (e != OK)
        return copy_failed(c->copy, &c->copy->from, e, error, size);
    e = read_page(c, &c->to);
    if (e != OK)
        return copy_failed(c->copy, &c->copy->to, e, error, size);
    find_difference(c);
    take_page(c, &c->from);
    take_page(c, &c->to);
    c->copy->done += (int64_t)c->from.page.count;
    return copy_tell(c->copy, COPY_COMPARING, error, size);
}

static void conclude(struct reading *r, struct copy_sum *ret_sum)
{
    ret_sum->rows = r->count;
    crypto_generichash_final(&r->hash, ret_sum->hash, COPY_HASH_BYTES);
}

static enum err compare_table(struct copy *copy, const struct twin *twin, struct copy_result *ret_result, char *error,
                              size_t size)
{
    struct comparing c = { .copy = copy, .twin = twin };

    start(&c.from, &copy->from);
    start(&c.to, &copy->to);
    while (!c.from.ended || !c.to.ended) {
        const enum err e = step(&c, error, size);

        if (e != OK && !copy_shrink(copy, e))
            return e;
    }
    conclude(&c.from, &ret_result->from);
    conclude(&c.to, &ret_result->to);
    ret_result->differs_at = c.differs_at;
    ret_result->equal = !c.differs && ret_result->from.rows == ret_result->to.rows &&
                        memcmp(ret_result->from.hash, ret_result->to.hash, COPY_HASH_BYTES) == 0;
    return OK;
}

static enum err compare_all(struct copy *c, struct copy_result *ret_results, bool *ret_equal, char *error, size_t size)
{
    bool equal = true;

    for (size_t i = 0; i < c->job->count; i++) {
        const enum err e = compare_table(c, &c->places[i].twin, &ret_results[i], error, size);

        if (e != OK)
            return e;
        equal = equal && ret_results[i].equal;
    }
    *ret_equal = equal;
    return OK;
}

/* The destination is read in a transaction, too: as it is at one moment. */
enum err copy_compare(struct copy *c, struct copy_result *ret_results, bool *ret_equal, char *error, size_t size)
{
    enum err e = db_begin(&c->to);

    if (e != OK)
        return copy_failed(c, &c->to, e, error, size);
    c->limit = COMPARE_ROWS;
    c->done = 0;
    e = compare_all(c, ret_results, ret_equal, error, size);
    db_rollback(&c->to);
    if (e != OK || !*ret_equal)
        return e;
    e = copy_unmark(c);
    return e == OK ? OK : copy_failed(c, &c->to, e, error, size);
}
