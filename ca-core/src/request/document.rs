//! The request file: all that is to be issued.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ca_domain::csr::VerifiedRequest;
use ca_domain::mailbox::{DnsName, Mailbox};
use ca_domain::microsoft::{SecurityIdentifier, Upn};
use ca_domain::profile::SubjectInput;
use ca_domain::template::SubjectAttribute;
use ca_domain::{KeyAlgorithm, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::certify::{base64, from_base64};
use crate::error::{AuthorityError, Result};
use crate::home::Home;

/// What was asked for: the content of `requests/ID.json`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Document {
    /// The format of the file; 1.
    pub version: u32,
    /// The identifier: sixteen hexadecimal digits.
    pub id: String,
    /// The position of the ledger's entry about its submission.
    pub position: u64,
    /// Who is to issue.
    pub authority: String,
    /// The identifier of that authority's key, hexadecimal.
    pub authority_key: String,
    /// What is to be issued.
    pub template: String,
    /// SHA-256 of the template file, hexadecimal.
    pub template_hash: String,
    /// Whose certificate it will be.
    pub person: String,
    /// Mailboxes, the primary one first.
    pub mailboxes: Vec<String>,
    /// Host names, the primary one first.
    pub dns_names: Vec<String>,
    /// The user principal name of a Windows domain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upn: Option<Upn>,
    /// The security identifier of the account in a Windows domain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sid: Option<SecurityIdentifier>,
    /// Values for the subject.
    pub attributes: BTreeMap<SubjectAttribute, String>,
    /// The PKCS#10 request, base64 of DER; none: the key is made at the approval.
    pub csr: Option<String>,
    /// The key to make; none for the template's default.
    pub key: Option<KeyAlgorithm>,
    /// Whether the key that is made at the approval is archived.
    #[serde(default)]
    pub escrow: bool,
    /// Days of validity; none for the template's default.
    pub days: Option<u32>,
    /// The user number of who asks.
    pub requester: u32,
    /// Who asks, in words.
    pub actor: String,
    /// When.
    pub submitted: Timestamp,
}

impl Document {
    /// Puts the names of the input in. A field that is added there must find its
    /// place here.
    pub(super) fn set_subject(&mut self, subject: &SubjectInput) {
        let SubjectInput { mailboxes, dns_names, upn, sid, attributes } = subject;
        self.mailboxes = mailboxes.iter().map(|mailbox| mailbox.as_str().to_owned()).collect();
        self.dns_names = dns_names.iter().map(|name| name.as_str().to_owned()).collect();
        self.upn.clone_from(upn);
        self.sid.clone_from(sid);
        self.attributes.clone_from(attributes);
    }

    /// The names to certify, checked once more.
    pub(super) fn subject(&self) -> Result<SubjectInput> {
        let mailboxes =
            self.mailboxes.iter().map(|text| Mailbox::parse(text)).collect::<std::result::Result<_, _>>()?;
        let dns_names =
            self.dns_names.iter().map(|text| DnsName::parse(text)).collect::<std::result::Result<_, _>>()?;
        Ok(SubjectInput {
            mailboxes,
            dns_names,
            upn: self.upn.clone(),
            sid: self.sid.clone(),
            attributes: self.attributes.clone(),
        })
    }

    /// The certification request, its proof of possession checked once more.
    pub(super) fn csr(&self) -> Result<Option<VerifiedRequest>> {
        let Some(text) = &self.csr else { return Ok(None) };
        Ok(Some(VerifiedRequest::from_der(&from_base64(text)?, &crate::verify_callback)?))
    }

    pub(super) fn encode_csr(csr: &VerifiedRequest) -> String {
        base64(csr.der())
    }

    pub(super) fn to_bytes(&self) -> Result<Vec<u8>> {
        serde_json::to_vec_pretty(self)
            .map_err(|error| AuthorityError::Input(format!("cannot encode a request: {error}")))
    }

    pub(super) fn from_bytes(bytes: &[u8], path: &Path) -> Result<Self> {
        let bad = |what: String| AuthorityError::Config { path: path.display().to_string(), what };
        let document: Self = serde_json::from_slice(bytes).map_err(|error| bad(error.to_string()))?;
        if document.version != 1 {
            return Err(bad(format!(
                "version {} is not known; this program reads version 1",
                document.version
            )));
        }
        Ok(document)
    }
}

pub(super) fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

pub(super) fn directory(home: &Home) -> PathBuf {
    home.root().join("requests")
}

pub(super) fn path(home: &Home, id: &str) -> PathBuf {
    directory(home).join(format!("{id}.json"))
}

/// Whether the text can be an identifier: it goes into a path.
pub(super) fn is_id(text: &str) -> bool {
    text.len() == 16 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}
