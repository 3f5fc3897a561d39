//! Figures for a monitoring system, in the OpenMetrics text format. Labels are route patterns, methods and statuses of the
//! table: never a path, an id or an owner.
//!
//! Counting costs a few atomic additions; nothing here locks on the way of a request.

use crate::routes;
use crate::service::RecordService;
use crate::siem::AuditFeedFigures;
use hyper::{Method, StatusCode};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;
use std::fmt;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// Upper bounds of the histogram, in microseconds.
const BUCKETS_US: [u64; 14] =
    [100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 1_000_000, 5_000_000, 30_000_000];

/// Statuses counted by themselves; any other goes under `other`.
const STATUSES: [u16; 22] =
    [200, 201, 204, 304, 400, 401, 403, 404, 405, 406, 408, 409, 410, 412, 413, 415, 422, 429, 500, 501, 503, 504];

/// Methods counted by themselves; any other goes under `other`.
const METHODS: [Method; 6] = [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];

/// The pattern under which requests are counted that no route answers.
pub(crate) const NO_ROUTE: &str = "(none)";

const STATUS_SLOTS: usize = STATUSES.len() + 1;
const METHOD_SLOTS: usize = METHODS.len() + 1;

/// The name of a method for labels and logs: one of those known, or `other`, since a client may invent one.
pub(crate) fn method_name(method: &Method) -> &'static str {
    match METHODS.iter().position(|known| known == method) {
        Some(0) => "GET",
        Some(1) => "HEAD",
        Some(2) => "POST",
        Some(3) => "PUT",
        Some(4) => "PATCH",
        Some(5) => "DELETE",
        _ => "other",
    }
}

/// The figures of one path of the table.
#[derive(Debug)]
pub(crate) struct PathFigures {
    pattern: &'static str,
    counts: Vec<AtomicU64>,
    buckets: [AtomicU64; BUCKETS_US.len() + 1],
    sum_us: AtomicU64,
}

impl PathFigures {
    fn new(pattern: &'static str) -> Self {
        let counts = (0..STATUS_SLOTS * METHOD_SLOTS).map(|_| AtomicU64::new(0)).collect();
        Self { pattern, counts, buckets: Default::default(), sum_us: AtomicU64::new(0) }
    }

    /// Counts an answered request.
    pub(crate) fn answered(&self, method: &Method, status: StatusCode, took: Duration) {
        let status = STATUSES.binary_search(&status.as_u16()).unwrap_or(STATUSES.len());
        let method = METHODS.iter().position(|known| known == method).unwrap_or(METHODS.len());
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = BUCKETS_US.partition_point(|bound| *bound < us);
        self.sum_us.fetch_add(us, Ordering::Relaxed);
        for slot in [self.counts.get(method * STATUS_SLOTS + status), self.buckets.get(bucket)].into_iter().flatten() {
            slot.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// All figures of the server.
#[derive(Debug)]
pub(crate) struct Metrics {
    paths: Vec<Arc<PathFigures>>,
    in_flight: AtomicI64,
    connections: AtomicI64,
    authentication_failures: AtomicU64,
    locked_out: AtomicU64,
    audit_feeds: OnceLock<Vec<Arc<AuditFeedFigures>>>,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let patterns = routes::patterns().into_iter().chain([NO_ROUTE]);
        Self {
            paths: patterns.map(|pattern| Arc::new(PathFigures::new(pattern))).collect(),
            in_flight: AtomicI64::new(0),
            connections: AtomicI64::new(0),
            authentication_failures: AtomicU64::new(0),
            locked_out: AtomicU64::new(0),
            audit_feeds: OnceLock::new(),
        }
    }

    /// Has the figures of these feeds written too. The first call stays.
    pub(crate) fn with_audit_feeds(&self, feeds: &[Arc<AuditFeedFigures>]) {
        let _ = self.audit_feeds.set(feeds.to_vec());
    }

    /// The figures of a path of the table, or of [`NO_ROUTE`].
    pub(crate) fn path(&self, pattern: &str) -> Option<Arc<PathFigures>> {
        self.paths.iter().find(|path| path.pattern == pattern).map(Arc::clone)
    }

    pub(crate) fn authentication_failed(&self) {
        self.authentication_failures.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn locked_out(&self, refused: bool) {
        self.locked_out.fetch_add(u64::from(refused), Ordering::Relaxed);
    }

    pub(crate) fn in_flight(self: &Arc<Self>) -> Level {
        Level::up(self, |metrics| &metrics.in_flight)
    }

    pub(crate) fn connection(self: &Arc<Self>) -> Level {
        Level::up(self, |metrics| &metrics.connections)
    }

    /// Writes all figures, those of the store with them.
    pub(crate) fn render<S: RecordService>(self: &Arc<Self>, service: &S) -> Result<String, fmt::Error> {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Arc::clone(self)));
        let statistics = service.statistics();
        if let Some(feeds) = self.audit_feeds.get().filter(|feeds| !feeds.is_empty()) {
            registry.register_collector(Box::new(FeedFigures(feeds.clone(), statistics.ledger_entries)));
        }
        registry.register_collector(Box::new(StoreFigures(statistics)));
        let mut text = String::with_capacity(16 * 1024);
        prometheus_client::encoding::text::encode(&mut text, &registry)?;
        Ok(text)
    }
}

/// One more of something, for as long as this lives.
pub(crate) struct Level {
    metrics: Arc<Metrics>,
    gauge: fn(&Metrics) -> &AtomicI64,
}

impl Level {
    fn up(metrics: &Arc<Metrics>, gauge: fn(&Metrics) -> &AtomicI64) -> Self {
        gauge(metrics).fetch_add(1, Ordering::Relaxed);
        Self { metrics: Arc::clone(metrics), gauge }
    }
}

impl Drop for Level {
    fn drop(&mut self) {
        (self.gauge)(&self.metrics).fetch_sub(1, Ordering::Relaxed);
    }
}

impl Collector for Metrics {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        self.requests(&mut encoder)?;
        self.durations(&mut encoder)?;
        let load = |value: &AtomicU64| value.load(Ordering::Relaxed);
        let name = "tacet_authentication_failures";
        counter(&mut encoder, name, "Requests with a token that is not good", load(&self.authentication_failures))?;
        let help = "Requests refused because their address is locked";
        counter(&mut encoder, "tacet_authentication_locked", help, load(&self.locked_out))?;
        let level = |value: &AtomicI64| value.load(Ordering::Relaxed);
        gauge(&mut encoder, "tacet_requests_in_flight", "Requests being answered", level(&self.in_flight))?;
        gauge(&mut encoder, "tacet_connections", "Open connections", level(&self.connections))
    }
}

impl Metrics {
    fn requests(&self, encoder: &mut DescriptorEncoder) -> Result<(), fmt::Error> {
        let help = "Requests answered, by route, method and status";
        let mut family = encoder.encode_descriptor("tacet_requests", help, None, MetricType::Counter)?;
        for path in &self.paths {
            for (slot, count) in path.counts.iter().enumerate() {
                let count = count.load(Ordering::Relaxed);
                if count == 0 {
                    continue;
                }
                let method = METHODS.get(slot / STATUS_SLOTS).map_or("other", method_name);
                let status = STATUSES.get(slot % STATUS_SLOTS).map_or("other".to_owned(), u16::to_string);
                let labels = [("route", path.pattern), ("method", method), ("status", status.as_str())];
                family.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(&count, None)?;
            }
        }
        Ok(())
    }

    fn durations(&self, encoder: &mut DescriptorEncoder) -> Result<(), fmt::Error> {
        let name = "tacet_request_duration_seconds";
        let help = "Time from a request's headers to its answer, by route";
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Histogram)?;
        for path in &self.paths {
            let counts: Vec<u64> = path.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed)).collect();
            let total = counts.iter().sum();
            if total == 0 {
                continue;
            }
            let bounds = BUCKETS_US.iter().map(|us| *us as f64 / 1e6).chain([f64::MAX]);
            let buckets: Vec<(f64, u64)> = bounds.zip(counts).collect();
            let sum_s = path.sum_us.load(Ordering::Relaxed) as f64 / 1e6;
            let labels = [("route", path.pattern)];
            family.encode_family(&labels)?.encode_histogram::<NoLabelSet>(sum_s, total, &buckets, None)?;
        }
        Ok(())
    }
}

fn counter(encoder: &mut DescriptorEncoder, name: &str, help: &str, value: u64) -> Result<(), fmt::Error> {
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    metric.encode_counter::<NoLabelSet, _, u64>(&value, None)
}

fn gauge(encoder: &mut DescriptorEncoder, name: &str, help: &str, value: i64) -> Result<(), fmt::Error> {
    encoder.encode_descriptor(name, help, None, MetricType::Gauge)?.encode_gauge(&value)
}

/// The feeds to other systems, and the entries in the ledger.
#[derive(Debug)]
struct FeedFigures(Vec<Arc<AuditFeedFigures>>, u64);

/// One figure of a feed: its name, its words, whether it only grows, and its value.
type FeedFigure<'a> = (&'a str, &'a str, bool, &'a dyn Fn(&AuditFeedFigures) -> u64);

impl Collector for FeedFigures {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let Self(feeds, entries) = self;
        let figures: [FeedFigure<'_>; 4] = [
            ("tacet_audit_feed_lag_entries", "Entries that a receiver may not have taken yet", false, &|feed| {
                entries.saturating_sub(feed.next())
            }),
            ("tacet_audit_feed_connected", "1 while a receiver is connected", false, &|feed| {
                u64::from(feed.is_connected())
            }),
            ("tacet_audit_feed_sent_entries", "Entries sent, those sent again included", true, &AuditFeedFigures::sent),
            ("tacet_audit_feed_breaks", "Connections that broke or were not made", true, &AuditFeedFigures::breaks),
        ];
        for (name, help, grows, value) in figures {
            let kind = if grows { MetricType::Counter } else { MetricType::Gauge };
            let mut family = encoder.encode_descriptor(name, help, None, kind)?;
            for feed in feeds {
                let labels = [("feed", feed.name.as_str())];
                let mut one = family.encode_family(&labels)?;
                match grows {
                    true => one.encode_counter::<NoLabelSet, _, u64>(&value(feed), None)?,
                    false => one.encode_gauge(&i64::try_from(value(feed)).unwrap_or(i64::MAX))?,
                }
            }
        }
        Ok(())
    }
}

/// One figure of drills: its name, its words, and its instant in milliseconds.
type DrillFigure = (&'static str, &'static str, fn(&tacet_vault::DrillStanding) -> Option<i64>);

#[derive(Debug)]
struct StoreFigures(tacet_vault::VaultStatistics);

impl Collector for StoreFigures {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let figures = &self.0;
        let help = "Data keys unwrapped since the start, by reason";
        let mut family = encoder.encode_descriptor("tacet_key_unwraps", help, None, MetricType::Counter)?;
        let unwraps = &figures.unwraps;
        for (reason, count) in [
            ("disclosure", unwraps.ledger_entries),
            ("write", unwraps.writes),
            ("start", unwraps.starts),
            ("maintenance", unwraps.maintenance),
        ] {
            let labels = [("reason", reason)];
            family.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(&count, None)?;
        }
        counter(&mut encoder, "tacet_key_unwraps_refused", "Unwraps beyond the allowed rate", unwraps.refused)?;
        counter(&mut encoder, "tacet_key_unwraps_failed", "Wrapped keys that did not open", unwraps.failed)?;
        let signed = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        gauge(&mut encoder, "tacet_ledger_entries", "Entries in the ledger", signed(figures.ledger_entries))?;
        let help = "Entries of the ledger that a checkpoint was signed over";
        gauge(&mut encoder, "tacet_ledger_published_entries", help, signed(figures.log.published))?;
        let help = "Witnesses that have cosigned the ledger within the time asked";
        gauge(&mut encoder, "tacet_ledger_witnesses", help, signed(figures.log.witnesses))?;
        let help = "1 while disclosures are stopped because the ledger cannot be relied on";
        gauge(&mut encoder, "tacet_ledger_halted", help, i64::from(figures.log.halted))?;
        let help = "How much of the store is locked: 0 nothing, 1 changes, 2 sessions, 3 keys";
        gauge(&mut encoder, "tacet_lockdown_level", help, i64::from(figures.locked))?;
        counter(&mut encoder, "tacet_tripwires", "Alarms of tripwires since the start", figures.tripwires)?;
        if let Some(backup) = figures.backup {
            let help = "Number of the backup's last snapshot";
            gauge(&mut encoder, "tacet_backup_snapshot", help, signed(backup.snapshot))?;
            let help = "When the backup's last snapshot was made, in seconds since 1970";
            gauge(&mut encoder, "tacet_backup_made_seconds", help, backup.made_s)?;
            let help =
                "When the backup did its last step, whether or not there was anything to send, in seconds since 1970";
            gauge(&mut encoder, "tacet_backup_looked_seconds", help, backup.looked_s)?;
            let help = "Bytes of rows that wait to go out";
            gauge(&mut encoder, "tacet_backup_waiting_bytes", help, signed(backup.waiting_bytes))?;
            let help = "Tries to make a snapshot that failed, in a row";
            gauge(&mut encoder, "tacet_backup_failures", help, signed(backup.failures))?;
            let help = "Snapshots that the ledger names and that are not on the backup's target";
            gauge(&mut encoder, "tacet_backup_missing", help, signed(backup.missing))?;
            let help = "Whole snapshots since the start that had less than half of the rows of the one before";
            gauge(&mut encoder, "tacet_backup_shrunk", help, signed(backup.shrunk))?;
        }
        let held: [DrillFigure; 2] = [
            ("tacet_drill_held_seconds", "When a drill was held last, in seconds since 1970", |drill| {
                Some(drill.held_ms)
            }),
            ("tacet_drill_passed_seconds", "When a drill was held and passed last, in seconds since 1970", |drill| {
                drill.passed_ms
            }),
        ];
        for (name, help, at_ms) in held {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for (drill, at_ms) in figures.drills.iter().filter_map(|drill| Some((drill.drill, at_ms(drill)?))) {
                family.encode_family(&[("drill", drill.as_str())])?.encode_gauge(&(at_ms / 1000))?;
            }
        }
        let help = "1 where this start found the ledger published less than before: fewer witnesses, or files no longer public";
        gauge(&mut encoder, "tacet_ledger_published_less", help, i64::from(figures.log.less))?;
        let help = "Entries that the latest whole derivation found to be those that were signed";
        gauge(&mut encoder, "tacet_ledger_derived_entries", help, signed(figures.derived.derived))?;
        let help = "When the latest whole derivation of the ledger ended, in seconds since 1970";
        gauge(&mut encoder, "tacet_ledger_derived_at_seconds", help, signed(figures.derived.derived_at_s))?;
        let help = "Commits that changed records";
        gauge(&mut encoder, "tacet_store_sequence", help, signed(figures.last_sequence.0))?;
        let help = "Rows of the store, roughly";
        gauge(&mut encoder, "tacet_store_rows", help, signed(figures.engine.rows_approximate))?;
        gauge(&mut encoder, "tacet_store_bytes", "Bytes on disk", signed(figures.engine.bytes_on_disk))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_ascend_as_searching_them_needs() {
        assert!(BUCKETS_US.is_sorted() && STATUSES.is_sorted());
    }

    #[test]
    fn a_request_falls_into_its_bucket() {
        let figures = PathFigures::new("/");
        for us in [0, 100, 101, 30_000_000, 30_000_001] {
            figures.answered(&Method::GET, StatusCode::OK, Duration::from_micros(us));
        }
        let counts: Vec<u64> = figures.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed)).collect();
        assert_eq!((counts[0], counts[1], counts[13], counts[14]), (2, 1, 1, 1));
        assert_eq!(figures.counts.iter().map(|count| count.load(Ordering::Relaxed)).sum::<u64>(), 5);
    }
}
