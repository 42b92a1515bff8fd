//! A home of the authority in a temporary directory, and `ca` run on it.

use crate::tool::{Outcome, Tool, build_directory};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// The passphrase of every CA key in these tests.
pub const PASSPHRASE: &str = "correct horse battery staple";
/// The password of every PKCS#12 file in these tests.
pub const P12_PASSWORD: &str = "pw-for-import";

/// A working directory with `home/` (the authority's), `passphrase` and
/// `p12-password`; commands run inside it, so relative names stay within.
#[derive(Debug)]
pub struct Home {
    work: TempDir,
}

/// The URLs that go into certificates.
#[derive(Debug, Clone)]
pub struct Urls {
    /// Base of the CRLs and CA certificates, `http://host:port`.
    pub publisher: String,
    /// Base of the OCSP responder.
    pub responder: String,
}

impl Urls {
    /// Names that nothing answers at.
    pub fn nowhere() -> Self {
        Self {
            publisher: "http://pki.example.test".to_owned(),
            responder: "http://ocsp.example.test".to_owned(),
        }
    }
}

impl Home {
    /// An empty working directory; nothing initialised.
    pub fn empty() -> Self {
        let work = TempDir::with_prefix("chancery-").expect("a temporary directory");
        let home = Self { work };
        home.write_private("passphrase", PASSPHRASE);
        home.write_private("p12-password", P12_PASSWORD);
        home
    }

    /// A home after `ca init`.
    pub fn initialised(urls: &Urls) -> Self {
        let home = Self::empty();
        home.ca("init --origin chancery.example.test")
            .args(["--crl-url", &urls.publisher, "--aia-url", &urls.publisher, "--ocsp-url", &urls.responder])
            .ok();
        home
    }

    /// A private copy of a home with P-256 authorities `root` and `issuing`,
    /// the signing certificates of alice and bob, and a revoked one of mallory.
    /// The original is made once for each build of `ca`.
    pub fn prepared() -> Self {
        let original = prepared_original();
        let work = TempDir::with_prefix("chancery-").expect("a temporary directory");
        copy_tree(&original, work.path());
        Self { work }
    }

    /// Another working directory with the same content.
    pub fn copy(&self) -> Self {
        let work = TempDir::with_prefix("chancery-").expect("a temporary directory");
        copy_tree(self.work.path(), work.path());
        Self { work }
    }

    /// The working directory.
    pub fn work(&self) -> &Path {
        self.work.path()
    }

    /// A path in the working directory.
    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.work.path().join(name)
    }

    /// The authority's home directory.
    pub fn dir(&self) -> PathBuf {
        self.path("home")
    }

    /// A file in the working directory, mode 0600.
    pub fn write_private(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, content).expect("write a file");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("set a mode");
        path
    }

    /// `ca --home …` with these words.
    pub fn ca(&self, words: &str) -> Tool {
        Tool::ours("ca").within(self.work()).without_env("CA_HOME").arg("--home").arg(self.dir()).words(words)
    }

    /// A tool that runs in the working directory.
    pub fn tool(&self, program: &str, words: &str) -> Tool {
        Tool::new(program).within(self.work()).words(words)
    }

    /// Creates a self-signed authority from template `root-ca`.
    pub fn create_root(&self, name: &str, key: &str) -> Outcome {
        self.ca(&format!("authority create {name} --template root-ca --key {key} --country DE"))
            .args(["--common-name", &format!("Example {name} CA"), "--organization", "Example"])
            .words("--passphrase-file passphrase")
            .ok()
    }

    /// Creates an authority from template `issuing-ca` below `parent`.
    pub fn create_issuing(&self, name: &str, parent: &str, key: &str) -> Outcome {
        self.ca(&format!("authority create {name} --template issuing-ca --key {key} --country DE"))
            .args(["--common-name", &format!("Example {name} CA"), "--organization", "Example"])
            .words("--passphrase-file passphrase --parent-passphrase-file passphrase --parent")
            .arg(parent)
            .ok()
    }

    /// `ca issue` for a CSR file, certificate to `NAME.crt`, as JSON.
    pub fn issue_csr(&self, template: &str, email: &str, csr: &Path, name: &str) -> Tool {
        self.ca(&format!("--json issue --authority issuing --template {template} --email {email}"))
            .words(&format!("--out {name}.crt --passphrase-file passphrase --csr"))
            .arg(csr)
    }

    /// `ca issue` with a key made by the authority, PKCS#12 to `NAME.p12`, as JSON.
    pub fn issue_p12(&self, template: &str, email: &str, key: &str, name: &str) -> Tool {
        self.ca(&format!(
            "--json issue --authority issuing --template {template} --email {email} --key {key}"
        ))
        .words(&format!("--p12 {name}.p12 --p12-password-file p12-password"))
        .words("--passphrase-file passphrase")
    }

    /// The JSON objects of `ca cert list`.
    #[track_caller]
    pub fn list(&self, filters: &str) -> Vec<Value> {
        let listed = self.ca(&format!("--json cert list {filters}")).ok().json();
        let rows = listed.as_array().cloned().or_else(|| listed["certificates"].as_array().cloned());
        rows.unwrap_or_else(|| panic!("no list of certificates in {listed}"))
    }

    /// The serial numbers that `ca cert list` shows.
    #[track_caller]
    pub fn serials(&self) -> BTreeSet<String> {
        self.list("").iter().map(|row| text(row, "serial")).collect()
    }

    /// The state (`good`, `held`, `revoked`…) of one certificate.
    #[track_caller]
    pub fn state(&self, serial: &str) -> String {
        let shown = self.ca("--json cert show").arg(serial).ok().json();
        text(&shown, "state")
    }

    /// Requires that `ca ledger verify` finds nothing wrong.
    #[track_caller]
    pub fn verify_ledger(&self) {
        self.ca("--json ledger verify").ok();
    }

    /// The ledger's verifier key, from the example configuration that `ca init` wrote.
    pub fn ledger_vkey(&self) -> String {
        let example = self.read("home/ocsp-responder.yaml");
        let line = example.lines().find_map(|line| line.trim().strip_prefix("ledger_vkey:"));
        line.expect("ledger_vkey in the example").trim().trim_matches(['"', '\'']).to_owned()
    }

    /// A text file in the working directory.
    #[track_caller]
    pub fn read(&self, name: &str) -> String {
        let path = self.path(name);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()))
    }
}

/// A string field of a JSON object.
#[track_caller]
pub fn text(value: &Value, field: &str) -> String {
    value[field].as_str().unwrap_or_else(|| panic!("no text {field:?} in {value}")).to_owned()
}

/// Copies a directory's content with modes, links and times.
pub fn copy_tree(from: &Path, to: &Path) {
    Tool::new("cp").arg("-a").arg(from.join(".")).arg(to).ok();
}

/// Every file below a directory, with its content.
pub fn snapshot(dir: &Path) -> std::collections::BTreeMap<PathBuf, Vec<u8>> {
    let mut found = std::collections::BTreeMap::new();
    let mut waiting = vec![dir.to_owned()];
    while let Some(next) = waiting.pop() {
        for entry in fs::read_dir(&next).expect("read a directory").flatten() {
            let path = entry.path();
            if path.is_dir() {
                waiting.push(path);
            } else {
                found.insert(path.clone(), fs::read(&path).unwrap_or_default());
            }
        }
    }
    found
}

/// Builds the prepared home if this build of `ca` has none yet. Several test
/// programs may ask at once: a lock file lets one of them build it.
fn prepared_original() -> PathBuf {
    let build = build_directory();
    let scratch = build.parent().expect("the target directory").join("tmp");
    fs::create_dir_all(&scratch).expect("make target/tmp");
    let lock = File::create(scratch.join("prepared.lock")).expect("open a lock file");
    lock.lock().expect("lock");
    let ca = fs::metadata(build.join("ca")).expect("ca is built; run: cargo build --workspace --bins");
    let name = format!("prepared-{}-{}-{}", ca.mtime(), ca.mtime_nsec(), ca.len());
    let original = scratch.join(&name);
    if !original.exists() {
        for old in fs::read_dir(&scratch).expect("read target/tmp").flatten() {
            if old.file_name().to_string_lossy().starts_with("prepared-") {
                let _ = fs::remove_dir_all(old.path());
            }
        }
        let home = prepare();
        let unfinished = scratch.join("prepared-unfinished");
        fs::create_dir(&unfinished).expect("make a directory");
        copy_tree(home.work(), &unfinished);
        fs::rename(&unfinished, &original).expect("rename a directory");
    }
    original
}

fn prepare() -> Home {
    let home = Home::initialised(&Urls::nowhere());
    home.create_root("root", "p256");
    home.create_issuing("issuing", "root", "p256");
    for person in ["alice", "bob", "mallory"] {
        let csr = crate::openssl::csr(&home, person, crate::openssl::Key::P256);
        home.issue_csr("smime-signing", &format!("{person}@example.test"), &csr, person).ok();
    }
    home.ca("revoke --email mallory@example.test --reason keyCompromise --yes").ok();
    home
}
