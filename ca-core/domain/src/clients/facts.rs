//! What the rules look at.

use const_oid::db::rfc3280::EMAIL_ADDRESS;
use const_oid::db::rfc5280::{
    ANY_EXTENDED_KEY_USAGE, ID_AD_CA_ISSUERS, ID_AD_OCSP, ID_CE_AUTHORITY_KEY_IDENTIFIER,
    ID_CE_BASIC_CONSTRAINTS, ID_CE_CERTIFICATE_POLICIES, ID_CE_CRL_DISTRIBUTION_POINTS, ID_CE_EXT_KEY_USAGE,
    ID_CE_KEY_USAGE, ID_CE_NAME_CONSTRAINTS, ID_CE_POLICY_CONSTRAINTS, ID_CE_SUBJECT_ALT_NAME,
    ID_KP_EMAIL_PROTECTION,
};
use const_oid::{AssociatedOid, ObjectIdentifier};
use der::{Decode, Encode};
use spki::SubjectPublicKeyInfoRef;
use x509_cert::certificate::TbsCertificate;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{
    AuthorityInfoAccessSyntax, BasicConstraints, CrlDistributionPoints, ExtendedKeyUsage, KeyUsage,
    KeyUsages as Bit, SubjectAltName,
};

use super::Job;
use crate::{KeyAlgorithm, SignatureAlgorithm, Timestamp};

/// id-on-SmtpUTF8Mailbox (RFC 9598, section 3).
const SMTP_UTF8_MAILBOX: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.8.9");

/// Extensions that every client knows, so that they may be critical.
const UNDERSTOOD: [ObjectIdentifier; 9] = [
    ID_CE_AUTHORITY_KEY_IDENTIFIER,
    ID_CE_BASIC_CONSTRAINTS,
    ID_CE_CERTIFICATE_POLICIES,
    ID_CE_CRL_DISTRIBUTION_POINTS,
    ID_CE_EXT_KEY_USAGE,
    ID_CE_KEY_USAGE,
    ID_CE_NAME_CONSTRAINTS,
    ID_CE_POLICY_CONSTRAINTS,
    ID_CE_SUBJECT_ALT_NAME,
];

/// One certificate of the path, as far as clients ask at every level.
#[derive(Debug)]
pub struct Link<'a> {
    tbs: &'a TbsCertificate,
}

/// A certificate, its issuers and the time.
#[derive(Debug)]
pub struct Facts<'a> {
    pub(super) leaf: Link<'a>,
    pub(super) issuers: Vec<Link<'a>>,
    pub(super) now: Timestamp,
    usage: Option<KeyUsage>,
    purposes: Option<Vec<ObjectIdentifier>>,
    names: Vec<GeneralName>,
    pub(super) authority: bool,
    /// Whether it was revoked or is on hold.
    pub revoked: bool,
    /// Whether its signature is not its issuer's.
    pub forged: bool,
}

impl<'a> Link<'a> {
    fn extension<T: for<'b> Decode<'b> + AssociatedOid>(&self) -> Option<T> {
        let found = self.tbs.extensions.iter().flatten().find(|extension| extension.extn_id == T::OID)?;
        T::from_der(found.extn_value.as_bytes()).ok()
    }

    /// Its name, for messages.
    pub(super) fn subject(&self) -> String {
        self.tbs.subject.to_string()
    }

    pub(super) fn is_root(&self) -> bool {
        self.tbs.issuer == self.tbs.subject
    }

    pub(super) fn names_crl(&self) -> bool {
        self.extension::<CrlDistributionPoints>().is_some_and(|points| !points.0.is_empty())
    }

    fn names_access(&self, method: ObjectIdentifier) -> bool {
        let access = self.extension::<AuthorityInfoAccessSyntax>();
        access.is_some_and(|access| access.0.iter().any(|entry| entry.access_method == method))
    }

    pub(super) fn names_issuer(&self) -> bool {
        self.names_access(ID_AD_CA_ISSUERS)
    }

    pub(super) fn names_ocsp(&self) -> bool {
        self.names_access(ID_AD_OCSP)
    }

    /// Whether an EC key signed it; that key signs the CRL that it is on, too.
    pub(super) fn signed_with_ecdsa(&self) -> bool {
        matches!(
            SignatureAlgorithm::from_identifier(&self.tbs.signature),
            Some(SignatureAlgorithm::EcdsaSha256 | SignatureAlgorithm::EcdsaSha384)
        )
    }

    pub(super) fn unknown_critical(&self) -> Option<ObjectIdentifier> {
        let mut critical = self.tbs.extensions.iter().flatten().filter(|extension| extension.critical);
        critical.find(|extension| !UNDERSTOOD.contains(&extension.extn_id)).map(|extension| extension.extn_id)
    }

    /// The algorithm of its key; none for one that is not ours.
    pub(super) fn key(&self) -> Option<KeyAlgorithm> {
        let der = self.tbs.subject_public_key_info.to_der().ok()?;
        KeyAlgorithm::of_spki(&SubjectPublicKeyInfoRef::from_der(&der).ok()?)
    }

    pub(super) fn is_valid(&self, now: Timestamp) -> bool {
        let validity = &self.tbs.validity;
        Timestamp::from(validity.not_before) <= now && now <= Timestamp::from(validity.not_after)
    }
}

impl<'a> Facts<'a> {
    pub(super) fn new(tbs: &'a TbsCertificate, issuers: &'a [TbsCertificate], now: Timestamp) -> Self {
        let leaf = Link { tbs };
        Self {
            usage: leaf.extension(),
            purposes: leaf.extension::<ExtendedKeyUsage>().map(|purposes| purposes.0),
            names: leaf.extension::<SubjectAltName>().map(|names| names.0).unwrap_or_default(),
            authority: leaf.extension::<BasicConstraints>().is_some_and(|constraints| constraints.ca),
            issuers: issuers.iter().map(|tbs| Link { tbs }).collect(),
            leaf,
            now,
            revoked: false,
            forged: false,
        }
    }

    fn has_usage(&self, bits: &[Bit]) -> bool {
        self.usage.is_none_or(|KeyUsage(own)| bits.iter().any(|bit| own.contains(*bit)))
    }

    /// Whether its key usage allows a job. An authority is judged for both, since the
    /// certificates below it are.
    pub(super) fn is_for(&self, job: Job) -> bool {
        self.authority
            || match job {
                Job::Sign => self.has_usage(&[Bit::DigitalSignature, Bit::NonRepudiation]),
                Job::Encrypt => self.has_usage(&[Bit::KeyEncipherment, Bit::KeyAgreement]),
            }
    }

    pub(super) fn enciphers_keys(&self) -> bool {
        self.has_usage(&[Bit::KeyEncipherment])
    }

    pub(super) fn has_mail_purpose(&self) -> bool {
        self.purposes.as_ref().is_none_or(|purposes| purposes.contains(&ID_KP_EMAIL_PROTECTION))
    }

    pub(super) fn has_any_purpose(&self) -> bool {
        self.purposes.as_ref().is_some_and(|purposes| purposes.contains(&ANY_EXTENDED_KEY_USAGE))
    }

    /// The mailboxes as rfc822Name.
    pub(super) fn mailboxes(&self) -> impl Iterator<Item = &str> {
        self.names.iter().filter_map(|name| match name {
            GeneralName::Rfc822Name(text) => Some(text.as_str()),
            _ => None,
        })
    }

    pub(super) fn has_smtp_utf8(&self) -> bool {
        self.names
            .iter()
            .any(|name| matches!(name, GeneralName::OtherName(other) if other.type_id == SMTP_UTF8_MAILBOX))
    }

    pub(super) fn has_subject_mailbox(&self) -> bool {
        self.leaf.tbs.subject.0.iter().flat_map(|rdn| rdn.0.iter()).any(|pair| pair.oid == EMAIL_ADDRESS)
    }

    pub(super) fn is_ec(&self) -> bool {
        matches!(self.leaf.key(), Some(KeyAlgorithm::P256 | KeyAlgorithm::P384))
    }

    pub(super) fn is_ed25519(&self) -> bool {
        self.leaf.key() == Some(KeyAlgorithm::Ed25519)
    }

    /// The certificate and the issuers that are known.
    pub(super) fn path(&self) -> impl Iterator<Item = &Link<'a>> {
        std::iter::once(&self.leaf).chain(&self.issuers)
    }
}
