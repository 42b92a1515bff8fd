//! Running the real programs.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::{Result, fail};

/// What a program run to its end has cost.
#[derive(Debug)]
pub struct Run {
    /// Wall-clock time.
    pub took: Duration,
    /// When it had ended.
    pub ended: Instant,
    /// Standard output.
    pub stdout: Vec<u8>,
}

impl Run {
    /// Standard output as JSON.
    ///
    /// # Errors
    /// It is not JSON.
    pub fn json(&self) -> Result<serde_json::Value> {
        Ok(serde_json::from_slice(&self.stdout)?)
    }
}

/// What a program has cost in time and memory.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// Wall-clock time.
    pub took: Duration,
    /// Most memory resident, MiB.
    pub peak_mib: f64,
}

/// A program of this build, `target/release/NAME` say.
///
/// # Errors
/// It is not built.
pub fn built(name: &str) -> Result<PathBuf> {
    let here = std::env::current_exe()?;
    let path = here.parent().unwrap_or(Path::new(".")).join(name);
    if path.is_file() {
        return Ok(path);
    }
    Err(fail(format!("{} is not built; use benches/run, which builds everything", path.display())))
}

/// `ca` on a home.
#[derive(Clone, Debug)]
pub struct Ca {
    program: PathBuf,
    home: PathBuf,
}

impl Ca {
    /// The command line of this build on the home at `home`.
    ///
    /// # Errors
    /// It is not built.
    pub fn new(home: &Path) -> Result<Self> {
        Ok(Self { program: built("ca")?, home: home.to_owned() })
    }

    fn command(&self, words: &[&OsStr]) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("--home").arg(&self.home).arg("--json").args(words);
        command
    }

    /// Runs `ca WORDS` to its end.
    ///
    /// # Errors
    /// It did not succeed.
    pub fn run<W: AsRef<OsStr>>(&self, words: &[W]) -> Result<Run> {
        let words: Vec<_> = words.iter().map(AsRef::as_ref).collect();
        let began = Instant::now();
        let output = self.command(&words).stdin(Stdio::null()).output()?;
        let ended = Instant::now();
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(fail(format!("ca {words:?} ended with {}: {said}", output.status)));
        }
        Ok(Run { took: ended - began, ended, stdout: output.stdout })
    }

    /// Runs `ca WORDS` under GNU time, which knows the memory of what it ran.
    ///
    /// # Errors
    /// It did not succeed, or `/usr/bin/time` is not there.
    pub fn cost<W: AsRef<OsStr>>(&self, words: &[W]) -> Result<Cost> {
        let words: Vec<_> = words.iter().map(AsRef::as_ref).collect();
        let inner = self.command(&words);
        let mut outer = Command::new("/usr/bin/time");
        outer.args(["-f", "%M", "--"]).arg(inner.get_program()).args(inner.get_args());
        let began = Instant::now();
        let output = outer.stdin(Stdio::null()).output()?;
        let took = began.elapsed();
        let said = String::from_utf8_lossy(&output.stderr);
        match said.lines().last().unwrap_or_default().parse::<f64>() {
            Ok(kib) if output.status.success() => Ok(Cost { took, peak_mib: kib / 1024.0 }),
            _ => Err(fail(format!("ca {words:?} ended with {}: {said}", output.status))),
        }
    }
}
