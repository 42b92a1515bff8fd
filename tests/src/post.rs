//! A mail server on loopback, and what it was given.

use crate::daemon::Daemon;
use crate::home::Home;
use crate::tool::{Tool, python, source_root};
use serde_json::Value;
use std::fs;
use std::path::PathBuf;

/// The password of the authority at the mail server.
const PASSWORD: &str = "mail-password";

/// A running mail server with a certificate for `localhost`, issued by authority
/// `tls` of the home. Its messages are in `DIR` of the working directory.
#[derive(Debug)]
pub struct Post {
    daemon: Daemon,
    dir: PathBuf,
    kind: &'static str,
}

/// Makes authority `tls` and a certificate for the mail server, and one that
/// signs for `ca@example.test`: `mail.pem`, `mail.key`, `sender.pem`, `sender.key`.
pub fn certificates(home: &Home) {
    home.ca("authority create tls --template tls-issuing-ca --key p256 --country DE --parent root")
        .args(["--common-name", "Example TLS CA", "--organization", "Example"])
        .words("--passphrase-file passphrase --parent-passphrase-file passphrase")
        .ok();
    home.ca("issue --authority tls --template mail-server-tls --dns localhost --key p256")
        .words("--out-key mail.key --out-chain mail.pem --passphrase-file passphrase")
        .ok();
    home.ca("issue --authority issuing --template smime-signing --email ca@example.test --key p256")
        .args(["--common-name", "Example CA"])
        .words("--out-key sender.key --out-chain sender.pem --passphrase-file passphrase")
        .ok();
    home.ca("authority export root --format pem --out root.crt").ok();
}

impl Post {
    /// Starts a server, `starttls` or `implicit`, and writes the `notify.yaml`
    /// that fits; `more` are further lines of it.
    pub fn start(home: &Home, kind: &'static str, more: &str) -> Self {
        let dir = home.path(format!("post-{kind}"));
        fs::create_dir_all(&dir).expect("make a directory");
        let script = source_root().join("tests/smtp/server.py");
        let tool = Tool::new(python())
            .within(home.work())
            .arg(script)
            .arg(&dir)
            .words(kind)
            .words("mail.pem mail.key ca")
            .arg(PASSWORD);
        let post = Self { daemon: Daemon::start_tool(tool, &dir), dir, kind };
        post.mode("take");
        home.write_private("smtp.password", PASSWORD);
        post.configure(home, post.daemon.port(), "root.crt", more);
        post
    }

    /// Writes `notify.yaml` for another port or other roots.
    pub fn configure(&self, home: &Home, port: u16, roots: &str, more: &str) {
        let text = format!(
            "version: 1\n\
             smtp: {{host: localhost, port: {port}, tls: {}, ca_root: ../{roots}, username: ca, \
             password_file: ../smtp.password, timeout_seconds: 10}}\n\
             from: Example CA <ca@example.test>\n\
             admins: [Operators <ops@example.test>]\n\
             thresholds: [30d, 14d, 7d, 1d]\n\
             {more}\n",
            self.kind
        );
        home.write_private("home/notify.yaml", text);
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.daemon.port()
    }

    /// What happens at the end of a message: `take`, `refuse`, `vanish` or `hang`.
    pub fn mode(&self, word: &str) {
        fs::write(self.dir.join("mode"), word).expect("write the mode");
    }

    /// What it was given, in order.
    pub fn messages(&self) -> Vec<Value> {
        let read = |number: usize| fs::read(self.dir.join(format!("{number}.json"))).ok();
        let texts = (0..).map_while(read);
        texts.map(|text| serde_json::from_slice(&text).expect("JSON of the server")).collect()
    }

    /// The file of a message.
    pub fn file(&self, number: usize) -> PathBuf {
        self.dir.join(format!("{number}.eml"))
    }
}
