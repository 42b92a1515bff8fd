//! Starting and stopping `ocsp-responder` and `crl-publisher`.

use crate::tool::Tool;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// A running daemon; killed when dropped.
#[derive(Debug)]
pub struct Daemon {
    child: Child,
    port: u16,
    log: Arc<Mutex<String>>,
    config: PathBuf,
}

impl Daemon {
    /// Starts the program with a configuration file and waits until it says
    /// `listening on 127.0.0.1:PORT`.
    pub fn start(program: &str, config: &Path) -> Self {
        Self::start_tool(Tool::ours(program).arg("--config").arg(config), config)
    }

    /// The same for a command line that is already complete.
    pub fn start_tool(tool: Tool, config: &Path) -> Self {
        let mut child = tool.start();
        let log = Arc::new(Mutex::new(String::new()));
        let (sender, port) = std::sync::mpsc::channel();
        let stdout = child.stdout.take().expect("a pipe");
        let stderr = child.stderr.take().expect("a pipe");
        let out_log = log.clone();
        thread::spawn(move || {
            collect(stdout, &out_log, |line| {
                if let Some(address) = line.trim().strip_prefix("listening on ") {
                    let port = address.rsplit(':').next().and_then(|port| port.parse::<u16>().ok());
                    let _ = port.map(|port| sender.send(port));
                }
            });
        });
        let err_log = log.clone();
        thread::spawn(move || collect(stderr, &err_log, |_| ()));
        let port = port.recv_timeout(Duration::from_secs(30)).unwrap_or_else(|_| {
            let _ = child.kill();
            panic!("the daemon did not start\n{tool:?}\n{}", log.lock().expect("log"))
        });
        Self { child, port, log, config: config.to_owned() }
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The configuration file it was started with.
    pub fn config(&self) -> &Path {
        &self.config
    }

    /// Everything it wrote so far, on both streams.
    pub fn log(&self) -> String {
        self.log.lock().expect("log").clone()
    }

    /// Sends SIGTERM and waits for the end; returns the exit code.
    pub fn terminate(mut self) -> Option<i32> {
        Tool::new("kill").arg("-TERM").arg(self.child.id().to_string()).ok();
        let began = Instant::now();
        loop {
            match self.child.try_wait().expect("wait for a daemon") {
                Some(status) => return status.code(),
                None if began.elapsed() > Duration::from_secs(20) => {
                    panic!("SIGTERM did not end it within 20 s\n{}", self.log())
                }
                None => thread::sleep(Duration::from_millis(20)),
            }
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn collect(pipe: impl Read, log: &Mutex<String>, mut see: impl FnMut(&str)) {
    for line in BufReader::new(pipe).lines().map_while(Result::ok) {
        see(&line);
        let _ = writeln!(log.lock().expect("log"), "{line}");
    }
}

/// Polls until `done` gives a value; fails the test after `limit`.
#[track_caller]
pub fn wait_for<T>(what: &str, limit: Duration, mut done: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(value) = done() {
            return value;
        }
        assert!(began.elapsed() < limit, "waited {limit:?} in vain for {what}");
        thread::sleep(Duration::from_millis(20));
    }
}
