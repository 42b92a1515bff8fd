//! Two publishers with one object store: the newer CRL wins, whoever comes first.

use super::{arrives, home, issue};
use chancery_tests::daemon::wait_for;
use chancery_tests::server::LIMIT;
use chancery_tests::tool::{python, source_root};
use chancery_tests::{Daemon, Home, Tool};
use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

/// A way to the store on which writes can be stopped, between what was read before and what they do.
struct Gate {
    port: u16,
    is_shut: Arc<AtomicBool>,
    stopped: Receiver<Sender<()>>,
}

impl Gate {
    fn before(store: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let is_shut = Arc::new(AtomicBool::new(false));
        let (sender, stopped) = channel();
        let shut = is_shut.clone();
        thread::spawn(move || {
            for client in listener.incoming() {
                let (client, shut, sender) = (client.expect("a connection"), shut.clone(), sender.clone());
                thread::spawn(move || pass(client, store, &shut, &sender));
            }
        });
        Self { port, is_shut, stopped }
    }

    /// Waits until a write has come; it goes on when what this returns is dropped.
    fn stop_next(&self, begin: impl FnOnce()) -> Sender<()> {
        self.is_shut.store(true, Ordering::SeqCst);
        begin();
        let stopped = self.stopped.recv_timeout(LIMIT).expect("a write");
        self.is_shut.store(false, Ordering::SeqCst);
        stopped
    }
}

/// Passes on what comes, and each write when it may.
fn pass(mut client: TcpStream, store: u16, is_shut: &AtomicBool, stopped: &Sender<Sender<()>>) {
    let mut server = TcpStream::connect(("127.0.0.1", store)).expect("the store");
    let (mut answers, mut back) = (server.try_clone().expect("a copy"), client.try_clone().expect("a copy"));
    let answering = thread::spawn(move || {
        let _ = std::io::copy(&mut answers, &mut back);
        let _ = back.shutdown(Shutdown::Both);
    });
    let mut buffer = [0; 64 * 1024];
    while let Ok(length @ 1..) = client.read(&mut buffer) {
        // The head of a request is written at once, after the last answer.
        if buffer.starts_with(b"PUT ") && is_shut.load(Ordering::SeqCst) {
            let (go, wait) = channel();
            let _ = stopped.send(go);
            // An error is the sender's end.
            let _ = wait.recv();
        }
        if server.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    let _ = server.shutdown(Shutdown::Both);
    let _ = answering.join();
}

/// The publisher `name`, which publishes `NAME.crl` for the root and takes it to the store at `port`.
fn publisher(home: &Home, name: &str, port: u16) -> Daemon {
    let config = format!(
        "listen: 127.0.0.1:0\ndirectory: published-{name}\nstate_dir: state-{name}\nauthorities:\n  \
         - {{name: root, certificate: root.pem, mode: distribute, source: {name}.crl}}\ntargets:\n  \
         - name: bucket\n    files: crls\n    alarm_after: 0s\n    retry_at_most: 1s\n    s3: {{endpoint: \
         'http://127.0.0.1:{port}', region: us-east-1, bucket: pki, access_key: AKIATEST, secret_key_file: secret}}\n"
    );
    let path = home.write_private(&format!("{name}.yaml"), config);
    Daemon::start("crl-publisher", &path)
}

#[test]
fn the_newer_of_two_publishers_wins() {
    let home = home();
    let server =
        Tool::new(python()).arg(source_root().join("tests/s3/server.py")).words("AKIATEST s3-secret");
    let store = Daemon::start_tool(server, home.work());
    let curl = |words: &str, path: &str| {
        let url = format!("http://127.0.0.1:{}/pki{path}", store.port());
        Tool::new("curl").args(["-s", "-H", "X-Test: unsigned"]).words(words).arg(url).ok().stdout
    };
    let stands = || curl("", "/crl/root.crl");
    curl("-X PUT", "");
    home.write_private("secret", "s3-secret\n");
    let gate = Gate::before(store.port());
    let (slow, fast) = (publisher(&home, "slow", gate.port), publisher(&home, "fast", store.port()));
    let give = |name: &str, crl: &[u8]| {
        fs::write(home.path("next"), crl).expect("write");
        fs::rename(home.path("next"), home.path(format!("{name}.crl"))).expect("rename");
    };
    let is_told = |what: &str, times: usize| {
        wait_for(what, LIMIT, || (slow.log().matches(what).count() >= times).then_some(()));
    };

    // Where nothing stood, and where something older did, when the slow one looked.
    for round in 1..=2 {
        let (older, newer) = (issue(&home, "root"), issue(&home, "root"));
        let stopped = gate.stop_next(|| give("slow", &older));
        give("fast", &newer);
        arrives("the newer CRL", &fast, &newer, stands);
        drop(stopped);
        is_told("412 Precondition Failed", round);
        assert_eq!(stands(), newer, "{round}");
        // It looks again, and knows that it is the older.
        is_told("a target does not take a CRL", round);
        assert_eq!(stands(), newer, "{round}");
    }

    // The newer does not give way when it comes second.
    let (older, newer) = (issue(&home, "root"), issue(&home, "root"));
    let stopped = gate.stop_next(|| give("slow", &newer));
    give("fast", &older);
    arrives("the older CRL", &fast, &older, stands);
    drop(stopped);
    is_told("412 Precondition Failed", 3);
    arrives("the newer CRL", &slow, &newer, stands);
    for daemon in [slow, fast] {
        assert_eq!(daemon.terminate(), Some(0));
    }
}
