//! An authority for TLS with a running responder, shared by the tests of a file,
//! and what clients of TLS servers say.

use crate::daemon::{Daemon, wait_for};
use crate::home::Home;
use crate::openssl;
use crate::pki::Pki;
use crate::server::LIMIT;
use crate::tool::{Outcome, Tool};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The name of every server in these tests.
pub const HOST: &str = "mail.example.test";

/// The name of a certificate that is issued later; the responder keeps its staple.
pub const WATCHED: &str = "watched";

/// Authorities `root` and `tls` and a responder for both.
///
/// Files in the working directory: `root.crt`, `tls.crt`, `ca.pem` (both).
#[derive(Debug)]
pub struct Tls {
    pki: Pki,
    open: TempDir,
}

impl Tls {
    /// The one that another test of this program uses now, or a new one.
    pub fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<Tls>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let new = Arc::new(Self::start());
            *shared = Arc::downgrade(&new);
            new
        })
    }

    fn start() -> Self {
        let mut pki = Pki::without_daemons("p256");
        let home = &pki.home;
        home.ca("authority create tls --template tls-issuing-ca --key p256 --country DE --parent root")
            .args(["--common-name", "Example TLS CA", "--organization", "Example"])
            .words("--passphrase-file passphrase --parent-passphrase-file passphrase")
            .ok();
        home.ca("ocsp-signer issue --authority tls --out signers --passphrase-file passphrase").ok();
        home.ca("authority export tls --format pem --out tls.crt").ok();
        let chain = home.read("tls.crt") + &home.read("root.crt");
        home.write_private("ca.pem", chain);
        let open = TempDir::with_prefix("chancery-open-").expect("a temporary directory");
        fs::set_permissions(open.path(), Permissions::from_mode(0o755)).expect("set a mode");
        let more = format!(
            "  - certificate: {home}/home/authorities/tls/certificate.pem\n    signer: {home}/signers/tls\n\
             staples:\n  - certificate: {home}/{WATCHED}.crt\n    out: {open}/{WATCHED}.ocsp\n",
            home = home.work().display(),
            open = open.path().display(),
        );
        pki.start_responder(&more);
        Self { pki, open }
    }

    /// The working directory.
    pub fn home(&self) -> &Home {
        &self.pki.home
    }

    /// The responder.
    pub fn responder(&self) -> &Daemon {
        self.pki.responder.as_ref().expect("a running responder")
    }

    /// From now on nobody answers at the responder's URL.
    pub fn silence(&self) {
        self.pki.responder_gate.close();
    }

    /// A path that every user may reach.
    pub fn open(&self, name: &str) -> PathBuf {
        self.open.path().join(name)
    }

    /// Issues a certificate for [`HOST`]: `NAME.crt`, `NAME.key`, and `NAME.pem`
    /// with certificate, issuers and key.
    pub fn server(&self, name: &str) {
        self.issue(name, &format!("--template mail-server-tls --dns {HOST}"));
    }

    /// Issues a certificate for a client, in the same files.
    pub fn client(&self, name: &str) {
        self.issue(name, &format!("--template tls-client --email {name}@example.test"));
    }

    fn issue(&self, name: &str, words: &str) {
        self.home()
            .ca(&format!("issue --authority tls {words} --key p256 --out {name}.crt"))
            .words(&format!("--out-key {name}.key --out-chain {name}.chain --passphrase-file passphrase"))
            .ok();
        let all = [".chain", ".key"].map(|ending| self.home().read(&format!("{name}{ending}")));
        self.home().write_private(&format!("{name}.pem"), all.concat());
    }

    /// Revokes the certificate in `NAME.crt` and waits until OCSP says so.
    pub fn revoke(&self, name: &str) {
        let serial = openssl::serial(&self.home().path(format!("{name}.crt")));
        self.home().ca(&format!("revoke {serial} --reason keyCompromise --yes")).ok();
        let url = format!("{}/", self.pki.responder_gate.url());
        let certificate = format!("{name}.crt");
        wait_for("OCSP to say revoked", LIMIT, || {
            let told = openssl::ocsp(self.home(), "tls.crt", &certificate, "root.crt", &url);
            told.text().contains("revoked").then_some(())
        });
    }

    /// `ca ocsp staple` for the certificate in `NAME.pem`.
    pub fn staple(&self, name: &str) -> Tool {
        Tool::ours("ca")
            .within(self.home().work())
            .words("--json ocsp staple --cert")
            .arg(format!("{name}.pem"))
    }

    /// curl at a server: it must verify certificate and name.
    pub fn curl(&self, scheme: &str, port: u16) -> Tool {
        self.home()
            .tool("curl", "-sS --noproxy * --cacert root.crt --max-time 20 --resolve")
            .arg(format!("{HOST}:{port}:127.0.0.1"))
            .arg(format!("{scheme}://{HOST}:{port}/"))
    }

    /// curl at a server that has to staple an answer: OpenSSL verifies its
    /// signature, its times and its status.
    pub fn stapled(&self, scheme: &str, port: u16) -> Outcome {
        let tool = self.curl(scheme, port).arg("--cert-status");
        if scheme == "smtp" { tool.words("--ssl-reqd -X NOOP") } else { tool }.run()
    }

    /// Waits until curl is content with the staple.
    #[track_caller]
    pub fn wait_for_good(&self, scheme: &str, port: u16) {
        self.wait_for_staple(scheme, port, |outcome| outcome.code == Some(0));
    }

    /// Waits until curl verifies a staple that says that the certificate is revoked.
    #[track_caller]
    pub fn wait_for_revoked(&self, scheme: &str, port: u16) {
        let said = "revocation reason: keyCompromise";
        self.wait_for_staple(scheme, port, |outcome| {
            outcome.code == Some(91) && outcome.stderr.contains(said)
        });
    }

    /// Waits until the server speaks no TLS with anybody any more.
    #[track_caller]
    pub fn wait_for_refusal(&self, port: u16) {
        let said = "STARTTLS denied, code 454";
        self.wait_for_staple("smtp", port, |outcome| {
            outcome.code == Some(64) && outcome.stderr.contains(said)
        });
    }

    #[track_caller]
    fn wait_for_staple(&self, scheme: &str, port: u16, wanted: impl Fn(&Outcome) -> bool) {
        let began = Instant::now();
        loop {
            let outcome = self.stapled(scheme, port);
            if wanted(&outcome) {
                return;
            }
            assert!(began.elapsed() < LIMIT, "waited in vain for another staple\n{}", outcome.transcript());
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// curl with a client's certificate.
    pub fn as_client(&self, port: u16, name: &str) -> Outcome {
        self.curl("https", port)
            .args(["--cert", &format!("{name}.chain"), "--key", &format!("{name}.key")])
            .words("--fail")
            .run()
    }
}
