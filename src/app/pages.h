/* SPDX-License-Identifier: MIT */
/* The pages that people see: files of WEB_DIR. */
#pragma once

#include "http/request.h"

http_handler page_file;
