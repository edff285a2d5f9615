/* SPDX-License-Identifier: MIT */
/* The demo chain's certificate templates: each category in three variants.
 * Variants frame, categories say; a template is one of each. */
#pragma once

#include "base/arena.h"

struct demo_template {
    struct str name, html;
    const char *category, *variant, *config;    /* config: a JSON object */
};

enum { DEMO_VARIANTS = 3, DEMO_CATEGORIES = 8, DEMO_TEMPLATES = DEMO_CATEGORIES * DEMO_VARIANTS };

/* 0 <= index < DEMO_TEMPLATES; categories[index / DEMO_VARIANTS] is its category. */
struct demo_template demo_template_at(struct arena *a, int index);
