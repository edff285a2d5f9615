/* SPDX-License-Identifier: MIT */
#include "ops/gate.h"

#include "base/metrics.h"
#include "http/server.h"

static bool may_pass(const struct gate *gate, const struct request *req)
{
    return gate->limit == 0 || (req->route && req->route->flags & ROUTE_UNGATED) ||
           server_active(req->server) < gate->limit;
}

enum step_result gate_step(void *ctx, struct request *req, struct response *res)
{
    if (may_pass(ctx, req))
        return STEP_NEXT;
    metric_add(M_SHED, 1);
    *res = problem(req, 503, "%s", err_text(E_BUSY));
    response_field(res, "Retry-After", STR("1"));
    return STEP_ANSWERED;
}
