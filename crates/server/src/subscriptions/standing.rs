//! What a subscription hangs on that was asked for without a token of the store: what an app was given, or a session. It goes on as long as that stands, not
//! as long as the one token that was shown, which lives for five minutes.

use crate::access::By;
use crate::people::People;
use std::fmt::Write;
use tacet_identity::AccountId;
use tacet_smart::AccessGrant;
use tacet_types::Timestamp;

/// What the rights of somebody hang on, as it is written beside their subscription.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum HangsOn {
    /// What a person gave to an app.
    Family(String),
    /// That a client is in use, since this moment.
    Client(String, Timestamp),
    /// A session of an account, since this moment.
    Session(AccountId, String, Timestamp),
}

impl HangsOn {
    /// What the rights of who asks hang on. None: on a token of the store.
    pub(crate) fn of(by: &By) -> Option<Self> {
        match by {
            By::App(given) => Some(given.hangs_on.clone()),
            By::Session(person) => Some(Self::Session(person.account.clone(), person.session.clone(), person.began)),
            By::Token => None,
        }
    }

    /// What an app's token hangs on.
    pub(crate) fn of_app(grant: &AccessGrant) -> Self {
        match &grant.family {
            Some(family) => Self::Family(family.clone()),
            None => Self::Client(grant.client.clone(), grant.granted),
        }
    }

    /// As text.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        let _ = match self {
            Self::Family(family) => write!(text, "family {family}"),
            Self::Client(client, since) => write!(text, "client {client} {}", since.as_ms()),
            Self::Session(account, session, since) => {
                write!(text, "session {} {session} {}", account.as_str(), since.as_ms())
            }
        };
        text
    }

    fn parse(text: &str) -> Option<Self> {
        let since = |text: &str| text.parse().ok().map(Timestamp::from_ms);
        match *text.split(' ').collect::<Vec<_>>().as_slice() {
            ["family", family] => Some(Self::Family(family.to_owned())),
            ["client", client, at] => Some(Self::Client(client.to_owned(), since(at)?)),
            ["session", account, session, at] => {
                Some(Self::Session(AccountId::parse(account)?, session.to_owned(), since(at)?))
            }
            _ => None,
        }
    }
}

impl People {
    /// Whether what somebody's rights hang on still stands, by the same measure as a request with a token. What cannot be read does not; None where the
    /// store cannot be asked now.
    pub(crate) fn stands(&self, hangs_on: &str, now: Timestamp) -> Option<bool> {
        let Some(hangs_on) = HangsOn::parse(hangs_on) else { return Some(false) };
        let session_stands = |account: &AccountId, session: &str, since| {
            self.identity.session_stands(account, session, since).map_err(|error| {
                tracing::warn!(%error, "whether a session stands could not be looked up");
            })
        };
        match hangs_on {
            HangsOn::Client(client, since) => self.smart.stands_for_itself(&client, since).ok(),
            HangsOn::Session(account, session, since) => session_stands(&account, &session, since).ok(),
            HangsOn::Family(family) => {
                let Some(standing) = self.smart.standing(&family).ok()? else { return Some(false) };
                let id = AccountId::parse(&standing.account);
                let account = id.map(|id| self.identity.account(&id)).transpose().ok()?.flatten();
                let as_it_was =
                    |account: &tacet_identity::Account| account.usable(now) && account.role == standing.role;
                let Some(account) = account.filter(as_it_was) else { return Some(false) };
                match standing.session.filter(|_| !standing.offline) {
                    Some(session) => session_stands(&account.id, &session, standing.granted).ok(),
                    None => Some(true),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let account = AccountId::parse(&"0".repeat(32)).or_else(|| AccountId::parse("a".repeat(32).as_str()));
        let mut all =
            vec![HangsOn::Family("0011".to_owned()), HangsOn::Client("cc".to_owned(), Timestamp::from_ms(-5))];
        all.extend(account.map(|account| HangsOn::Session(account, "s1".to_owned(), Timestamp::from_ms(7))));
        assert_eq!(all.len(), 3);
        for one in all {
            assert_eq!(HangsOn::parse(&one.text()), Some(one));
        }
        for wrong in ["", "family", "family a b", "client c x", "session a s x", "session a s", "token t", "family  a"]
        {
            assert_eq!(HangsOn::parse(wrong), None, "{wrong}");
        }
    }
}
