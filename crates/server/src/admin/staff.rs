//! What the FHIR data says of who works here: Practitioners, their PractitionerRoles, and which role of ours a profession is. What follows from it,
//! `leavers` and `newcomers` say.

use serde_json::Value;
use std::collections::BTreeSet;
use tacet_ledger::{Channel, Origin, PurposeOfUse};
use tacet_search::request::{Handling, Scope};
use tacet_types::{OperationId, ResourceId, ResourceType, Role, Timestamp};
use tacet_vault::{Caller, SearchCall, Vault, VaultError};

/// Practitioners asked for in one search.
pub(super) const ASKED_MAX: usize = 50;

/// Records on a page.
const PAGE_COUNT: usize = 500;

/// Pages of one search at most: half a million roles of fifty people are a fault of the data.
const PAGES_MAX: usize = 1_000;

/// Codes that say a role, whatever their system: HL7's practitioner-role, SNOMED CT, and in words.
const CODES: [(&str, Role); 10] = [
    ("doctor", Role::Clinician),
    ("158965000", Role::Clinician),
    ("309343006", Role::Clinician),
    ("nurse", Role::Nurse),
    ("106292003", Role::Nurse),
    ("224535009", Role::Nurse),
    ("pharmacist", Role::Pharmacist),
    ("46255001", Role::Pharmacist),
    ("laboratory", Role::Laboratory),
    ("reception", Role::Reception),
];

/// How the French list of health professions is named: TRE_G15-ProfessionSante of the Agence du Numérique en Santé, by its address
/// (FR Core, Annuaire Santé), and by its number.
const PROFESSIONS_FR: [&str; 2] = [
    "https://mos.esante.gouv.fr/NOS/TRE_G15-ProfessionSante/FHIR/TRE-G15-ProfessionSante",
    "urn:oid:1.2.250.1.71.1.2.7",
];

/// Codes of that list. They are short numbers, so that they count in their own system only. Midwives and dentists are, as physicians, of the
/// medical professions (code de la santé publique, part 4, book I), who prescribe. Who is not here (a physiotherapist, an auxiliary nurse, a
/// pharmacist's assistant) has no role by data: people say which.
const CODES_FR: [(&str, Role); 8] = [
    ("10", Role::Clinician),
    ("40", Role::Clinician),
    ("50", Role::Clinician),
    ("60", Role::Nurse),
    // Of psychiatry: a diploma of before 1992.
    ("69", Role::Nurse),
    ("21", Role::Pharmacist),
    // Technicians of the laboratory and of imaging: our role is that of both.
    ("86", Role::Laboratory),
    ("98", Role::Laboratory),
];

/// As whom the program looks at the records.
pub(super) fn own(name: &str, origin: Origin, operation: OperationId) -> Caller {
    Caller {
        own_work: true,
        strong: true,
        ..Caller::new(name, Role::Integrator, PurposeOfUse::SystemAdministration, origin, operation)
    }
}

/// From where the program's own work comes.
pub(super) const HERE: Origin = Origin { address: None, channel: Channel::Internal };

/// Reads Practitioners and PractitionerRoles.
pub(super) struct Reader<'a> {
    pub(super) vault: &'a Vault,
    pub(super) caller: &'a Caller,
}

/// Practitioners and all of their roles.
pub(super) struct Found {
    practitioners: Vec<Value>,
    roles: Vec<Value>,
}

impl Found {
    /// The Practitioner of this id and their roles; none where there is no such record.
    pub(super) fn of<'f>(&'f self, id: &'f str) -> Option<(&'f Value, impl Iterator<Item = &'f Value>)> {
        let practitioner = self.practitioners.iter().find(|found| text(found, "/id") == Some(id))?;
        Some((practitioner, self.roles.iter().filter(move |role| practitioner_of(role) == Some(id))))
    }
}

impl Reader<'_> {
    /// Practitioners of whom something was stored since.
    pub(super) async fn changed(&self, since: Timestamp) -> Result<BTreeSet<String>, VaultError> {
        let mut changed = BTreeSet::new();
        for practitioner in self.all("Practitioner", stored_since(since)).await? {
            changed.extend(text(&practitioner, "/id").map(str::to_owned));
        }
        for role in self.all("PractitionerRole", stored_since(since)).await? {
            changed.extend(practitioner_of(&role).map(str::to_owned));
        }
        Ok(changed)
    }

    /// These Practitioners, of whom there are [`ASKED_MAX`] at most, and all of their roles.
    pub(super) async fn found(&self, ids: &[&str]) -> Result<Found, VaultError> {
        let asked: Vec<String> = ids.iter().map(|id| format!("Practitioner/{id}")).collect();
        let practitioners = self.all("Practitioner", vec![("_id".to_owned(), ids.join(","))]).await?;
        let roles = self.all("PractitionerRole", vec![("practitioner".to_owned(), asked.join(","))]).await?;
        Ok(Found { practitioners, roles })
    }

    /// Whether a machine of the hospital wrote the record of this id last, and no person.
    pub(super) fn is_of_machine(&self, name: &str, record: &Value) -> Result<bool, VaultError> {
        let id = text(record, "/id").and_then(|id| ResourceId::parse(id).ok());
        match (ResourceType::parse(name), id) {
            (Some(resource_type), Some(id)) => self.vault.is_said_by_machine(resource_type, &id),
            _ => Ok(false),
        }
    }

    /// The first page of a search.
    pub(super) fn first(&self, name: &str, mut parameters: Vec<(String, String)>) -> Result<SearchCall, VaultError> {
        let resource_type = ResourceType::parse(name).ok_or(VaultError::NotFound)?;
        parameters.push(("_count".to_owned(), PAGE_COUNT.to_string()));
        let (handling, base_url) = (Handling::Strict, String::new());
        Ok(SearchCall { scope: Scope::Type(resource_type), parameters, handling, base_url, cursor: None })
    }

    /// A page, with the one that follows it.
    pub(super) async fn page(&self, mut call: SearchCall) -> Result<(Vec<Value>, Option<SearchCall>), VaultError> {
        let page = self.vault.search(self.caller, &call).await?;
        let read = |body: &[u8]| serde_json::from_slice(body).map_err(|_| VaultError::Damaged("a resource is no JSON"));
        let records = page.entries.iter().map(|entry| read(&entry.disclosed.body)).collect::<Result<_, _>>()?;
        let next = page.next.map(|cursor| {
            (call.cursor, call.parameters) = (Some(cursor), Vec::new());
            call
        });
        Ok((records, next))
    }

    async fn all(&self, name: &str, parameters: Vec<(String, String)>) -> Result<Vec<Value>, VaultError> {
        let (mut all, mut call) = (Vec::new(), Some(self.first(name, parameters)?));
        for _ in 0..PAGES_MAX {
            let Some(this) = call.take() else { break };
            let (records, next) = self.page(this).await?;
            all.extend(records);
            call = next;
        }
        Ok(all)
    }
}

/// What was stored from then on.
pub(super) fn stored_since(since: Timestamp) -> Vec<(String, String)> {
    vec![("_lastUpdated".to_owned(), format!("ge{since}"))]
}

/// The text at a place, if there is one.
pub(super) fn text<'v>(value: &'v Value, place: &str) -> Option<&'v str> {
    value.pointer(place).and_then(Value::as_str)
}

/// Whether a record is in use: it is unless it says that it is not.
pub(super) fn is_active(record: &Value) -> bool {
    record.get("active").and_then(Value::as_bool) != Some(false)
}

/// The members of a list.
pub(super) fn each<'v>(value: &'v Value, name: &str) -> impl Iterator<Item = &'v Value> {
    value.get(name).and_then(Value::as_array).into_iter().flatten()
}

/// The id of whose role it is, whatever form the reference has: with the server's address before it, or a version behind it. A role that is not
/// counted would let somebody seem to have left.
pub(super) fn practitioner_of(role: &Value) -> Option<&str> {
    let mut parts = text(role, "/practitioner/reference")?.split('/').skip_while(|part| *part != "Practitioner");
    parts.nth(1).filter(|id| !id.is_empty())
}

/// The roles of ours that a PractitionerRole says: by its own codes, or, where these say none, by the professions that its Practitioner is
/// qualified for. So it is in the Annuaire Santé, whose roles have kinds of activity and whose Practitioners have the profession.
pub(super) fn said(role: &Value, practitioner: &Value) -> Vec<Role> {
    let own = roles_of(each(role, "code").flat_map(|concept| each(concept, "coding")));
    if !own.is_empty() {
        return own;
    }
    let codes = each(practitioner, "qualification").filter_map(|one| one.get("code"));
    roles_of(codes.flat_map(|code| each(code, "coding")))
}

fn roles_of<'v>(codings: impl Iterator<Item = &'v Value>) -> Vec<Role> {
    let mut roles = Vec::new();
    for coding in codings {
        let Some(code) = text(coding, "/code") else { continue };
        let french = text(coding, "/system").is_some_and(|system| PROFESSIONS_FR.contains(&system));
        let codes: &[(&str, Role)] = if french { &CODES_FR } else { &CODES };
        let role = codes.iter().find(|(known, _)| *known == code).map(|(_, role)| *role);
        roles.extend(role.filter(|role| !roles.contains(role)));
    }
    roles
}

/// The moment after which a `dateTime` of FHIR is over: a day lasts until its end. Of a month or a year no end is known well enough.
pub(super) fn end_of(text: &str) -> Option<Timestamp> {
    let whole = if text.len() == 10 { format!("{text}T23:59:59Z") } else { text.to_owned() };
    Timestamp::parse(&whole).ok()
}

/// The moment with which a `dateTime` of FHIR begins.
pub(super) fn start_of(text: &str) -> Option<Timestamp> {
    let rest = match text.len() {
        4 => "-01-01T00:00:00Z",
        7 => "-01T00:00:00Z",
        10 => "T00:00:00Z",
        _ => "",
    };
    Timestamp::parse(&format!("{text}{rest}")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_role_is_somebodys_whatever_the_form_of_its_reference() {
        for (reference, expected) in [
            ("Practitioner/p1", Some("p1")),
            ("https://ehr.example/fhir/Practitioner/p1", Some("p1")),
            ("Practitioner/p1/_history/3", Some("p1")),
            ("https://ehr.example/Practitioner/p1/_history/3", Some("p1")),
            ("Practitioner/", None),
            ("Practitioner", None),
            ("Organization/p1", None),
            ("#p1", None),
        ] {
            assert_eq!(
                practitioner_of(&json!({ "practitioner": { "reference": reference } })),
                expected,
                "{reference}"
            );
        }
    }

    #[test]
    fn french_professions_count_in_their_own_system_only() {
        let role = |system: &str, code: &str| json!({ "code": [{ "coding": [{ "system": system, "code": code }] }] });
        let nobody = json!({});
        for system in PROFESSIONS_FR {
            for (code, expected) in [
                ("10", Some(Role::Clinician)),
                ("40", Some(Role::Clinician)),
                ("50", Some(Role::Clinician)),
                ("60", Some(Role::Nurse)),
                ("69", Some(Role::Nurse)),
                ("21", Some(Role::Pharmacist)),
                ("86", Some(Role::Laboratory)),
                ("98", Some(Role::Laboratory)),
                ("70", None),
                ("35", None),
                ("38", None),
                // Of another list: not of this one.
                ("doctor", None),
                ("158965000", None),
            ] {
                assert_eq!(said(&role(system, code), &nobody).first().copied(), expected, "{system} {code}");
            }
        }
        for system in ["", "https://mos.esante.gouv.fr/NOS/TRE_R94-ProfessionSocial/FHIR/TRE-R94-ProfessionSocial"] {
            assert_eq!(said(&role(system, "10"), &nobody), [], "{system}");
        }
        assert_eq!(said(&json!({ "code": [{ "coding": [{ "code": "10" }] }] }), &nobody), []);
    }

    #[test]
    fn the_profession_stands_in_the_practitioner_where_the_role_says_none() {
        let [french, _] = PROFESSIONS_FR;
        let concept = |system: &str, code: &str| json!({ "coding": [{ "system": system, "code": code }] });
        let mode = concept("https://mos.esante.gouv.fr/NOS/TRE_R23-ModeExercice/FHIR/TRE-R23-ModeExercice", "S");
        let practitioner = json!({ "qualification": [
            { "code": concept("https://mos.esante.gouv.fr/NOS/TRE_R14-TypeDiplome/FHIR/TRE-R14-TypeDiplome", "DE") },
            { "code": concept(french, "10") },
        ] });
        assert_eq!(said(&json!({ "code": [mode] }), &practitioner), [Role::Clinician]);
        assert_eq!(said(&json!({}), &practitioner), [Role::Clinician]);
        assert_eq!(said(&json!({ "code": [concept(french, "60")] }), &practitioner), [Role::Nurse]);
        assert_eq!(
            said(&json!({ "code": [concept(french, "60"), concept("", "doctor")] }), &practitioner),
            [Role::Nurse, Role::Clinician]
        );
    }

    #[test]
    fn times_begin_and_end_as_exactly_as_they_are_said() {
        let at = |text: &str| Some(Timestamp::parse(text).unwrap());
        for (text, start, end) in [
            ("2026-03-01", at("2026-03-01T00:00:00Z"), at("2026-03-01T23:59:59Z")),
            ("2026-03", at("2026-03-01T00:00:00Z"), None),
            ("2026", at("2026-01-01T00:00:00Z"), None),
            ("2026-03-01T08:00:00+01:00", at("2026-03-01T07:00:00Z"), at("2026-03-01T07:00:00Z")),
            ("soon", None, None),
            ("", None, None),
        ] {
            assert_eq!((start_of(text), end_of(text)), (start, end), "{text}");
        }
    }
}
