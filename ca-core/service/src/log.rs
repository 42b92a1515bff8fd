//! The daemons' log: standard error, one event a line.

use tracing_subscriber::EnvFilter;

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, clap::ValueEnum)]
pub enum Format {
    /// One JSON object a line.
    Json,
    /// For people and the journal.
    #[default]
    Text,
}

/// Starts logging to standard error; `RUST_LOG` chooses the level, `info` without it.
///
/// The journal stamps lines itself, so times are left out when it reads them. A
/// second call changes nothing.
pub fn start(format: Format) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let builder =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false);
    let journal = std::env::var_os("JOURNAL_STREAM").is_some();
    // A logger that is there already is that of a test.
    let _ = match format {
        Format::Json => builder.json().try_init(),
        Format::Text if journal => builder.without_time().with_target(false).try_init(),
        Format::Text => builder.with_target(false).try_init(),
    };
}
