//! One signer: is its request answered, and may it be?

use ca_domain::csr::VerifiedRequest;
use ca_domain::template::Template;
use ca_domain::{KeyIdentifier, RevocationState, Timestamp};
use ca_files::{Mode, StagedFile};
use ca_index::{CertificateRecord, Filter, Index, SledIndex};
use ca_status::ocsp::signer_request;

use super::{Maintain, SignerOutcome, inbox};
use crate::authority::{Authority, AuthorityKey};
use crate::certify::pem_of;
use crate::config::maintain::SignerConfig;
use crate::error::{AuthorityError, Result};
use crate::home::{Home, Wait};
use crate::inventory::{Inventory, Issuance};
use crate::issue::{IssueRequest, Output, SubjectKey, commit_with, prepare};
use crate::{ocsp_signer, templates};

/// Certificates of one configured signer in a third of a lifetime. One is due;
/// a second when the responder lost its key; one was issued by hand perhaps.
/// More is somebody who asks without end.
const MOST: usize = 3;

pub(super) fn tend(
    home: &Home,
    config: &SignerConfig,
    request: &Maintain<'_>,
    now: Timestamp,
    wait: &Wait<'_>,
) -> Result<SignerOutcome> {
    let authority = Authority::load(home, &config.authority)?;
    let key_id = authority.key_id()?;
    let template = templates::load(home, &config.template)?;
    ocsp_signer::check_template(&template)?;
    let Some(bytes) = inbox::read_request(&config.request, config.owner)? else {
        let issued = signers_of(home, key_id, &template, now, wait)?;
        return check_overdue(config, &issued, now).map(|()| SignerOutcome::NoRequest);
    };
    let csr = VerifiedRequest::from_bytes(&bytes, &crate::verify_callback)?;
    signer_request::check(&csr, key_id).map_err(|error| {
        AuthorityError::Refused(format!(
            "{}: {error}; look who wrote it, or certify it by hand with `ca ocsp-signer issue --csr`",
            config.request.display()
        ))
    })?;
    if let Some(known) = find_known(home, key_id, &csr, wait)? {
        return deliver(config, &known, request.dry_run, now);
    }
    check_quota(home, config, key_id, &template, now, wait)?;
    if request.dry_run {
        return Ok(SignerOutcome::Due);
    }
    if !authority.has_key() {
        return Err(AuthorityError::AuthorityWithoutKey(config.authority.clone()));
    }
    let issuer = authority.unlock(&(request.passphrase)(config)?)?;
    certify(home, config, &issuer, &template, csr, request.actor, now, wait)
}

#[expect(clippy::too_many_arguments, reason = "one act, called in one place")]
fn certify(
    home: &Home,
    config: &SignerConfig,
    issuer: &AuthorityKey,
    template: &Template,
    csr: VerifiedRequest,
    actor: &str,
    now: Timestamp,
    wait: &Wait<'_>,
) -> Result<SignerOutcome> {
    let (hash, key_id) = (csr.key().hash, issuer.authority.key_id()?);
    let subject = ocsp_signer::subject(issuer.authority.name(), now);
    let output = Output::Certificate { path: config.certificate.clone(), replace: true };
    let issue_request = IssueRequest {
        issuer,
        template,
        subject: &subject,
        key: SubjectKey::Csr(Box::new(csr.clone())),
        days: config.days,
        outputs: std::slice::from_ref(&output),
        actor,
    };
    let prepared = prepare(home, &issue_request, now)?;
    let mut writer = home.writer(wait)?;
    // Another run may have been faster: its certificate is delivered.
    if !writer.ask(wait, |index| index.by_key(hash))?.is_empty() {
        drop((writer, prepared));
        let known = find_known(home, key_id, &csr, wait)?.ok_or_else(|| {
            AuthorityError::KeyReuse("another authority certified it at the same time".into())
        })?;
        return deliver(config, &known, false, now);
    }
    let issued = commit_with(&mut writer, Vec::new(), vec![prepared], Vec::new(), now, wait)?;
    let issued = issued.into_iter().next();
    let issued = issued.ok_or_else(|| AuthorityError::Input("nothing was issued".into()))?;
    Ok(SignerOutcome::Issued { serial: issued.serial, not_after: issued.not_after })
}

/// The newest certificate of the authority for the key of a request.
fn find_known(
    home: &Home,
    authority: KeyIdentifier,
    csr: &VerifiedRequest,
    wait: &Wait<'_>,
) -> Result<Option<Issuance>> {
    let mut inventory = Inventory::open(home, wait)?;
    let records = inventory.ask(wait, |index: &SledIndex| index.by_key(csr.key().hash))?;
    let ours = records.into_iter().filter(|record| record.authority == authority);
    ours.max_by_key(|record| record.position).map(|record| inventory.issuance(record)).transpose()
}

/// Puts the certificate that answers a request where the responder takes it.
fn deliver(config: &SignerConfig, known: &Issuance, dry_run: bool, now: Timestamp) -> Result<SignerOutcome> {
    let record = &known.record;
    let (serial, not_after) = (record.serial, record.not_after);
    let over = match record.state {
        _ if record.is_expired(now) => Some("has expired"),
        RevocationState::Good => None,
        _ => Some("was revoked"),
    };
    if let Some(over) = over {
        return Err(AuthorityError::Refused(format!(
            "{} is for the key of certificate {serial}, which {over}; remove the responder's next key and request, \
             so that it makes new ones",
            config.request.display()
        )));
    }
    let pem = pem_of(std::slice::from_ref(&known.der))?;
    if inbox::holds(&config.certificate, pem.as_bytes()) {
        return Ok(SignerOutcome::Waiting { serial });
    }
    if dry_run {
        return Ok(SignerOutcome::Due);
    }
    let mark = hex::encode(ca_signing::random::<8>()?);
    StagedFile::write_apart(&config.certificate, pem.as_bytes(), Mode::Public, &mark)?.publish()?;
    Ok(SignerOutcome::Delivered { serial, not_after })
}

/// Every signer certificate of an authority from a template, unless revoked.
fn signers_of(
    home: &Home,
    authority: KeyIdentifier,
    template: &Template,
    now: Timestamp,
    wait: &Wait<'_>,
) -> Result<Vec<CertificateRecord>> {
    let filter = Filter {
        authority: Some(authority),
        template: Some(template.name().to_owned()),
        ..Filter::default()
    };
    let mut inventory = Inventory::open(home, wait)?;
    let mut found = inventory.ask(wait, |index: &SledIndex| index.select(&filter, now, None))?;
    found.retain(|record| record.state == RevocationState::Good);
    Ok(found)
}

/// A request comes at half of the life of a signer: one that has not come when
/// five sixths are used will not come by itself.
fn check_overdue(config: &SignerConfig, issued: &[CertificateRecord], now: Timestamp) -> Result<()> {
    let Some(last) = issued.iter().max_by_key(|record| record.not_after) else { return Ok(()) };
    let life = last.not_after.seconds_since(last.not_before);
    if last.not_after.seconds_since(now) >= life / 6 {
        return Ok(());
    }
    Err(AuthorityError::NotFound(format!(
        "the last OCSP signer of {:?} ends on {}, and there is no request {}; look after the responder, or issue \
         one with `ca ocsp-signer issue`",
        config.authority,
        last.not_after,
        config.request.display()
    )))
}

/// Nobody gets certificates without end, whatever writes the requests.
fn check_quota(
    home: &Home,
    config: &SignerConfig,
    authority: KeyIdentifier,
    template: &Template,
    now: Timestamp,
    wait: &Wait<'_>,
) -> Result<()> {
    let days = config.days.unwrap_or_else(|| template.default_days());
    let since = now.saturating_sub(u64::from(days) * 86_400 / 3);
    let issued = signers_of(home, authority, template, now, wait)?;
    let lately = issued.iter().filter(|record| record.not_before >= since).count();
    let configured = &home.config().maintain.ocsp_signers;
    let signers = configured.iter().filter(|other| other.authority == config.authority).count();
    if lately < MOST * signers {
        return Ok(());
    }
    Err(AuthorityError::Refused(format!(
        "{lately} OCSP signers of {:?} were certified since {since}, which is too many for {signers} configured; \
         find out who asks, revoke what is not used, or issue one with `ca ocsp-signer issue --csr`",
        config.authority
    )))
}
