//! wrk beside the checking clients: more load than these make, and another's judgement
//! of status and connections.

use std::path::PathBuf;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use chancery_tests::{Home, Tool};

use super::Load;

/// Sends what it is told, and counts what goes wrong.
const SCRIPT: &str = include_str!("wrk.lua");
/// Of one run; the next one goes to where the responder is then.
const SECONDS: u64 = 5;

/// One wrk after another.
#[derive(Debug)]
pub struct Wrk {
    script: PathBuf,
    requests: PathBuf,
    connections: u64,
    /// The port of the run under way, zero after the last.
    port: Mutex<u16>,
    begun: Condvar,
}

impl Wrk {
    /// One that asks about all of the load's subjects, by POST and by GET.
    pub fn new(home: &Home, load: &Load, connections: u64) -> Self {
        let mut file = Vec::new();
        for subject in &load.subjects {
            for request in [subject.question.post(), subject.question.get()] {
                file.extend(u16::try_from(request.len()).expect("a short request").to_be_bytes());
                file.extend(request);
            }
        }
        Self {
            script: home.write_private("wrk.lua", SCRIPT),
            requests: home.write_private("wrk.requests", file),
            connections,
            port: Mutex::new(0),
            begun: Condvar::new(),
        }
    }

    /// Runs until the load is over; the number of answers. What went wrong is a fault of
    /// the load.
    pub fn run(&self, load: &Load) -> u64 {
        let mut answers = 0;
        while !load.is_over() {
            let port = load.port();
            self.is_at(port);
            match self.once(port) {
                Ok(count) => answers += count,
                Err(what) => load.fault(format!("wrk: {what}")),
            }
        }
        self.is_at(0);
        answers
    }

    /// Waits until nothing more is sent to another port than this.
    pub fn moved_to(&self, port: u16) {
        let at = self.port.lock().unwrap_or_else(PoisonError::into_inner);
        let left = self.begun.wait_while(at, |at| *at != port && *at != 0);
        drop(left.unwrap_or_else(PoisonError::into_inner));
    }

    fn is_at(&self, port: u16) {
        *self.port.lock().unwrap_or_else(PoisonError::into_inner) = port;
        self.begun.notify_all();
    }

    fn once(&self, port: u16) -> Result<u64, String> {
        let outcome = Tool::new("wrk")
            .words(&format!("-t 1 -c {} -d {SECONDS}s --timeout 10s -s", self.connections))
            .arg(&self.script)
            .arg(format!("http://127.0.0.1:{port}/"))
            .arg("--")
            .arg(&self.requests)
            .limit(Duration::from_secs(SECONDS + 60))
            .ok();
        let text = outcome.text();
        let numbers =
            text.lines().find_map(|line| line.strip_prefix("RESULT ")).ok_or("it says no result")?;
        let numbers: Vec<u64> = numbers.split(' ').filter_map(|number| number.parse().ok()).collect();
        match numbers[..] {
            [answers, 0, 0, 0, 0, 0, 0] if answers > 0 => Ok(answers),
            _ => Err(format!(
                "requests, answers not signed or not 200, statuses of errors, errors of connect, read and \
                 write, timeouts: {numbers:?}"
            )),
        }
    }
}
