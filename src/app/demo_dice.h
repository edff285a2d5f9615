/* SPDX-License-Identifier: MIT */
/* Throws for the demo data: people, homes, telephone numbers, days and sums,
 * each drawn from one repeatable source and the words of demo_words.h.
 *
 * Nothing drawn is meant to reach anybody: the telephone numbers are not of a form
 * that India's numbering plan gives out, the mail domains are RFC 2606's.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "app/demo_words.h"
#include "base/arena.h"
#include "base/random.h"

/* Texts that are drawn live in `arena`. */
struct demo_dice { struct random random; struct arena *arena; };

/* Days since 1970-01-01. */
typedef int32_t demo_day;

struct demo_person { const char *given, *family; bool female; };

struct demo_home {
    const struct demo_place *place;
    const char              *locality;
    struct str               address;    /* house and street */
    struct str               pincode;
};

/* Uniform in [least, most], both ends included. */
int  dice_between(struct demo_dice *d, int least, int most);
bool dice_percent(struct demo_dice *d, int percent);

struct str dice_word(struct demo_dice *d, const struct demo_list *list);

/* Somebody who lives at this place: mostly with a name of its region. */
struct demo_person dice_person(struct demo_dice *d, const struct demo_place *place);
struct str         dice_full_name(struct demo_dice *d, const struct demo_place *place);
struct str         person_name(struct arena *a, const struct demo_person *p);

/* given.family<number>@domain, in lower case, letters and digits only. */
struct str person_email(struct arena *a, const struct demo_person *p, int number, const char *domain);

const struct demo_place *dice_place(struct demo_dice *d);
struct demo_home         dice_home(struct demo_dice *d, const struct demo_place *place);
struct str               dice_phone(struct demo_dice *d);

/* An Indian pay, in paise, in steps of 500 rupees. */
int64_t dice_pay(struct demo_dice *d, const struct demo_job *job);

/* A public code (code.h), but one that can be had again: for data that guards
 * nothing. */
struct str dice_code(struct demo_dice *d);

/* "2026-01-31". */
struct str day_text(struct arena *a, demo_day day);
/* "January 2026", `months` before that day's month. */
struct str day_month_name(struct arena *a, demo_day day, int months);
/* The same day of another month (the last one where that has fewer days). */
demo_day day_add_months(demo_day day, int months);
