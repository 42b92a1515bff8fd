//! What the index needs of a certificate.

use ca_domain::{KeyIdentifier, SerialNumber, SpkiHash, Timestamp};
use der::asn1::{ObjectIdentifier, Utf8StringRef};
use der::{Decode, Encode};
use spki::SubjectPublicKeyInfoRef;
use x509_cert::Certificate;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

/// id-on-SmtpUTF8Mailbox (RFC 9598, section 3).
const SMTP_UTF8_MAILBOX: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.8.9");

/// What was read.
pub(super) struct Read {
    pub(super) serial: SerialNumber,
    pub(super) not_before: Timestamp,
    pub(super) not_after: Timestamp,
    pub(super) key: SpkiHash,
    /// Of the certificate's own key.
    pub(super) key_id: KeyIdentifier,
    pub(super) mailboxes: Vec<String>,
    pub(super) dns_names: Vec<String>,
}

pub(super) fn read(der: &[u8]) -> Result<Read, String> {
    let unreadable = |error: der::Error| format!("its certificate cannot be read: {error}");
    let certificate = Certificate::from_der(der).map_err(unreadable)?;
    let tbs = &certificate.tbs_certificate;
    let spki = tbs.subject_public_key_info.to_der().map_err(unreadable)?;
    let key_id = KeyIdentifier::of_spki(&SubjectPublicKeyInfoRef::from_der(&spki).map_err(unreadable)?);
    let serial = SerialNumber::try_from(&tbs.serial_number).map_err(|error| error.to_string())?;
    let mut mailboxes = Vec::new();
    let mut dns_names = Vec::new();
    if let Some((_, SubjectAltName(names))) = tbs.get::<SubjectAltName>().map_err(unreadable)? {
        for name in names {
            match name {
                GeneralName::Rfc822Name(mailbox) => mailboxes.push(mailbox.as_str().to_owned()),
                GeneralName::DnsName(host) => dns_names.push(host.as_str().to_owned()),
                GeneralName::OtherName(other) if other.type_id == SMTP_UTF8_MAILBOX => {
                    let mailbox = other.value.decode_as::<Utf8StringRef<'_>>().map_err(unreadable)?;
                    mailboxes.push(mailbox.as_str().to_owned());
                }
                _ => {}
            }
        }
    }
    Ok(Read {
        serial,
        not_before: tbs.validity.not_before.into(),
        not_after: tbs.validity.not_after.into(),
        key: SpkiHash::of_der(&spki),
        key_id,
        mailboxes,
        dns_names,
    })
}
