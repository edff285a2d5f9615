/* SPDX-License-Identifier: MIT */
/* Sanad as an application of the service: its routes (the domain's, those of
 * ops/, the pages), its migrations, its statements. */
#pragma once

#include "app/service.h"

/* Builds it for the database of the settings, in an arena that lives as long as
 * the process; NULL when that is full. */
const struct application *sanad_application(const struct settings *s, struct arena *arena);
