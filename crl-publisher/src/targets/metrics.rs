//! What is measured of targets.

use std::sync::Arc;

use ca_service::metrics::{as_float, seconds};
use ca_service::{Clock, Metrics, ServiceError};

use super::report::Reports;

/// Shows how the targets are when somebody asks.
///
/// # Errors
/// A name is taken: called twice.
pub fn observe(metrics: &Metrics, reports: Reports, clock: Arc<dyn Clock>) -> Result<(), ServiceError> {
    let gauge = |name, help| metrics.gauges(name, help, &["target"]);
    let success = gauge(
        "chancery_target_last_success_timestamp_seconds",
        "When something was last delivered to the target or found there, in seconds since 1970.",
    )?;
    let current = gauge("chancery_target_files_current", "Files that the target has as they are published.")?;
    let behind = gauge("chancery_target_files_behind", "Files that the target does not have yet.")?;
    let lag = gauge(
        "chancery_target_lag_seconds",
        "How long the target has not had what is published; 0 if it has.",
    )?;
    let help = "Files taken to the target, by what became of them.";
    let deliveries = metrics.counters("chancery_target_deliveries_total", help, &["target", "result"])?;
    metrics.on_scrape(move || {
        for gauge in [&success, &current, &behind, &lag] {
            gauge.reset();
        }
        deliveries.reset();
        let now = clock.now();
        for (name, entry) in reports.list() {
            let (label, report) = ([name.as_str()], entry.report);
            if let Some(at) = report.last_success {
                success.with_label_values(&label).set(seconds(at));
            }
            current.with_label_values(&label).set(as_float(report.current));
            behind.with_label_values(&label).set(as_float(report.behind.len()));
            let since = report.behind.iter().map(|file| now.seconds_since(file.since)).max();
            lag.with_label_values(&label).set(as_float(since.unwrap_or(0)));
            deliveries.with_label_values(&[&name, "delivered"]).inc_by(entry.delivered);
            deliveries.with_label_values(&[&name, "failed"]).inc_by(entry.failed);
        }
    });
    Ok(())
}
