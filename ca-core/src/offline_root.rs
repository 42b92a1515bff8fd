//! An authority whose issuer is elsewhere: request, signature, import.

use std::path::Path;

use ca_domain::csr::VerifiedRequest;
use ca_domain::key_check::check_public_key;
use ca_domain::profile::{self, AuthorityUrls, IssuerContext, SubjectInput};
use ca_domain::template::{SubjectAttribute, Template, TemplateKind};
use ca_domain::{KeyAlgorithm, KeyOrigin, SerialNumber, Timestamp};
use ca_files::{FileError, Mode, create_private_dir, read_private, write_atomic};
use ca_index::Index;
use ca_signing::{KdfCost, Passphrase, SoftwareKey};
use der::{Decode, Encode};
use x509_cert::Certificate;

use crate::authority::{self, Authority, AuthorityKey};
use crate::certify::{Issuer, Record, Subject, certify, detail_bytes};
use crate::create_authority::{Created, publish, refuse_taken, stage};
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
    writer.commit(vec![(entry, detail)], now, wait.warn)?;
    output::publish(serial, vec![staged])?;
    Ok((serial, not_after))
}

/// Imports an authority's certificate: the answer to a request made here, or the
/// certificate of an authority whose key is elsewhere, an offline root for example.
///
/// # Errors
/// The certificate is not a CA's, does not fit the waiting key, or its chain does
/// not verify; nothing was changed then.
pub fn import_authority(
    home: &Home,
    name: &str,
    certificates: &[Vec<u8>],
    actor: &str,
    now: Timestamp,
    wait: &Wait<'_>,
) -> Result<Authority> {
    authority::check_name(name)?;
    let mismatch =
        |why: &str| AuthorityError::CertificateMismatch { name: name.to_owned(), why: why.to_owned() };
    let Some((leaf, chain)) = certificates.split_first() else {
        return Err(AuthorityError::Input(
            "the file holds no certificate; give the signed certificate, PEM or DER".into(),
        ));
    };
    let certificate = Certificate::from_der(leaf).map_err(AuthorityError::der("the certificate"))?;
    verify_chain(name, leaf, chain)?;
    let tbs = &certificate.tbs_certificate;
    if Timestamp::from(tbs.validity.not_after) < now {
        return Err(mismatch("it has expired"));
    }
    let spki_der = tbs.subject_public_key_info.to_der().map_err(AuthorityError::der("a public key"))?;
    let checked = check_public_key(&spki_der)?;

    let mut writer = home.writer(wait)?;
    let dir = home.authorities_dir().join(name);
    if dir.join(authority::CERTIFICATE).exists() {
        return Err(AuthorityError::AuthorityExists(name.to_owned()));
    }
    let key_pem = dir.join(authority::KEY);
    let key = if key_pem.exists() {
        let request =
            std::fs::read(dir.join(authority::REQUEST)).map_err(io("read", &dir.join(authority::REQUEST)))?;
        let request = VerifiedRequest::from_pem(&request, &crate::verify_callback)?;
        if request.public_key_der() != spki_der {
            return Err(mismatch("it certifies another key than the one that waits here"));
        }
        Some(read_private(&key_pem)?)
    } else {
        None
    };
    let staging = stage(home, name, leaf, chain, key.as_deref())?;
    let serial = SerialNumber::try_from(&tbs.serial_number)?;
    let created = Created { name, template: None, actor };
    let act = created.act_of(leaf, serial, tbs.validity.not_after.into(), checked.key_id, now)?;
    writer.commit(vec![act], now, wait.warn)?;
    replace_waiting(home, &staging, name)
        .map_err(|source| AuthorityError::Unnamed { name: name.to_owned(), source })?;
    Authority::load(home, name)
}

/// Puts the staged directory, which has the key, in the place of the one that waited.
pub(crate) fn replace_waiting(home: &Home, staging: &Path, name: &str) -> std::result::Result<(), FileError> {
    let waiting = home.authorities_dir().join(name);
    match std::fs::remove_dir_all(&waiting) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(FileError::Io { action: "remove", path: waiting, source })
        }
        _ => publish(home, staging, name),
    }
}

/// Every certificate is a CA's and signed by the next; the last signed itself.
fn verify_chain(name: &str, leaf: &[u8], chain: &[Vec<u8>]) -> Result<()> {
    let mismatch = |why: String| AuthorityError::CertificateMismatch { name: name.to_owned(), why };
    let decode = |der: &[u8]| Certificate::from_der(der).map_err(AuthorityError::der("a certificate"));
    let mut subject = decode(leaf)?;
    for (depth, issuer_der) in chain.iter().map(Vec::as_slice).chain([&[][..]]).enumerate() {
        if IssuerContext::of_certificate(&subject, AuthorityUrls::default()).is_err() {
            return Err(mismatch(format!("certificate {depth} is not a CA certificate")));
        }
        let issuer = if issuer_der.is_empty() { subject.clone() } else { decode(issuer_der)? };
        if subject.tbs_certificate.issuer != issuer.tbs_certificate.subject {
            return Err(mismatch(format!(
                "certificate {depth} was issued by {}, which is missing; give the issuers up to the root with --chain",
                subject.tbs_certificate.issuer
            )));
        }
        let spki = issuer
            .tbs_certificate
            .subject_public_key_info
            .to_der()
            .map_err(AuthorityError::der("a public key"))?;
        ca_signing::verify_certificate(&subject, &spki)
            .map_err(|_| mismatch(format!("the signature of certificate {depth} is wrong")))?;
        subject = issuer;
    }
    Ok(())
}

/// Reads the certificates of files, PEM or DER, in order.
///
/// # Errors
/// A file cannot be read or holds no certificate.
pub fn read_certificates(paths: &[&Path]) -> Result<Vec<Vec<u8>>> {
    let mut all: Vec<Vec<u8>> = Vec::new();
    for path in paths {
        let bytes = std::fs::read(path).map_err(io("read", path))?;
        let found = match std::str::from_utf8(&bytes) {
            Ok(text) if text.contains("-----BEGIN") => authority::pem_certificates(text, path)?,
            _ => vec![bytes],
        };
        for der in found {
            if !all.contains(&der) {
                all.push(der);
            }
        }
    }
    Ok(all)
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
