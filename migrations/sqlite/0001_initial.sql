-- SPDX-License-Identifier: MIT
-- The first schema, in SQLite's dialect.
--
-- Times are INTEGER milliseconds since 1970 (UTC), days TEXT 'YYYY-MM-DD', money
-- INTEGER minor units (paise), truth 0 or 1, lists and objects TEXT with JSON.
-- Every index has the row's id ascending as its hidden last column: lists are
-- ordered `generated_at DESC, id ASC`, which the index serves without a sort.

CREATE TABLE spa (
    id            INTEGER PRIMARY KEY,
    code          TEXT    NOT NULL,
    name          TEXT    NOT NULL,
    address       TEXT    NOT NULL DEFAULT '',
    area          TEXT    NOT NULL DEFAULT '',
    city          TEXT    NOT NULL DEFAULT '',
    state         TEXT    NOT NULL DEFAULT '',
    country       TEXT    NOT NULL DEFAULT 'India',
    pincode       TEXT    NOT NULL DEFAULT '',
    phone_number  TEXT    NOT NULL DEFAULT '',
    email         TEXT    NOT NULL DEFAULT '',
    website       TEXT    NOT NULL DEFAULT '',
    logo          TEXT,
    gst_number    TEXT,
    internal_note TEXT,
    is_active     INTEGER NOT NULL DEFAULT 1 CHECK (is_active IN (0, 1)),
    created_at    INTEGER NOT NULL,
    updated_at    INTEGER
) STRICT;
CREATE UNIQUE INDEX idx_spa_code ON spa(code);
CREATE INDEX idx_spa_active ON spa(is_active, name);
CREATE INDEX idx_spa_city ON spa(is_active, city, name);

CREATE TABLE users (
    id            INTEGER PRIMARY KEY,
    email         TEXT    NOT NULL COLLATE NOCASE,
    username      TEXT    NOT NULL COLLATE NOCASE,
    full_name     TEXT    NOT NULL DEFAULT '',
    password_hash TEXT    NOT NULL,
    role          TEXT    NOT NULL DEFAULT 'user' CHECK (role IN ('super_admin', 'admin', 'spa_manager', 'user')),
    spa_id        INTEGER REFERENCES spa(id),
    is_active     INTEGER NOT NULL DEFAULT 1 CHECK (is_active IN (0, 1)),
    last_login_at INTEGER,
    created_at    INTEGER NOT NULL,
    updated_at    INTEGER
) STRICT;
CREATE UNIQUE INDEX idx_users_email ON users(email);
CREATE UNIQUE INDEX idx_users_username ON users(username);

CREATE TABLE certificate_templates (
    id               INTEGER PRIMARY KEY,
    name             TEXT    NOT NULL,
    banner_image     TEXT,
    category         TEXT    NOT NULL,
    template_type    TEXT    NOT NULL DEFAULT 'html',
    template_variant TEXT    NOT NULL DEFAULT 'classic',
    template_html    TEXT,
    template_config  TEXT    NOT NULL DEFAULT '{}' CHECK (json_valid(template_config)),
    created_by       INTEGER REFERENCES users(id),
    is_active        INTEGER NOT NULL DEFAULT 1 CHECK (is_active IN (0, 1)),
    is_public        INTEGER NOT NULL DEFAULT 0 CHECK (is_public IN (0, 1)),
    created_at       INTEGER NOT NULL,
    updated_at       INTEGER
) STRICT;
CREATE INDEX idx_cert_templates_public_active ON certificate_templates(is_public, is_active, category);
CREATE INDEX idx_cert_templates_variant ON certificate_templates(category, template_variant, is_public, is_active);

-- The certificates: one table a category, the same columns around its own fields.

CREATE TABLE spa_therapist_certificates (
    id                  INTEGER PRIMARY KEY,
    code                TEXT    NOT NULL UNIQUE CHECK (length(code) = 27),
    serial              TEXT,
    template_id         INTEGER REFERENCES certificate_templates(id),
    spa_id              INTEGER REFERENCES spa(id),
    created_by          INTEGER REFERENCES users(id),
    candidate_name      TEXT    NOT NULL,
    course_name         TEXT    NOT NULL,
    start_date          TEXT    NOT NULL,
    end_date            TEXT    NOT NULL,
    passport_size_photo TEXT,
    candidate_signature TEXT,
    certificate_data    TEXT    NOT NULL DEFAULT '{}' CHECK (json_valid(certificate_data)),
    is_public           INTEGER NOT NULL DEFAULT 0 CHECK (is_public IN (0, 1)),
    generated_at        INTEGER NOT NULL,
    expires_at          INTEGER,
    revoked_at          INTEGER,
    revoke_reason       TEXT
) STRICT;
CREATE INDEX idx_spa_therapist_public ON spa_therapist_certificates(is_public, generated_at DESC);
CREATE INDEX idx_spa_therapist_user ON spa_therapist_certificates(created_by, generated_at DESC);

CREATE TABLE manager_salary_certificates (
    id               INTEGER PRIMARY KEY,
    code             TEXT    NOT NULL UNIQUE CHECK (length(code) = 27),
    serial           TEXT,
    template_id      INTEGER REFERENCES certificate_templates(id),
    spa_id           INTEGER REFERENCES spa(id),
    created_by       INTEGER REFERENCES users(id),
    manager_name     TEXT    NOT NULL,
    position         TEXT    NOT NULL,
    joining_date     TEXT    NOT NULL,
    monthly_salary   INTEGER NOT NULL,
    salary_months    TEXT    NOT NULL DEFAULT '[]' CHECK (json_valid(salary_months)),
    certificate_data TEXT    NOT NULL DEFAULT '{}' CHECK (json_valid(certificate_data)),
    is_public        INTEGER NOT NULL DEFAULT 0 CHECK (is_public IN (0, 1)),
    generated_at     INTEGER NOT NULL,
    expires_at       INTEGER,
    revoked_at       INTEGER,
    revoke_reason    TEXT
) STRICT;
CREATE INDEX idx_manager_salary_public ON manager_salary_certificates(is_public, generated_at DESC);
CREATE INDEX idx_manager_salary_user ON manager_salary_certificates(created_by, generated_at DESC);

CREATE TABLE offer_letter_certificates (
    id               INTEGER PRIMARY KEY,
    code             TEXT    NOT NULL UNIQUE CHECK (length(code) = 27),
    serial           TEXT,
    template_id      INTEGER REFERENCES certificate_templates(id),
    spa_id           INTEGER REFERENCES spa(id),
    created_by       INTEGER REFERENCES users(id),
    employee_name    TEXT    NOT NULL,
    position         TEXT    NOT NULL,
    start_date       TEXT    NOT NULL,
    monthly_salary   INTEGER NOT NULL,
    certificate_data TEXT    NOT NULL DEFAULT '{}' CHECK (json_valid(certificate_data)),
    is_public        INTEGER NOT NULL DEFAULT 0 CHECK (is_public IN (0, 1)),
    generated_at     INTEGER NOT NULL,
    expires_at       INTEGER,
    revoked_at       INTEGER,
    revoke_reason    TEXT
) STRICT;
CREATE INDEX idx_offer_letter_public ON offer_letter_certificates(is_public, generated_at DESC);
CREATE INDEX idx_offer_letter_user ON offer_letter_certificates(created_by, generated_at DESC);

CREATE TABLE experience_letter_certificates (
    id               INTEGER PRIMARY KEY,
    code             TEXT    NOT NULL UNIQUE CHECK (length(code) = 27),
    serial           TEXT,
    template_id      INTEGER REFERENCES certificate_templates(id),
    spa_id           INTEGER REFERENCES spa(id),
    created_by       INTEGER REFERENCES users(id),
    candidate_name   TEXT    NOT NULL,
    position         TEXT    NOT NULL,
    joining_date     TEXT    NOT NULL,
    end_date         TEXT    NOT NULL,
    duration         TEXT,
    monthly_salary   INTEGER,
    certificate_data TEXT    NOT NULL DEFAULT '{}' CHECK (json_valid(certificate_data)),
    is_public        INTEGER NOT NULL DEFAULT 0 CHECK (is_public IN (0, 1)),
    generated_at     INTEGER NOT NULL,
    expires_at       INTEGER,
    revoked_at       INTEGER,
    revoke_reason    TEXT
) STRICT;
CREATE INDEX idx_experience_letter_public ON experience_letter_certificates(is_public, generated_at DESC);
CREATE INDEX idx_experience_letter_user ON experience_letter_certificates(created_by, generated_at DESC);

CREATE TABLE appointment_letter_certificates (
    id               INTEGER PRIMARY KEY,
    code             TEXT    NOT NULL UNIQUE CHECK (length(code) = 27),
    serial           TEXT,
    template_id      INTEGER REFERENCES certificate_templates(id),
    spa_id           INTEGER REFERENCES spa(id),
    created_by       INTEGER REFERENCES users(id),
    employee_name    TEXT    NOT NULL,
    position         TEXT    NOT NULL,
    start_date       TEXT    NOT NULL,
    monthly_salary   INTEGER NOT NULL,
    certificate_data TEXT    NOT NULL DEFAULT '{}' CHECK (json_valid(certificate_data)),
    is_public        INTEGER NOT NULL DEFAULT 0 CHECK (is_public IN (0, 1)),
    generated_at     INTEGER NOT NULL,
    expires_at       INTEGER,
    revoked_at       INTEGER,
    revoke_reason    TEXT
) STRICT;
CREATE INDEX idx_appointment_letter_public ON appointment_letter_certificates(is_public, generated_at DESC);
CREATE INDEX idx_appointment_letter_user ON appointment_letter_certificates(created_by, generated_at DESC);

CREATE TABLE invoice_spa_bill_certificates (
    id               INTEGER PRIMARY KEY,
    code             TEXT    NOT NULL UNIQUE CHECK (length(code) = 27),
    serial           TEXT,
    template_id      INTEGER REFERENCES certificate_templates(id),
    spa_id           INTEGER REFERENCES spa(id),
    created_by       INTEGER REFERENCES users(id),
    bill_number      TEXT    NOT NULL,
    bill_date        TEXT    NOT NULL,
    customer_name    TEXT    NOT NULL,
    payment_mode     TEXT    NOT NULL CHECK (payment_mode IN ('cash', 'card', 'upi', 'bank_transfer', 'cheque')),
    bill_lines       TEXT    NOT NULL DEFAULT '[]' CHECK (json_valid(bill_lines)),
    total_amount     INTEGER NOT NULL,
    amount_in_words  TEXT,
    certificate_data TEXT    NOT NULL DEFAULT '{}' CHECK (json_valid(certificate_data)),
    is_public        INTEGER NOT NULL DEFAULT 0 CHECK (is_public IN (0, 1)),
    generated_at     INTEGER NOT NULL,
    expires_at       INTEGER,
    revoked_at       INTEGER,
    revoke_reason    TEXT
) STRICT;
CREATE INDEX idx_invoice_spa_bill_public ON invoice_spa_bill_certificates(is_public, generated_at DESC);
CREATE INDEX idx_invoice_spa_bill_user ON invoice_spa_bill_certificates(created_by, generated_at DESC);

CREATE TABLE id_card_certificates (
    id               INTEGER PRIMARY KEY,
    code             TEXT    NOT NULL UNIQUE CHECK (length(code) = 27),
    serial           TEXT,
    template_id      INTEGER REFERENCES certificate_templates(id),
    spa_id           INTEGER REFERENCES spa(id),
    created_by       INTEGER REFERENCES users(id),
    employee_name    TEXT    NOT NULL,
    designation      TEXT    NOT NULL,
    joining_date     TEXT    NOT NULL,
    contact_number   TEXT,
    issue_date       TEXT    NOT NULL,
    photo            TEXT,
    certificate_data TEXT    NOT NULL DEFAULT '{}' CHECK (json_valid(certificate_data)),
    is_public        INTEGER NOT NULL DEFAULT 0 CHECK (is_public IN (0, 1)),
    generated_at     INTEGER NOT NULL,
    expires_at       INTEGER,
    revoked_at       INTEGER,
    revoke_reason    TEXT
) STRICT;
CREATE INDEX idx_id_card_public ON id_card_certificates(is_public, generated_at DESC);
CREATE INDEX idx_id_card_user ON id_card_certificates(created_by, generated_at DESC);

CREATE TABLE daily_sheet_certificates (
    id               INTEGER PRIMARY KEY,
    code             TEXT    NOT NULL UNIQUE CHECK (length(code) = 27),
    serial           TEXT,
    template_id      INTEGER REFERENCES certificate_templates(id),
    spa_id           INTEGER REFERENCES spa(id),
    created_by       INTEGER REFERENCES users(id),
    spa_name         TEXT    NOT NULL,
    sheet_date       TEXT    NOT NULL,
    entries          TEXT    NOT NULL DEFAULT '[]' CHECK (json_valid(entries)),
    certificate_data TEXT    NOT NULL DEFAULT '{}' CHECK (json_valid(certificate_data)),
    is_public        INTEGER NOT NULL DEFAULT 0 CHECK (is_public IN (0, 1)),
    generated_at     INTEGER NOT NULL,
    expires_at       INTEGER,
    revoked_at       INTEGER,
    revoke_reason    TEXT
) STRICT;
CREATE INDEX idx_daily_sheet_public ON daily_sheet_certificates(is_public, generated_at DESC);
CREATE INDEX idx_daily_sheet_user ON daily_sheet_certificates(created_by, generated_at DESC);

-- What candidates send in, and what branches ask for.

CREATE TABLE candidate_forms (
    id                  INTEGER PRIMARY KEY,
    spa_id              INTEGER REFERENCES spa(id),
    created_by          INTEGER REFERENCES users(id),
    candidate_name      TEXT    NOT NULL,
    phone_number        TEXT    NOT NULL,
    alternate_number    TEXT,
    email               TEXT,
    date_of_birth       TEXT,
    gender              TEXT,
    current_address     TEXT,
    permanent_address   TEXT,
    city                TEXT,
    state               TEXT,
    pincode             TEXT,
    position_applied    TEXT    NOT NULL DEFAULT '',
    education           TEXT,
    languages           TEXT,
    experience_months   INTEGER NOT NULL DEFAULT 0,
    last_employer       TEXT,
    current_salary      INTEGER,
    expected_salary     INTEGER,
    passport_size_photo TEXT,
    age_proof           TEXT,
    aadhar_card         TEXT,
    pan_card            TEXT,
    signature           TEXT,
    status              TEXT    NOT NULL DEFAULT 'new' CHECK (status IN ('new', 'called', 'hired', 'rejected')),
    created_at          INTEGER NOT NULL,
    updated_at          INTEGER
) STRICT;
CREATE INDEX idx_candidate_forms_spa ON candidate_forms(spa_id, created_at DESC);
CREATE INDEX idx_candidate_forms_user ON candidate_forms(created_by, created_at DESC);

CREATE TABLE hiring_forms (
    id                  INTEGER PRIMARY KEY,
    spa_id              INTEGER REFERENCES spa(id),
    created_by          INTEGER REFERENCES users(id),
    job_role            TEXT    NOT NULL,
    vacancies           INTEGER NOT NULL DEFAULT 1,
    required_experience TEXT,
    required_skills     TEXT,
    required_education  TEXT,
    monthly_salary_from INTEGER,
    monthly_salary_to   INTEGER,
    contact_person      TEXT,
    contact_number      TEXT,
    details             TEXT,
    needed_by           TEXT,
    status              TEXT    NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'filled', 'closed')),
    created_at          INTEGER NOT NULL,
    updated_at          INTEGER
) STRICT;
CREATE INDEX idx_hiring_forms_spa ON hiring_forms(spa_id, created_at DESC);
CREATE INDEX idx_hiring_forms_user ON hiring_forms(created_by, created_at DESC);
