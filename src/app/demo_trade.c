/* SPDX-License-Identifier: MIT */
/* What a spa teaches, hires for, sells, and writes about its people. */
#include "app/demo_words.h"

const struct demo_course demo_courses[] = {
    { "Diploma in Spa Therapy", 6, "Anatomy, Swedish massage, aromatherapy, hydrotherapy, hygiene" },
    { "Advanced Diploma in Spa Therapy", 12, "Deep tissue, sports massage, guest assessment, supervision" },
    { "Certificate in Swedish Massage", 2, "Effleurage, petrissage, tapotement, draping" },
    { "Certificate in Balinese Massage", 2, "Long strokes, acupressure, skin rolling, oils" },
    { "Certificate in Thai Yoga Massage", 3, "Stretching, sen lines, floor mat technique" },
    { "Certificate in Deep Tissue Massage", 2, "Trigger points, posture, fascia, aftercare" },
    { "Certificate in Aromatherapy", 2, "Essential oils, blending, contraindications" },
    { "Certificate in Foot Reflexology", 1, "Reflex zones, pressure techniques, foot care" },
    { "Certificate in Hot Stone Therapy", 1, "Stone handling, temperature safety, sequence" },
    { "Diploma in Ayurvedic Panchakarma Therapy", 9, "Abhyanga, shirodhara, swedana, herbal preparation" },
    { "Certificate in Abhyanga and Shirodhara", 3, "Dosha basics, warm oil massage, oil pouring" },
    { "Certificate in Facial and Skin Care", 4, "Skin analysis, cleansing, masks, product knowledge" },
    { "Certificate in Body Scrubs and Wraps", 1, "Exfoliation, wraps, hydration, room preparation" },
    { "Certificate in Spa Reception and Guest Care", 3, "Booking, billing, telephone manners, complaints" },
    { "Diploma in Spa Management", 12, "Rostering, stock, revenue, quality audit, labour law" },
    { "Certificate in Spa Hygiene and Safety", 1, "Sanitising, linen, first aid, fire safety" },
};
const size_t demo_course_count = sizeof demo_courses / sizeof *demo_courses;

const struct demo_job demo_jobs[] = {
    { "Spa Manager", "Management", 42000, 75000, "Run the branch: people, revenue, quality" },
    { "Assistant Spa Manager", "Management", 32000, 48000, "Plan rosters, watch stock, stand in for the manager" },
    { "Spa Therapist", "Therapy", 18000, 28000, "Perform massages and body treatments; prepare rooms" },
    { "Senior Spa Therapist", "Therapy", 26000, 38000, "Perform advanced treatments; train junior therapists" },
    { "Ayurveda Therapist", "Therapy", 20000, 34000, "Perform Ayurvedic treatments under a physician's advice" },
    { "Beauty Therapist", "Beauty", 18000, 30000, "Perform facials and skin care; advise guests" },
    { "Nail Technician", "Beauty", 15000, 24000, "Perform manicures and pedicures; keep tools sterile" },
    { "Spa Receptionist", "Front Office", 16000, 25000, "Greet guests, book treatments, bill and collect" },
    { "Guest Relations Executive", "Front Office", 20000, 32000, "Look after members; answer feedback" },
    { "Spa Trainer", "Training", 35000, 55000, "Teach techniques; certify therapists" },
    { "Housekeeping Attendant", "Housekeeping", 12000, 17000, "Keep rooms, linen and wet areas clean" },
    { "Accounts Executive", "Accounts", 22000, 36000, "Check daily sheets, bills and petty cash" },
};
const size_t demo_job_count = sizeof demo_jobs / sizeof *demo_jobs;

const struct demo_service demo_services[] = {
    { "Swedish Massage", 60, 2400 },
    { "Swedish Massage", 90, 3300 },
    { "Balinese Massage", 60, 2600 },
    { "Balinese Massage", 90, 3500 },
    { "Deep Tissue Massage", 60, 2900 },
    { "Thai Yoga Massage", 90, 3400 },
    { "Aromatherapy Massage", 60, 2700 },
    { "Hot Stone Therapy", 75, 3600 },
    { "Foot Reflexology", 30, 999 },
    { "Foot Reflexology", 60, 1599 },
    { "Head, Neck and Shoulder Massage", 30, 1199 },
    { "Abhyanga", 60, 2800 },
    { "Shirodhara", 45, 3200 },
    { "Potli Massage", 60, 3100 },
    { "Coffee Body Scrub", 45, 2200 },
    { "Sandalwood Body Wrap", 60, 2950 },
    { "Gold Facial", 60, 2499 },
    { "Fruit Facial", 45, 1499 },
    { "Classic Manicure", 40, 799 },
    { "Classic Pedicure", 50, 999 },
    { "Steam and Sauna", 30, 899 },
    { "Couple Massage", 60, 5200 },
};
const size_t demo_service_count = sizeof demo_services / sizeof *demo_services;

#define LIST(name, ...)                                                                                                \
    static const char *const name##_words[] = { __VA_ARGS__ };                                                         \
    const struct demo_list demo_##name = { name##_words, sizeof name##_words / sizeof *name##_words }

LIST(qualifications, "10th pass", "12th pass", "B.A.", "B.Com.", "B.Sc.", "Diploma in Hotel Management",
     "ITI Cosmetology", "B.H.M.", "D.Pharm. (Ayurveda)");
LIST(languages, "English", "Hindi", "Marathi", "Gujarati", "Punjabi", "Bengali", "Tamil", "Malayalam", "Telugu",
     "Kannada", "Konkani", "Manipuri", "Nepali");
LIST(sources, "Walk-in", "Staff referral", "Web site", "Job portal", "Campus drive", "Newspaper");
LIST(conduct, "Excellent", "Very good", "Good", "Diligent and courteous", "Sincere and punctual");
LIST(reference_jobs, "Hotel spa", "Resort spa", "Day spa", "Salon", "Ayurveda centre", "Cruise ship spa",
     "Fitness club");

#undef LIST
