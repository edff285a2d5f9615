/* SPDX-License-Identifier: MIT */
/* The router: one tree node a path segment, built once, never changed.
 *
 *   /api -- /spas -- {id} -- /certificates
 *        `- /certificates -- /public
 *                         `- {kind}
 *
 * Finding walks the tree depth first with a stack of its own: the literal child
 * before the {parameter}, so that the first node reached with all segments used
 * up is the best fit. A node that knows the path but not the method is noted
 * for 405, and the walk goes on. Only when no node knows the path does the
 * deepest subtree on the way answer. Nothing is allocated.
 */
#include <stdlib.h>

#include "base/log.h"
#include "http/route.h"

struct node {
    struct str name;      /* the literal segment, or the parameter's name */
    struct node *sibling; /* next literal child of the same parent        */
    struct node *literals;
    struct node *param; /* the {parameter} child                        */
    uint32_t allowed;   /* methods of the path that ends here           */
    uint32_t below;     /* methods of the subtree that begins here      */
    const struct route *rows[HTTP_METHOD_COUNT];
};

struct router {
    const struct route *routes;
    size_t count;
    size_t node_count;
    struct node *nodes; /* all of them; the first is "/" */
};

/* ---- building ---- */

static _Noreturn void contradiction(const struct route *row, const char *what)
{
    log_event(LOG_ERROR, "the table of routes contradicts itself", LOG_C("why", what),
              LOG_C("method", http_method_name(row->method)), LOG_C("path", row->path));
    abort();
}

static bool is_param(struct str segment)
{
    return segment.len > 2 && segment.ptr[0] == '{' && segment.ptr[segment.len - 1] == '}';
}

static struct node *node_add(struct router *r, struct str name)
{
    struct node *node = &r->nodes[r->node_count++];
    node->name = name;
    return node;
}

static struct node *find_literal(const struct node *parent, struct str name)
{
    struct node *child = parent->literals;
    while (child && !str_eq(child->name, name))
        child = child->sibling;
    return child;
}

static struct node *literal_child(struct router *r, struct node *parent, struct str name)
{
    struct node *child = find_literal(parent, name);
    if (!child) {
        child = node_add(r, name);
        child->sibling = parent->literals;
        parent->literals = child;
    }
    return child;
}

static struct node *param_child(struct router *r, struct node *parent, struct str name, const struct route *row)
{
    if (!parent->param)
        parent->param = node_add(r, name);
    if (!str_eq(parent->param->name, name))
        contradiction(row, "one parameter has two names");
    return parent->param;
}

/* The node of a row's path, made where it is missing. */
static struct node *grow(struct router *r, const struct route *row)
{
    struct node *node = &r->nodes[0];
    size_t depth = 0, params = 0;
    struct str rest = str_of(row->path);
    if (rest.len == 0 || str_split(&rest, '/').len > 0)
        contradiction(row, "the path does not begin with a slash");
    if (rest.len == 0)
        return node;
    while (rest.ptr) {
        const struct str segment = str_split(&rest, '/');
        if (++depth > TARGET_SEGMENTS_MAX)
            contradiction(row, "the path is too deep");
        if (!is_param(segment)) {
            node = literal_child(r, node, segment);
            continue;
        }
        if (++params > PATH_ARGS_MAX)
            contradiction(row, "the path has too many parameters");
        node = param_child(r, node, str_slice(segment, 1, segment.len - 1), row);
    }
    return node;
}

static void add(struct router *r, const struct route *row)
{
    struct node *node = grow(r, row);
    if (node->rows[row->method])
        contradiction(row, "two rows have one method and path");
    node->rows[row->method] = row;
    const uint32_t methods = 1u << row->method | (row->method == HTTP_GET ? 1u << HTTP_HEAD : 0) | 1u << HTTP_OPTIONS;
    node->allowed |= methods;
    if (row->flags & ROUTE_SUBTREE)
        node->below |= methods;
}

/* No path has more segments than slashes. */
static size_t most_nodes(const struct route *routes, size_t count)
{
    size_t nodes = 1;
    for (size_t i = 0; i < count; i++)
        for (const char *p = routes[i].path; *p; p++)
            nodes += *p == '/';
    return nodes;
}

struct router *router_new(const struct route *routes, size_t count)
{
    struct router *r = calloc(1, sizeof(*r));
    if (!r)
        return NULL;
    r->nodes = calloc(most_nodes(routes, count), sizeof(*r->nodes));
    if (!r->nodes) {
        router_free(r);
        return NULL;
    }
    r->routes = routes;
    r->count = count;
    node_add(r, STR_EMPTY);
    for (size_t i = 0; i < count; i++)
        add(r, &routes[i]);
    return r;
}

void router_free(struct router *r)
{
    if (!r)
        return;
    free(r->nodes);
    free(r);
}

/* ---- finding ---- */

/* A place in the tree still to be looked at. */
struct step {
    const struct node *node;
    size_t depth; /* segments used up, the node's own included           */
    size_t args;  /* parameters among them                               */
    bool is_arg;  /* the node's own segment is the last of these         */
};

/* A walk under way. Each step leaves at most one more on the stack than it
 * found, so one for each depth and one to start with is room enough. */
struct walk {
    const struct target *target;
    enum http_method method;
    struct route_match best;  /* exact path                       */
    struct route_match below; /* deepest subtree                  */
    struct str args[PATH_ARGS_MAX];
    size_t top;
    struct step stack[TARGET_SEGMENTS_MAX + 2];
};

static const struct route *row_for(const struct node *node, uint32_t allowed, enum http_method method)
{
    if ((unsigned)method >= HTTP_METHOD_COUNT || !(allowed & 1u << method))
        return NULL;
    return method == HTTP_HEAD && !node->rows[HTTP_HEAD] ? node->rows[HTTP_GET] : node->rows[method];
}

static void take(struct route_match *m, const struct walk *w, const struct step *at, const struct route *row)
{
    m->route = row;
    m->rest = at->depth;
    for (size_t i = 0; i < at->args; i++)
        m->path_args[i] = w->args[i];
}

static void note_subtree(struct walk *w, const struct step *at)
{
    if (w->below.allowed && at->depth <= w->below.rest)
        return;
    w->below.allowed = at->node->below;
    const struct route *row = row_for(at->node, at->node->below, w->method);
    take(&w->below, w, at, row && row->flags & ROUTE_SUBTREE ? row : NULL);
}

static void push(struct walk *w, const struct node *node, const struct step *parent, bool is_arg)
{
    w->stack[w->top++] = (struct step){ node, parent->depth + 1, parent->args + is_arg, is_arg };
}

/* Looks at one place; the places behind it go on the stack, the literal on top. */
static void visit(struct walk *w, const struct step *at)
{
    const struct target *t = w->target;
    if (at->is_arg)
        w->args[at->args - 1] = t->segments[at->depth - 1];
    if (at->node->below)
        note_subtree(w, at);
    if (at->depth == t->segment_count) {
        w->best.allowed |= at->node->allowed;
        const struct route *row = row_for(at->node, at->node->allowed, w->method);
        if (row)
            take(&w->best, w, at, row);
        return;
    }
    const struct str segment = t->segments[at->depth];
    if (at->node->param && segment.len > 0)
        push(w, at->node->param, at, true);
    const struct node *literal = find_literal(at->node, segment);
    if (literal)
        push(w, literal, at, false);
}

struct route_match router_find(const struct router *r, enum http_method method, const struct target *t)
{
    struct walk w;
    w.target = t;
    w.method = method;
    w.best = w.below = (struct route_match){ 0 };
    w.stack[0] = (struct step){ .node = &r->nodes[0] };
    w.top = 1;
    while (w.top > 0 && !w.best.route) {
        const struct step at = w.stack[--w.top];
        visit(&w, &at);
    }
    return w.best.allowed ? w.best : w.below;
}

size_t router_index(const struct router *r, const struct route *route) { return (size_t)(route - r->routes); }

size_t router_count(const struct router *r) { return r->count; }

const struct route *router_row(const struct router *r, size_t index)
{
    return index < r->count ? &r->routes[index] : NULL;
}
