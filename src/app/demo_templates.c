/* SPDX-License-Identifier: MIT */
#include "app/demo_templates.h"

#include <assert.h>

#include "app/categories.h"

struct frame {
    const char *id, *name, *head, *foot, *config;
};

static const struct frame frames[DEMO_VARIANTS] = {
    { "classic", "Classic", "<main class='classic'><h2>{{spa_name}}</h2>", "<footer>{{code}}</footer></main>",
      "{\"page\":\"A4\",\"fonts\":[\"Cormorant\"],\"colours\":[\"#6b4f2a\",\"#f7f1e5\"]}" },
    { "modern", "Modern", "<main class='modern'><img src='{{spa_logo}}'>", "<aside>{{code}}</aside></main>",
      "{\"page\":\"A4\",\"fonts\":[\"Inter\"],\"colours\":[\"#0f766e\",\"#ecfdf5\"]}" },
    { "minimal", "Minimal", "<main class='minimal'>", "<small>{{spa_name}} {{code}}</small></main>",
      "{\"page\":\"A4\",\"fonts\":[\"Lato\"],\"colours\":[\"#111827\",\"#ffffff\"]}" },
};

/* In the order of `categories`. */
struct body {
    const char *name, *html;
};

static const struct body bodies[DEMO_CATEGORIES] = {
    { "Spa Therapist", "<h1>Certificate</h1><p><b>{{candidate_name}}</b> completed {{course_name}}, "
                       "{{start_date}} to {{end_date}}.</p>" },
    { "Manager Salary",
      "<h1>Salary Certificate</h1><p><b>{{manager_name}}</b>, {{position}}, draws {{monthly_salary}} a month.</p>" },
    { "Offer Letter", "<h1>Offer</h1><p>Dear <b>{{employee_name}}</b>, join us as {{position}} "
                      "on {{start_date}} at {{monthly_salary}}.</p>" },
    { "Experience Letter",
      "<h1>Experience</h1><p><b>{{candidate_name}}</b> was our {{position}}, {{joining_date}} to {{end_date}}.</p>" },
    { "Appointment Letter",
      "<h1>Appointment</h1><p><b>{{employee_name}}</b> is appointed {{position}} from {{start_date}}.</p>" },
    { "Spa Bill",
      "<h1>Bill {{bill_number}}</h1><p>{{customer_name}}, {{bill_date}}</p>{{bill_lines}}<p>{{total_amount}}</p>" },
    { "ID Card",
      "<img src='{{photo}}'><h1>{{employee_name}}</h1><p>{{designation}}<br>{{contact_number}}<br>{{issue_date}}</p>" },
    { "Daily Sheet", "<h1>Daily Sheet</h1><p>{{spa_name}}, {{sheet_date}}</p><section>{{entries}}</section>" },
};

struct demo_template demo_template_at(struct arena *a, int index)
{
    assert(index >= 0 && index < DEMO_TEMPLATES);
    const struct body *body = &bodies[index / DEMO_VARIANTS];
    const struct frame *frame = &frames[index % DEMO_VARIANTS];

    return (struct demo_template){
        .name = arena_printf(a, "%s %s", frame->name, body->name),
        .html = arena_printf(a, "%s%s%s", frame->head, body->html, frame->foot),
        .category = category_ids[index / DEMO_VARIANTS],
        .variant = frame->id,
        .config = frame->config,
    };
}
