/* SPDX-License-Identifier: MIT */
/* The vocabulary of the demo data: who lives where, what a spa sells, teaches
 * and pays. Constant tables; nothing here names a real person or business.
 *
 * A region ties the names to the places: somebody from Kochi gets a name that
 * people in Kochi have. Lists of fixed length are full to their last word.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum { DEMO_GIVEN = 16, DEMO_FAMILY = 16, DEMO_LOCALITIES = 4 };

struct demo_region {
    const char *name;
    const char *female[DEMO_GIVEN], *male[DEMO_GIVEN], *family[DEMO_FAMILY];
};

enum demo_region_id {
    REGION_NORTH, REGION_PUNJAB, REGION_WEST, REGION_GUJARAT, REGION_BENGAL, REGION_NORTHEAST,
    REGION_TAMIL, REGION_KERALA, REGION_TELUGU, REGION_KARNATAKA, REGION_GOA, REGION_COUNT
};
extern const struct demo_region demo_regions[REGION_COUNT];

/* A city with the first three digits of its PIN codes, and its state's number
 * in the goods and services tax. */
struct demo_place {
    const char         *city, *state, *pin, *gst, *short_name;
    enum demo_region_id region;
    const char         *localities[DEMO_LOCALITIES];
};
extern const struct demo_place demo_places[];
extern const size_t            demo_place_count;

/* Plain lists of words. */
struct demo_list { const char *const *words; size_t count; };
extern const struct demo_list demo_house_names, demo_streets, demo_qualifications, demo_languages, demo_sources,
    demo_conduct, demo_reference_jobs;

/* A course, its length, and what it covers. */
struct demo_course { const char *title; int months; const char *modules; };
extern const struct demo_course demo_courses[];
extern const size_t             demo_course_count;

/* A job, its department, and the monthly pay in rupees from the least to the
 * most. The managers' come first. */
enum { DEMO_MANAGER_JOBS = 2 };
struct demo_job { const char *title, *department; int least, most; const char *duties; };
extern const struct demo_job demo_jobs[];
extern const size_t          demo_job_count;

/* What a guest is billed for; the price in rupees, before tax. */
struct demo_service { const char *title; int minutes, price; };
extern const struct demo_service demo_services[];
extern const size_t              demo_service_count;
