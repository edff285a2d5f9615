/* SPDX-License-Identifier: MIT */
#include "app/schema.h"

/* A category's own columns stand between those that all certificates have. */
#define HEAD "id, code, serial, template_id, spa_id, created_by, "
#define TAIL ", certificate_data, is_public, generated_at, expires_at, revoked_at, revoke_reason"

/* clang-format off */
const struct copy_table schema_tables[] = {
    { "spa",
      "id, code, name, address, area, city, state, country, pincode, phone_number, email, website, logo, gst_number, "
      "internal_note, is_active, created_at, updated_at" },
    { "users",
      "id, email, username, full_name, password_hash, role, spa_id, is_active, last_login_at, created_at, updated_at" },
    { "certificate_templates",
      "id, name, banner_image, category, template_type, template_variant, template_html, template_config, created_by, "
      "is_active, is_public, created_at, updated_at" },

    { "spa_therapist_certificates",
      HEAD "candidate_name, course_name, start_date, end_date, passport_size_photo, candidate_signature" TAIL },
    { "manager_salary_certificates",
      HEAD "manager_name, position, joining_date, monthly_salary, salary_months" TAIL },
    { "offer_letter_certificates",
      HEAD "employee_name, position, start_date, monthly_salary" TAIL },
    { "experience_letter_certificates",
      HEAD "candidate_name, position, joining_date, end_date, duration, monthly_salary" TAIL },
    { "appointment_letter_certificates",
      HEAD "employee_name, position, start_date, monthly_salary" TAIL },
    { "invoice_spa_bill_certificates",
      HEAD "bill_number, bill_date, customer_name, payment_mode, bill_lines, total_amount, amount_in_words" TAIL },
    { "id_card_certificates",
      HEAD "employee_name, designation, joining_date, contact_number, issue_date, photo" TAIL },
    { "daily_sheet_certificates",
      HEAD "spa_name, sheet_date, entries" TAIL },

    { "candidate_forms",
      "id, spa_id, created_by, candidate_name, phone_number, alternate_number, email, date_of_birth, gender, "
      "current_address, permanent_address, city, state, pincode, position_applied, education, languages, "
      "experience_months, last_employer, current_salary, expected_salary, passport_size_photo, age_proof, aadhar_card, "
      "pan_card, signature, status, created_at, updated_at" },
    { "hiring_forms",
      "id, spa_id, created_by, job_role, vacancies, required_experience, required_skills, required_education, "
      "monthly_salary_from, monthly_salary_to, contact_person, contact_number, details, needed_by, status, created_at, "
      "updated_at" },
};
/* clang-format on */
const size_t schema_table_count = sizeof(schema_tables) / sizeof(schema_tables[0]);
