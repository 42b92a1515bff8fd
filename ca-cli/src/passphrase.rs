//! Passphrases: from a prompt, a file or an inherited descriptor; never from argv.

use std::fs::File;
use std::io::IsTerminal;
use std::path::PathBuf;

use ca_core::signing::Passphrase;
use zeroize::Zeroizing;

use crate::error::{CliError, Result};

/// Characters that a new passphrase has at least.
const MIN_CHARS: usize = 8;

/// Where a passphrase comes from.
pub(crate) struct Source<'a> {
    pub(crate) file: Option<&'a PathBuf>,
    pub(crate) fd: Option<u32>,
    /// The flag that names the file, for messages.
    pub(crate) flag: &'static str,
}

impl Source<'_> {
    /// The passphrase of something that exists.
    pub(crate) fn read(&self, of: &str) -> Result<Passphrase> {
        match self.given()? {
            Some(passphrase) => Ok(passphrase),
            None => Ok(Passphrase::from_string(self.prompt(&format!("Passphrase of {of}: "))?)),
        }
    }

    /// A passphrase for something new: a prompt asks twice.
    pub(crate) fn create(&self, of: &str) -> Result<Passphrase> {
        let passphrase = match self.given()? {
            Some(passphrase) => passphrase,
            None => {
                let first = Zeroizing::new(self.prompt(&format!("New passphrase of {of}: "))?);
                let second = Zeroizing::new(self.prompt("The same again: ")?);
                if first != second {
                    return Err(CliError::Usage("the two passphrases differ; try again".into()));
                }
                Passphrase::from_string(first.to_string())
            }
        };
        if passphrase.expose().chars().count() < MIN_CHARS {
            return Err(CliError::Refused(format!(
                "the passphrase of {of} is too short; use at least {MIN_CHARS} characters"
            )));
        }
        Ok(passphrase)
    }

    fn given(&self) -> Result<Option<Passphrase>> {
        if let Some(path) = self.file {
            return Ok(Some(Passphrase::load(path)?));
        }
        let Some(fd) = self.fd else { return Ok(None) };
        let bad = |error: std::io::Error| {
            CliError::Usage(format!(
                "cannot read a passphrase from descriptor {fd}: {error}; is it open for reading?"
            ))
        };
        let file = File::open(format!("/proc/self/fd/{fd}")).map_err(bad)?;
        Ok(Some(Passphrase::from_reader(file)?))
    }

    fn prompt(&self, text: &str) -> Result<String> {
        if !std::io::stdin().is_terminal() {
            return Err(CliError::Usage(format!(
                "a passphrase is needed and there is no terminal to ask on; give {}",
                self.flag
            )));
        }
        rpassword::prompt_password(text).map_err(|error| {
            CliError::Failed(format!("cannot ask for a passphrase: {error}; give {}", self.flag))
        })
    }
}
