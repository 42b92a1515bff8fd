//! The files of one signer.
//!
//! | file | what it is |
//! |---|---|
//! | `PREFIX.key`, `PREFIX.crt` | the pair in use |
//! | `PREFIX.next.key` | the next key, made here |
//! | `PREFIX.next.csr` | the request for its certificate |
//! | `PREFIX.next.crt` | its certificate, put there by the authority |

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ca_domain::Timestamp;
use ca_files::{FileError, Mode, sync_dir, write_atomic};
use ca_service::authority::{load_certificates, parse_certificates};
use ca_service::watch::Fingerprint;
use ca_service::{Authority, ServiceError};
use ca_signing::SoftwareKey;
use ca_status::ocsp::ResponseSigner;
use der::EncodePem;
use der::pem::LineEnding;
use x509_cert::Certificate;

/// Octets of a file from the authority at most.
const MAX_BYTES: u64 = 64 * 1024;

/// The paths.
#[derive(Debug)]
pub(super) struct Files {
    pub(super) key: PathBuf,
    pub(super) certificate: PathBuf,
    pub(super) next_key: PathBuf,
    pub(super) next_certificate: PathBuf,
    pub(super) request: PathBuf,
}

/// A pair that may sign, and which files it came from.
pub(super) struct Pair {
    pub(super) signer: ResponseSigner,
    pub(super) certificate: Certificate,
    /// Whether both files are those of the pair in use.
    pub(super) settled: bool,
    /// Whether its key is the next one.
    pub(super) next_key: bool,
}

/// What the files hold.
pub(super) struct Found {
    /// The newest pair that may sign.
    pub(super) pair: Option<Pair>,
    /// What is wrong with the pair in use, or with the next certificate.
    pub(super) problem: Option<String>,
}

impl Files {
    pub(super) fn new(prefix: &Path) -> Self {
        let with = |extension: &str| {
            let mut name = prefix.as_os_str().to_owned();
            name.push(extension);
            PathBuf::from(name)
        };
        Self {
            key: with(".key"),
            certificate: with(".crt"),
            next_key: with(".next.key"),
            next_certificate: with(".next.crt"),
            request: with(".next.csr"),
        }
    }

    /// What tells one state of the pairs from the next.
    pub(super) fn fingerprints(&self) -> [Option<Fingerprint>; 4] {
        [&self.key, &self.certificate, &self.next_key, &self.next_certificate]
            .map(|path| Fingerprint::of(path))
    }

    /// Finds the newest pair that may sign for `authority` at `now`.
    ///
    /// Any key may be with any certificate: a crash can come between the two
    /// steps in which a new pair takes the place of the old one. The certificate
    /// `in_use` may have expired meanwhile: that is for others to say.
    pub(super) fn find(&self, authority: &Authority, in_use: Option<&Certificate>, now: Timestamp) -> Found {
        let mut found = Found { pair: None, problem: None };
        let keys = [load_key(&self.key), load_key(&self.next_key)];
        let certificates = [self.current_certificate(), self.next_certificate()];
        for (number, certificate) in certificates.iter().enumerate() {
            let is_next = number == 1;
            let certificate = match certificate {
                Ok(Some(certificate)) => certificate,
                Ok(None) if is_next => continue,
                Ok(None) => {
                    let path = self.certificate.display();
                    found.problem = Some(format!("{path} holds no certificate"));
                    continue;
                }
                Err(problem) => {
                    found.problem = Some(problem.clone());
                    continue;
                }
            };
            let now = (in_use != Some(certificate)).then_some(now);
            match self.pair_of(certificate, &keys, is_next, authority, now) {
                Ok(pair) => {
                    let newer = found
                        .pair
                        .as_ref()
                        .is_none_or(|old| old.signer.not_before() < pair.signer.not_before());
                    if newer {
                        found.pair = Some(pair);
                    }
                }
                // The certificate in use may be under way to its key; what counts then
                // is the next pair, if it is good.
                Err(problem) => found.problem = Some(problem),
            }
        }
        if found.pair.as_ref().is_some_and(|pair| !pair.settled) {
            found.problem = None;
        }
        found
    }

    fn pair_of(
        &self,
        certificate: &Certificate,
        keys: &[Result<Option<Arc<SoftwareKey>>, String>; 2],
        is_next: bool,
        authority: &Authority,
        now: Option<Timestamp>,
    ) -> Result<Pair, String> {
        let path = if is_next { &self.next_certificate } else { &self.certificate }.display();
        let mut why = None;
        for (number, key) in keys.iter().enumerate() {
            let key = match key {
                Ok(Some(key)) => key.clone(),
                Ok(None) => continue,
                Err(problem) => {
                    why.get_or_insert_with(|| problem.clone());
                    continue;
                }
            };
            match check(key, certificate, authority, now) {
                Ok(signer) => {
                    let settled = !is_next && number == 0;
                    return Ok(Pair {
                        signer,
                        certificate: certificate.clone(),
                        settled,
                        next_key: number == 1,
                    });
                }
                // The reason that counts is the one with the key that belongs to the file.
                Err(problem) if (number == 1) == is_next || why.is_none() => {
                    why = Some(format!("{path}: {problem}"));
                }
                Err(_) => {}
            }
        }
        Err(why.unwrap_or_else(|| format!("{path}: its key {} is missing", self.key.display())))
    }

    fn current_certificate(&self) -> Result<Option<Certificate>, String> {
        let found = load_certificates(&self.certificate).map_err(|error: ServiceError| error.to_string())?;
        Ok(found.into_iter().next())
    }

    /// Whoever may write it gives us nothing but a certificate for our own key,
    /// signed by the authority: its owner does not matter.
    fn next_certificate(&self) -> Result<Option<Certificate>, String> {
        let path = &self.next_certificate;
        let refuse = |what: String| format!("{}: {what}", path.display());
        let Some(bytes) = read_limited(path).map_err(|error| refuse(error.to_string()))? else {
            return Ok(None);
        };
        let found = parse_certificates(&bytes).map_err(|error| refuse(error.to_string()))?;
        found.into_iter().next().map(Some).ok_or_else(|| refuse("it holds no certificate".into()))
    }

    /// Gives the pair in use, with this certificate and the next key if it is that
    /// one's, the names of the pair in use.
    ///
    /// A crash between the steps leaves files in which [`Files::find`] finds the
    /// same pair. The old key goes when the new certificate is durable.
    pub(super) fn settle(&self, certificate: &Certificate, next_key: bool) -> Result<(), FileError> {
        let pem = certificate.to_pem(LineEnding::LF).map_err(|error| FileError::Io {
            action: "write",
            path: self.certificate.clone(),
            source: io::Error::other(error),
        })?;
        write_atomic(&self.certificate, pem.as_bytes(), Mode::Public)?;
        if !next_key {
            // A certificate for the key in use: the next key still waits for its own.
            return self.tidy_certificate();
        }
        match fs::rename(&self.next_key, &self.key) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                return Err(FileError::Io { action: "replace", path: self.key.clone(), source });
            }
            _ => sync_dir(directory(&self.key))?,
        }
        self.tidy()
    }

    /// Removes the next certificate.
    fn tidy_certificate(&self) -> Result<(), FileError> {
        match fs::remove_file(&self.next_certificate) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(FileError::Io { action: "remove", path: self.next_certificate.clone(), source })
            }
            _ => sync_dir(directory(&self.next_certificate)),
        }
    }

    /// Removes the request and the certificate that answered it.
    fn tidy(&self) -> Result<(), FileError> {
        for path in [&self.request, &self.next_certificate] {
            match fs::remove_file(path) {
                Err(source) if source.kind() != io::ErrorKind::NotFound => {
                    return Err(FileError::Io { action: "remove", path: path.clone(), source });
                }
                _ => {}
            }
        }
        sync_dir(directory(&self.request))
    }

    /// Removes what a crash, or a copy that came once more, left of a rotation
    /// that is over: there is no next key, or the next certificate is in use.
    pub(super) fn clear_leftovers(&self, in_use: &Certificate) -> Result<(), FileError> {
        let answered = matches!(self.next_certificate(), Ok(Some(next)) if next == *in_use);
        let waiting = self.next_key.symlink_metadata().is_ok();
        if answered && !waiting {
            return self.tidy();
        }
        Ok(())
    }
}

pub(super) fn directory(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The bytes of a file that is not trusted; none if there is no such file.
pub(super) fn read_limited(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(io::Error::other("it is too long"));
    }
    Ok(Some(bytes))
}

fn load_key(path: &Path) -> Result<Option<Arc<SoftwareKey>>, String> {
    match SoftwareKey::load(path, None) {
        Ok(key) => Ok(Some(Arc::new(key))),
        Err(ca_signing::SigningError::File(error)) if error.is_not_found() => Ok(None),
        Err(error) => Err(error.to_string()),
    }
}

fn check(
    key: Arc<SoftwareKey>,
    certificate: &Certificate,
    authority: &Authority,
    now: Option<Timestamp>,
) -> Result<ResponseSigner, String> {
    let signer = ResponseSigner::new(key, certificate, &authority.certificate)
        .map_err(|error| format!("{error}; issue one with `ca ocsp-signer issue`"))?;
    if signer.delegate().is_none() {
        return Err("it is the authority's own certificate, whose key must not be here; issue a delegate \
                    with `ca ocsp-signer issue`, or configure authority_key"
            .into());
    }
    if let Some(now) = now {
        signer.next_update(now, 0).map_err(|error| error.to_string())?;
    }
    Ok(signer)
}
