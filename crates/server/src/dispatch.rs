//! The way of every request: operation id, token, method, right, body, turn, handler, and what is counted and logged of it.
//!
//! ```text
//! table ──> router ──> Endpoint: 401/429 ─> 405 ─> 403 ─> 400/406/415/413 ─> 503 ─> handler ─> answer
//! ```
//!
//! The order matters: without a good token every path, known or not, answers alike.

use crate::access::{self, Who};
use crate::admin::{self, AdminCall};
use crate::app::App;
use crate::auth::{self, AuthCall, browsers};
use crate::body::{self, Held};
use crate::connection::Peer;
use crate::content;
use crate::error::ApiError;
use crate::feeds;
use crate::handlers::{self, Call, Lease};
use crate::lockdown;
use crate::metrics::{NO_ROUTE, PathFigures, method_name};
use crate::negotiate::{BodyType, Form, Taken, body_type};
use crate::query::Query;
use crate::reply::Reply;
use crate::routes::{self, Access, Action, Route};
use crate::service::RecordService;
use crate::tried;
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use hyper::header::{CONTENT_ENCODING, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, StatusCode};
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use tacet_types::{OperationId, ResourceType};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout_at};

/// What answers a path: the lines of the table that share it.
struct Endpoint<S> {
    app: Arc<App<S>>,
    pattern: &'static str,
    lines: Vec<&'static Route>,
    allow: HeaderValue,
    figures: Option<Arc<PathFigures>>,
}

/// The router, made from the table.
pub(crate) fn router<S: RecordService>(app: &Arc<App<S>>) -> Router {
    let service = |endpoint: Arc<Endpoint<S>>| {
        tower::service_fn(move |request: Request| {
            let endpoint = Arc::clone(&endpoint);
            async move { Ok::<_, Infallible>(endpoint.answer(request).await) }
        })
    };
    let mut router = Router::new();
    for pattern in routes::patterns() {
        router = router.route_service(pattern, service(Endpoint::new(app, pattern)));
    }
    router.fallback_service(service(Endpoint::new(app, NO_ROUTE)))
}

impl<S: RecordService> Endpoint<S> {
    fn new(app: &Arc<App<S>>, pattern: &'static str) -> Arc<Self> {
        let lines: Vec<&Route> = routes::lines_of(pattern).collect();
        let methods: Vec<&str> = lines.iter().flat_map(|line| line.methods).map(Method::as_str).collect();
        let allow = HeaderValue::try_from(methods.join(", ")).unwrap_or(HeaderValue::from_static(""));
        Arc::new(Self { app: Arc::clone(app), pattern, lines, allow, figures: app.metrics.path(pattern) })
    }

    async fn answer(&self, request: Request) -> Response {
        let started = Instant::now();
        let operation = OperationId::random(&*self.app.rng);
        let (parts, body) = request.into_parts();
        let _level = self.app.metrics.in_flight();
        let by_script = browsers::may_ask(&self.app, &self.lines, &parts.headers);
        if let Some(origin) = by_script.clone().filter(|_| browsers::is_asked_first(&parts.method, &parts.headers)) {
            let mut answer = Reply::empty(StatusCode::NO_CONTENT).into_response(Form::DEFAULT, &operation).await;
            browsers::say_first(answer.headers_mut(), origin, &self.allow);
            return answer;
        }
        let result = match parts.extensions.get::<Arc<Peer>>() {
            Some(peer) => {
                let _busy = peer.busy();
                unless_panic(pin!(self.decide(&parts, body, peer, operation, started))).await
            }
            None => Err(ApiError::internal("a request came without its connection")),
        };
        let mut answer = match result {
            Ok((reply, form)) => reply.into_response(form, &operation).await,
            Err(error) => {
                if let Some(internal) = error.internal_face() {
                    tracing::error!(operation = %operation, error = internal, "a request failed");
                }
                let form = Form::of_error(&parts.headers, parts.uri.query());
                Reply::refusal(error.public_face(&operation)).into_response(form, &operation).await
            }
        };
        if let Some(origin) = by_script {
            browsers::say(answer.headers_mut(), origin);
        }
        let took = started.elapsed();
        if let Some(figures) = &self.figures {
            figures.answered(&parts.method, answer.status(), took);
        }
        // The pattern, never the path: an id may be a social security number.
        tracing::info!(
            operation = %operation,
            method = method_name(&parts.method),
            route = self.pattern,
            status = answer.status().as_u16(),
            duration_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
            "answered"
        );
        answer
    }

    async fn decide(
        &self,
        parts: &Parts,
        body: Body,
        peer: &Peer,
        operation: OperationId,
        started: Instant,
    ) -> Result<(Reply, Form), ApiError> {
        let app = &self.app;
        let log_open = |line: &&Route| app.log_public && line.action == Action::LogFile;
        let is_open = !self.lines.is_empty() && self.lines.iter().all(|line| line.access.is_open() || log_open(line));
        let who = match is_open {
            true => None,
            false => Some(access::authenticate(app, peer, parts, operation).await?),
        };
        if self.lines.is_empty() {
            return Err(ApiError::not_found());
        }
        let line = self.lines.iter().find(|line| line.methods.contains(&parts.method));
        let line = line.ok_or_else(|| ApiError::method_not_allowed(self.allow.clone()))?;
        let who = match (line.access, who) {
            (Access::Public | Access::Client, _) => None,
            (Access::Visitor, _) => access::visitor(app, peer, parts, operation).await?,
            (Access::Bearer(_), None) if log_open(line) => None,
            (Access::Bearer(_) | Access::Session(_), None) => return Err(ApiError::unauthorized()),
            (Access::Bearer(capability), Some(who)) if capability.is_of(who.role) => Some(who),
            (Access::Session(capability), Some(who)) if who.person().is_some() && capability.is_of(who.role) => {
                Some(who)
            }
            (Access::Bearer(_), Some(who)) => {
                tried::refused(app, peer, &who, line.action, operation).await;
                return Err(ApiError::forbidden());
            }
            (Access::Session(_), Some(_)) => return Err(ApiError::forbidden()),
        };
        lockdown::refuse(app, line, who.as_ref())?;
        if matches!(line.action, Action::Auth(_) | Action::Admin(_)) {
            let reply = self.people(line.action, parts, body, peer, operation, who.as_ref(), started).await?;
            return Ok((reply, Form::DEFAULT));
        }
        if line.action == Action::LogFile {
            let reading = handlers::log_file(app, parts.uri.path());
            let reply =
                timeout_at(started + app.limits.request(), reading).await.map_err(|_| ApiError::timeout())??;
            return Ok((reply, Form::DEFAULT));
        }
        if let Action::Absent(what) = line.action {
            return Err(absent(what, parts.uri.path()));
        }
        let query = Query::parse(parts.uri.query())?;
        let Some(who) = who else {
            return handlers::public(app, line.action, &parts.headers, &query);
        };
        if line.action == Action::Metrics {
            return handlers::metrics(app).map(|reply| (reply, Form::DEFAULT));
        }
        let caller = access::caller(&who, peer, &parts.headers, operation)?;
        if matches!(line.action, Action::IndexStatus | Action::IndexRebuild) {
            return handlers::index(app, line.action, &caller).await.map(|reply| (reply, Form::DEFAULT));
        }
        if line.action == Action::FeedAdt {
            let deadline = started + app.limits.request();
            let reading = body::read(&app.bodies, &parts.headers, body, feeds::BODY_BYTES_MAX);
            let held = timeout_at(deadline, reading).await.map_err(|_| ApiError::body_timeout())??;
            let turn = app.turns.take().await?;
            // A message under way is carried to its end, however long it takes and though its sender hangs up: else it could be carried out and
            // not be known as taken, and count again when it is sent again.
            let (app, headers) = (Arc::clone(app), parts.headers.clone());
            let taking = tokio::spawn(async move {
                let reply = feeds::adt(&app, &caller, &headers, &query, &held.bytes).await;
                drop(turn);
                reply
            });
            let reply =
                taking.await.map_err(|_| ApiError::internal("taking messages of a feed ended in a panic"))??;
            return Ok((reply, Form::DEFAULT));
        }
        let path = parts.uri.path();
        let is_read = matches!(line.action, Action::Read | Action::Vread);
        let other_type = (is_read && path.starts_with("/Binary/"))
            || matches!(line.action, Action::CopyFile | Action::AccessReport | Action::Summary);
        let form = Form::of(&parts.headers, &query, other_type)?;
        let deadline = started + app.limits.request();
        let (held, body_type) = match taken(line.action, &parts.method, &app.limits) {
            None => (None, BodyType::Json),
            Some((taken, bytes_max)) => {
                let body_type = body_type(&parts.headers, taken)?;
                let reading = self.body(parts, body, &body_type, bytes_max);
                let held = timeout_at(deadline, reading).await.map_err(|_| ApiError::body_timeout())??;
                (Some(held), body_type)
            }
        };
        let handling = async {
            let turn = app.turns.take().await?;
            let lease = Arc::new(Lease { turn, held });
            let call = Call {
                app,
                caller: &caller,
                method: &parts.method,
                headers: &parts.headers,
                path,
                query,
                form,
                body_type,
                lease,
            };
            handlers::record(line.action, call).await
        };
        let reply = timeout_at(deadline, handling).await.map_err(|_| ApiError::timeout())??;
        Ok((reply, form))
    }

    /// Answers what concerns accounts, sessions and apps.
    #[expect(clippy::too_many_arguments, reason = "the parts of one request")]
    async fn people(
        &self,
        action: Action,
        parts: &Parts,
        body: Body,
        peer: &Peer,
        operation: OperationId,
        who: Option<&Who>,
        started: Instant,
    ) -> Result<Reply, ApiError> {
        let app = &self.app;
        // Without accounts there are no such routes.
        let people = app.people.as_ref().ok_or_else(ApiError::not_found)?;
        let connection = access::connection(peer, &parts.headers, operation);
        let deadline = started + app.limits.request();
        let bytes_max = auth::BODY_BYTES_MAX.max(admin::BODY_BYTES_MAX);
        let reading = body::read(&app.bodies, &parts.headers, body, bytes_max);
        let held = timeout_at(deadline, reading).await.map_err(|_| ApiError::body_timeout())??;
        // Begun, it is carried to its end, though whoever asked hangs up or is told that it takes too long: what an account gave to apps ends with the
        // commit that changes the account, and rules that are written down as in force are.
        let (app, people, parts, who) = (Arc::clone(app), Arc::clone(people), parts.clone(), who.cloned());
        let answering = tokio::spawn(async move {
            let (app, people, parts, who) = (&app, &people, &parts, who.as_ref());
            let peer = parts.extensions.get::<Arc<Peer>>();
            let peer = peer.ok_or_else(|| ApiError::internal("a request came without its connection"))?;
            let _turn = app.turns.take().await?;
            let body = held.bytes.clone();
            match (action, who) {
                (Action::Auth(action), who) => {
                    let call = AuthCall { app, people, who, connection: &connection, peer, operation, parts, body };
                    auth::answer(action, call).await
                }
                (Action::Admin(action), Some(who)) => {
                    let query = Query::parse(parts.uri.query())?;
                    let call = AdminCall {
                        app,
                        people,
                        who,
                        connection: &connection,
                        peer,
                        path: parts.uri.path(),
                        headers: &parts.headers,
                        query: &query,
                        body,
                    };
                    admin::answer(action, call).await
                }
                _ => Err(ApiError::internal("a route of the table reached a handler that is not its own")),
            }
        });
        let answered = timeout_at(deadline, answering).await.map_err(|_| ApiError::timeout())?;
        answered.map_err(|_| ApiError::internal("a request about accounts ended in a panic"))?
    }

    /// Reads a body, and takes it to JSON where it is a resource in another form.
    async fn body(&self, parts: &Parts, body: Body, body_type: &BodyType, bytes_max: usize) -> Result<Held, ApiError> {
        let held = body::read(&self.app.bodies, &parts.headers, body, bytes_max).await?;
        let packed = parts.headers.get(CONTENT_ENCODING).is_some_and(|coding| coding == "gzip");
        let other = matches!(body_type, BodyType::Xml | BodyType::Native(_));
        if !packed && !other {
            return Ok(held);
        }
        let (app, body_type) = (Arc::clone(&self.app), body_type.clone());
        let (headers, path) = (parts.headers.clone(), parts.uri.path().to_owned());
        let elsewhere = packed || held.bytes.len() > handlers::INLINE_BYTES_MAX;
        let shape = move || {
            let held = if packed { body::unpacked(&app.bodies, held, bytes_max)? } else { held };
            let json =
                if other { content::to_json(&held.bytes, &body_type, &headers, &path)? } else { held.bytes.clone() };
            Ok(held.with(json))
        };
        if !elsewhere {
            return shape();
        }
        spawn_blocking(shape).await.unwrap_or_else(|_| Err(ApiError::internal("reading a body ended in a panic")))
    }
}

/// What is not there: by its name, or, where the path names no type that there is, as nothing.
fn absent(what: &'static str, path: &str) -> ApiError {
    let first = path.split('/').nth(1).unwrap_or_default();
    let is_type = ResourceType::parse(first).is_some_and(routes::is_kept);
    let whole_system = first.is_empty() || first.starts_with('_') || first.starts_with('$');
    if is_type || whole_system { ApiError::not_supported(what) } else { ApiError::not_found() }
}

/// Ends a handler that panicked as a fault of its own request: over HTTP/2 the panic would take every other request of the
/// connection with it. The panic's text, which may hold anything, goes no further than the process's panic hook.
async fn unless_panic<T>(mut work: Pin<&mut impl Future<Output = Result<T, ApiError>>>) -> Result<T, ApiError> {
    poll_fn(|cx| {
        // Nothing of the work is looked at again after a panic: it is dropped.
        let polled = catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(cx)));
        polled.unwrap_or_else(|_| Poll::Ready(Err(ApiError::internal("a handler panicked"))))
    })
    .await
}

/// What a request's body may be, and how long; `None` where none is read.
fn taken(action: Action, method: &Method, limits: &crate::config::Limits) -> Option<(Taken, usize)> {
    Some(match action {
        Action::Create | Action::Update | Action::ConditionalUpdate => (Taken::Content, limits.body_bytes_max),
        Action::Patch | Action::ConditionalPatch => (Taken::Patch, limits.body_bytes_max),
        Action::Bundle => (Taken::Resource, limits.bundle_bytes_max),
        Action::Import => (Taken::Lines, limits.bundle_bytes_max),
        Action::SearchType | Action::SearchSystem | Action::SearchCompartment | Action::AuditSearch
            if method == Method::POST =>
        {
            (Taken::Form, handlers::PARAMETERS_BYTES_MAX)
        }
        Action::Everything
        | Action::Summary
        | Action::Meta
        | Action::SubscriptionStatus
        | Action::SubscriptionEvents
        | Action::ExportSystem
        | Action::ExportPatients
        | Action::ExportGroup
            if method == Method::POST =>
        {
            (Taken::Resource, handlers::PARAMETERS_BYTES_MAX)
        }
        Action::MetaAdd | Action::MetaDelete => (Taken::Resource, handlers::PARAMETERS_BYTES_MAX),
        Action::Match => (Taken::Resource, limits.body_bytes_max),
        Action::Terminology | Action::Validate if method == Method::POST => (Taken::Resource, limits.body_bytes_max),
        _ => return None,
    })
}

impl<S> App<S> {
    /// Whether a stop has begun.
    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }
}
