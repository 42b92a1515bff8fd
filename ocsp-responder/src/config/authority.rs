//! The `authorities:` part of the configuration: who signs for whom.

use std::fmt;
use std::path::{Path, PathBuf};

use ca_service::config;
use ca_signing::PassphraseSource;
use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, Visitor};

/// One entry as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AuthorityFile {
    certificate: PathBuf,
    signer: Option<SignerFile>,
    #[serde(default = "yes")]
    request_next: bool,
    presigned: Option<PathBuf>,
}

const fn yes() -> bool {
    true
}

/// `signer: PREFIX`, or `signer: {authority_key: FILE, ...}`.
#[derive(Debug)]
enum SignerFile {
    Prefix(PathBuf),
    Own(OwnFile),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct OwnFile {
    authority_key: PathBuf,
    passphrase_file: Option<PathBuf>,
    passphrase_credential: Option<String>,
    passphrase_fd: Option<u32>,
}

/// By hand, since an untagged enum cannot say which field is wrong.
impl<'de> Deserialize<'de> for SignerFile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = SignerFile;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the prefix of the signer's files, or authority_key with its passphrase")
            }

            fn visit_str<E: de::Error>(self, prefix: &str) -> Result<SignerFile, E> {
                Ok(SignerFile::Prefix(prefix.into()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<SignerFile, A::Error> {
                OwnFile::deserialize(de::value::MapAccessDeserializer::new(map)).map(SignerFile::Own)
            }
        }
        deserializer.deserialize_any(Either)
    }
}

/// One authority that the responder answers for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AuthorityConfig {
    /// The authority's certificate, PEM or DER.
    pub certificate: PathBuf,
    /// Who signs its answers.
    pub source: Source,
}

/// Who signs the answers of an authority.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Source {
    /// A delegate whose key is here.
    Delegate {
        /// The signer's files without `.key` and `.crt`.
        prefix: PathBuf,
        /// Whether the next key and the request for its certificate are made here.
        request_next: bool,
    },
    /// The authority itself; its key is here.
    Authority {
        /// The authority's key, PKCS#8 PEM.
        key: PathBuf,
        /// What opens it.
        passphrase: PassphraseSource,
    },
    /// Whoever signed the answers in a directory, elsewhere and before.
    Presigned {
        /// The directory.
        directory: PathBuf,
    },
}

impl AuthorityFile {
    /// The entry with its paths made absolute.
    pub(super) fn check(self, config: &Path) -> Result<AuthorityConfig, String> {
        let beside = |name: &Path| config::beside(config, name);
        let source = match (self.signer, self.presigned) {
            (Some(SignerFile::Prefix(prefix)), None) => {
                Source::Delegate { prefix: beside(&prefix), request_next: self.request_next }
            }
            (Some(SignerFile::Own(own)), None) => Source::Authority {
                key: beside(&own.authority_key),
                passphrase: PassphraseSource::of(
                    own.passphrase_file.as_deref().map(beside),
                    own.passphrase_credential,
                    own.passphrase_fd,
                )?,
            },
            (None, Some(directory)) => Source::Presigned { directory: beside(&directory) },
            _ => return Err("give either signer or presigned".into()),
        };
        Ok(AuthorityConfig { certificate: beside(&self.certificate), source })
    }
}
