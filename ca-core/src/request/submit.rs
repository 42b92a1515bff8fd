//! Asking for a certificate that somebody else will approve.

use std::collections::BTreeMap;

use ca_domain::csr::VerifiedRequest;
use ca_domain::lint::{self, LintContext};
use ca_domain::profile::{self, SubjectInput};
use ca_domain::template::{Template, TemplateKind};
use ca_domain::{Detail, KeyAlgorithm, SerialNumber, SignatureAlgorithm, Timestamp};
use ca_files::{Mode, create_private_dir, write_atomic};
use ca_ledger::{EntryKind, NewEntry};
use ca_signing::{SigningKey, SoftwareKey};

use super::document::{Document, directory, path, sha256};
use super::{Operator, Request, RequestState};
use crate::authority::Authority;
use crate::certify::detail_bytes;
use crate::error::{AuthorityError, Result};
use crate::escrow;
use crate::home::{Home, Wait};
use crate::issue;

/// What `ca request submit` is told.
pub struct Submit<'a> {
    /// Who is to issue.
    pub authority: &'a Authority,
    /// What is to be issued.
    pub template: &'a Template,
    /// Names and addresses.
    pub subject: &'a SubjectInput,
    /// The requester's key; none to make one at the approval.
    pub csr: Option<&'a VerifiedRequest>,
    /// The key to make; none for the template's default.
    pub key: Option<KeyAlgorithm>,
    /// Whether the key that is made at the approval is to be archived.
    pub escrow: bool,
    /// Validity; none for the template's default.
    pub days: Option<u32>,
    /// Who asks.
    pub operator: Operator<'a>,
}

/// Submits a request, after the checks that an issuance would make.
///
/// # Errors
/// What would be refused at the approval is refused here, as far as it can be
/// known; else busy, a damaged ledger, or a failing disk.
pub fn submit(home: &Home, request: &Submit<'_>, now: Timestamp, wait: &Wait<'_>) -> Result<Request> {
    check(home, request, now)?;
    let authority_key = request.authority.key_id()?;
    let mut document = Document {
        version: 1,
        id: hex::encode(ca_signing::random::<8>()?),
        position: 0,
        authority: request.authority.name().to_owned(),
        authority_key: hex::encode(authority_key.0),
        template: request.template.name().to_owned(),
        template_hash: request.template.hash_hex(),
        person: issue::person(request.subject)?,
        mailboxes: Vec::new(),
        dns_names: Vec::new(),
        upn: None,
        sid: None,
        attributes: BTreeMap::new(),
        csr: request.csr.map(Document::encode_csr),
        key: request.key,
        escrow: request.escrow,
        days: request.days,
        requester: request.operator.uid,
        actor: request.operator.actor.to_owned(),
        submitted: now,
    };
    document.set_subject(request.subject);
    create_private_dir(&directory(home))?;
    let mut writer = home.writer(wait)?;
    document.position = writer.ledger.reader().checkpoint().size;
    let bytes = document.to_bytes()?;
    let hash = sha256(&bytes);
    // The file first: without the entry it counts for nothing.
    write_atomic(&path(home, &document.id), &bytes, Mode::Private)?;
    let detail = Detail::RequestSubmitted {
        request: document.id.clone(),
        sha256: hash.clone(),
        template: document.template.clone(),
        template_hash: document.template_hash.clone(),
        person: document.person.clone(),
        requester: document.requester,
        actor: document.actor.clone(),
    };
    let entry = NewEntry {
        kind: EntryKind::RequestSubmitted,
        time: now,
        authority: authority_key,
        serial: None,
        not_after: None,
        reason: None,
        invalidity_date: None,
        detail: detail_bytes(&detail)?,
    };
    writer.commit(vec![(entry, detail)], now, wait.warn)?;
    Ok(Request { document, sha256: hash, state: RequestState::Open })
}

/// Builds and lints what would be signed, and forgets it.
fn check(home: &Home, request: &Submit<'_>, now: Timestamp) -> Result<()> {
    let template = request.template;
    if template.kind().is_authority() || template.kind() == TemplateKind::OcspSigner {
        return Err(AuthorityError::Refused(format!(
            "template {:?} is for the authority itself; use `ca authority create` or `ca ocsp-signer issue`",
            template.name()
        )));
    }
    if request.escrow {
        escrow::policy_for_sealing(home, now)?;
    }
    let spki = match request.csr {
        Some(_) if request.escrow => {
            return Err(AuthorityError::Refused(
                "only a key made here can be archived; leave --csr or --escrow out".into(),
            ));
        }
        Some(csr) => {
            template.accept_csr()?;
            issue::refuse_authority_key(home, csr.key())?;
            csr.public_key_der().to_vec()
        }
        // The lint looks at a key of the right kind; the real one is made at the approval.
        None => SoftwareKey::generate(template.choose_key(request.key)?)?.public_key_der().to_vec(),
    };
    let authority = request.authority;
    let signs = authority.key_algorithm().map(SignatureAlgorithm::of_key).ok_or_else(|| {
        AuthorityError::Refused(format!(
            "the key of authority {:?} is of an unknown kind; use another authority",
            authority.name()
        ))
    })?;
    let tbs = profile::build(
        template,
        Some(&authority.issuer_context(home)?),
        request.subject,
        &spki,
        SerialNumber::from_random(ca_signing::random()?),
        now,
        request.days,
        signs,
    )?;
    let context = LintContext {
        issuer: Some(authority.certificate()),
        conformance: template.conformance(),
        kind: template.kind(),
        now,
    };
    lint::lint(tbs, context)?;
    Ok(())
}
