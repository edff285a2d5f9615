-- SPDX-License-Identifier: MIT
-- The first schema, in the dialect that MariaDB (from 10.6) and MySQL (from
-- 8.0.16) both take: the tables, columns and indexes of SQLite's, by name.
--
-- Times are BIGINT milliseconds since 1970 (UTC), days DATE, money BIGINT minor
-- units (paise), truth 0 or 1. Lists and objects are text with a check, not the
-- type JSON: MariaDB's JSON is the same text, but MySQL's would give the members
-- back in another order than they were written.
--
-- What people write compares as people read (unicode_520_ci: case and accents
-- aside). What programs compare is exact: utf8mb4_bin, or ascii_bin where the
-- program lets nothing else in; to compare an ascii column with other text is an
-- error of the server's (1267). E-mail addresses and user names are unique
-- without regard to the case of A to Z only, as SQLite's NOCASE has it, hence
-- ascii_general_ci. A Unicode collation would also ignore accents: then whoever
-- owns an address that looks like yours is you.
--
-- Lists are ordered `generated_at DESC, id ASC`. InnoDB appends the primary key,
-- ascending, to every index, so an index on (is_public, generated_at DESC) gives
-- that order in one forward scan. MariaDB 10.6 and 10.7 take the word DESC, and
-- build the index ascending: all works there, but lists are sorted at each page.
--
-- MySQL commits at every CREATE TABLE, so a migration that is cut short stays
-- half done. Therefore each table comes with its indexes in one statement, and
-- IF NOT EXISTS: to run this file again is to finish it. Foreign keys get their
-- index by themselves, under their own name (fk_...), where there is none.

CREATE TABLE IF NOT EXISTS spa (
    id                  BIGINT        NOT NULL AUTO_INCREMENT,
    code                VARCHAR(64)   COLLATE utf8mb4_bin NOT NULL,
    name                VARCHAR(255)  NOT NULL,
    address             VARCHAR(500)  NOT NULL DEFAULT '',
    area                VARCHAR(255)  NOT NULL DEFAULT '',
    city                VARCHAR(100)  NOT NULL DEFAULT '',
    state               VARCHAR(100)  NOT NULL DEFAULT '',
    country             VARCHAR(100)  NOT NULL DEFAULT 'India',
    pincode             VARCHAR(16)   NOT NULL DEFAULT '',
    phone_number        VARCHAR(32)   NOT NULL DEFAULT '',
    email               VARCHAR(254)  NOT NULL DEFAULT '',
    website             VARCHAR(500)  NOT NULL DEFAULT '',
    logo                VARCHAR(500),
    gst_number          VARCHAR(32),
    internal_note       TEXT,
    is_active           TINYINT       NOT NULL DEFAULT 1 CHECK (is_active IN (0, 1)),
    created_at          BIGINT        NOT NULL,
    updated_at          BIGINT,
    PRIMARY KEY (id),
    UNIQUE KEY idx_spa_code (code),
    KEY idx_spa_active (is_active, name),
    KEY idx_spa_city (is_active, city, name)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci;

CREATE TABLE IF NOT EXISTS users (
    id                  BIGINT        NOT NULL AUTO_INCREMENT,
    email               VARCHAR(254)  COLLATE ascii_general_ci NOT NULL,
    username            VARCHAR(255)  COLLATE ascii_general_ci NOT NULL,
    full_name           VARCHAR(255)  NOT NULL DEFAULT '',
    password_hash       VARCHAR(255)  COLLATE ascii_bin NOT NULL,
    role                VARCHAR(32)   COLLATE ascii_bin NOT NULL DEFAULT 'user'
                        CHECK (role IN ('super_admin', 'admin', 'spa_manager', 'user')),
    spa_id              BIGINT,
    is_active           TINYINT       NOT NULL DEFAULT 1 CHECK (is_active IN (0, 1)),
    last_login_at       BIGINT,
    created_at          BIGINT        NOT NULL,
    updated_at          BIGINT,
    PRIMARY KEY (id),
    UNIQUE KEY idx_users_email (email),
    UNIQUE KEY idx_users_username (username),
    CONSTRAINT fk_users_spa FOREIGN KEY (spa_id) REFERENCES spa (id)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci;

CREATE TABLE IF NOT EXISTS certificate_templates (
    id                  BIGINT        NOT NULL AUTO_INCREMENT,
    name                VARCHAR(255)  NOT NULL,
    banner_image        VARCHAR(500),
    category            VARCHAR(64)   COLLATE utf8mb4_bin NOT NULL,
    template_type       VARCHAR(64)   COLLATE utf8mb4_bin NOT NULL DEFAULT 'html',
    template_variant    VARCHAR(100)  COLLATE utf8mb4_bin NOT NULL DEFAULT 'classic',
    template_html       MEDIUMTEXT,
    template_config     MEDIUMTEXT    COLLATE utf8mb4_bin NOT NULL DEFAULT ('{}') CHECK (JSON_VALID(template_config)),
    created_by          BIGINT,
    is_active           TINYINT       NOT NULL DEFAULT 1 CHECK (is_active IN (0, 1)),
    is_public           TINYINT       NOT NULL DEFAULT 0 CHECK (is_public IN (0, 1)),
    created_at          BIGINT        NOT NULL,
    updated_at          BIGINT,
    PRIMARY KEY (id),
    KEY idx_cert_templates_public_active (is_public, is_active, category),
    KEY idx_cert_templates_variant (category, template_variant, is_public, is_active),
    CONSTRAINT fk_cert_templates_user FOREIGN KEY (created_by) REFERENCES users (id)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci;

-- The certificates: one table a category, the same columns around its own fields.

CREATE TABLE IF NOT EXISTS spa_therapist_certificates (
    id                  BIGINT        NOT NULL AUTO_INCREMENT,
    code                CHAR(27)      COLLATE ascii_bin NOT NULL CHECK (CHAR_LENGTH(code) = 27),
    serial              VARCHAR(64),
    template_id         BIGINT,
    spa_id              BIGINT,
    created_by          BIGINT,
    candidate_name      VARCHAR(255)  NOT NULL,
    course_name         VARCHAR(255)  NOT NULL,
    start_date          DATE          NOT NULL,
    end_date            DATE          NOT NULL,
    passport_size_photo VARCHAR(500),
    candidate_signature VARCHAR(500),
    certificate_data    MEDIUMTEXT    COLLATE utf8mb4_bin NOT NULL DEFAULT ('{}') CHECK (JSON_VALID(certificate_data)),
    is_public           TINYINT       NOT NULL DEFAULT 0 CHECK (is_public IN (0, 1)),
    generated_at        BIGINT        NOT NULL,
    expires_at          BIGINT,
    revoked_at          BIGINT,
    revoke_reason       VARCHAR(500),
    PRIMARY KEY (id),
    UNIQUE KEY idx_spa_therapist_code (code),
    KEY idx_spa_therapist_public (is_public, generated_at DESC),
    KEY idx_spa_therapist_user (created_by, generated_at DESC),
    CONSTRAINT fk_spa_therapist_template FOREIGN KEY (template_id) REFERENCES certificate_templates (id),
    CONSTRAINT fk_spa_therapist_spa FOREIGN KEY (spa_id) REFERENCES spa (id),
    CONSTRAINT fk_spa_therapist_user FOREIGN KEY (created_by) REFERENCES users (id)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci;

-- Another program's tables of the same names would have been kept by the four
-- statements above. They have no codes, and this says so before more is made.
DO (SELECT code FROM spa_therapist_certificates LIMIT 0);

CREATE TABLE IF NOT EXISTS manager_salary_certificates (
    id                  BIGINT        NOT NULL AUTO_INCREMENT,
    code                CHAR(27)      COLLATE ascii_bin NOT NULL CHECK (CHAR_LENGTH(code) = 27),
    serial              VARCHAR(64),
    template_id         BIGINT,
    spa_id              BIGINT,
    created_by          BIGINT,
    manager_name        VARCHAR(255)  NOT NULL,
    position            VARCHAR(255)  NOT NULL,
    joining_date        DATE          NOT NULL,
    monthly_salary      BIGINT        NOT NULL,
    salary_months       MEDIUMTEXT    COLLATE utf8mb4_bin NOT NULL DEFAULT ('[]') CHECK (JSON_VALID(salary_months)),
    certificate_data    MEDIUMTEXT    COLLATE utf8mb4_bin NOT NULL DEFAULT ('{}') CHECK (JSON_VALID(certificate_data)),
    is_public           TINYINT       NOT NULL DEFAULT 0 CHECK (is_public IN (0, 1)),
    generated_at        BIGINT        NOT NULL,
    expires_at          BIGINT,
    revoked_at          BIGINT,
    revoke_reason       VARCHAR(500),
    PRIMARY KEY (id),
    UNIQUE KEY idx_manager_salary_code (code),
    KEY idx_manager_salary_public (is_public, generated_at DESC),
    KEY idx_manager_salary_user (created_by, generated_at DESC),
    CONSTRAINT fk_manager_salary_template FOREIGN KEY (template_id) REFERENCES certificate_templates (id),
    CONSTRAINT fk_manager_salary_spa FOREIGN KEY (spa_id) REFERENCES spa (id),
    CONSTRAINT fk_manager_salary_user FOREIGN KEY (created_by) REFERENCES users (id)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci;

CREATE TABLE IF NOT EXISTS offer_letter_certificates (
    id                  BIGINT        NOT NULL AUTO_INCREMENT,
    code                CHAR(27)      COLLATE ascii_bin NOT NULL CHECK (CHAR_LENGTH(code) = 27),
    serial              VARCHAR(64),
    template_id         BIGINT,
    spa_id              BIGINT,
    created_by          BIGINT,
    employee_name       VARCHAR(255)  NOT NULL,
    position            VARCHAR(255)  NOT NULL,
    start_date          DATE          NOT NULL,
    monthly_salary      BIGINT        NOT NULL,
    certificate_data    MEDIUMTEXT    COLLATE utf8mb4_bin NOT NULL DEFAULT ('{}') CHECK (JSON_VALID(certificate_data)),
    is_public           TINYINT       NOT NULL DEFAULT 0 CHECK (is_public IN (0, 1)),
    generated_at        BIGINT        NOT NULL,
    expires_at          BIGINT,
    revoked_at          BIGINT,
    revoke_reason       VARCHAR(500),
    PRIMARY KEY (id),
    UNIQUE KEY idx_offer_letter_code (code),
    KEY idx_offer_letter_public (is_public, generated_at DESC),
    KEY idx_offer_letter_user (created_by, generated_at DESC),
    CONSTRAINT fk_offer_letter_template FOREIGN KEY (template_id) REFERENCES certificate_templates (id),
    CONSTRAINT fk_offer_letter_spa FOREIGN KEY (spa_id) REFERENCES spa (id),
    CONSTRAINT fk_offer_letter_user FOREIGN KEY (created_by) REFERENCES users (id)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci;

CREATE TABLE IF NOT EXISTS experience_letter_certificates (
    id                  BIGINT        NOT NULL AUTO_INCREMENT,
    code                CHAR(27)      COLLATE ascii_bin NOT NULL CHECK (CHAR_LENGTH(code) = 27),
    serial              VARCHAR(64),
    template_id         BIGINT,
    spa_id              BIGINT,
    created_by          BIGINT,
    candidate_name      VARCHAR(255)  NOT NULL,
    position            VARCHAR(255)  NOT NULL,
    joining_date        DATE          NOT NULL,
    end_date            DATE          NOT NULL,
    duration            VARCHAR(100),
    monthly_salary      BIGINT,
    certificate_data    MEDIUMTEXT    COLLATE utf8mb4_bin NOT NULL DEFAULT ('{}') CHECK (JSON_VALID(certificate_data)),
    is_public           TINYINT       NOT NULL DEFAULT 0 CHECK (is_public IN (0, 1)),
    generated_at        BIGINT        NOT NULL,
    expires_at          BIGINT,
    revoked_at          BIGINT,
    revoke_reason       VARCHAR(500),
    PRIMARY KEY (id),
    UNIQUE KEY idx_experience_letter_code (code),
    KEY idx_experience_letter_public (is_public, generated_at DESC),
    KEY idx_experience_letter_user (created_by, generated_at DESC),
    CONSTRAINT fk_experience_letter_template FOREIGN KEY (template_id) REFERENCES certificate_templates (id),
    CONSTRAINT fk_experience_letter_spa FOREIGN KEY (spa_id) REFERENCES spa (id),
    CONSTRAINT fk_experience_letter_user FOREIGN KEY (created_by) REFERENCES users (id)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci;

CREATE TABLE IF NOT EXISTS appointment_letter_certificates (
    id                  BIGINT        NOT NULL AUTO_INCREMENT,
    code                CHAR(27)      COLLATE ascii_bin NOT NULL CHECK (CHAR_LENGTH(code) = 27),
    serial              VARCHAR(64),
    template_id         BIGINT,
    spa_id              BIGINT,
    created_by          BIGINT,
    employee_name       VARCHAR(255)  NOT NULL,
    position            VARCHAR(255)  NOT NULL,
    start_date          DATE          NOT NULL,
    monthly_salary      BIGINT        NOT NULL,
    certificate_data    MEDIUMTEXT    COLLATE utf8mb4_bin NOT NULL DEFAULT ('{}') CHECK (JSON_VALID(certificate_data)),
    is_public           TINYINT       NOT NULL DEFAULT 0 CHECK (is_public IN (0, 1)),
    generated_at        BIGINT        NOT NULL,
    expires_at          BIGINT,
    revoked_at          BIGINT,
    revoke_reason       VARCHAR(500),
    PRIMARY KEY (id),
    UNIQUE KEY idx_appointment_letter_code (code),
    KEY idx_appointment_letter_public (is_public, generated_at DESC),
    KEY idx_appointment_letter_user (created_by, generated_at DESC),
    CONSTRAINT fk_appointment_letter_template FOREIGN KEY (template_id) REFERENCES certificate_templates (id),
    CONSTRAINT fk_appointment_letter_spa FOREIGN KEY (spa_id) REFERENCES spa (id),
    CONSTRAINT fk_appointment_letter_user FOREIGN KEY (created_by) REFERENCES users (id)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci;

CREATE TABLE IF NOT EXISTS invoice_spa_bill_certificates (
    id                  BIGINT        NOT NULL AUTO_INCREMENT,
    code                CHAR(27)      COLLATE ascii_bin NOT NULL CHECK (CHAR_LENGTH(code) = 27),
    serial              VARCHAR(64),
    template_id         BIGINT,
    spa_id              BIGINT,
    created_by          BIGINT,
    bill_number         VARCHAR(64)   NOT NULL,
    bill_date           DATE          NOT NULL,
    customer_name       VARCHAR(255)  NOT NULL,
    payment_mode        VARCHAR(32)   COLLATE ascii_bin NOT NULL
                        CHECK (payment_mode IN ('cash', 'card', 'upi', 'bank_transfer', 'cheque')),
    bill_lines          MEDIUMTEXT    COLLATE utf8mb4_bin NOT NULL DEFAULT ('[]') CHECK (JSON_VALID(bill_lines)),
    total_amount        BIGINT        NOT NULL,
    amount_in_words     VARCHAR(255),
    certificate_data    MEDIUMTEXT    COLLATE utf8mb4_bin NOT NULL DEFAULT ('{}') CHECK (JSON_VALID(certificate_data)),
    is_public           TINYINT       NOT NULL DEFAULT 0 CHECK (is_public IN (0, 1)),
    generated_at        BIGINT        NOT NULL,
    expires_at          BIGINT,
    revoked_at          BIGINT,
    revoke_reason       VARCHAR(500),
    PRIMARY KEY (id),
    UNIQUE KEY idx_invoice_spa_bill_code (code),
    KEY idx_invoice_spa_bill_public (is_public, generated_at DESC),
    KEY idx_invoice_spa_bill_user (created_by, generated_at DESC),
    CONSTRAINT fk_invoice_spa_bill_template FOREIGN KEY (template_id) REFERENCES certificate_templates (id),
    CONSTRAINT fk_invoice_spa_bill_spa FOREIGN KEY (spa_id) REFERENCES spa (id),
    CONSTRAINT fk_invoice_spa_bill_user FOREIGN KEY (created_by) REFERENCES users (id)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci;

CREATE TABLE IF NOT EXISTS id_card_certificates (
    id                  BIGINT        NOT NULL AUTO_INCREMENT,
    code                CHAR(27)      COLLATE ascii_bin NOT NULL CHECK (CHAR_LENGTH(code) = 27),
    serial              VARCHAR(64),
    template_id         BIGINT,
    spa_id              BIGINT,
    created_by          BIGINT,
    employee_name       VARCHAR(255)  NOT NULL,
    designation         VARCHAR(255)  NOT NULL,
    joining_date        DATE          NOT NULL,
    contact_number      VARCHAR(32),
    issue_date          DATE          NOT NULL,
    photo               VARCHAR(500),
    certificate_data    MEDIUMTEXT    COLLATE utf8mb4_bin NOT NULL DEFAULT ('{}') CHECK (JSON_VALID(certificate_data)),
    is_public           TINYINT       NOT NULL DEFAULT 0 CHECK (is_public IN (0, 1)),
    generated_at        BIGINT        NOT NULL,
    expires_at          BIGINT,
    revoked_at          BIGINT,
    revoke_reason       VARCHAR(500),
    PRIMARY KEY (id),
    UNIQUE KEY idx_id_card_code (code),
    KEY idx_id_card_public (is_public, generated_at DESC),
    KEY idx_id_card_user (created_by, generated_at DESC),
    CONSTRAINT fk_id_card_template FOREIGN KEY (template_id) REFERENCES certificate_templates (id),
    CONSTRAINT fk_id_card_spa FOREIGN KEY (spa_id) REFERENCES spa (id),
    CONSTRAINT fk_id_card_user FOREIGN KEY (created_by) REFERENCES users (id)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci;

CREATE TABLE IF NOT EXISTS daily_sheet_certificates (
    id                  BIGINT        NOT NULL AUTO_INCREMENT,
    code                CHAR(27)      COLLATE ascii_bin NOT NULL CHECK (CHAR_LENGTH(code) = 27),
    serial              VARCHAR(64),
    template_id         BIGINT,
    spa_id              BIGINT,
    created_by          BIGINT,
    spa_name            VARCHAR(255)  NOT NULL,
    sheet_date          DATE          NOT NULL,
    entries             MEDIUMTEXT    COLLATE utf8mb4_bin NOT NULL DEFAULT ('[]') CHECK (JSON_VALID(entries)),
    certificate_data    MEDIUMTEXT    COLLATE utf8mb4_bin NOT NULL DEFAULT ('{}') CHECK (JSON_VALID(certificate_data)),
    is_public           TINYINT       NOT NULL DEFAULT 0 CHECK (is_public IN (0, 1)),
    generated_at        BIGINT        NOT NULL,
    expires_at          BIGINT,
    revoked_at          BIGINT,
    revoke_reason       VARCHAR(500),
    PRIMARY KEY (id),
    UNIQUE KEY idx_daily_sheet_code (code),
    KEY idx_daily_sheet_public (is_public, generated_at DESC),
    KEY idx_daily_sheet_user (created_by, generated_at DESC),
    CONSTRAINT fk_daily_sheet_template FOREIGN KEY (template_id) REFERENCES certificate_templates (id),
    CONSTRAINT fk_daily_sheet_spa FOREIGN KEY (spa_id) REFERENCES spa (id),
    CONSTRAINT fk_daily_sheet_user FOREIGN KEY (created_by) REFERENCES users (id)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci;

-- What candidates send in, and what branches ask for.

CREATE TABLE IF NOT EXISTS candidate_forms (
    id                  BIGINT        NOT NULL AUTO_INCREMENT,
    spa_id              BIGINT,
    created_by          BIGINT,
    candidate_name      VARCHAR(255)  NOT NULL,
    phone_number        VARCHAR(32)   NOT NULL,
    alternate_number    VARCHAR(32),
    email               VARCHAR(254),
    date_of_birth       DATE,
    gender              VARCHAR(32),
    current_address     VARCHAR(500),
    permanent_address   VARCHAR(500),
    city                VARCHAR(100),
    state               VARCHAR(100),
    pincode             VARCHAR(16),
    position_applied    VARCHAR(255)  NOT NULL DEFAULT '',
    education           VARCHAR(255),
    languages           VARCHAR(255),
    experience_months   INT           NOT NULL DEFAULT 0,
    last_employer       VARCHAR(255),
    current_salary      BIGINT,
    expected_salary     BIGINT,
    passport_size_photo VARCHAR(500),
    age_proof           VARCHAR(500),
    aadhar_card         VARCHAR(500),
    pan_card            VARCHAR(500),
    signature           VARCHAR(500),
    status              VARCHAR(32)   COLLATE ascii_bin NOT NULL DEFAULT 'new'
                        CHECK (status IN ('new', 'called', 'hired', 'rejected')),
    created_at          BIGINT        NOT NULL,
    updated_at          BIGINT,
    PRIMARY KEY (id),
    KEY idx_candidate_forms_spa (spa_id, created_at DESC),
    KEY idx_candidate_forms_user (created_by, created_at DESC),
    CONSTRAINT fk_candidate_forms_spa FOREIGN KEY (spa_id) REFERENCES spa (id),
    CONSTRAINT fk_candidate_forms_user FOREIGN KEY (created_by) REFERENCES users (id)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci;

CREATE TABLE IF NOT EXISTS hiring_forms (
    id                  BIGINT        NOT NULL AUTO_INCREMENT,
    spa_id              BIGINT,
    created_by          BIGINT,
    job_role            VARCHAR(255)  NOT NULL,
    vacancies           INT           NOT NULL DEFAULT 1,
    required_experience VARCHAR(255),
    required_skills     TEXT,
    required_education  VARCHAR(255),
    monthly_salary_from BIGINT,
    monthly_salary_to   BIGINT,
    contact_person      VARCHAR(255),
    contact_number      VARCHAR(32),
    details             TEXT,
    needed_by           DATE,
    status              VARCHAR(32)   COLLATE ascii_bin NOT NULL DEFAULT 'open'
                        CHECK (status IN ('open', 'filled', 'closed')),
    created_at          BIGINT        NOT NULL,
    updated_at          BIGINT,
    PRIMARY KEY (id),
    KEY idx_hiring_forms_spa (spa_id, created_at DESC),
    KEY idx_hiring_forms_user (created_by, created_at DESC),
    CONSTRAINT fk_hiring_forms_spa FOREIGN KEY (spa_id) REFERENCES spa (id),
    CONSTRAINT fk_hiring_forms_user FOREIGN KEY (created_by) REFERENCES users (id)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci;
