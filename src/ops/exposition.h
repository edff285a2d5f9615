/* SPDX-License-Identifier: MIT */
/* GET /metrics: a snapshot of the node as JSON for people and scripts, or as
 * Prometheus text (0.0.4) or OpenMetrics text (1.0.0) for collectors.
 *
 * The JSON begins with the five numbers of the pool that older dashboards read
 * (pool_size, checked_in, checked_out, overflow, invalid); times in it have
 * their unit in their name. The texts use the names of base/metrics.h and base
 * units only. Labels are bounded: routes are the table's paths, never what a
 * client sent.
 */
#pragma once

#include "base/buf.h"
#include "http/request.h"
#include "ops/snapshot.h"

/* Renders; check buf_ok(). `router` names the routes of HTTP series. */
void exposition_json(const struct snapshot *s, const struct router *router, struct buf *out);

enum exposition_text_kind { EXPOSITION_PROMETHEUS, EXPOSITION_OPENMETRICS };
void exposition_text(const struct snapshot *s, const struct router *router, enum exposition_text_kind kind,
                     struct buf *out);

/* The labels of a HTTP series. */
const char *exposition_route(const struct router *router, unsigned index);    /* "/api/spas/{id}", "unmatched" */
const char *exposition_method(unsigned method);                               /* "GET", "_OTHER"               */

/* The handler; req->app is a struct worker. Only METRICS_ALLOW may read it: the
 * client, and, when the request came through proxies, trusted or not, every
 * address that they name (a client can add to that list, but not take itself off
 * it). So a proxy on this machine does not open it to the world, declared or not,
 * as long as it says in one of the usual headers for whom it asks. The route
 * declares metrics_params. */
struct response metrics_show(struct request *req);
extern const struct param metrics_params[];
