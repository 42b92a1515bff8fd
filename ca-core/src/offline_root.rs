//! An authority whose issuer is elsewhere: request, signature, import.

use ca_domain::csr::VerifiedRequest;
use ca_domain::key_check::check_public_key;
use ca_domain::profile::{self, SubjectInput};
use ca_domain::template::{SubjectAttribute, Template, TemplateKind};
use ca_domain::{KeyAlgorithm, KeyOrigin, SerialNumber, Timestamp};
use ca_files::{Mode, StagedFile, create_private_dir, write_atomic};
use ca_index::Index;
use ca_signing::{KdfCost, Passphrase, SoftwareKey};

use crate::authority::{self, Authority, AuthorityKey};
use crate::certify::{Issuer, Record, Subject, certify, detail_bytes};
use crate::create_authority::{publish, refuse_taken};
use crate::error::{AuthorityError, Result};
use crate::home::{Home, Wait};
use crate::init::io;
use crate::issue::{Output, output, refuse_reused_key};

/// What `ca authority csr` is told.
pub struct RequestAuthority<'a> {
    /// Its name in the home.
    pub name: &'a str,
    /// A template of kind subordinate-ca.
    pub template: &'a Template,
    /// The key to make; none for the template's default.
    pub key: Option<KeyAlgorithm>,
    /// Its distinguished name.
    pub subject: &'a SubjectInput,
    /// Encrypts its private key.
    pub passphrase: &'a Passphrase,
    /// What a guess at the passphrase costs.
    pub cost: KdfCost,
}

/// Makes a key that stays here and a certification request that goes to the
/// offline root. Returns the request, PEM.
///
/// # Errors
/// The name is taken or the template does not fit; nothing was made then.
pub fn request_authority(home: &Home, request: &RequestAuthority<'_>, wait: &Wait<'_>) -> Result<String> {
    authority::check_name(request.name)?;
    if request.template.kind() != TemplateKind::SubordinateCa {
        return Err(AuthorityError::Refused(format!(
            "template {:?} does not make issuing authorities; use issuing-ca",
            request.template.name()
        )));
    }
    let subject = profile::subject_name(request.template, request.subject)?;
    let key = SoftwareKey::generate(request.template.choose_key(request.key)?)?;
    let csr = ca_signing::csr::create(&key, &subject)?;
    let pem = der::pem::encode_string("CERTIFICATE REQUEST", der::pem::LineEnding::LF, &csr)
        .map_err(|error| AuthorityError::Input(format!("cannot encode the request: {error}")))?;
    let key_pem = key.to_encrypted_pem(request.passphrase, request.cost)?;

    // A writer, not the lock alone: an authority of this name whose creation was
    // interrupted is completed first, and would take the place of this one's key.
    let _writer = home.writer(wait)?;
    refuse_taken(home, request.name)?;
    let waiting = home.authorities_dir().join(format!(".new-{}", request.name));
    if waiting.exists() {
        std::fs::remove_dir_all(&waiting).map_err(io("remove", &waiting))?;
    }
    create_private_dir(&waiting)?;
    write_atomic(&waiting.join(authority::KEY), key_pem.as_bytes(), Mode::Private)?;
    write_atomic(&waiting.join(authority::REQUEST), pem.as_bytes(), Mode::Private)?;
    publish(home, &waiting, request.name)?;
    Ok(pem)
}

/// What `ca authority sign` is told.
pub struct SignAuthority<'a> {
    /// Who signs.
    pub parent: &'a AuthorityKey,
    /// A template of kind subordinate-ca.
    pub template: &'a Template,
    /// The request; only its key is used.
    pub csr: &'a VerifiedRequest,
    /// The distinguished name that the operator authorised.
    pub subject: &'a SubjectInput,
    /// Validity; none for the template's default.
    pub days: Option<u32>,
    /// Where the certificate and its issuers go, PEM.
    pub output: &'a Output,
    /// Who does it.
    pub actor: &'a str,
}

/// Signs the certificate of an authority that lives elsewhere.
///
/// # Errors
/// The template does not fit, the parent forbids it, the key is weak, somebody
/// else's or compromised, or the disk fails. Nothing was issued then, unless the
/// error is [`AuthorityError::Published`], or the ledger's `OutcomeUnknown`.
pub fn sign_authority(
    home: &Home,
    request: &SignAuthority<'_>,
    now: Timestamp,
    wait: &Wait<'_>,
) -> Result<(SerialNumber, Timestamp)> {
    if request.template.kind() != TemplateKind::SubordinateCa {
        return Err(AuthorityError::Refused(format!(
            "template {:?} does not make issuing authorities; use issuing-ca",
            request.template.name()
        )));
    }
    Output::check(std::slice::from_ref(request.output))?;
    let parent = &request.parent.authority;
    let spki_der = request.csr.public_key_der();
    let checked = check_public_key(spki_der)?;
    for known in Authority::all(home)? {
        if known.spki_hash()? == checked.hash {
            return Err(AuthorityError::KeyReuse(format!("it is the key of authority {:?}", known.name())));
        }
    }
    let context = parent.issuer_context(home)?;
    let issuer = Issuer { certificate: Some((parent.certificate(), &context)), key: &request.parent.key };
    let subject = Subject { input: request.subject, spki_der, days: request.days };
    let certified = certify(request.template, &issuer, &subject, now)?;
    let person = request
        .subject
        .attributes
        .get(&SubjectAttribute::CommonName)
        .map_or("authority", String::as_str)
        .to_owned();
    let record = Record {
        authority: parent.name(),
        template: request.template,
        person: &person,
        key_origin: KeyOrigin::Csr,
        request: Some(request.csr.der()),
        escrow: None,
        batch: None,
        actor: request.actor,
    };
    let detail = record.detail(&certified.der);
    let entry = certified.entry(parent.key_id()?, now, detail_bytes(&detail)?);
    let staged = request.output.stage(&certified, None, &parent.full_chain())?;
    let (serial, not_after) = (certified.serial, certified.not_after());
    let mut writer = home.writer(wait)?;
    output::check_new(&Output::new_files(std::slice::from_ref(request.output)))?;
    let same_key = writer.ask(wait, |index| index.by_key(checked.hash))?;
    refuse_reused_key(&same_key, &person)?;
    StagedFile::sync_names([&staged])?;
    writer.commit(vec![(entry, detail)], now, wait.warn)?;
    output::publish(serial, vec![staged])?;
    Ok((serial, not_after))
}

/// The names that a request asks for, for an operator who authorises them.
///
/// # Errors
/// An attribute that templates do not know; the operator then gives the names.
pub fn requested_names(csr: &VerifiedRequest) -> Result<SubjectInput> {
    let unreadable = || {
        AuthorityError::Refused(
            "the request's subject cannot be taken over; give the names with --common-name, --organization and --country"
                .into(),
        )
    };
    let mut input = SubjectInput::default();
    let rdns = csr.requested_subject().map(|name| name.0.as_slice()).unwrap_or_default();
    for attribute in rdns.iter().flat_map(|rdn| rdn.0.iter()) {
        let known = SubjectAttribute::ALL.into_iter().find(|known| known.oid() == attribute.oid);
        let text = std::str::from_utf8(attribute.value.value()).map_err(|_| unreadable())?;
        let known = known.ok_or_else(unreadable)?;
        if input.attributes.insert(known, text.to_owned()).is_some() {
            return Err(unreadable());
        }
    }
    Ok(input)
}
