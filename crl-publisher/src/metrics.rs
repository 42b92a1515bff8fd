//! What the publisher measures.

use std::sync::Arc;

use axum::http::StatusCode;
use ca_service::metrics::{as_float, seconds};
use ca_service::{Metrics, ServiceError};
use prometheus::IntCounter;

use crate::shelf::Shelf;
use crate::status::Board;

/// Counts requests by what became of them. Clones are the same.
#[derive(Clone, Debug)]
pub struct Meters {
    served: IntCounter,
    unchanged: IntCounter,
    not_found: IntCounter,
    refused: IntCounter,
}

impl Meters {
    /// Registers what is counted.
    ///
    /// # Errors
    /// A name is taken: called twice.
    pub fn new(metrics: &Metrics) -> Result<Self, ServiceError> {
        let help = "Requests, by what became of them.";
        let requests = metrics.counters("chancery_crl_requests_total", help, &["result"])?;
        let counter = |result| requests.with_label_values(&[result]);
        Ok(Self {
            served: counter("served"),
            unchanged: counter("not_modified"),
            not_found: counter("not_found"),
            refused: counter("refused"),
        })
    }

    /// Counts a request that was answered with `status`.
    pub fn record(&self, status: StatusCode) {
        match status {
            StatusCode::OK | StatusCode::PARTIAL_CONTENT => self.served.inc(),
            StatusCode::NOT_MODIFIED => self.unchanged.inc(),
            StatusCode::NOT_FOUND => self.not_found.inc(),
            _ => self.refused.inc(),
        }
    }
}

/// Shows the published CRLs of the shelf in use when somebody asks.
///
/// # Errors
/// A name is taken: called twice.
pub fn observe(
    metrics: &Metrics,
    shelf: impl Fn() -> Arc<Shelf> + Send + 'static,
) -> Result<(), ServiceError> {
    let gauge = |name, help| metrics.gauges(name, help, &["crl"]);
    let this_update =
        gauge("chancery_crl_this_update_seconds", "thisUpdate of the published CRL, in seconds since 1970.")?;
    let next_update =
        gauge("chancery_crl_next_update_seconds", "nextUpdate of the published CRL, in seconds since 1970.")?;
    let bytes = gauge("chancery_crl_size_bytes", "Length of the published CRL.")?;
    metrics.on_scrape(move || {
        for gauge in [&this_update, &next_update, &bytes] {
            gauge.reset();
        }
        for (name, crl) in shelf().shown() {
            let name = [name.as_str()];
            this_update.with_label_values(&name).set(seconds(crl.window.this_update));
            next_update.with_label_values(&name).set(seconds(crl.window.next_update));
            bytes.with_label_values(&name).set(as_float(usize::try_from(crl.length).unwrap_or(usize::MAX)));
        }
    });
    Ok(())
}

/// Shows what the board says when somebody asks.
///
/// # Errors
/// A name is taken: called twice.
pub fn observe_status(metrics: &Metrics, board: Board) -> Result<(), ServiceError> {
    let by_authority = |name, help| metrics.gauges(name, help, &["authority"]);
    let help = "Whether this process publishes for the authority; 0 waits for another one to end.";
    let active = by_authority("chancery_crl_publisher_active", help)?;
    let by_crl = |name, help| metrics.gauges(name, help, &["crl"]);
    let entries = by_crl("chancery_crl_entries", "Certificates on the published CRL.")?;
    let next = by_crl("chancery_crl_next_run_seconds", "When the next is signed, in seconds since 1970.")?;
    let help = "From when on it is an alarm that the CRL was not renewed, in seconds since 1970.";
    let renew = by_crl("chancery_crl_renew_by_seconds", help)?;
    let help = "When something was last due, in seconds since 1970.";
    let last = by_crl("chancery_crl_last_run_seconds", help)?;
    let failed = by_crl("chancery_crl_last_run_failed", "Whether it failed then.")?;
    let help = "Since when changes of status wait for a CRL, in seconds since 1970; 0 if none do.";
    let pending = by_crl("chancery_crl_pending_since_seconds", help)?;
    metrics.on_scrape(move || {
        for gauge in [&active, &entries, &next, &renew, &last, &failed, &pending] {
            gauge.reset();
        }
        for authority in board.all() {
            let is_active = if authority.role == "active" { 1.0 } else { 0.0 };
            active.with_label_values(&[authority.authority.as_str()]).set(is_active);
            for crl in &authority.crls {
                let times = [(&next, crl.next_run), (&renew, crl.renew_by), (&last, crl.last_run)];
                for (gauge, time) in times {
                    if let Some(time) = time {
                        gauge.with_label_values(&[crl.name.as_str()]).set(seconds(time));
                    }
                }
                let since = crl.pending_since.map_or(0.0, seconds);
                pending.with_label_values(&[crl.name.as_str()]).set(since);
                if let Some(count) = crl.entries {
                    entries.with_label_values(&[crl.name.as_str()]).set(as_float(count));
                }
                if crl.last_run.is_some() {
                    let value = if crl.error.is_some() { 1.0 } else { 0.0 };
                    failed.with_label_values(&[crl.name.as_str()]).set(value);
                }
            }
        }
    });
    Ok(())
}
