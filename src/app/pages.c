/* SPDX-License-Identifier: MIT */
#include "app/pages.h"

#include "app/service.h"
#include "http/static_files.h"

/* The path is that of the file: "/" for the folder's index.html. */
struct response page_file(struct request *req)
{
    struct static_root *web = request_service(req)->web;

    if (!web)
        return problem(req, 404, "This server has no pages: WEB_DIR is not a folder.");
    return static_answer(web, req, req->target.segments, req->target.segment_count);
}
