//! Login at another provider (OpenID Connect): there, and back.

use super::{AuthCall, cookies, login::next, pages, words::Words};
use crate::error::ApiError;
use crate::lockout::Failure;
use crate::people::ForeignRule;
use crate::query::Query;
use crate::reply::Reply;
use crate::service::RecordService;
use crate::tried;
use hyper::StatusCode;
use tacet_identity::{Account, IdentityError};
use tacet_smart::foreign::{Begin, ForeignError, ForeignLogin, Weak};

impl<S: RecordService> AuthCall<'_, S> {
    /// The device of this browser, where it has one.
    fn device(&self) -> Option<&str> {
        cookies::device(&self.parts.headers).filter(|_| self.connection.has_device())
    }

    /// Sends the person to the provider.
    pub(super) async fn foreign_start(&self) -> Result<Reply, ApiError> {
        let words = Words::of(&self.parts.headers);
        if let Some(locked) = self.foreign_locked(words) {
            return Ok(locked);
        }
        let form = std::str::from_utf8(&self.body).map_err(|_| ApiError::invalid("the form is not UTF-8"))?;
        let form = Query::parse(Some(form))?;
        let prefix = &self.people.prefix;
        let made = self.people.identity.new_device();
        let (device, new) = match self.device() {
            Some(device) => (device, false),
            None => (made.reveal().as_str(), true),
        };
        let begin = Begin {
            provider: form.get("provider")?.unwrap_or_default(),
            browser: device,
            note: next(prefix, form.get("next")?).filter(|next| next.len() <= 2000),
            ..Begin::default()
        };
        let begun = match self.people.foreign.begin(&begin).await {
            Ok(begun) => begun,
            Err(error) => return self.foreign_failed(words, error).await,
        };
        let reply = pages::onward(words, prefix, &begun.url);
        Ok(match cookies::set_device(device).filter(|_| new) {
            Some(cookie) => reply.cookie(cookie),
            None => reply,
        })
    }

    /// The person comes back. This request comes from another site, and so without the device's cookie: the browser is sent to the same
    /// address once more from here, and then brings it.
    pub(super) async fn foreign_callback(&self) -> Result<Reply, ApiError> {
        let words = Words::of(&self.parts.headers);
        let (prefix, query) = (&self.people.prefix, self.parts.uri.query().unwrap_or_default());
        let Some(device) = self.device() else {
            if self.query()?.get("again")?.is_some() {
                return self.foreign_failed(words, ForeignError::NotBegun).await;
            }
            let again = format!("{prefix}/auth/foreign/callback?{query}&again=1");
            return Ok(pages::onward(words, prefix, &again));
        };
        if let Some(locked) = self.foreign_locked(words) {
            return Ok(locked);
        }
        let login = match self.people.foreign.finish(query, device).await {
            Ok(login) => login,
            Err(ForeignError::TooWeak(weak)) if !weak.was_fresh => {
                return self.step_up_there(words, device, &weak).await;
            }
            Err(error) => return self.foreign_failed(words, error).await,
        };
        let Some(account) = self.account_of(&login)? else {
            return self.foreign_failed(words, ForeignError::Refused("nobody here is known by it")).await;
        };
        let identity = &self.people.identity;
        let begun = identity.login_elsewhere(&account.id, &login.provider, login.strong, self.connection).await;
        let logged_in = match begun {
            Ok(logged_in) => logged_in,
            Err(IdentityError::Refused | IdentityError::State(_) | IdentityError::TooManyTries(_)) => {
                // The ledger has it, with the account's name.
                tracing::warn!(operation = %self.operation, "a login at another provider was for an account that is not in use");
                self.app.metrics.authentication_failed();
                let _ = self.app.lockout.failed(self.source(), Failure::Noted, self.app.clock.now());
                return Ok(self.foreign_refused(words));
            }
            Err(other) => return Err(other.into()),
        };
        if let Ok((_, before)) = self.session() {
            self.end(before).await?;
        }
        let (session, until) = (&logged_in.person.session, logged_in.person.until);
        if let Err(error) = self.people.foreign.keep_for_logout(session, &login, until).await {
            tracing::warn!(operation = %self.operation, error = %error, "by what a person is logged out at their provider could not be kept");
        }
        let next = next(prefix, login.note.as_deref()).map_or_else(|| format!("{prefix}/auth/login"), str::to_owned);
        let cookie = cookies::set_session(logged_in.secret.reveal());
        let cookie = cookie.ok_or_else(|| ApiError::internal("a session could not be written as a cookie"))?;
        Ok(pages::onward(words, prefix, &next).cookie(cookie))
    }

    /// Sends the person back once more for the kind of login that counts, made anew: many providers answer with a session that they have, whatever
    /// was asked for.
    async fn step_up_there(&self, words: &Words, device: &str, weak: &Weak) -> Result<Reply, ApiError> {
        let (provider, note) = (weak.provider.as_str(), weak.note.as_deref());
        let begin = Begin { provider, browser: device, note, max_age_s: Some(0), ..Begin::default() };
        match self.people.foreign.begin(&begin).await {
            Ok(begun) => Ok(pages::onward(words, &self.people.prefix, &begun.url)),
            Err(error) => self.foreign_failed(words, error).await,
        }
    }

    /// The page for who failed too often from there.
    fn foreign_locked(&self, words: &Words) -> Option<Reply> {
        let locked = self.unless_locked().is_err();
        locked.then(|| pages::error(words, &self.people.prefix, StatusCode::TOO_MANY_REQUESTS, words.locked))
    }

    fn foreign_refused(&self, words: &Words) -> Reply {
        pages::error(words, &self.people.prefix, StatusCode::FORBIDDEN, words.failed)
    }

    fn account_of(&self, login: &ForeignLogin) -> Result<Option<Account>, ApiError> {
        let rule = self.people.rules.iter().find(|(id, _)| *id == login.provider).map(|(_, rule)| *rule);
        Ok(match rule {
            Some(ForeignRule::ExternalId) => self.people.identity.account_by_external_id(&login.subject)?,
            Some(ForeignRule::Login) => self.people.identity.account_by_login(&login.subject)?,
            None => None,
        })
    }

    /// To the person all is one: the difference is for the log.
    async fn foreign_failed(&self, words: &Words, error: ForeignError) -> Result<Reply, ApiError> {
        if let ForeignError::Rows(error) = error {
            return Err(error.into());
        }
        tracing::warn!(operation = %self.operation, error = %error, "a login at another provider did not work");
        if let ForeignError::Busy = error {
            return Ok(pages::error(words, &self.people.prefix, StatusCode::SERVICE_UNAVAILABLE, words.failed));
        }
        if matches!(error, ForeignError::Refused(_) | ForeignError::TooWeak(_)) {
            // Who was sent here by a page of another site has begun nothing here: that is refused before.
            let what = "a login at another provider was refused";
            tried::failed(self.app, self.peer, Failure::Tried, self.operation, what).await;
        }
        Ok(self.foreign_refused(words))
    }
}
