//! Giving files their names and handing out passwords, after the commit.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use ca_domain::SerialNumber;
use ca_files::{Mode, StagedFile, read_private, replace_tail, sync_dir, write_atomic};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::directory::Directory;
use super::journal::{Journal, Record};
use crate::error::{AuthorityError, Result};
use crate::init::io;
use crate::people::Person;

/// The delivery of a batch: everything after the commits.
pub(super) struct Delivery<'a> {
    directory: &'a Directory,
    journal: Journal,
    program: Option<&'a str>,
    mailboxes: BTreeMap<u64, &'a str>,
    /// Issued, by line.
    done: BTreeMap<u64, SerialNumber>,
}

impl<'a> Delivery<'a> {
    pub(super) fn begin(
        directory: &'a mut Directory,
        people: &'a [Person],
        program: Option<&'a str>,
        done: &BTreeMap<u64, SerialNumber>,
    ) -> Result<Self> {
        let journal = directory.journal()?;
        let mailboxes = people.iter().map(|person| (person.line, person.mailbox())).collect();
        Ok(Self { directory, journal, program, mailboxes, done: done.clone() })
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Completes what earlier calls committed. Returns how many pairs that were, and
    /// the lines whose file is gone.
    pub(super) fn complete(&mut self) -> Result<(u64, Vec<(u64, PathBuf)>)> {
        let mut waiting = Vec::new();
        let mut missing = Vec::new();
        for (line, signing) in &self.done {
            let Some(record) = self.journal.prepared(signing) else {
                return Err(AuthorityError::Refused(format!(
                    "line {line} was issued as {signing}, but the journal in {} does not have its password; put \
                     the journal back, or revoke that certificate and give a --name for a new batch",
                    self.directory.path().display()
                )));
            };
            if self.journal.delivered.contains(line) {
                continue;
            }
            let path = self.path(&record.file);
            if path.symlink_metadata().is_err() && !adopt(&path, &record.sha256)? {
                missing.push((*line, path));
            }
            waiting.push(record.clone());
        }
        sync_dir(self.directory.path())?;
        if self.program.is_none() {
            self.rewrite_passwords()?;
        }
        self.hand_out(&waiting)?;
        Ok((waiting.len() as u64, missing))
    }

    /// Writes down what is on disk and about to be committed.
    pub(super) fn prepare(&mut self, records: impl Iterator<Item = Record>) -> Result<()> {
        self.journal.prepare(records)
    }

    /// Delivers what was just committed.
    pub(super) fn deliver(&mut self, committed: Vec<(SerialNumber, Record, StagedFile)>) -> Result<()> {
        let mut records = Vec::with_capacity(committed.len());
        let mut failed = None;
        for (signing, record, file) in committed {
            if let Err(error) = file.rename() {
                failed.get_or_insert(error);
            }
            self.done.insert(record.line, signing);
            records.push(record);
        }
        if let Some(error) = failed {
            return Err(error.into());
        }
        sync_dir(self.directory.path())?;
        if self.program.is_none() {
            self.append_passwords(&records)?;
        }
        self.hand_out(&records)
    }

    /// The passwords go out, and the journal learns of it.
    fn hand_out(&mut self, records: &[Record]) -> Result<()> {
        if records.is_empty() {
            return Ok(());
        }
        if let Some(program) = self.program {
            self.run(program, records)?;
        }
        self.journal.deliver(records.iter().map(|record| record.line).collect())
    }

    fn run(&self, program: &str, records: &[Record]) -> Result<()> {
        let failed = |what: String| {
            AuthorityError::Refused(format!(
                "the password program {what}; mend it and run the same command again, it gets the same lines"
            ))
        };
        let mut child = Command::new("/bin/sh")
            .args(["-c", program])
            .stdin(Stdio::piped())
            .spawn()
            .map_err(|error| failed(format!("cannot be run: {error}")))?;
        let mut text = Zeroizing::new(String::new());
        for record in records {
            let path = self.path(&record.file);
            let mailbox = self.mailboxes.get(&record.line).copied().unwrap_or_default();
            text.push_str(&format!("{mailbox}\t{}\t{}\n", path.display(), record.password));
        }
        let written = match child.stdin.take() {
            Some(mut stdin) => stdin.write_all(text.as_bytes()),
            None => Ok(()),
        };
        let status = child.wait().map_err(|error| failed(format!("cannot be waited for: {error}")))?;
        if !status.success() {
            return Err(failed(format!("ended with {status}")));
        }
        written.map_err(|error| failed(format!("did not read all of its input: {error}")))
    }

    /// The file of passwords as it should be, whatever a crash left of it.
    fn rewrite_passwords(&self) -> Result<()> {
        let records: Vec<_> =
            self.done.values().filter_map(|signing| self.journal.prepared(signing)).collect();
        let mut bytes = self.rows(records.into_iter())?;
        let mut text = Zeroizing::new(b"email,file,password\n".to_vec());
        text.append(&mut bytes);
        Ok(write_atomic(&self.directory.passwords(), &text, Mode::Private)?)
    }

    fn append_passwords(&self, records: &[Record]) -> Result<()> {
        let path = self.directory.passwords();
        let length = fs::symlink_metadata(&path).map_err(io("read", &path))?.len();
        Ok(replace_tail(&path, length, &self.rows(records.iter())?, Mode::Private)?)
    }

    fn rows<'r>(&self, records: impl Iterator<Item = &'r Record>) -> Result<Zeroizing<Vec<u8>>> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        let failed = |error: String| AuthorityError::Input(format!("cannot write passwords: {error}"));
        for record in records {
            let mailbox = self.mailboxes.get(&record.line).copied().unwrap_or_default();
            writer
                .write_record([mailbox, &record.file, &record.password])
                .map_err(|error| failed(error.to_string()))?;
        }
        writer.into_inner().map(Zeroizing::new).map_err(|error| failed(error.to_string()))
    }

    /// Everybody was issued: the file of passwords in the order of the table.
    pub(super) fn end(&mut self) -> Result<()> {
        if self.program.is_none() { self.rewrite_passwords() } else { Ok(()) }
    }
}

/// Gives a file that an earlier call prepared its name, if it is the one.
fn adopt(path: &std::path::Path, sha256: &str) -> Result<bool> {
    let Some(file) = StagedFile::adopt(path) else { return Ok(false) };
    let bytes = Zeroizing::new(read_private(file.temporary())?);
    if hex::encode(Sha256::digest(&*bytes)) != sha256 {
        file.keep();
        return Ok(false);
    }
    file.rename()?;
    Ok(true)
}
