//! Delegated OCSP signers (RFC 6960, section 4.2.2.2).

use std::path::{Path, PathBuf};

use ca_domain::KeyAlgorithm;
use ca_domain::Timestamp;
use ca_domain::csr::VerifiedRequest;
use ca_domain::profile::SubjectInput;
use ca_domain::template::{SubjectAttribute, Template, TemplateKind};
use ca_files::{Mode, create_dir_all};

use crate::authority::AuthorityKey;
use crate::error::{AuthorityError, Result};
use crate::home::{Home, Wait};
use crate::issue::{IssueRequest, Issued, Output, SubjectKey, issue};

/// What `ca ocsp-signer issue` is told.
pub struct IssueOcspSigner<'a> {
    /// Whose certificates the signer answers for.
    pub issuer: &'a AuthorityKey,
    /// A template of kind ocsp-signer.
    pub template: &'a Template,
    /// A request made by the responder; none to make the key here.
    pub csr: Option<VerifiedRequest>,
    /// The key to make; none for one like the issuer's, so that a client that
    /// reads the issuer's certificates can read the answers.
    pub key: Option<KeyAlgorithm>,
    /// The directory for `NAME.key` and `NAME.crt`.
    pub out: &'a Path,
    /// Validity; none for the template's default.
    pub days: Option<u32>,
    /// Who does it.
    pub actor: &'a str,
}

/// Issues a signer certificate; the responder takes it over by itself.
///
/// # Errors
/// As [`issue`].
pub fn issue_ocsp_signer(
    home: &Home,
    request: IssueOcspSigner<'_>,
    now: Timestamp,
    wait: &Wait<'_>,
) -> Result<Issued> {
    check_template(request.template)?;
    let authority = &request.issuer.authority;
    let name = authority.name();
    create_dir_all(request.out, Mode::Private)?;
    let file = |suffix: &str| -> PathBuf { request.out.join(format!("{name}.{suffix}")) };
    let certificate = Output::Certificate { path: file("crt"), replace: true };
    let (key, outputs) = match request.csr {
        Some(csr) => (SubjectKey::Csr(Box::new(csr)), vec![certificate]),
        None => {
            let like = request.key.or_else(|| like_issuer(request.template, authority.key_algorithm()));
            // The key first: a responder that sees the new certificate finds its key.
            let key = Output::PrivateKey { path: file("key"), replace: true };
            (SubjectKey::Generate(like), vec![key, certificate])
        }
    };
    let subject = subject(name, now);
    let issue_request = IssueRequest {
        issuer: request.issuer,
        template: request.template,
        subject: &subject,
        key,
        days: request.days,
        outputs: &outputs,
        actor: request.actor,
    };
    issue(home, &issue_request, now, wait)
}

/// Refuses templates of another kind.
pub(crate) fn check_template(template: &Template) -> Result<()> {
    if template.kind() == TemplateKind::OcspSigner {
        return Ok(());
    }
    Err(AuthorityError::Refused(format!(
        "template {:?} does not make OCSP signers; use ocsp-signer",
        template.name()
    )))
}

/// What a signer of the authority `name` is called.
pub(crate) fn subject(name: &str, now: Timestamp) -> SubjectInput {
    // A common name has at most 64 characters (RFC 5280, appendix A.1).
    let short: String = name.chars().take(31).collect();
    let common_name = format!("{short} OCSP signer {now}");
    SubjectInput {
        attributes: std::iter::once((SubjectAttribute::CommonName, common_name)).collect(),
        ..SubjectInput::default()
    }
}

/// An algorithm of the issuer's family that the template allows.
pub(crate) fn like_issuer(template: &Template, issuer: Option<KeyAlgorithm>) -> Option<KeyAlgorithm> {
    let issuer = issuer?;
    if issuer.is_rsa() {
        return template.key_algorithms().iter().copied().find(|algorithm| algorithm.is_rsa());
    }
    template.key_algorithms().iter().copied().find(|algorithm| *algorithm == issuer)
}
