//! Any program: a hook, or what copies a file with rsync or SFTP.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use ca_service::{Bell, Span};
use rustix::process::{Pid, Signal, kill_process_group};

use super::spool::Spool;
use super::{Before, Item, Standing, Target, TargetError};

/// How often a running program is looked at.
const LOOK: Duration = Duration::from_millis(20);
/// Of what a program says to standard error, the end is told.
const TOLD_BYTES: i64 = 2_000;
const TOLD_LINES: usize = 5;

/// A program that gets each file on its standard input.
///
/// It is run without a shell. In its arguments `{file}` is the path of the file, `{path}` its path
/// below the published directory, `{name}` the last part of that, and `{number}` the
/// CRL number in hexadecimal.
#[derive(Debug)]
pub struct CommandTarget {
    /// The program and its arguments.
    command: Vec<String>,
    /// The program that writes to its standard output what stands at the target.
    verify: Option<Vec<String>>,
    timeout: Span,
    /// Says when the daemon ends: nothing that it started shall stay.
    stop: Bell,
    /// A private directory, where the file lies under its own name.
    folder: PathBuf,
    spool: Spool,
}

/// How a program ended.
struct Ended {
    status: ExitStatus,
    said: String,
}

impl CommandTarget {
    /// A target reached by `command`, and read by `verify`. A private directory and the target's
    /// name say where its files are; `stop` ends what runs.
    #[must_use]
    pub fn new(
        command: Vec<String>,
        verify: Option<Vec<String>>,
        timeout: Span,
        stop: Bell,
        (directory, name): (&Path, &str),
    ) -> Self {
        let (folder, spool) = (directory.join(format!("{name}.files")), Spool::new(directory, name));
        Self { command, verify, timeout, stop, folder, spool }
    }

    fn run(&self, words: &[String], item: &Item, file: &Path, output: Stdio) -> Result<Ended, TargetError> {
        let number = item.number().map(|number| number.to_string()).unwrap_or_default();
        let fill = |word: &String| {
            let mut filled = OsString::new();
            let mut rest = word.as_str();
            while let Some((before, from)) = rest.split_once('{') {
                filled.push(before);
                let known: [(&str, &std::ffi::OsStr); 4] = [
                    ("file}", file.as_os_str()),
                    ("path}", item.path.as_ref()),
                    ("name}", item.name().as_ref()),
                    ("number}", number.as_ref()),
                ];
                match known.iter().find_map(|(key, value)| Some((from.strip_prefix(key)?, value))) {
                    Some((after, value)) => {
                        filled.push(value);
                        rest = after;
                    }
                    None => {
                        filled.push("{");
                        rest = from;
                    }
                }
            }
            filled.push(rest);
            filled
        };
        let words: Vec<OsString> = words.iter().map(fill).collect();
        let Some((program, arguments)) = words.split_first() else {
            return Err(TargetError::Failed("there is no command".into()));
        };
        let failed = |what: &str| TargetError::Failed(format!("{} {what}", program.display()));
        let mut errors = self.spool.file()?;
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(item.reader().map_err(|error| failed(&format!("gets no input: {error}")))?)
            .stdout(output)
            .stderr(errors.try_clone().map_err(|error| failed(&format!("gets no output: {error}")))?)
            .process_group(0)
            .spawn()
            .map_err(|error| failed(&format!("cannot be run: {error}")))?;
        let deadline = Instant::now() + self.timeout.as_duration();
        loop {
            match child.try_wait() {
                Ok(Some(status)) => return Ok(Ended { status, said: last_lines(&mut errors) }),
                Ok(None) if Instant::now() < deadline && !self.stop.is_stopped() => std::thread::sleep(LOOK),
                Ok(None) => {
                    end_group(&child);
                    let _ = child.wait();
                    let said = last_lines(&mut errors);
                    return Err(failed(&format!("was stopped after {}{said}", self.timeout)));
                }
                Err(error) => return Err(failed(&format!("cannot be waited for: {error}"))),
            }
        }
    }

    /// The file under its own name, for programs that read `{file}`.
    fn lay_out(&self, item: &Item) -> Result<PathBuf, TargetError> {
        let _ = fs::remove_dir_all(&self.folder);
        // Makes the directory above it, too.
        drop(self.spool.file()?);
        ca_files::create_private_dir(&self.folder)?;
        let path = self.folder.join(item.name());
        let io = |error| TargetError::io("write", &path)(error);
        let mut source = item.reader().map_err(io)?;
        let mut file = File::create(&path).map_err(io)?;
        std::io::copy(&mut source, &mut file).map_err(io)?;
        Ok(path)
    }
}

impl Target for CommandTarget {
    fn there(&self) -> Result<(), String> {
        let programs = [Some(&self.command), self.verify.as_ref()];
        let missing = programs.into_iter().flatten().filter_map(|words| words.first());
        match missing.into_iter().find(|program| !can_run(program)) {
            Some(program) => Err(format!("{program} is no program that can be run here; correct its path")),
            None => Ok(()),
        }
    }

    fn read(&mut self, item: &Item, _: Option<&str>) -> Result<Standing, TargetError> {
        let Some(verify) = &self.verify else { return Ok(Standing::Unknown) };
        let mut output = self.spool.file()?;
        let copy = output.try_clone().map_err(|error| TargetError::Failed(error.to_string()))?;
        let ended = self.run(verify, item, Path::new(item.name()), copy.into())?;
        let length = output.seek(SeekFrom::End(0)).unwrap_or(0);
        if !ended.status.success() {
            tracing::debug!(path = item.path, status = %ended.status, said = ended.said, "nothing to verify");
            return Ok(Standing::Absent);
        }
        Ok(if length == 0 { Standing::Absent } else { Standing::Found(output, None) })
    }

    fn put(&mut self, item: &Item, _: &Before) -> Result<Option<String>, TargetError> {
        let needs_file = self.command.iter().any(|word| word.contains("{file}"));
        let file = if needs_file { self.lay_out(item)? } else { PathBuf::new() };
        let ended = self.run(&self.command, item, &file, Stdio::null());
        let _ = fs::remove_dir_all(&self.folder);
        let Ended { status, said } = ended?;
        if status.success() {
            return Ok(None);
        }
        let program = self.command.first().map_or("", String::as_str);
        Err(TargetError::Failed(format!("{program} ended with {status}{said}")))
    }
}

/// Whether there is a program of this name, as `execvp` looks for it.
fn can_run(program: &str) -> bool {
    let is_program = |path: &Path| {
        fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
    };
    if program.contains('/') {
        return is_program(Path::new(program));
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| is_program(&directory.join(program)))
}

/// The last lines of what was said, after a colon; nothing if nothing was.
fn last_lines(errors: &mut File) -> String {
    let mut bytes = Vec::new();
    if errors.seek(SeekFrom::End(-TOLD_BYTES)).is_err() {
        let _ = errors.rewind();
    }
    let _ = errors.take(TOLD_BYTES.unsigned_abs()).read_to_end(&mut bytes);
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let last = lines[lines.len().saturating_sub(TOLD_LINES)..].join(" / ");
    let plain: String = last.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if plain.is_empty() { plain } else { format!(": {plain}") }
}

/// Ends a program and what it started.
fn end_group(child: &Child) {
    let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    // The group may have ended by itself meanwhile.
    let _ = group.map(|group| kill_process_group(group, Signal::KILL));
}
