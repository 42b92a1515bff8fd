//! From template and key to a signed certificate: build, lint, sign, verify.

use ca_domain::lint::{self, LintContext};
use ca_domain::profile::{self, IssuerContext, SubjectInput};
use ca_domain::template::Template;
use ca_domain::{KeyIdentifier, KeyOrigin, SerialNumber, Timestamp};
use ca_ledger::{EntryKind, NewEntry};
use ca_signing::SigningKey;
use const_oid::db::rfc4519::CN;
use der::asn1::{PrintableStringRef, Utf8StringRef};
use x509_cert::Certificate;
use x509_cert::ext::pkix::BasicConstraints;

use crate::error::{AuthorityError, Result};

/// A certificate that was signed, but is not in the ledger yet: it must not
/// leave the process.
pub(crate) struct Certified {
    pub(crate) certificate: Certificate,
    pub(crate) der: Vec<u8>,
    pub(crate) serial: SerialNumber,
}

/// Who signs: an authority's certificate and key, or the key alone for a root.
pub(crate) struct Issuer<'a> {
    pub(crate) certificate: Option<(&'a Certificate, &'a IssuerContext)>,
    pub(crate) key: &'a dyn SigningKey,
}

/// What is certified.
pub(crate) struct Subject<'a> {
    pub(crate) input: &'a SubjectInput,
    pub(crate) spki_der: &'a [u8],
    pub(crate) days: Option<u32>,
}

/// Builds, lints and signs one certificate, and verifies the signature made.
pub(crate) fn certify(
    template: &Template,
    issuer: &Issuer<'_>,
    subject: &Subject<'_>,
    now: Timestamp,
) -> Result<Certified> {
    let serial = SerialNumber::from_random(ca_signing::random()?);
    let tbs = profile::build(
        template,
        issuer.certificate.map(|(_, context)| context),
        subject.input,
        subject.spki_der,
        serial,
        now,
        subject.days,
        issuer.key.signature_algorithm(),
    )?;
    let context = LintContext {
        issuer: issuer.certificate.map(|(certificate, _)| certificate),
        conformance: template.conformance(),
        kind: template.kind(),
        now,
    };
    let linted = lint::lint(tbs, context)?;
    let signed = linted.sign(|bytes| issuer.key.sign(bytes)).map_err(sign_error)?;
    // A fault in the signing hardware or memory must not leave the process (RFC 8017, section 8.2).
    ca_signing::verify_certificate(&signed.certificate, issuer.key.public_key_der())?;
    Ok(Certified { certificate: signed.certificate, der: signed.der, serial })
}

fn sign_error(error: lint::SignError<ca_signing::SigningError>) -> AuthorityError {
    match error {
        lint::SignError::Signer(error) => error.into(),
        error @ lint::SignError::Differs => AuthorityError::Refused(error.to_string()),
        lint::SignError::Encoding(source) => AuthorityError::Der { what: "the certificate", source },
    }
}

impl Certified {
    /// The ledger entry that records it.
    pub(crate) fn entry(&self, issuer: KeyIdentifier, now: Timestamp, detail: Vec<u8>) -> NewEntry {
        NewEntry {
            kind: if self.is_authority() {
                EntryKind::CaCertificateIssued
            } else {
                EntryKind::CertificateIssued
            },
            time: now,
            authority: issuer,
            serial: Some(self.serial),
            not_after: Some(self.not_after()),
            reason: None,
            invalidity_date: None,
            detail,
        }
    }

    fn is_authority(&self) -> bool {
        let constraints = self.certificate.tbs_certificate.get::<BasicConstraints>();
        matches!(constraints, Ok(Some((_, constraints))) if constraints.ca)
    }

    pub(crate) fn not_after(&self) -> Timestamp {
        self.certificate.tbs_certificate.validity.not_after.into()
    }

    pub(crate) fn pem(&self) -> Result<String> {
        pem(&self.certificate)
    }
}

/// The common name of a certificate's subject.
pub(crate) fn common_name(certificate: &Certificate) -> Option<String> {
    let mut attributes = certificate.tbs_certificate.subject.0.iter().flat_map(|rdn| rdn.0.iter());
    let value = &attributes.find(|attribute| attribute.oid == CN)?.value;
    let utf8 = value.decode_as::<Utf8StringRef<'_>>().map(|text| text.as_str().to_owned());
    utf8.or_else(|_| value.decode_as::<PrintableStringRef<'_>>().map(|text| text.as_str().to_owned())).ok()
}

/// PEM with LF line ends.
pub(crate) fn pem(certificate: &Certificate) -> Result<String> {
    use der::EncodePem;
    certificate.to_pem(der::pem::LineEnding::LF).map_err(AuthorityError::der("a certificate"))
}

/// PEM of DER certificates, one after the other.
pub(crate) fn pem_of(chain: &[Vec<u8>]) -> Result<String> {
    use der::Decode;
    let mut text = String::new();
    for der in chain {
        let certificate = Certificate::from_der(der).map_err(AuthorityError::der("a certificate"))?;
        text.push_str(&pem(&certificate)?);
    }
    Ok(text)
}

/// The detail of an issued certificate.
pub(crate) struct Record<'a> {
    pub(crate) authority: &'a str,
    pub(crate) template: &'a Template,
    pub(crate) person: &'a str,
    pub(crate) key_origin: KeyOrigin,
    pub(crate) request: Option<&'a [u8]>,
    pub(crate) escrow: Option<[u8; 32]>,
    pub(crate) batch: Option<&'a str>,
    pub(crate) actor: &'a str,
}

impl Record<'_> {
    pub(crate) fn detail(&self, der: &[u8]) -> ca_domain::Detail {
        ca_domain::Detail::CertificateIssued {
            authority: self.authority.to_owned(),
            certificate: base64(der),
            template: self.template.name().to_owned(),
            template_hash: self.template.hash_hex(),
            person: self.person.to_owned(),
            key_origin: self.key_origin,
            request: self.request.map(base64),
            escrow: self.escrow.map(hex::encode),
            batch: self.batch.map(str::to_owned),
            actor: self.actor.to_owned(),
        }
    }
}

pub(crate) fn base64(bytes: &[u8]) -> String {
    use ::base64::Engine;
    ::base64::engine::general_purpose::STANDARD.encode(bytes)
}

pub(crate) fn from_base64(text: &str) -> Result<Vec<u8>> {
    use ::base64::Engine;
    ::base64::engine::general_purpose::STANDARD.decode(text).map_err(|error| {
        AuthorityError::Damaged(format!("a detail record is damaged: {error}; run `ca ledger verify`"))
    })
}

/// The bytes of a detail record.
pub(crate) fn detail_bytes(detail: &ca_domain::Detail) -> Result<Vec<u8>> {
    detail
        .to_bytes()
        .map_err(|error| AuthorityError::Input(format!("cannot encode a detail record: {error}")))
}
