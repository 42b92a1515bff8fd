//! Running a program and looking at what came of it.

use std::ffi::{OsStr, OsString};
use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// A command line in the making.
#[derive(Debug, Clone)]
pub struct Tool {
    program: OsString,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, Option<OsString>)>,
    directory: Option<PathBuf>,
    input: Vec<u8>,
    limit: Duration,
}

/// What a finished program left behind.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The command line, for messages.
    pub command: String,
    /// The exit code, if it ended by itself.
    pub code: Option<i32>,
    /// The signal that ended it, if one did.
    pub signal: Option<i32>,
    /// Standard output as bytes.
    pub stdout: Vec<u8>,
    /// Standard error as text.
    pub stderr: String,
    /// How long it ran.
    pub took: Duration,
}

impl Tool {
    /// A program by name or path.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        Self {
            program: program.as_ref().to_owned(),
            arguments: Vec::new(),
            environment: Vec::new(),
            directory: None,
            input: Vec::new(),
            limit: Duration::from_secs(120),
        }
    }

    /// One of our own programs, from the build that these tests belong to.
    pub fn ours(name: &str) -> Self {
        Self::new(built(name))
    }

    /// Adds words, split at white space. For words with spaces use [`Tool::arg`].
    #[must_use]
    pub fn words(mut self, words: &str) -> Self {
        self.arguments.extend(words.split_whitespace().map(OsString::from));
        self
    }

    /// Adds one argument as it is.
    #[must_use]
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    /// Adds arguments as they are.
    #[must_use]
    pub fn args<A: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.arguments.extend(arguments.into_iter().map(|a| a.as_ref().to_owned()));
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.environment.push((name.into(), Some(value.as_ref().to_owned())));
        self
    }

    /// Removes an environment variable.
    #[must_use]
    pub fn without_env(mut self, name: &str) -> Self {
        self.environment.push((name.into(), None));
        self
    }

    /// The directory to run in.
    #[must_use]
    pub fn within(mut self, directory: &Path) -> Self {
        self.directory = Some(directory.to_owned());
        self
    }

    /// Bytes for standard input; it is closed after them.
    #[must_use]
    pub fn input(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.input = bytes.into();
        self
    }

    /// How long the program may run before the test fails (120 s otherwise).
    #[must_use]
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// The same command, run under another program: `wrapper… program arguments…`.
    #[must_use]
    pub fn under(mut self, wrapper: Tool) -> Self {
        let mut arguments = wrapper.arguments;
        arguments.push(std::mem::replace(&mut self.program, wrapper.program));
        arguments.append(&mut self.arguments);
        self.arguments = arguments;
        self.environment.extend(wrapper.environment);
        self
    }

    /// Starts it without waiting; output is piped.
    pub fn start(&self) -> Child {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        for (name, value) in &self.environment {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        if let Some(directory) = &self.directory {
            command.current_dir(directory);
        }
        command.spawn().unwrap_or_else(|error| panic!("cannot start {}: {error}", self.line()))
    }

    /// Runs it to its end.
    pub fn run(self) -> Outcome {
        let began = Instant::now();
        let mut child = self.start();
        let (mut stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let input = self.input.clone();
        let writer = thread::spawn(move || {
            // A program that does not read its input closes the pipe: not our affair.
            let _ = stdin.as_mut().map(|pipe| pipe.write_all(&input));
        });
        let out = thread::spawn(move || drain(stdout));
        let err = thread::spawn(move || drain(stderr));
        let status = loop {
            match child.try_wait().expect("wait for a child") {
                Some(status) => break status,
                None if began.elapsed() > self.limit => {
                    let _ = child.kill();
                    let _ = child.wait();
                    panic!("still running after {:?}: {}", self.limit, self.line());
                }
                None => thread::sleep(Duration::from_millis(2)),
            }
        };
        writer.join().expect("input thread");
        Outcome {
            command: self.line(),
            code: status.code(),
            signal: status.signal(),
            stdout: out.join().expect("output thread"),
            stderr: String::from_utf8_lossy(&err.join().expect("error thread")).into_owned(),
            took: began.elapsed(),
        }
    }

    /// Runs it and requires success.
    #[track_caller]
    pub fn ok(self) -> Outcome {
        self.run().ok()
    }

    fn line(&self) -> String {
        let words = std::iter::once(&self.program).chain(&self.arguments);
        words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
    }
}

impl Outcome {
    /// Requires exit code 0.
    #[track_caller]
    pub fn ok(self) -> Self {
        assert_eq!(self.code, Some(0), "{}", self.transcript());
        self
    }

    /// Requires this exit code, and that standard error has all these words
    /// (letter case does not count).
    #[track_caller]
    pub fn fails(self, code: i32, words: &[&str]) -> Self {
        assert_eq!(self.code, Some(code), "{}", self.transcript());
        let said = self.stderr.to_lowercase();
        for word in words {
            assert!(said.contains(&word.to_lowercase()), "no {word:?} in the error\n{}", self.transcript());
        }
        self
    }

    /// Requires that the output (both streams) has these words.
    #[track_caller]
    pub fn says(self, words: &[&str]) -> Self {
        for word in words {
            assert!(self.everything().contains(word), "no {word:?} here\n{}", self.transcript());
        }
        self
    }

    /// Requires that the output (both streams) has none of these words.
    #[track_caller]
    pub fn never_says(self, words: &[&str]) -> Self {
        for word in words {
            assert!(!self.everything().contains(word), "{word:?} is here\n{}", self.transcript());
        }
        self
    }

    /// Standard output as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Standard output and standard error as one text.
    pub fn everything(&self) -> String {
        format!("{}{}", self.text(), self.stderr)
    }

    /// Standard output as JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.stdout)
            .unwrap_or_else(|error| panic!("not JSON ({error})\n{}", self.transcript()))
    }

    /// Command, result and output, for the message of a failed test.
    pub fn transcript(&self) -> String {
        format!(
            "$ {}\nexit code {:?}, signal {:?}\n--- stdout\n{}\n--- stderr\n{}",
            self.command,
            self.code,
            self.signal,
            self.text(),
            self.stderr
        )
    }
}

fn drain(pipe: Option<impl Read>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let _ = pipe.map(|mut pipe| pipe.read_to_end(&mut bytes));
    bytes
}

/// The directory of the build that this program belongs to, `target/debug` say.
pub fn build_directory() -> PathBuf {
    let here = std::env::current_exe().expect("path of the test program");
    let directory = here.parent().expect("a directory");
    let tests = directory.file_name().is_some_and(|name| name == "deps");
    if tests { directory.parent().expect("a directory").to_owned() } else { directory.to_owned() }
}

fn built(name: &str) -> PathBuf {
    let program = build_directory().join(name);
    assert!(program.is_file(), "{} is not built; run: cargo build --workspace --bins", program.display());
    program
}

/// The root of the source tree.
pub fn source_root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace's directory").to_owned()
}

/// The Python of the virtual environment that `scripts/install-prerequisites` makes.
pub fn python() -> PathBuf {
    let path = source_root().join("target/venv/bin/python");
    assert!(path.exists(), "{} is missing; run: scripts/install-prerequisites test", path.display());
    path
}
