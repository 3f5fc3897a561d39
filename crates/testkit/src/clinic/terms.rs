//! The few dozen codes that the synthetic hospital uses: LOINC for what is measured, CIM-10 for what is diagnosed, ATC for
//! what is given, CCAM for what is done. The wording is our own plain French; no table of those systems is shipped.

use crate::identity::person::Sex;

pub(crate) const LOINC: &str = "http://loinc.org";
pub(crate) const CIM10: &str = "http://hl7.org/fhir/sid/icd-10";
pub(crate) const ATC: &str = "http://www.whocc.no/atc";
pub(crate) const CCAM: &str = "urn:oid:1.2.250.1.213.2.5";
pub(crate) const SNOMED: &str = "http://snomed.info/sct";
pub(crate) const ACT_CODE: &str = "http://terminology.hl7.org/CodeSystem/v3-ActCode";

/// Something measured, with a value of `10^-digits` units.
pub(crate) struct Measure {
    pub(crate) loinc: &'static str,
    pub(crate) text: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) ucum: &'static str,
    pub(crate) digits: u32,
    /// What is usual, both included, scaled.
    pub(crate) usual: (i64, i64),
    /// How far a disturbed value goes, scaled.
    pub(crate) extreme: (i64, i64),
}

const fn measure(
    loinc: &'static str,
    text: &'static str,
    units: (&'static str, &'static str, u32),
    usual: (i64, i64),
    extreme: (i64, i64),
) -> Measure {
    Measure { loinc, text, unit: units.0, ucum: units.1, digits: units.2, usual, extreme }
}

pub(crate) static HEART_RATE: Measure =
    measure("8867-4", "Fréquence cardiaque", ("/min", "/min", 0), (58, 98), (44, 142));
pub(crate) static BREATHING_RATE: Measure =
    measure("9279-1", "Fréquence respiratoire", ("/min", "/min", 0), (12, 20), (10, 34));
pub(crate) static TEMPERATURE: Measure =
    measure("8310-5", "Température corporelle", ("°C", "Cel", 1), (362, 377), (352, 403));
pub(crate) static SATURATION: Measure =
    measure("59408-5", "Saturation en oxygène", ("%", "%", 0), (95, 100), (84, 100));
pub(crate) static SYSTOLIC: Measure =
    measure("8480-6", "Pression artérielle systolique", ("mm[Hg]", "mm[Hg]", 0), (105, 139), (84, 198));
pub(crate) static DIASTOLIC: Measure =
    measure("8462-4", "Pression artérielle diastolique", ("mm[Hg]", "mm[Hg]", 0), (58, 88), (44, 116));
pub(crate) static WEIGHT: Measure = measure("29463-7", "Poids", ("kg", "kg", 1), (480, 960), (390, 1420));
pub(crate) static HEIGHT: Measure = measure("8302-2", "Taille", ("cm", "cm", 0), (152, 192), (145, 202));
pub(crate) static PAIN: Measure =
    measure("72514-3", "Douleur, échelle numérique", ("/10", "{score}", 0), (0, 3), (4, 10));

/// The pulse, breath, temperature and oxygen of each round.
pub(crate) static VITAL_SIGNS: [&Measure; 4] = [&HEART_RATE, &BREATHING_RATE, &TEMPERATURE, &SATURATION];

/// Blood pressure, measured as one with two parts.
pub(crate) const BLOOD_PRESSURE: (&str, &str) = ("85354-9", "Pression artérielle");

/// Several measures of one sample, reported together.
pub(crate) struct Panel {
    pub(crate) loinc: &'static str,
    pub(crate) text: &'static str,
    pub(crate) measures: &'static [Measure],
}

pub(crate) static BLOOD_COUNT: Panel = Panel {
    loinc: "58410-2",
    text: "Numération formule sanguine",
    measures: &[
        measure("718-7", "Hémoglobine", ("g/dL", "g/dL", 1), (120, 165), (62, 188)),
        measure("6690-2", "Leucocytes", ("10*3/uL", "10*3/uL", 1), (40, 100), (12, 262)),
        measure("777-3", "Plaquettes", ("10*3/uL", "10*3/uL", 0), (150, 400), (24, 720)),
        measure("787-2", "Volume globulaire moyen", ("fL", "fL", 0), (80, 98), (64, 118)),
    ],
};

pub(crate) static CHEMISTRY: Panel = Panel {
    loinc: "24323-8",
    text: "Bilan biochimique",
    measures: &[
        measure("2951-2", "Sodium", ("mmol/L", "mmol/L", 0), (136, 145), (118, 156)),
        measure("2823-3", "Potassium", ("mmol/L", "mmol/L", 1), (35, 50), (26, 68)),
        measure("14682-9", "Créatinine", ("µmol/L", "umol/L", 0), (50, 104), (32, 540)),
        measure("22664-7", "Urée", ("mmol/L", "mmol/L", 1), (25, 75), (14, 388)),
        measure("14749-6", "Glucose", ("mmol/L", "mmol/L", 1), (41, 61), (22, 264)),
        measure("1988-5", "Protéine C réactive", ("mg/L", "mg/L", 1), (2, 50), (51, 3480)),
    ],
};

pub(crate) static LIVER: Panel = Panel {
    loinc: "24325-3",
    text: "Bilan hépatique",
    measures: &[
        measure("1742-6", "Alanine aminotransférase", ("U/L", "U/L", 0), (8, 45), (46, 980)),
        measure("1920-8", "Aspartate aminotransférase", ("U/L", "U/L", 0), (8, 40), (41, 870)),
        measure("2324-2", "Gamma-glutamyl transférase", ("U/L", "U/L", 0), (8, 60), (61, 720)),
        measure("14631-6", "Bilirubine totale", ("µmol/L", "umol/L", 0), (3, 20), (21, 246)),
    ],
};

pub(crate) static DIABETES_LIPIDS: Panel = Panel {
    loinc: "57698-3",
    text: "Bilan métabolique",
    measures: &[
        measure("4548-4", "Hémoglobine glyquée", ("%", "%", 1), (42, 60), (61, 138)),
        measure("14647-2", "Cholestérol total", ("mmol/L", "mmol/L", 2), (330, 520), (521, 940)),
        measure("14646-4", "Cholestérol HDL", ("mmol/L", "mmol/L", 2), (100, 190), (55, 99)),
        measure("14927-8", "Triglycérides", ("mmol/L", "mmol/L", 2), (50, 170), (171, 980)),
    ],
};

pub(crate) static HEART: Panel = Panel {
    loinc: "89577-1",
    text: "Troponine et peptides",
    measures: &[
        measure("67151-1", "Troponine T ultrasensible", ("ng/L", "ng/L", 0), (3, 14), (15, 4200)),
        measure("33762-6", "NT-proBNP", ("ng/L", "ng/L", 0), (20, 300), (301, 18_400)),
        measure("48065-7", "D-dimères", ("µg/L", "ug/L", 0), (90, 500), (501, 9800)),
    ],
};

pub(crate) static THYROID: Panel = Panel {
    loinc: "55204-3",
    text: "Bilan thyroïdien",
    measures: &[
        measure("3016-3", "Thyréostimuline (TSH)", ("mUI/L", "m[IU]/L", 2), (40, 400), (1, 6200)),
        measure("14920-3", "Thyroxine libre (T4L)", ("pmol/L", "pmol/L", 1), (120, 220), (40, 614)),
    ],
};

/// A drug with the way it is usually taken.
pub(crate) struct Drug {
    pub(crate) atc: &'static str,
    pub(crate) text: &'static str,
    pub(crate) dose: (i64, &'static str, &'static str),
    pub(crate) times_a_day: i64,
    pub(crate) days: i64,
    /// SNOMED CT code of the route, and French for it.
    pub(crate) route: (&'static str, &'static str),
}

const ORAL: (&str, &str) = ("26643006", "voie orale");
const VEIN: (&str, &str) = ("47625008", "voie intraveineuse");
const SKIN: (&str, &str) = ("34206005", "voie sous-cutanée");
const INHALED: (&str, &str) = ("447694001", "voie inhalée");

const fn drug(
    atc: &'static str,
    text: &'static str,
    dose: (i64, &'static str, &'static str),
    times_a_day: i64,
    days: i64,
    route: (&'static str, &'static str),
) -> Drug {
    Drug { atc, text, dose, times_a_day, days, route }
}

pub(crate) static PARACETAMOL: Drug = drug("N02BE01", "Paracétamol 1 g", (1, "g", "g"), 3, 5, ORAL);
pub(crate) static MORPHINE: Drug = drug("N02AA01", "Morphine (chlorhydrate)", (3, "mg", "mg"), 4, 2, VEIN);
pub(crate) static TRAMADOL: Drug = drug("N02AX02", "Tramadol 50 mg", (50, "mg", "mg"), 3, 5, ORAL);
pub(crate) static IBUPROFEN: Drug = drug("M01AE01", "Ibuprofène 400 mg", (400, "mg", "mg"), 3, 5, ORAL);
pub(crate) static AMOXICILLIN: Drug = drug("J01CA04", "Amoxicilline 1 g", (1, "g", "g"), 3, 7, ORAL);
pub(crate) static AMOX_CLAV: Drug =
    drug("J01CR02", "Amoxicilline et acide clavulanique 1 g/125 mg", (1, "g", "g"), 3, 7, ORAL);
pub(crate) static CEFTRIAXONE: Drug = drug("J01DD04", "Ceftriaxone", (1, "g", "g"), 1, 7, VEIN);
pub(crate) static FOSFOMYCIN: Drug = drug("J01XX01", "Fosfomycine-trométamol 3 g", (3, "g", "g"), 1, 1, ORAL);
pub(crate) static ENOXAPARIN: Drug = drug("B01AB05", "Énoxaparine 4000 UI", (4000, "UI", "[IU]"), 1, 10, SKIN);
pub(crate) static APIXABAN: Drug = drug("B01AF02", "Apixaban 5 mg", (5, "mg", "mg"), 2, 90, ORAL);
pub(crate) static ASPIRIN: Drug = drug("B01AC06", "Acide acétylsalicylique 75 mg", (75, "mg", "mg"), 1, 90, ORAL);
pub(crate) static BISOPROLOL: Drug = drug("C07AB07", "Bisoprolol 5 mg", (5, "mg", "mg"), 1, 90, ORAL);
pub(crate) static RAMIPRIL: Drug = drug("C09AA05", "Ramipril 5 mg", (5, "mg", "mg"), 1, 90, ORAL);
pub(crate) static AMLODIPINE: Drug = drug("C08CA01", "Amlodipine 5 mg", (5, "mg", "mg"), 1, 90, ORAL);
pub(crate) static FUROSEMIDE: Drug = drug("C03CA01", "Furosémide 40 mg", (40, "mg", "mg"), 1, 30, ORAL);
pub(crate) static ATORVASTATIN: Drug = drug("C10AA05", "Atorvastatine 20 mg", (20, "mg", "mg"), 1, 90, ORAL);
pub(crate) static METFORMIN: Drug = drug("A10BA02", "Metformine 1000 mg", (1000, "mg", "mg"), 2, 90, ORAL);
pub(crate) static INSULIN: Drug = drug("A10AE04", "Insuline glargine", (14, "UI", "[IU]"), 1, 30, SKIN);
pub(crate) static OMEPRAZOLE: Drug = drug("A02BC01", "Oméprazole 20 mg", (20, "mg", "mg"), 1, 30, ORAL);
pub(crate) static LEVOTHYROXINE: Drug = drug("H03AA01", "Lévothyroxine 75 µg", (75, "µg", "ug"), 1, 90, ORAL);
pub(crate) static SALBUTAMOL: Drug = drug("R03AC02", "Salbutamol 100 µg", (200, "µg", "ug"), 4, 10, INHALED);
pub(crate) static PREDNISOLONE: Drug = drug("H02AB06", "Prednisolone 20 mg", (40, "mg", "mg"), 1, 5, ORAL);
pub(crate) static SERTRALINE: Drug = drug("N06AB06", "Sertraline 50 mg", (50, "mg", "mg"), 1, 30, ORAL);
pub(crate) static OLANZAPINE: Drug = drug("N05AH03", "Olanzapine 10 mg", (10, "mg", "mg"), 1, 30, ORAL);
pub(crate) static OXAZEPAM: Drug = drug("N05BA04", "Oxazépam 10 mg", (10, "mg", "mg"), 2, 14, ORAL);
pub(crate) static DONEPEZIL: Drug = drug("N06DA02", "Donépézil 5 mg", (5, "mg", "mg"), 1, 30, ORAL);
pub(crate) static ANTIRETROVIRAL: Drug =
    drug("J05AR20", "Bictégravir, emtricitabine et ténofovir alafénamide", (1, "comprimé", "{tbl}"), 1, 30, ORAL);
pub(crate) static OXYTOCIN: Drug = drug("H01BB02", "Oxytocine", (5, "UI", "[IU]"), 1, 1, VEIN);
pub(crate) static IRON: Drug = drug("B03AA07", "Sulfate ferreux 80 mg", (80, "mg", "mg"), 1, 60, ORAL);

/// Something done to a patient.
pub(crate) struct Act {
    pub(crate) ccam: &'static str,
    pub(crate) text: &'static str,
    pub(crate) minutes: i64,
}

const fn act(ccam: &'static str, text: &'static str, minutes: i64) -> Act {
    Act { ccam, text, minutes }
}

pub(crate) static ECG: Act = act("DEQP003", "Électrocardiogramme à 12 dérivations", 10);
pub(crate) static CHEST_XRAY: Act = act("ZBQK002", "Radiographie du thorax", 10);
pub(crate) static HEAD_SCAN: Act = act("ACQK001", "Scanner du crâne sans injection", 15);
pub(crate) static BELLY_SCAN: Act = act("ZCQH001", "Scanner de l'abdomen et du pelvis avec injection", 25);
pub(crate) static ECHO: Act = act("DZQM006", "Échographie cardiaque transthoracique", 25);
pub(crate) static APPENDECTOMY: Act = act("HHFA016", "Ablation de l'appendice par cœlioscopie", 55);
pub(crate) static CHOLECYSTECTOMY: Act = act("HMFC004", "Ablation de la vésicule par cœlioscopie", 70);
pub(crate) static HIP_PROSTHESIS: Act = act("NEKA020", "Pose d'une prothèse totale de hanche", 105);
pub(crate) static CATARACT: Act = act("BFGA004", "Opération de la cataracte avec implant", 25);
pub(crate) static COLONOSCOPY: Act = act("HHQE005", "Coloscopie totale", 35);
pub(crate) static BIRTH: Act = act("JQGD010", "Accouchement par les voies naturelles", 240);
pub(crate) static CAESAREAN: Act = act("JQGA002", "Césarienne programmée", 60);
pub(crate) static CORONARY_STENT: Act = act("DDAF006", "Dilatation d'une artère coronaire avec stent", 75);
pub(crate) static SUTURE: Act = act("QZJA002", "Suture de plaie superficielle", 20);
pub(crate) static PLASTER: Act = act("NZMP001", "Immobilisation par résine", 25);
pub(crate) static INTUBATION: Act = act("GELD004", "Intubation de la trachée", 15);

/// A ward of the hospital.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Ward {
    Emergency,
    Medicine,
    Surgery,
    Maternity,
    Psychiatry,
    Geriatrics,
    IntensiveCare,
    Laboratory,
    Paediatrics,
    Cardiology,
    Pneumology,
    Oncology,
    Imaging,
    Outpatients,
    Vaccination,
}

/// How a patient comes with a diagnosis.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// By appointment, home the same day.
    Consultation,
    /// By the emergency department, home the same day.
    Emergency,
    /// By the emergency department, then admitted.
    Admission,
    /// Admitted by appointment.
    Planned,
}

/// A diagnosis with what usually comes with it.
pub(crate) struct Diagnosis {
    pub(crate) cim10: &'static str,
    pub(crate) text: &'static str,
    pub(crate) way: Way,
    pub(crate) ward: Ward,
    /// Both included, in years.
    pub(crate) ages: (i64, i64),
    /// `None` for either sex.
    pub(crate) sex: Option<Sex>,
    pub(crate) chronic: bool,
    /// Records of this diagnosis carry the label "restricted", and this code of sensitivity where it is not empty.
    pub(crate) sensitive: Option<&'static str>,
    pub(crate) drugs: &'static [&'static Drug],
    pub(crate) panels: &'static [&'static Panel],
    pub(crate) acts: &'static [&'static Act],
}

/// What somebody may be allergic to: ATC code where it is a drug, wording, category, and what happens.
pub(crate) const ALLERGENS: &[(&str, &str, &str, &str)] = &[
    ("J01CA04", "Amoxicilline", "medication", "Éruption cutanée"),
    ("J01C", "Pénicillines", "medication", "Œdème de Quincke"),
    ("M01AE01", "Ibuprofène", "medication", "Urticaire"),
    ("N02BA01", "Acide acétylsalicylique", "medication", "Bronchospasme"),
    ("V08A", "Produits de contraste iodés", "medication", "Choc anaphylactique"),
    ("", "Arachide", "food", "Œdème des lèvres"),
    ("", "Fruits à coque", "food", "Urticaire généralisée"),
    ("", "Lait de vache", "food", "Vomissements"),
    ("", "Latex", "environment", "Eczéma de contact"),
    ("", "Pollens de graminées", "environment", "Rhinite"),
    ("", "Venin de guêpe", "environment", "Malaise"),
];

/// Vaccines: ATC code, wording, ages in years at which they are given.
pub(crate) const VACCINES: &[(&str, &str, (i64, i64))] = &[
    ("J07BX03", "Vaccin à ARN messager contre la Covid-19", (12, 110)),
    ("J07BB02", "Vaccin contre la grippe saisonnière", (60, 110)),
    ("J07CA09", "Vaccin hexavalent du nourrisson", (0, 2)),
    ("J07BD52", "Vaccin contre la rougeole, les oreillons et la rubéole", (1, 6)),
    ("J07AL02", "Vaccin conjugué contre le pneumocoque", (0, 3)),
    ("J07BM03", "Vaccin contre les papillomavirus", (11, 19)),
    ("J07CA02", "Rappel diphtérie, tétanos, coqueluche, poliomyélite", (6, 90)),
];
