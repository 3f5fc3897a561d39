//! Login at another provider (OpenID Connect): there, and back.

use super::{AuthCall, cookies, login::next, pages, words::Words};
use crate::error::ApiError;
use crate::people::ForeignRule;
use crate::query::Query;
use crate::reply::Reply;
use crate::service::RecordService;
use hyper::StatusCode;
use tacet_identity::{Account, IdentityError};
use tacet_smart::foreign::{Begin, ForeignError, ForeignLogin};

impl<S: RecordService> AuthCall<'_, S> {
    /// Sends the person to the provider.
    pub(super) async fn foreign_start(&self) -> Result<Reply, ApiError> {
        let words = Words::of(&self.parts.headers);
        let form = std::str::from_utf8(&self.body).map_err(|_| ApiError::invalid("the form is not UTF-8"))?;
        let form = Query::parse(Some(form))?;
        let prefix = &self.people.prefix;
        let made = self.people.identity.new_device();
        let (device, new) = match cookies::device(&self.parts.headers) {
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
            Err(error) => return self.foreign_failed(words, error),
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
        let Some(device) = cookies::device(&self.parts.headers) else {
            if self.query()?.get("again")?.is_some() {
                return self.foreign_failed(words, ForeignError::NotBegun);
            }
            let again = format!("{prefix}/auth/foreign/callback?{query}&again=1");
            return Ok(pages::onward(words, prefix, &again));
        };
        let login = match self.people.foreign.finish(query, device).await {
            Ok(login) => login,
            Err(error) => return self.foreign_failed(words, error),
        };
        let Some(account) = self.account_of(&login)? else {
            return self.foreign_failed(words, ForeignError::Refused("nobody here is known by it"));
        };
        let identity = &self.people.identity;
        let begun = identity.login_elsewhere(&account.id, &login.provider, login.strong, self.connection).await;
        let logged_in = match begun {
            Ok(logged_in) => logged_in,
            Err(IdentityError::Refused | IdentityError::State(_) | IdentityError::TooManyTries(_)) => {
                return self.foreign_failed(words, ForeignError::Refused("the account is not in use"));
            }
            Err(other) => return Err(other.into()),
        };
        if let Ok((_, before)) = self.session() {
            self.end(before).await?;
        }
        let next = next(prefix, login.note.as_deref()).map_or_else(|| format!("{prefix}/auth/login"), str::to_owned);
        let cookie = cookies::set_session(logged_in.secret.reveal());
        let cookie = cookie.ok_or_else(|| ApiError::internal("a session could not be written as a cookie"))?;
        Ok(pages::onward(words, prefix, &next).cookie(cookie))
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
    fn foreign_failed(&self, words: &Words, error: ForeignError) -> Result<Reply, ApiError> {
        if let ForeignError::Rows(error) = error {
            return Err(error.into());
        }
        tracing::warn!(operation = %self.operation, error = %error, "a login at another provider did not work");
        let source = crate::lockout::Source::of(self.peer.address().ip());
        if matches!(error, ForeignError::Refused(_) | ForeignError::TooWeak(_)) {
            self.app.metrics.authentication_failed();
            let _ = self.app.lockout.failed(source, self.app.clock.now());
        }
        Ok(pages::error(words, &self.people.prefix, StatusCode::FORBIDDEN, words.failed))
    }
}
