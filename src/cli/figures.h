/* SPDX-License-Identifier: MIT */
/* Numbers as people read them, short enough for a column. */
#pragma once

#include <stdint.h>

#include "base/str.h"

struct figure { char text[24]; };

struct figure figure_rate(double n);             /* "0", "0.4", "12.3", "1234", "56.7k", "1.2M" */
struct figure figure_count(double n);            /* whole numbers: "0", "12", "56.7k"           */
struct figure figure_seconds(double seconds);    /* "0.41 ms", "12.3 ms", "1.23 s"              */
struct figure figure_bytes(double bytes);        /* "512 B", "1.2 MiB"                          */
struct figure figure_share(double share);        /* 0.934: "93.4 %"                             */
struct figure figure_age(double seconds);        /* "34 s", "5 min", "2 h 03 min", "3 d 04 h"   */
