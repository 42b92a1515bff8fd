//! How the publisher is: what it published, what comes next, what went wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::get;
use ca_domain::Timestamp;
use ca_files::{FileError, Mode, write_atomic};
use ca_service::{Alarms, Clock};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Value, json};

/// One CRL.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CrlStatus {
    /// The NAME of `crl/NAME.crl`.
    pub name: String,
    /// `full` or `delta`.
    pub kind: &'static str,
    /// Its number, hexadecimal; nothing if there is no CRL, and so for what follows.
    pub number: Option<String>,
    /// Its thisUpdate.
    #[serde(serialize_with = "text")]
    pub this_update: Option<Timestamp>,
    /// Its nextUpdate.
    #[serde(serialize_with = "text")]
    pub next_update: Option<Timestamp>,
    /// The certificates on it.
    pub entries: Option<u64>,
    /// Its length.
    pub bytes: Option<u64>,
    /// When the next is signed.
    #[serde(serialize_with = "text")]
    pub next_run: Option<Timestamp>,
    /// From when on it is an alarm that it was not renewed.
    #[serde(serialize_with = "text")]
    pub renew_by: Option<Timestamp>,
    /// When it was last signed or taken, or should have been.
    #[serde(serialize_with = "text")]
    pub last_run: Option<Timestamp>,
    /// What failed then; nothing if it was published.
    pub error: Option<String>,
    /// Since when there are changes of status that no CRL shows.
    #[serde(serialize_with = "text")]
    pub pending_since: Option<Timestamp>,
    /// What somebody has to do to renew it.
    pub to_do: Option<String>,
}

fn text<S: Serializer>(time: &Option<Timestamp>, to: S) -> Result<S::Ok, S::Error> {
    time.map(|time| time.to_string()).serialize(to)
}

/// The CRLs of an authority.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AuthorityStatus {
    /// Its NAME.
    pub authority: String,
    /// `sign` or `distribute`.
    pub mode: &'static str,
    /// `active` if this process publishes, else `standby`.
    pub role: &'static str,
    /// Who publishes, as it calls itself.
    pub publisher: String,
    /// What is wrong with the clock of this process, if it jumped.
    pub clock: Option<String>,
    /// Its CRLs.
    pub crls: Vec<CrlStatus>,
}

/// What a publisher told of an authority, as far as `--check` wants to know.
#[derive(Debug, Deserialize)]
pub struct Told {
    /// What was wrong with its clock.
    #[serde(default)]
    pub clock: Option<String>,
    crls: Vec<ToldCrl>,
}

#[derive(Debug, Deserialize)]
struct ToldCrl {
    name: String,
    number: Option<String>,
}

impl Told {
    /// Whether there was a CRL of this name.
    #[must_use]
    pub fn has_published(&self, name: &str) -> bool {
        self.crls.iter().any(|crl| crl.name == name && crl.number.is_some())
    }
}

/// How all authorities are. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Board(Arc<Mutex<BTreeMap<String, AuthorityStatus>>>);

impl Board {
    /// Puts up how an authority is.
    pub fn put(&self, status: AuthorityStatus) {
        self.lock().insert(status.authority.clone(), status);
    }

    /// Takes all others down.
    pub fn keep_only(&self, names: &BTreeSet<String>) {
        self.lock().retain(|name, _| names.contains(name));
    }

    /// All, by name.
    #[must_use]
    pub fn all(&self) -> Vec<AuthorityStatus> {
        self.lock().values().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, AuthorityStatus>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `/status`, for those who watch the publisher: alarms have details here.
pub fn routes(
    board: Board,
    alarms: Alarms,
    clock: Arc<dyn Clock>,
    ledger: impl Fn() -> Value + Clone + Send + Sync + 'static,
) -> Router {
    Router::new().route(
        "/status",
        get(async move || {
            let raised: Vec<Value> = alarms
                .list()
                .into_iter()
                .map(|(topic, summary)| {
                    let detail = alarms.detail(&topic);
                    json!({"topic": topic, "summary": summary, "detail": detail})
                })
                .collect();
            let value = json!({
                "time": clock.now().to_string(),
                "clock": {"jumps": clock.jumps().count, "trouble": clock.trouble()},
                "ledger": ledger(),
                "alarms": raised,
                "authorities": board.all(),
            });
            let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
            (headers, format!("{value}\n")).into_response()
        }),
    )
}

/// The file that tells `ca crl status` how an authority is; written only when that changed.
#[derive(Debug)]
pub struct StatusFile {
    path: PathBuf,
    written: Option<AuthorityStatus>,
}

impl StatusFile {
    /// A file that this process has not written yet.
    #[must_use]
    pub const fn new(path: PathBuf) -> Self {
        Self { path, written: None }
    }

    /// Writes it, unless it says the same already.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&mut self, status: &AuthorityStatus) -> Result<(), FileError> {
        if self.written.as_ref() == Some(status) {
            return Ok(());
        }
        let mut text = serde_json::to_vec(status).unwrap_or_default();
        text.push(b'\n');
        let written = write_atomic(&self.path, &text, Mode::Private);
        self.written = written.is_ok().then(|| status.clone());
        if written.is_err() {
            // What stands there is no longer so: better nothing, which is told as that.
            let _ = fs::remove_file(&self.path);
        }
        written
    }

    /// What stands there; nothing if that cannot be read.
    #[must_use]
    pub fn read(&self) -> Option<Told> {
        serde_json::from_slice(&fs::read(&self.path).ok()?).ok()
    }

    /// Forgets what was written: another process may have written since.
    pub fn forget(&mut self) {
        self.written = None;
    }
}
