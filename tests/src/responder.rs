//! A responder for the prepared home, and a normal client that asks it all the while.

use crate::asking::{Connection, Question, Said};
use crate::daemon::Daemon;
use crate::home::Home;
use crate::openssl;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

/// A responder for `issuing`; alice and bob are good, mallory is revoked.
#[derive(Debug)]
pub struct Served {
    /// The home, with `root.crt`, `issuing.crt` and the people's certificates.
    pub home: Home,
    /// The responder.
    pub daemon: Daemon,
}

impl Served {
    /// Starts one with these lines more in its configuration.
    pub fn start(more: &str) -> Self {
        let home = Home::prepared();
        for name in ["root", "issuing"] {
            home.ca(&format!("authority export {name} --format pem --out {name}.crt")).ok();
        }
        home.ca("ocsp-signer issue --authority issuing --out signers --passphrase-file passphrase").ok();
        let config = configuration(&home, more);
        let daemon = Daemon::start("ocsp-responder", &config);
        Self { home, daemon }
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.daemon.port()
    }

    /// The question about a person's certificate.
    pub fn question(&self, person: &str) -> Question {
        Question::by_openssl(&self.home, "issuing.crt", &format!("{person}.crt"))
    }

    /// The most memory that it had so far, in KiB.
    pub fn peak(&self) -> u64 {
        memory(self.daemon.pid(), "VmHWM")
    }

    /// OpenSSL's verdict, signature included.
    pub fn verified(&self, person: &str, said: &str) {
        let url = format!("http://127.0.0.1:{}/", self.port());
        openssl::ocsp(&self.home, "issuing.crt", &format!("{person}.crt"), "root.crt", &url)
            .says(&[&format!("{person}.crt: {said}")]);
    }
}

/// Writes `responder.yaml` for the authority `issuing`.
pub fn configuration(home: &Home, more: &str) -> std::path::PathBuf {
    let mut config = format!(
        "listen: 127.0.0.1:0\nledger: {}\nledger_vkey: \"{}\"\n",
        home.path("home/ledger").display(),
        home.ledger_vkey()
    );
    let certificate = home.path("home/authorities/issuing/certificate.pem");
    let signer = home.path("signers/issuing");
    let _ = write!(
        config,
        "authorities:\n  - certificate: {}\n    signer: {}\n{more}",
        certificate.display(),
        signer.display()
    );
    home.write_private("responder.yaml", config)
}

/// A line of `/proc/PID/status`, in KiB.
pub fn memory(pid: u32, field: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the process runs");
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    number.unwrap_or_else(|| panic!("no {field} in {status}"))
}

/// A client that asks again and again, from an address of its own, on connections
/// that it keeps, and takes nothing but the right answer.
#[derive(Debug)]
pub struct NormalClient {
    over: Arc<AtomicBool>,
    thread: JoinHandle<u64>,
}

impl NormalClient {
    /// Starts asking from `127.0.0.9`.
    pub fn start(port: u16, expected: Vec<(Question, Said)>) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let stop = over.clone();
        let thread = thread::spawn(move || {
            let mut answered = 0;
            while !stop.load(Ordering::SeqCst) {
                let mut connection = Connection::from_address(9, port).expect("a connection");
                for (question, said) in &expected {
                    for request in [question.post(), question.get()] {
                        let response = connection.exchange(&request).expect("an answer");
                        assert_eq!(response.status, 200);
                        assert_eq!(question.read(&response.body), Some(*said));
                        answered += 1;
                    }
                }
            }
            answered
        });
        Self { over, thread }
    }

    /// Ends it; how many right answers it had, at least one.
    pub fn stop(self) -> u64 {
        self.over.store(true, Ordering::SeqCst);
        let answered = self.thread.join().expect("the normal client was answered rightly all the while");
        assert!(answered > 0);
        answered
    }
}
