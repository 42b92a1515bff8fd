//! Keeping the OCSP answer of a server's certificate in a file that the server
//! staples: nginx, HAProxy, Exim. It needs no home; it runs where the server does.

mod ask;

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::time::Duration;

use ca_domain::Timestamp;
use ca_files::{AnnouncedFile, Mode};
use ca_status::ocsp::staple::responder_url;
use ca_status::ocsp::{Staple, StapleSubject};
use der::Decode;
use x509_cert::Certificate;

use crate::error::{AuthorityError, Result};
use crate::import_authority::read_certificates;

/// The longest answer that is read from a disk or a responder, in bytes.
const MAX_ANSWER: u64 = 64 * 1024;
/// How long a reload command may run.
const RELOAD: Duration = Duration::from_secs(60);

/// The certificate of a server, and where its answers come from.
#[derive(Debug)]
pub struct Server {
    subject: StapleSubject,
    /// The responder named by the certificate, if it names one.
    pub url: Option<String>,
}

/// What was done about a staple.
#[derive(Debug)]
pub struct Refreshed {
    /// The answer that the file holds now.
    pub staple: Staple,
    /// Whether the file was replaced.
    pub replaced: bool,
    /// Whether the reload command was run.
    pub told: bool,
}

impl Server {
    /// Reads a certificate as a server has it: PEM or DER, its chain and even its
    /// key in the same file. The issuer is looked for after it, then in `issuers`.
    ///
    /// # Errors
    /// A file cannot be read, or the issuer is in none of them.
    pub fn load(file: &Path, issuers: Option<&Path>) -> Result<Self> {
        let paths: Vec<&Path> = std::iter::once(file).chain(issuers).collect();
        let decoded = read_certificates(&paths)?
            .iter()
            .map(|der| Certificate::from_der(der))
            .collect::<std::result::Result<Vec<_>, _>>();
        let certificates = decoded.map_err(|error| {
            AuthorityError::Input(format!(
                "{} is not a certificate: {error}; give a certificate, PEM or DER, the server's first",
                file.display()
            ))
        })?;
        let Some((certificate, rest)) = certificates.split_first() else {
            return Err(AuthorityError::Input(format!(
                "{} holds no certificate; give the certificate of the server",
                file.display()
            )));
        };
        let subject = StapleSubject::new(certificate, rest).map_err(|error| {
            AuthorityError::NotFound(format!(
                "{}: {error}; name the issuer's certificate with --issuer, or append it to the file",
                file.display()
            ))
        })?;
        Ok(Self { subject, url: responder_url(certificate) })
    }

    /// The answer in a file, judged at `now`.
    ///
    /// # Errors
    /// There is none, or clients would not take it.
    pub fn stored(&self, path: &Path, now: Timestamp) -> Result<Staple> {
        let refuse = |why: String| {
            AuthorityError::Staple(format!(
                "{} is no staple for this certificate now: {why}; get one with `ca ocsp staple`",
                path.display()
            ))
        };
        let length = fs::metadata(path).map_err(|error| refuse(error.to_string()))?.len();
        if length > MAX_ANSWER {
            return Err(refuse(format!("{length} bytes are more than an answer has")));
        }
        let der = fs::read(path).map_err(|error| refuse(error.to_string()))?;
        self.subject.judge(&der, now).map_err(|error| refuse(error.to_string()))
    }

    /// Asks the responder at `url` and puts its answer into the file `out`, mode
    /// 0644, if it is another one; then runs `reload`, if the answer was replaced
    /// or an earlier command failed.
    ///
    /// # Errors
    /// Nothing but a verified answer, good or revoked, valid now and not older than
    /// that on the disk comes into the file. Whatever else happens, it is left alone.
    pub fn refresh(
        &self,
        url: &str,
        out: &Path,
        reload: Option<&str>,
        timeout: Duration,
        now: Timestamp,
    ) -> Result<Refreshed> {
        let old = self.stored(out, now).ok();
        let left = |why: String| {
            let state = match &old {
                Some(old) => format!("{} is good until {}", out.display(), old.next_update),
                None => format!("{} holds no usable answer", out.display()),
            };
            AuthorityError::Staple(format!("{why}; nothing was changed, {state}"))
        };
        let der = ask::ask(url, self.subject.request(), timeout, MAX_ANSWER).map_err(left)?;
        let staple = self
            .subject
            .judge(&der, now)
            .map_err(|error| left(format!("the answer of {url} cannot be stapled: {error}")))?;
        let shell = |command: &str| ["/bin/sh", "-c", command].map(OsString::from).to_vec();
        let file = AnnouncedFile::new(out, Mode::Public, reload.map(shell).unwrap_or_default());
        let replaced = match &old {
            Some(old) if staple.replaces(old) => true,
            Some(old) if staple == *old => false,
            Some(_) => return Err(left(format!("the answer of {url} is older than that in the file"))),
            None => true,
        };
        if replaced {
            file.replace(&staple.der)?;
        }
        let told = file.is_untold();
        if told {
            file.tell(RELOAD, || false).map_err(|error| {
                AuthorityError::Staple(format!(
                    "{} holds the answer of {}, but the reload command failed: {error}; \
                     mend it, the next run tries again",
                    out.display(),
                    staple.this_update
                ))
            })?;
        }
        Ok(Refreshed { staple, replaced, told })
    }
}
