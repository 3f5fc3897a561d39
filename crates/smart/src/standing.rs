//! What outlives an access token: whether what a person gave, or a client was let in with, still stands. For whoever goes on in its name without a
//! token at hand.

use crate::error::SmartError;
use crate::server::AuthorizationServer;
use tacet_types::{Role, Timestamp};

/// What a person gave to a client, and what it hangs on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Standing {
    /// The person's account. What it is now is the caller's to look at.
    pub account: String,
    /// Its role when it was given.
    pub role: Role,
    /// The session in which it was given.
    pub session: Option<String>,
    /// Whether it outlives the session.
    pub offline: bool,
    /// When it was given.
    pub granted: Timestamp,
}

impl AuthorizationServer {
    /// What a person gave, by [`crate::AccessGrant::family`], if it stands: its time is not over, and neither it, its client, its account nor, where it hangs on
    /// that, its session was told to be ended.
    ///
    /// # Errors
    /// The rows'.
    pub fn standing(&self, family: &str) -> Result<Option<Standing>, SmartError> {
        let Some((family, _)) = self.family(family)? else { return Ok(None) };
        let Some(client) = self.client(&family.client)? else { return Ok(None) };
        if !self.stands(&family, &client)? {
            return Ok(None);
        }
        let person = family.holder.person().ok_or(SmartError::Damaged)?;
        Ok(Some(Standing {
            account: person.account,
            role: person.role,
            session: person.session,
            offline: family.offline,
            granted: Timestamp::from_ms(family.granted_ms),
        }))
    }

    /// Whether what a client was given for itself at this time still stands.
    ///
    /// # Errors
    /// The rows'.
    pub fn stands_for_itself(&self, client: &str, given: Timestamp) -> Result<bool, SmartError> {
        Ok(self.client(client)?.is_some_and(|client| Self::client_stands(&client, given.as_ms())))
    }
}

#[cfg(test)]
mod tests {
    use crate::ClientProof;
    use crate::hostile::{TestKey, asked, doctor, world};

    #[tokio::test]
    async fn what_was_given_stands_as_long_as_it_can_be_refreshed() {
        let world = world().await;
        let app = world.app().await;
        for (scope, lives_ms) in
            [("offline_access", 90 * 86_400_000i64), ("online_access", 8 * 3_600_000), ("openid", 300_000)]
        {
            let code = world.code(&app, &doctor(&world), &[("scope", &format!("{scope} user/*.rs"))]).await;
            let answer = world.exchange(&app, &code, &[], ClientProof::default()).await.unwrap();
            let family = world.access(&answer.access_token).unwrap().family.unwrap();
            let standing = world.server.standing(&family).unwrap().unwrap();
            assert_eq!((standing.account.as_str(), standing.offline), ("aubrac", scope == "offline_access"));
            world.clock.advance_ms(lives_ms - 1_000);
            assert!(world.server.standing(&family).unwrap().is_some(), "{scope}");
            world.clock.advance_ms(62_000);
            assert!(world.server.standing(&family).unwrap().is_none(), "{scope}");
        }
        assert!(world.server.standing("0000").unwrap().is_none());
    }

    #[tokio::test]
    async fn what_was_taken_back_stands_no_more() {
        let world = world().await;
        let app = world.app().await;
        let family = async || {
            let answer = world.tokens(&app).await;
            (world.access(&answer.access_token).unwrap().family.unwrap(), answer.refresh_token.unwrap())
        };
        let (one, token) = family().await;
        let form = format!("token={token}&client_id={}", app.id);
        world.server.revoke(&form, &ClientProof::default(), asked()).await.unwrap();
        assert!(world.server.standing(&one).unwrap().is_none());
        let (two, _) = family().await;
        world.server.revoke_account("aubrac", "officer", asked()).await.unwrap();
        assert!(world.server.standing(&two).unwrap().is_none());
        world.clock.advance_ms(1);
        let (three, _) = family().await;
        assert!(world.server.standing(&three).unwrap().is_some());
        world.server.revoke_client(&app.id, "officer", asked()).await.unwrap();
        assert!(world.server.standing(&three).unwrap().is_none());

        let machine = world.machine(&[&TestKey::ec("ES256", "k1")]).await;
        let now = tacet_types::Clock::now(world.clock.as_ref());
        assert!(world.server.stands_for_itself(&machine.id, now).unwrap());
        world.server.revoke_client(&machine.id, "officer", asked()).await.unwrap();
        assert!(!world.server.stands_for_itself(&machine.id, now).unwrap());
        assert!(!world.server.stands_for_itself("nobody", now).unwrap());
    }
}
