//! What the routes do: HTTP in, one call of the record store, HTTP out. No rule of access or of storage stands here.

mod access_report;
mod bulk;
mod everything;
mod history;
mod import;
mod log;
mod matching;
mod meta;
mod record;
mod search;
mod subscriptions;
mod summary;
mod system;
mod terminology;
mod validate;

pub(crate) use everything::PARAMETERS_BYTES_MAX;
pub(crate) use log::log_file;
pub(crate) use system::{index, metrics, public};

use crate::app::App;
use crate::body::Held;
use crate::error::ApiError;
use crate::negotiate::{BodyType, Form};
use crate::query::{Query, decode};
use crate::reply::Reply;
use crate::routes::{Action, is_kept};
use crate::service::RecordService;
use hyper::Method;
use hyper::header::{ACCEPT_LANGUAGE, HeaderMap};
use std::borrow::Cow;
use std::future::Future;
use std::sync::Arc;
use tacet_types::{Language, ResourceId, ResourceType, VersionId};
use tacet_vault::{Caller, MetaChange, VaultError};
use tokio::runtime::Handle;
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::spawn_blocking;

/// Longest body that is worked on where connections are served too. A longer one takes milliseconds to parse and seal, and
/// goes to a thread of its own so that the others do not wait for it.
pub(crate) const INLINE_BYTES_MAX: usize = 64 * 1024;

/// Entries of a page of one record's versions that is put together where connections are served too; a longer one, and any
/// other page, goes to a thread of its own.
const INLINE_ENTRIES_MAX: usize = 32;

/// What a request holds while it is worked on: its turn, and its body with the room that it takes.
pub(crate) struct Lease {
    #[expect(dead_code, reason = "held for as long as the work lasts")]
    pub(crate) turn: OwnedSemaphorePermit,
    pub(crate) held: Option<Held>,
}

/// A request that may be answered.
pub(crate) struct Call<'a, S> {
    pub(crate) app: &'a Arc<App<S>>,
    pub(crate) caller: &'a Caller,
    pub(crate) method: &'a Method,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) path: &'a str,
    pub(crate) query: Query,
    /// The form in which the answer is wanted.
    pub(crate) form: Form,
    /// What the body is; JSON where it is a resource, whatever it was on the way.
    pub(crate) body_type: BodyType,
    pub(crate) lease: Arc<Lease>,
}

/// Does what a route of the record store is there for.
pub(crate) async fn record<S: RecordService>(action: Action, call: Call<'_, S>) -> Result<Reply, ApiError> {
    match action {
        Action::Read => record::read(&call).await,
        Action::Vread => record::vread(&call).await,
        Action::Create => record::create(&call).await,
        Action::Update => record::update(&call).await,
        Action::Delete => record::delete(&call).await,
        Action::ConditionalUpdate => record::update_conditional(&call).await,
        Action::ConditionalPatch => record::patch_conditional(&call).await,
        Action::ConditionalDelete => record::delete_conditional(&call).await,
        Action::Patch => record::patch(&call).await,
        Action::HistoryInstance | Action::HistoryType | Action::HistorySystem => history::history(action, &call).await,
        Action::Bundle => record::bundle(&call).await,
        Action::Everything => everything::everything(call).await,
        Action::Summary => summary::summary(call).await,
        Action::Terminology => terminology::operate(call).await,
        Action::Validate => validate::validate(call).await,
        Action::ExportSystem | Action::ExportPatients | Action::ExportGroup => bulk::export(action, call).await,
        Action::CopyStatus => bulk::status(&call).await,
        Action::CopyFile => bulk::file(&call).await,
        Action::CopyEnd => bulk::end(&call).await,
        Action::Import => import::import(&call).await,
        Action::ImportStatus => import::status(&call),
        Action::ImportEnd => import::end(&call),
        Action::Meta => meta::meta(&call).await,
        Action::MetaAdd => meta::change(MetaChange::Add, &call).await,
        Action::MetaDelete => meta::change(MetaChange::Delete, &call).await,
        Action::SubscriptionStatus => subscriptions::status(call).await,
        Action::SubscriptionEvents => subscriptions::events(call).await,
        Action::Match => matching::find(call).await,
        Action::SearchType | Action::SearchSystem | Action::SearchCompartment => search::search(action, call).await,
        Action::AuditSearch => search::search(action, call).await,
        Action::AccessReport => access_report::report(call).await,
        Action::AuditRead => record::read_audit(&call).await,
        Action::Metadata
        | Action::Health
        | Action::WellKnown
        | Action::Metrics
        | Action::IndexStatus
        | Action::IndexRebuild
        | Action::LogFile
        | Action::FeedAdt
        | Action::Auth(_)
        | Action::Admin(_)
        | Action::Absent(_) => Err(ApiError::internal("a route of the table reached a handler that is not its own")),
    }
}

impl<S: RecordService> Call<'_, S> {
    fn segment(&self, place: usize) -> Option<Cow<'_, str>> {
        decode(self.path.split('/').nth(place + 1)?, false)
    }

    /// `_lang`, or the first language of `Accept-Language` that there is, or French.
    fn language(&self) -> Result<Language, ApiError> {
        if let Some(tag) = self.query.get("_lang")? {
            return Language::parse(tag).ok_or_else(|| ApiError::invalid("`_lang` is `fr` or `en`"));
        }
        let accepted = self.headers.get(ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let tags = accepted.split(',').map(|part| part.split(';').next().unwrap_or_default());
        Ok(tags.filter_map(Language::parse).next().unwrap_or_default())
    }

    /// The type that the path names. What is no type is not there.
    fn resource_type(&self) -> Result<ResourceType, ApiError> {
        let name = self.segment(0);
        name.and_then(|name| ResourceType::parse(&name)).filter(|kind| is_kept(*kind)).ok_or_else(ApiError::not_found)
    }

    /// The id that the path names. What could be no id is not there.
    fn id(&self) -> Result<ResourceId, ApiError> {
        let id = self.segment(1);
        let id = id.filter(|id| !id.starts_with('$')).and_then(|id| ResourceId::parse(&id).ok());
        id.ok_or_else(ApiError::not_found)
    }

    fn version(&self) -> Result<VersionId, ApiError> {
        self.segment(3).and_then(|version| VersionId::parse(&version)).ok_or_else(ApiError::not_found)
    }

    /// The body; empty where none was read.
    fn body(&self) -> bytes::Bytes {
        self.lease.held.as_ref().map(|held| held.bytes.clone()).unwrap_or_default()
    }

    /// Does work of the record store: here, or on a thread that may block where it is long. There it keeps the request's turn
    /// and room until it is done, even where the client has gone.
    async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, VaultError>> + Send + 'static,
        elsewhere: bool,
    ) -> Result<T, ApiError> {
        if !elsewhere {
            return Ok(work.await?);
        }
        let lease = Arc::clone(&self.lease);
        let runtime = Handle::current();
        let done = spawn_blocking(move || {
            let result = runtime.block_on(work);
            drop(lease);
            result
        });
        Ok(done.await.map_err(|_| ApiError::internal("the work on a body ended in a panic"))??)
    }
}
