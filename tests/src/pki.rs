//! A whole suite at work: root and issuing CA, both daemons, some people.

use crate::daemon::{Daemon, wait_for};
use crate::gateway::Gateway;
use crate::home::{Home, P12_PASSWORD, Urls};
use crate::openssl::{self, Key};
use crate::tool::{Outcome, Tool};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

/// A home with authorities `root` and `issuing`, an OCSP responder and a CRL
/// publisher that answer at the URLs in the certificates.
///
/// Files in the working directory: `root.crt`, `issuing.crt`, `chain.pem`
/// (issuing and root), `root.crl`, `signers/`, `published/`.
#[derive(Debug)]
pub struct Pki {
    /// The authority's home and working directory.
    pub home: Home,
    /// Where CRLs and CA certificates are fetched.
    pub publisher_gate: Gateway,
    /// Where OCSP is asked.
    pub responder_gate: Gateway,
    /// The running OCSP responder.
    pub responder: Option<Daemon>,
    /// The running CRL publisher.
    pub publisher: Option<Daemon>,
}

impl Pki {
    /// Everything set up and running; CA keys and OCSP signers of algorithm
    /// `key` (as in `--key`).
    pub fn start(key: &str) -> Self {
        let mut pki = Self::without_daemons(key);
        pki.start_responder("");
        pki.start_publisher();
        pki
    }

    /// Set up, with signers and the root's CRL, but nothing running.
    pub fn without_daemons(key: &str) -> Self {
        let (publisher_gate, responder_gate) = (Gateway::open(), Gateway::open());
        let urls = Urls { publisher: publisher_gate.url(), responder: responder_gate.url() };
        let home = Home::initialised(&urls);
        home.create_root("root", key);
        home.create_issuing("issuing", "root", key);
        for name in ["root", "issuing"] {
            home.ca(&format!("authority export {name} --format pem --out {name}.crt")).ok();
            home.ca(&format!(
                "ocsp-signer issue --authority {name} --out signers --passphrase-file passphrase"
            ))
            .ok();
        }
        home.ca("authority export issuing --format chain --out chain.pem").ok();
        home.ca("crl issue root --out root.crl --passphrase-file passphrase").ok();
        Self { home, publisher_gate, responder_gate, responder: None, publisher: None }
    }

    /// Starts (or restarts) the responder, with further lines for its configuration.
    pub fn start_responder(&mut self, more: &str) {
        self.responder = None;
        let mut config = self.common_config();
        let _ = writeln!(config, "authorities:");
        for name in ["issuing", "root"] {
            let certificate = self.home.path(format!("home/authorities/{name}/certificate.pem"));
            let signer = self.home.path(format!("signers/{name}"));
            let _ = writeln!(config, "  - certificate: {}", certificate.display());
            let _ = writeln!(config, "    signer: {}", signer.display());
        }
        let config = self.home.write_private("responder.yaml", format!("{config}{more}"));
        let daemon = Daemon::start("ocsp-responder", &config);
        self.responder_gate.forward_to(daemon.port());
        self.responder = Some(daemon);
    }

    /// Starts (or restarts) the publisher: it signs for `issuing` and
    /// distributes the CRL of `root` that was signed elsewhere.
    pub fn start_publisher(&mut self) {
        self.publisher = None;
        let config = self.publisher_config();
        let config = self.home.write_private("publisher.yaml", config);
        let daemon = Daemon::start("crl-publisher", &config);
        self.publisher_gate.forward_to(daemon.port());
        self.publisher = Some(daemon);
        for name in ["root", "issuing"] {
            self.fetch_crl(name);
        }
    }

    /// The publisher's configuration file.
    pub fn publisher_config(&self) -> String {
        let authorities = self.home.path("home/authorities");
        let authorities = authorities.display();
        let mut config = self.common_config();
        let _ = write!(
            config,
            "directory: {published}\n\
             authorities:\n  - name: issuing\n    certificate: {authorities}/issuing/certificate.pem\n    \
             chain: {authorities}/issuing/chain.pem\n    mode: sign\n    \
             key: {authorities}/issuing/key.pem\n    passphrase_file: {passphrase}\n    \
             validity: 7d\n    interval: 24h\n    after_revocation: 0s\n  \
             - name: root\n    certificate: {authorities}/root/certificate.pem\n    mode: distribute\n    \
             source: {source}\n",
            published = self.home.path("published").display(),
            passphrase = self.home.path("passphrase").display(),
            source = self.home.path("root.crl").display(),
        );
        config
    }

    fn common_config(&self) -> String {
        format!(
            "listen: 127.0.0.1:0\nledger: {}\nledger_vkey: \"{}\"\n",
            self.home.path("home/ledger").display(),
            self.home.ledger_vkey()
        )
    }

    /// Gives a person a certificate: key and PKCS#12 made by the authority,
    /// unpacked to `NAME.p12`, `NAME.crt` and `NAME.key`.
    pub fn person(&self, name: &str, template: &str, key: &str) {
        let address = address(name);
        self.home.issue_p12(template, &address, key, name).ok();
        for (options, out) in [("-nokeys -clcerts", "crt"), ("-nocerts -noenc", "key")] {
            let bag = self
                .home
                .tool("openssl", "pkcs12 -in")
                .arg(format!("{name}.p12"))
                .words(options)
                .args(["-passin", &format!("pass:{P12_PASSWORD}")])
                .ok()
                .text();
            let start = bag.find("-----BEGIN").expect("PEM in the PKCS#12 file");
            self.home.write_private(&format!("{name}.{out}"), &bag[start..]);
        }
    }

    /// Gives a person a certificate for a key of their own, `NAME.key` and `NAME.crt`.
    pub fn person_by_request(&self, name: &str, template: &str, key: Key) {
        let csr = openssl::csr(&self.home, name, key);
        self.home.issue_csr(template, &address(name), &csr, name).ok();
    }

    /// Revokes the certificate in `NAME.crt` and waits until OCSP and CRL say so.
    pub fn revoke(&self, name: &str, reason: &str) -> String {
        let serial = openssl::serial(&self.home.path(format!("{name}.crt")));
        self.home.ca(&format!("revoke {serial} --reason {reason} --yes")).ok();
        self.wait_until_revoked(name, &serial);
        serial
    }

    /// Waits until OCSP and the CRL both have this certificate as revoked.
    pub fn wait_until_revoked(&self, name: &str, serial: &str) {
        let limit = Duration::from_secs(20);
        wait_for("OCSP to say revoked", limit, || self.ocsp(name).text().contains("revoked").then_some(()));
        wait_for("the CRL to list the certificate", limit, || {
            self.fetch_crl("issuing");
            let text = self.home.tool("openssl", "crl -inform DER -noout -text -in issuing.crl").ok().text();
            text.contains(&format!("Serial Number: {}", serial.to_uppercase())).then_some(())
        });
    }

    /// OpenSSL's verified question about `NAME.crt`.
    pub fn ocsp(&self, name: &str) -> Outcome {
        let certificate = format!("{name}.crt");
        openssl::ocsp(
            &self.home,
            "issuing.crt",
            &certificate,
            "root.crt",
            &format!("{}/", self.responder_gate.url()),
        )
    }

    /// Downloads an authority's CRL to `NAME.crl` (DER) and `NAME.crl.pem`.
    pub fn fetch_crl(&self, name: &str) -> PathBuf {
        let url = format!("{}/crl/{name}.crl", self.publisher_gate.url());
        let downloaded = if name == "root" { "root.fetched.crl".to_owned() } else { format!("{name}.crl") };
        Tool::new("curl").words("-sSf -o").arg(self.home.path(&downloaded)).arg(url).ok();
        self.home
            .tool("openssl", "crl -inform DER -in")
            .arg(&downloaded)
            .arg("-out")
            .arg(format!("{name}.crl.pem"))
            .ok();
        self.home.path(downloaded)
    }

    /// Writes `trust+crls.pem`: the root and the current CRL of both
    /// authorities, which is how `openssl cms` takes CRLs.
    pub fn trust_with_crls(&self) -> PathBuf {
        self.fetch_crl("root");
        self.fetch_crl("issuing");
        let parts = ["root.crt", "root.crl.pem", "issuing.crl.pem"].map(|name| self.home.read(name));
        self.home.write_private("trust+crls.pem", parts.concat())
    }
}

/// The address of a test person.
pub fn address(name: &str) -> String {
    let person = name.split(['-', '.']).next().unwrap_or(name);
    format!("{person}@example.test")
}
