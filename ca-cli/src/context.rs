//! What every command needs: the home, the clock, how to talk.

use std::cell::RefCell;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use ca_core::domain::Timestamp;
use ca_core::{Home, Wait};
use indicatif::{ProgressBar, ProgressStyle};

use crate::args::Global;
use crate::error::{CliError, Result};
use crate::report::say;

pub(crate) struct Context {
    pub(crate) home_dir: PathBuf,
    pub(crate) json: bool,
    pub(crate) quiet: bool,
    timeout: Duration,
    purpose: String,
    bar: RefCell<Option<ProgressBar>>,
}

impl Context {
    /// `purpose` is shown to those who wait for the lock.
    pub(crate) fn new(global: &Global, purpose: String) -> Self {
        Self {
            home_dir: global.home(),
            json: global.json,
            quiet: global.quiet,
            timeout: Duration::from_secs(global.lock_timeout),
            purpose,
            bar: RefCell::new(None),
        }
    }

    pub(crate) fn home(&self) -> Result<Home> {
        let home = Home::open(&self.home_dir)?;
        if home.is_interrupted() {
            // A crash came between the commit of an authority and its name.
            self.waiting(|wait| home.writer(wait).map(drop))?;
        }
        Ok(home)
    }

    /// The time of the act.
    pub(crate) fn now(&self) -> Result<Timestamp> {
        Timestamp::try_from(SystemTime::now()).map_err(|error| CliError::Failed(error.to_string()))
    }

    /// Who acts, for the record.
    pub(crate) fn actor(&self) -> String {
        let uid = rustix::process::getuid().as_raw();
        let named = ["SUDO_USER", "USER", "LOGNAME"].into_iter().find_map(|name| std::env::var(name).ok());
        let clean: String = named.unwrap_or_default().chars().filter(|c| !c.is_control()).take(64).collect();
        if clean.is_empty() { format!("uid {uid}") } else { format!("{clean} (uid {uid})") }
    }

    /// Runs `act` with the means to wait, warn and show progress.
    pub(crate) fn waiting<T>(&self, act: impl FnOnce(&Wait<'_>) -> T) -> T {
        let warn = |text: &str| self.note(&format!("note: {text}"));
        let progress = |done, total| self.progress(done, total);
        let wait = Wait { timeout: self.timeout, purpose: &self.purpose, warn: &warn, progress: &progress };
        let result = act(&wait);
        if let Some(bar) = self.bar.borrow_mut().take() {
            bar.finish_and_clear();
        }
        result
    }

    /// Says something beside the result.
    pub(crate) fn note(&self, text: &str) {
        if !self.quiet {
            say(&format!("ca: {text}"));
        }
    }

    /// Shows long work on a terminal.
    pub(crate) fn progress(&self, done: u64, total: u64) {
        if self.quiet || !std::io::stderr().is_terminal() {
            return;
        }
        let mut bar = self.bar.borrow_mut();
        let bar = bar.get_or_insert_with(|| {
            let style = ProgressStyle::with_template("{wide_bar} {pos}/{len} {per_sec}, {eta} left");
            ProgressBar::new(total).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        });
        bar.set_length(total);
        bar.set_position(done);
    }
}
