//! Files of the published ledger (<https://c2sp.org/tlog-tiles>): hashes and sealed entries, which say nothing of anybody without keys.
//!
//! They are not written down in the ledger when they are read: each reading would move the log that is read.

use crate::app::App;
use crate::error::ApiError;
use crate::reply::Reply;
use crate::service::RecordService;
use hyper::StatusCode;
use hyper::header::{CACHE_CONTROL, HeaderValue};
use std::sync::Arc;
use tacet_tlog::tile::Resource;
use tokio::task::spawn_blocking;

/// What the paths of the files begin with.
const PREFIX: &str = "/_ledger/log/";

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const BYTES: HeaderValue = HeaderValue::from_static("application/octet-stream");

/// A file that the log has now.
pub(crate) async fn log_file<S: RecordService>(app: &Arc<App<S>>, path: &str) -> Result<Reply, ApiError> {
    let resource = path.strip_prefix(PREFIX).and_then(Resource::parse).ok_or_else(ApiError::not_found)?;
    let turn = app.turns.take().await?;
    let shared = Arc::clone(app);
    let read = spawn_blocking(move || {
        let file = shared.service.log_file(&resource);
        drop(turn);
        file
    });
    let file = read.await.map_err(|_| ApiError::internal("reading a file of the log ended in a panic"))??;
    if resource == Resource::Checkpoint {
        let caching = HeaderValue::from_static("no-cache");
        return Ok(Reply::text(StatusCode::OK, TEXT, file).header(CACHE_CONTROL, caching));
    }
    // Full or not, what a name stands for never changes.
    let caching = match app.log_public {
        true => HeaderValue::from_static("public, max-age=31536000, immutable"),
        false => HeaderValue::from_static("private, max-age=31536000, immutable"),
    };
    Ok(Reply::text(StatusCode::OK, BYTES, file).header(CACHE_CONTROL, caching))
}
