/* SPDX-License-Identifier: MIT */
#include "app/service_failure.h"

#include "base/err.h"
#include "base/log.h"

enum { LINES_APART_MS = 100 };

static bool is_failure(int status)
{
    return status == err_http_status(E_INTERNAL) || status == err_http_status(E_DISK_FULL);
}

void service_failure_tell(struct service_failures *f, const struct exchange_record *record)
{
    const struct request *req = record->req;

    if (!is_failure(record->status) || !req)
        return;
    const mono_ns now = clock_mono();
    if (now < f->due) {
        f->untold++;
        return;
    }
    log_event(LOG_ERROR, "request failed", LOG_I("status", record->status), LOG_S("method", record->method),
              LOG_C("route", req->route ? req->route->path : ""), LOG_S("request_id", req->id), LOG_TRACE(req->trace),
              LOG_I("others", (int64_t)f->untold));
    f->due = now + (mono_ns)LINES_APART_MS * NS_PER_MS;
    f->untold = 0;
}
