/* SPDX-License-Identifier: MIT */
/* The certificate categories: all that the program knows about each.
 *
 * Adding one is its field rows here, its line in CATEGORIES, and its table in the
 * migrations. The order of CATEGORIES is part of the order of mixed lists and of
 * their cursors: append only.
 */
#include "app/categories.h"

#include <assert.h>

enum { NAME_MAX_BYTES = 255, DAY_BYTES = 10, URL_MAX_BYTES = 500, ROWS_MAX = 500, MONEY_MAX = UINT32_MAX / 2 };

static const char *const payment_modes[] = { "cash", "card", "upi", "bank_transfer", "cheque", NULL };

/* clang-format off */
#define NEEDED FIELD_REQUIRED
#define SHOWN  FIELD_PUBLIC
#define FOUND  FIELD_SEARCH

const struct field certificate_head[] = {
    { "id",             FIELD_INT,    0,              SHOWN,                  "Number",                NULL },
    { "generated_at",   FIELD_TIME,   0,              SHOWN,                  "Issued at",             NULL },
    { "code",           FIELD_TEXT,   27,             SHOWN,                  "Verification code",     NULL },
    { "serial",         FIELD_TEXT,   64,             SHOWN | FOUND,          "Serial",                NULL },
    { "template_id",    FIELD_REF,    0,              SHOWN,                  "Template",              NULL },
    { "spa_id",         FIELD_REF,    0,              SHOWN,                  "Spa",                   NULL },
    { "created_by",     FIELD_REF,    0,              SHOWN,                  "Issued by",             NULL },
};
const size_t certificate_head_count = sizeof(certificate_head) / sizeof(certificate_head[0]);

const struct field certificate_tail[] = {
    { "is_public",        FIELD_BOOL,   0,            SHOWN,                  "Public",                NULL },
    { "expires_at",       FIELD_TIME,   0,            SHOWN,                  "Valid until",           NULL },
    { "revoked_at",       FIELD_TIME,   0,            SHOWN,                  "Revoked at",            NULL },
    { "certificate_data", FIELD_OBJECT, 0,            SHOWN,                  "Further particulars",   NULL },
};
const size_t certificate_tail_count = sizeof(certificate_tail) / sizeof(certificate_tail[0]);

static const struct field spa_therapist[] = {
    { "candidate_name",      FIELD_TEXT,  NAME_MAX_BYTES, NEEDED | FOUND | SHOWN, "Candidate name",        NULL },
    { "course_name",         FIELD_TEXT,  NAME_MAX_BYTES, NEEDED | SHOWN,         "Course",                NULL },
    { "start_date",          FIELD_DATE,  DAY_BYTES,      NEEDED | SHOWN,         "Start date",            NULL },
    { "end_date",            FIELD_DATE,  DAY_BYTES,      NEEDED | SHOWN,         "End date",              NULL },
    { "passport_size_photo", FIELD_IMAGE, URL_MAX_BYTES,  0,                      "Passport size photo",   NULL },
    { "candidate_signature", FIELD_IMAGE, URL_MAX_BYTES,  0,                      "Candidate's signature", NULL },
};

static const struct field manager_salary[] = {
    { "manager_name",        FIELD_TEXT,  NAME_MAX_BYTES, NEEDED | FOUND | SHOWN, "Manager name",          NULL },
    { "position",            FIELD_TEXT,  NAME_MAX_BYTES, NEEDED | SHOWN,         "Position",              NULL },
    { "joining_date",        FIELD_DATE,  DAY_BYTES,      NEEDED | SHOWN,         "Joining date",          NULL },
    { "monthly_salary",      FIELD_MONEY, MONEY_MAX,      NEEDED,                 "Monthly salary",        NULL },
    { "salary_months",       FIELD_LIST,  ROWS_MAX,       0,                      "Months and amounts",    NULL },
};

static const struct field offer_letter[] = {
    { "employee_name",       FIELD_TEXT,  NAME_MAX_BYTES, NEEDED | FOUND | SHOWN, "Employee name",         NULL },
    { "position",            FIELD_TEXT,  NAME_MAX_BYTES, NEEDED | SHOWN,         "Position",              NULL },
    { "start_date",          FIELD_DATE,  DAY_BYTES,      NEEDED | SHOWN,         "Start date",            NULL },
    { "monthly_salary",      FIELD_MONEY, MONEY_MAX,      NEEDED,                 "Monthly salary",        NULL },
};

static const struct field experience_letter[] = {
    { "candidate_name",      FIELD_TEXT,  NAME_MAX_BYTES, NEEDED | FOUND | SHOWN, "Candidate name",        NULL },
    { "position",            FIELD_TEXT,  NAME_MAX_BYTES, NEEDED | SHOWN,         "Position",              NULL },
    { "joining_date",        FIELD_DATE,  DAY_BYTES,      NEEDED | SHOWN,         "Joining date",          NULL },
    { "end_date",            FIELD_DATE,  DAY_BYTES,      NEEDED | SHOWN,         "End date",              NULL },
    { "duration",            FIELD_TEXT,  100,            SHOWN,                  "Duration",              NULL },
    { "monthly_salary",      FIELD_MONEY, MONEY_MAX,      0,                      "Monthly salary",        NULL },
};

static const struct field appointment_letter[] = {
    { "employee_name",       FIELD_TEXT,  NAME_MAX_BYTES, NEEDED | FOUND | SHOWN, "Employee name",         NULL },
    { "position",            FIELD_TEXT,  NAME_MAX_BYTES, NEEDED | SHOWN,         "Position",              NULL },
    { "start_date",          FIELD_DATE,  DAY_BYTES,      NEEDED | SHOWN,         "Start date",            NULL },
    { "monthly_salary",      FIELD_MONEY, MONEY_MAX,      NEEDED,                 "Monthly salary",        NULL },
};

static const struct field invoice_spa_bill[] = {
    { "bill_number",         FIELD_TEXT,  64,             NEEDED | FOUND | SHOWN, "Bill number",           NULL },
    { "bill_date",           FIELD_DATE,  DAY_BYTES,      NEEDED | SHOWN,         "Bill date",             NULL },
    { "customer_name",       FIELD_TEXT,  NAME_MAX_BYTES, NEEDED | FOUND,         "Customer name",         NULL },
    { "payment_mode",        FIELD_ENUM,  0,              NEEDED,                 "Payment mode",          payment_modes },
    { "bill_lines",          FIELD_LIST,  ROWS_MAX,       NEEDED,                 "Services",              NULL },
    { "total_amount",        FIELD_MONEY, MONEY_MAX,      NEEDED,                 "Total",                 NULL },
    { "amount_in_words",     FIELD_TEXT,  NAME_MAX_BYTES, 0,                      "Amount in words",       NULL },
};

static const struct field id_card[] = {
    { "employee_name",       FIELD_TEXT,  NAME_MAX_BYTES, NEEDED | FOUND | SHOWN, "Employee name",         NULL },
    { "designation",         FIELD_TEXT,  NAME_MAX_BYTES, NEEDED | SHOWN,         "Designation",           NULL },
    { "joining_date",        FIELD_DATE,  DAY_BYTES,      NEEDED | SHOWN,         "Joining date",          NULL },
    { "contact_number",      FIELD_TEXT,  32,             0,                      "Contact number",        NULL },
    { "issue_date",          FIELD_DATE,  DAY_BYTES,      NEEDED | SHOWN,         "Issue date",            NULL },
    { "photo",               FIELD_IMAGE, URL_MAX_BYTES,  0,                      "Photo",                 NULL },
};

static const struct field daily_sheet[] = {
    { "spa_name",            FIELD_TEXT,  NAME_MAX_BYTES, NEEDED | FOUND | SHOWN, "Spa",                   NULL },
    { "sheet_date",          FIELD_DATE,  DAY_BYTES,      NEEDED | SHOWN,         "Day",                   NULL },
    { "entries",             FIELD_LIST,  ROWS_MAX,       NEEDED,                 "Entries",               NULL },
};

#undef NEEDED
#undef SHOWN
#undef FOUND

/* X(id and name of the field rows, title, party, sensitive) */
#define CATEGORIES(X)                                                                    \
    X(spa_therapist,      "Spa Therapist Certificate",  "candidate_name", false)         \
    X(manager_salary,     "Manager Salary Certificate", "manager_name",   true)          \
    X(offer_letter,       "Offer Letter",               "employee_name",  false)         \
    X(experience_letter,  "Experience Letter",          "candidate_name", false)         \
    X(appointment_letter, "Appointment Letter",         "employee_name",  false)         \
    X(invoice_spa_bill,   "Invoice / Spa Bill",         "customer_name",  true)          \
    X(id_card,            "Identity Card",              "employee_name",  false)         \
    X(daily_sheet,        "Daily Sheet",                "spa_name",       false)
/* clang-format on */

const struct category categories[] = {
#define X(name, title, party, sensitive)                                                                               \
    { #name, title, party, #name "_certificates", sensitive, name, sizeof(name) / sizeof(name[0]) },
    CATEGORIES(X)
#undef X
};
const size_t category_count = sizeof(categories) / sizeof(categories[0]);

const char *const category_ids[] = {
#define X(name, title, party, sensitive) #name,
    CATEGORIES(X)
#undef X
        NULL
};
#undef CATEGORIES

static_assert(sizeof(categories) / sizeof(categories[0]) <= CATEGORY_MAX, "CATEGORY_MAX is too small");

const struct category *category_find(struct str id)
{
    for (size_t i = 0; i < category_count; i++) {
        if (str_eq(id, str_of(categories[i].id)))
            return &categories[i];
    }
    return NULL;
}

const struct field *category_field(const struct category *c, const char *name)
{
    for (size_t i = 0; i < c->field_count; i++) {
        if (strcmp(c->fields[i].name, name) == 0)
            return &c->fields[i];
    }
    return NULL;
}
