/* SPDX-License-Identifier: MIT */
/* Errors as application/problem+json (RFC 9457). The type is about:blank, so
 * the title is the status' own text; `detail` is the sentence for a person. */
#include <stdarg.h>
#include <stdio.h>

#include "base/json.h"
#include "http/request.h"
#include "http/response.h"

enum { DETAIL_MAX = 512, PROBLEM_MAX = 16 * 1024 };

static const char out_of_memory[] =
    "{\"type\":\"about:blank\",\"title\":\"Service Unavailable\",\"status\":503,\"detail\":\"The server is short of "
    "memory; please try again.\"}";

static void write_errors(struct json *j, const struct field_errors *errors)
{
    json_key(j, STR("errors"));
    json_array(j);
    for (size_t i = 0; i < errors->count; i++) {
        json_object(j);
        json_key(j, STR("field"));
        json_str(j, errors->rows[i].field);
        json_key(j, STR("message"));
        json_str(j, errors->rows[i].message);
        json_object_end(j);
    }
    json_array_end(j);
}

struct response problem_fields(struct request *req, int status, const char *detail, const struct field_errors *errors)
{
    struct buf body;
    struct json j;

    buf_init_arena(&body, &req->arena, PROBLEM_MAX);
    json_init(&j, &body);
    json_object(&j);
    json_member_str(&j, "type", STR("about:blank"));
    json_member_str(&j, "title", str_of(http_status_text(status)));
    json_member_int(&j, "status", status);
    json_member_str(&j, "detail", str_of(detail));
    json_member_str(&j, "request_id", req->id);
    if (errors && errors->count > 0)
        write_errors(&j, errors);
    json_object_end(&j);
    if (!buf_ok(&body))
        return response_bytes(503, "application/problem+json", str_of(out_of_memory));
    return response_bytes(status, "application/problem+json", buf_view(&body));
}

struct response problem(struct request *req, int status, const char *detail_format, ...)
{
    char detail[DETAIL_MAX];
    va_list args;

    va_start(args, detail_format);
    vsnprintf(detail, sizeof(detail), detail_format, args);
    va_end(args);
    return problem_fields(req, status, detail, NULL);
}

struct response problem_err(struct request *req, enum err e)
{
    return problem(req, err_http_status(e), "%s", err_text(e));
}
