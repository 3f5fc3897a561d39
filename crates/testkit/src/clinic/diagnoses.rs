//! What brings patients to the synthetic hospital. Codes of the CIM-10, wording our own.

use super::terms::*;
use crate::identity::person::Sex;

/// A diagnosis that either sex has at any age, with nothing special: the ground on which the table's rows are written.
const PLAIN: Diagnosis = Diagnosis {
    cim10: "R69",
    text: "Maladie sans précision",
    way: Way::Consultation,
    ward: Ward::Outpatients,
    ages: (0, 120),
    sex: None,
    chronic: false,
    sensitive: None,
    drugs: &[&PARACETAMOL],
    panels: &[],
    acts: &[],
};

const fn plain(cim10: &'static str, text: &'static str, way: Way, ward: Ward, ages: (i64, i64)) -> Diagnosis {
    Diagnosis { cim10, text, way, ward, ages, ..PLAIN }
}

const fn with(mut base: Diagnosis, drugs: &'static [&'static Drug], panels: &'static [&'static Panel]) -> Diagnosis {
    base.drugs = drugs;
    base.panels = panels;
    base
}

const fn acts(mut base: Diagnosis, acts: &'static [&'static Act]) -> Diagnosis {
    base.acts = acts;
    base
}

const fn chronic(mut base: Diagnosis) -> Diagnosis {
    base.chronic = true;
    base
}

/// `code`: of the HL7 v3 ActCode sensitivities, or empty.
const fn sensitive(code: &'static str, mut base: Diagnosis) -> Diagnosis {
    base.sensitive = Some(code);
    base
}

const fn women(mut base: Diagnosis) -> Diagnosis {
    base.sex = Some(Sex::Female);
    base
}

const fn men(mut base: Diagnosis) -> Diagnosis {
    base.sex = Some(Sex::Male);
    base
}

use Way::{Admission, Consultation, Emergency, Planned};

/// Every diagnosis that a visit may be made for.
pub(crate) static DIAGNOSES: &[Diagnosis] = &[
    // --- long illnesses, followed by appointment
    chronic(with(
        plain("I10", "Hypertension artérielle essentielle", Consultation, Ward::Cardiology, (38, 100)),
        &[&AMLODIPINE, &RAMIPRIL],
        &[&CHEMISTRY],
    )),
    chronic(with(
        plain("E11.9", "Diabète de type 2 sans complication", Consultation, Ward::Medicine, (40, 100)),
        &[&METFORMIN, &ATORVASTATIN],
        &[&DIABETES_LIPIDS, &CHEMISTRY],
    )),
    chronic(with(
        plain("E10.9", "Diabète de type 1 sans complication", Consultation, Ward::Medicine, (4, 60)),
        &[&INSULIN],
        &[&DIABETES_LIPIDS],
    )),
    chronic(with(
        plain("E78.5", "Hyperlipidémie", Consultation, Ward::Outpatients, (35, 90)),
        &[&ATORVASTATIN],
        &[&DIABETES_LIPIDS],
    )),
    chronic(acts(
        with(
            plain("I50.9", "Insuffisance cardiaque", Admission, Ward::Cardiology, (55, 105)),
            &[&FUROSEMIDE, &BISOPROLOL, &RAMIPRIL],
            &[&HEART, &CHEMISTRY],
        ),
        &[&ECG, &ECHO],
    )),
    chronic(acts(
        with(
            plain("I48.9", "Fibrillation auriculaire", Consultation, Ward::Cardiology, (50, 100)),
            &[&APIXABAN, &BISOPROLOL],
            &[&CHEMISTRY, &THYROID],
        ),
        &[&ECG],
    )),
    chronic(with(
        plain("J45.9", "Asthme", Emergency, Ward::Pneumology, (3, 70)),
        &[&SALBUTAMOL, &PREDNISOLONE],
        &[&BLOOD_COUNT],
    )),
    chronic(acts(
        with(
            plain("J44.1", "Bronchopneumopathie obstructive en poussée", Admission, Ward::Pneumology, (45, 95)),
            &[&SALBUTAMOL, &PREDNISOLONE, &AMOX_CLAV],
            &[&BLOOD_COUNT, &CHEMISTRY],
        ),
        &[&CHEST_XRAY],
    )),
    chronic(with(
        plain("E03.9", "Hypothyroïdie", Consultation, Ward::Outpatients, (20, 95)),
        &[&LEVOTHYROXINE],
        &[&THYROID],
    )),
    chronic(with(
        plain("K21.9", "Reflux gastro-œsophagien", Consultation, Ward::Outpatients, (18, 90)),
        &[&OMEPRAZOLE],
        &[],
    )),
    chronic(with(
        plain("N18.3", "Maladie rénale chronique, stade 3", Consultation, Ward::Medicine, (45, 100)),
        &[&FUROSEMIDE, &RAMIPRIL],
        &[&CHEMISTRY, &BLOOD_COUNT],
    )),
    chronic(with(
        plain("G30.9", "Maladie d'Alzheimer", Consultation, Ward::Geriatrics, (65, 105)),
        &[&DONEPEZIL],
        &[&THYROID, &CHEMISTRY],
    )),
    chronic(with(
        plain("D50.9", "Anémie par carence en fer", Consultation, Ward::Medicine, (14, 95)),
        &[&IRON],
        &[&BLOOD_COUNT],
    )),
    chronic(plain("M17.9", "Arthrose du genou", Consultation, Ward::Outpatients, (48, 100))),
    // --- what the law and decency protect most
    chronic(sensitive(
        "HIV",
        with(
            plain("B24", "Infection par le VIH", Consultation, Ward::Medicine, (17, 80)),
            &[&ANTIRETROVIRAL],
            &[&BLOOD_COUNT, &LIVER],
        ),
    )),
    chronic(sensitive(
        "PSY",
        with(
            plain("F32.2", "Épisode dépressif sévère", Planned, Ward::Psychiatry, (15, 90)),
            &[&SERTRALINE, &OXAZEPAM],
            &[&THYROID],
        ),
    )),
    chronic(sensitive(
        "PSY",
        with(
            plain("F20.0", "Schizophrénie paranoïde", Admission, Ward::Psychiatry, (18, 70)),
            &[&OLANZAPINE],
            &[&DIABETES_LIPIDS],
        ),
    )),
    sensitive(
        "ETH",
        with(
            plain("F10.0", "Intoxication aiguë par l'alcool", Emergency, Ward::Emergency, (15, 75)),
            &[],
            &[&CHEMISTRY, &LIVER],
        ),
    ),
    sensitive(
        "SEX",
        women(plain("O04.9", "Interruption médicale de grossesse", Consultation, Ward::Maternity, (15, 46))),
    ),
    sensitive(
        "SDV",
        with(plain("T74.1", "Sévices physiques", Emergency, Ward::Emergency, (0, 90)), &[&PARACETAMOL, &TRAMADOL], &[]),
    ),
    chronic(sensitive(
        "",
        acts(
            with(
                women(plain("C50.9", "Tumeur maligne du sein", Planned, Ward::Oncology, (30, 95))),
                &[&PARACETAMOL, &ENOXAPARIN],
                &[&BLOOD_COUNT, &LIVER],
            ),
            &[&BELLY_SCAN],
        ),
    )),
    chronic(sensitive(
        "",
        acts(
            with(
                plain("C18.9", "Tumeur maligne du côlon", Planned, Ward::Oncology, (40, 95)),
                &[&MORPHINE, &ENOXAPARIN],
                &[&BLOOD_COUNT, &CHEMISTRY],
            ),
            &[&COLONOSCOPY, &BELLY_SCAN],
        ),
    )),
    // --- emergencies
    acts(
        with(
            plain("I21.9", "Infarctus aigu du myocarde", Admission, Ward::IntensiveCare, (40, 100)),
            &[&ASPIRIN, &ATORVASTATIN, &BISOPROLOL, &RAMIPRIL],
            &[&HEART, &CHEMISTRY, &BLOOD_COUNT],
        ),
        &[&ECG, &CORONARY_STENT],
    ),
    acts(
        with(
            plain("I63.9", "Infarctus cérébral", Admission, Ward::IntensiveCare, (45, 105)),
            &[&ASPIRIN, &ATORVASTATIN],
            &[&CHEMISTRY, &BLOOD_COUNT],
        ),
        &[&HEAD_SCAN, &ECG],
    ),
    acts(
        with(
            plain("J18.9", "Pneumopathie", Admission, Ward::Pneumology, (1, 105)),
            &[&AMOX_CLAV, &PARACETAMOL],
            &[&BLOOD_COUNT, &CHEMISTRY],
        ),
        &[&CHEST_XRAY],
    ),
    acts(
        with(
            plain("A41.9", "Sepsis", Admission, Ward::IntensiveCare, (20, 100)),
            &[&CEFTRIAXONE, &PARACETAMOL],
            &[&BLOOD_COUNT, &CHEMISTRY, &LIVER],
        ),
        &[&CHEST_XRAY, &INTUBATION],
    ),
    with(plain("N39.0", "Infection urinaire", Emergency, Ward::Emergency, (3, 100)), &[&FOSFOMYCIN], &[&CHEMISTRY]),
    with(
        plain("N10", "Pyélonéphrite aiguë", Admission, Ward::Medicine, (15, 95)),
        &[&CEFTRIAXONE, &PARACETAMOL],
        &[&BLOOD_COUNT, &CHEMISTRY],
    ),
    acts(
        with(
            plain("K35.8", "Appendicite aiguë", Admission, Ward::Surgery, (5, 60)),
            &[&PARACETAMOL, &TRAMADOL, &ENOXAPARIN],
            &[&BLOOD_COUNT, &CHEMISTRY],
        ),
        &[&BELLY_SCAN, &APPENDECTOMY],
    ),
    acts(
        with(
            plain("K80.0", "Calcul de la vésicule avec cholécystite aiguë", Admission, Ward::Surgery, (25, 95)),
            &[&AMOX_CLAV, &PARACETAMOL],
            &[&LIVER, &BLOOD_COUNT],
        ),
        &[&CHOLECYSTECTOMY],
    ),
    acts(
        with(
            plain("S72.0", "Fracture du col du fémur", Admission, Ward::Surgery, (60, 105)),
            &[&MORPHINE, &PARACETAMOL, &ENOXAPARIN],
            &[&BLOOD_COUNT, &CHEMISTRY],
        ),
        &[&HIP_PROSTHESIS],
    ),
    acts(
        with(
            plain("S52.5", "Fracture du poignet", Emergency, Ward::Emergency, (5, 95)),
            &[&PARACETAMOL, &TRAMADOL],
            &[],
        ),
        &[&PLASTER],
    ),
    acts(plain("S01.8", "Plaie de la tête", Emergency, Ward::Emergency, (1, 95)), &[&SUTURE]),
    with(
        plain("S93.4", "Entorse de la cheville", Emergency, Ward::Emergency, (8, 110)),
        &[&IBUPROFEN, &PARACETAMOL],
        &[],
    ),
    acts(
        with(
            plain("R07.4", "Douleur thoracique", Emergency, Ward::Emergency, (18, 95)),
            &[&PARACETAMOL],
            &[&HEART, &BLOOD_COUNT],
        ),
        &[&ECG, &CHEST_XRAY],
    ),
    acts(
        with(
            plain("R55", "Malaise et perte de connaissance", Emergency, Ward::Emergency, (12, 100)),
            &[],
            &[&CHEMISTRY],
        ),
        &[&ECG],
    ),
    acts(
        with(plain("N20.0", "Colique néphrétique", Emergency, Ward::Emergency, (20, 75)), &[&IBUPROFEN], &[&CHEMISTRY]),
        &[&BELLY_SCAN],
    ),
    with(
        plain("E86", "Déshydratation", Admission, Ward::Geriatrics, (70, 105)),
        &[&ENOXAPARIN],
        &[&CHEMISTRY, &BLOOD_COUNT],
    ),
    with(plain("A09", "Gastro-entérite", Emergency, Ward::Emergency, (0, 90)), &[&PARACETAMOL], &[&CHEMISTRY]),
    with(plain("J21.9", "Bronchiolite", Emergency, Ward::Paediatrics, (0, 1)), &[&PARACETAMOL], &[]),
    with(plain("H66.9", "Otite moyenne", Consultation, Ward::Paediatrics, (0, 8)), &[&AMOXICILLIN, &PARACETAMOL], &[]),
    with(plain("J03.9", "Angine", Consultation, Ward::Outpatients, (3, 60)), &[&AMOXICILLIN, &PARACETAMOL], &[]),
    with(
        plain("U07.1", "Covid-19, virus identifié", Admission, Ward::Pneumology, (30, 105)),
        &[&ENOXAPARIN, &PREDNISOLONE, &PARACETAMOL],
        &[&BLOOD_COUNT, &CHEMISTRY, &HEART],
    ),
    // --- by appointment
    acts(
        women(with(
            plain("O80.0", "Accouchement normal", Planned, Ward::Maternity, (17, 45)),
            &[&OXYTOCIN, &PARACETAMOL],
            &[&BLOOD_COUNT],
        )),
        &[&BIRTH],
    ),
    acts(
        women(with(
            plain("O82.0", "Accouchement par césarienne programmée", Planned, Ward::Maternity, (20, 46)),
            &[&PARACETAMOL, &ENOXAPARIN],
            &[&BLOOD_COUNT],
        )),
        &[&CAESAREAN],
    ),
    acts(plain("H25.9", "Cataracte", Planned, Ward::Surgery, (55, 100)), &[&CATARACT]),
    acts(
        with(
            plain("M16.1", "Arthrose de la hanche", Planned, Ward::Surgery, (50, 95)),
            &[&PARACETAMOL, &ENOXAPARIN],
            &[&BLOOD_COUNT],
        ),
        &[&HIP_PROSTHESIS],
    ),
    acts(plain("K63.5", "Polype du côlon", Planned, Ward::Medicine, (45, 85)), &[&COLONOSCOPY]),
    men(with(
        plain("N40", "Hypertrophie de la prostate", Consultation, Ward::Outpatients, (50, 95)),
        &[],
        &[&CHEMISTRY],
    )),
    with(plain("M54.5", "Lombalgie basse", Consultation, Ward::Outpatients, (18, 90)), &[&IBUPROFEN, &TRAMADOL], &[]),
    plain("Z00.0", "Examen médical général", Consultation, Ward::Outpatients, (0, 110)),
];

/// A positive Covid test is a diagnosis too.
pub(crate) static COVID: Diagnosis =
    plain("U07.1", "Covid-19, virus identifié", Consultation, Ward::Laboratory, (0, 110));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_may_fall_ill_with_something() {
        for sex in [Sex::Female, Sex::Male] {
            for age in 0..=106 {
                let possible = DIAGNOSES.iter().filter(|diagnosis| {
                    (diagnosis.ages.0..=diagnosis.ages.1).contains(&age) && diagnosis.sex.is_none_or(|only| only == sex)
                });
                assert!(possible.count() >= 2, "age {age}");
            }
        }
        assert!(DIAGNOSES.len() >= 45);
    }
}
