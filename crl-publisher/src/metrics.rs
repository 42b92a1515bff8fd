//! What the publisher measures.

use std::sync::Arc;

use axum::http::StatusCode;
use ca_service::metrics::{as_float, seconds};
use ca_service::{Metrics, ServiceError};
use prometheus::IntCounter;

use crate::shelf::Shelf;

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
    let gauge = |name, help| metrics.gauges(name, help, &["authority"]);
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
