//! The person decides: a code is made, or the app is told that it gets nothing.

use crate::authorize::{Authorize, PageError, TicketRow, needs_patient};
use crate::error::{ErrorCode, OAuthError, SmartError};
use crate::grant::{CodeRow, Family, noted};
use crate::person::{Asked, Holder, Person};
use crate::redirect;
use crate::rows;
use crate::scopes::{Scope, ScopeSet};
use crate::secret;
use crate::server::AuthorizationServer;
use tacet_ledger::noted::{Expect, RowsError, Table};
use tacet_ledger::{EventKind, Outcome};
use tacet_types::{ResourceId, Role};

/// What the person decided.
#[derive(Clone, PartialEq, Eq)]
pub enum Decision {
    /// Nothing is given.
    Deny,
    /// These of the scopes that were shown are given.
    Approve {
        /// The scopes. What was not shown is not given, whatever stands here.
        scopes: Vec<String>,
        /// The chosen patient. For staff: that they may see this record is the caller's to check, before this.
        patient: Option<ResourceId>,
        /// The chosen encounter: that it is that patient's, and that the person may see it, is the caller's to check as well.
        encounter: Option<ResourceId>,
    },
}

fn refuse(what: &'static str) -> Authorize {
    Authorize::Refuse(PageError { status: 400, what })
}

impl AuthorizationServer {
    /// Takes the decision on the consent page that `ticket` stands for: [`Authorize::Redirect`] or [`Authorize::Refuse`]. A ticket is used once.
    ///
    /// # Errors
    /// The rows'.
    pub async fn decide(
        &self,
        ticket: &str,
        person: &Person,
        decision: &Decision,
        asked: Asked,
    ) -> Result<Authorize, SmartError> {
        const GONE: &str = "this page has ended or was used before: start the app again";
        if !secret::is_secret(ticket, secret::TICKET) {
            return Ok(refuse(GONE));
        }
        let name = rows::by_secret("ticket", ticket);
        let found: Option<(TicketRow, u64)> = self.rows.get(Table::Codes, &name)?;
        let now_ms = self.now().as_ms();
        // The page is bound to who saw it: nobody can be made to decide on somebody else's.
        let own =
            |row: &TicketRow| now_ms < row.expires_ms && row.account == person.account && row.session == person.session;
        let Some((mut row, revision)) = found.filter(|(row, _)| own(row)) else { return Ok(refuse(GONE)) };
        let Decision::Approve { scopes, patient, encounter } = decision else {
            let write = rows::remove(Table::Codes, name, Expect::Revision(revision));
            return match self.rows.commit(vec![write], Vec::new()).await {
                Err(RowsError::Conflict) => Ok(refuse(GONE)),
                other => {
                    other?;
                    let error = OAuthError::new(ErrorCode::AccessDenied, "the person did not agree");
                    Ok(Authorize::Redirect(self.error_redirect(&row.redirect_uri, Some(&row.state), &error)))
                }
            };
        };
        let Ok(approved) = ScopeSet::parse(&scopes.join(" ")) else {
            return Ok(refuse("an approved scope is not well-formed"));
        };
        let shown = ScopeSet::parse(&row.scope).map_err(|_| SmartError::Damaged)?;
        let given = shown.meet(&approved);
        let mut context = row.context.context()?;
        match (&context.patient, patient) {
            (Some(known), Some(chosen)) if known != chosen => {
                return Ok(refuse("another patient is open than was chosen: start the app again"));
            }
            (None, Some(chosen)) => {
                if person.role == Role::Patient && !person.patients.contains(chosen) {
                    return Ok(refuse("choose one of your own records"));
                }
                context.patient = Some(chosen.clone());
            }
            _ => {}
        }
        if given.has(&Scope::LaunchEncounter) && context.encounter.is_none() && encounter.is_some() {
            // The caller looked whose it is by what was chosen on the page: nothing chosen, nothing looked at.
            if patient.is_none() {
                return Ok(refuse("choose the encounter's patient with it"));
            }
            context.encounter.clone_from(encounter);
        }
        if row.needs_patient && needs_patient(&given) && context.patient.is_none() {
            return Ok(refuse("choose a patient"));
        }
        if given.is_empty() {
            return Ok(refuse("choose what to give, or deny"));
        }
        row.context = (&context).into();
        Ok(match self.give_code(&row, Some((name, revision)), person, &given, asked).await? {
            Some(url) => Authorize::Redirect(url),
            None => refuse(GONE),
        })
    }

    /// Makes a code, uses up the ticket and the launch, and gives the way back to the app. None where one of these was used meanwhile.
    pub(crate) async fn give_code(
        &self,
        ticket: &TicketRow,
        row: Option<(Vec<u8>, u64)>,
        person: &Person,
        given: &ScopeSet,
        asked: Asked,
    ) -> Result<Option<String>, SmartError> {
        let now = self.now();
        // A client that was ended while the page stood gets nothing.
        if self.active(Some(&ticket.client)).is_err() {
            return Ok(None);
        }
        let lifetimes = &self.settings.lifetimes;
        let offline = given.has(&Scope::OfflineAccess);
        let lives_ms = match (offline, given.has(&Scope::OnlineAccess)) {
            (true, _) => lifetimes.offline_ms,
            (false, true) => lifetimes.online_ms,
            (false, false) => lifetimes.access_ms,
        };
        let family = Family {
            id: secret::id(self.rng.as_ref()),
            client: ticket.client.clone(),
            holder: Holder::from(person),
            granted_ms: now.as_ms(),
            expires_ms: now.plus_ms(lives_ms).plus_ms(lifetimes.code_ms).as_ms(),
            revoked_ms: None,
            scope: given.to_string(),
            offline,
            context: ticket.context.clone(),
            nonce: ticket.nonce.clone(),
            jkt: None,
            x5t: None,
            refresh: None,
        };
        let detail = format!("client {}, grant {}, scopes {given}", ticket.client, noted(&family.id));
        let code_row = CodeRow {
            family,
            redirect_uri: ticket.redirect_uri.clone(),
            challenge: ticket.challenge.clone(),
            dpop_jkt: ticket.dpop_jkt.clone(),
            expires_ms: now.plus_ms(lifetimes.code_ms).as_ms(),
            used: false,
        };
        let code = secret::make(self.rng.as_ref(), secret::CODE);
        let mut writes = vec![rows::put(Table::Codes, rows::by_secret("code", &code), &code_row, Expect::Absent)?];
        writes.extend(row.map(|(name, revision)| rows::remove(Table::Codes, name, Expect::Revision(revision))));
        let launch = ticket.launch.clone();
        writes.extend(launch.map(|(name, revision)| rows::remove(Table::Codes, name, Expect::Revision(revision))));
        let note = Holder::from(person).entry(now, EventKind::RightsChange, asked, Outcome::Success, shortened(detail));
        match self.rows.commit(writes, vec![note]).await {
            Err(RowsError::Conflict) => return Ok(None),
            other => other?,
        }
        let params = [("code", code.as_str()), ("state", &ticket.state), ("iss", &self.settings.issuer)];
        Ok(Some(redirect::with(&ticket.redirect_uri, &params)))
    }
}

/// A remark within the ledger's bound.
pub(crate) fn shortened(mut detail: String) -> String {
    let mut end = tacet_ledger::DETAIL_BYTES_MAX.min(detail.len());
    while !detail.is_char_boundary(end) {
        end -= 1;
    }
    detail.truncate(end);
    detail
}
