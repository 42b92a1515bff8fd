//! A certificate, taken apart once for all rules.

use const_oid::{AssociatedOid, ObjectIdentifier};
use der::asn1::{Any, Ia5StringRef, PrintableStringRef, TeletexStringRef, Utf8StringRef};
use der::{Decode, Encode, Tag, Tagged};
use x509_cert::certificate::TbsCertificate;
use x509_cert::ext::pkix::{
    AuthorityInfoAccessSyntax, AuthorityKeyIdentifier, BasicConstraints, CertificatePolicies,
    CrlDistributionPoints, ExtendedKeyUsage, FreshestCrl, KeyUsage, NameConstraints, SubjectAltName,
    SubjectKeyIdentifier,
};
use x509_cert::name::Name;

use super::{LintContext, key_algorithm};
pub(super) use crate::template::Validation;
use crate::template::{Conformance, TemplateKind};
use crate::{CheckedKey, KeyAlgorithm, KeyError, Timestamp, check_public_key};

/// How the sources of the S/MIME Baseline Requirements begin.
pub(super) const SMIME_BR: &str = "S/MIME BR ";

/// A claim of conformance to the S/MIME Baseline Requirements.
#[derive(Clone, Copy, Debug)]
pub(super) struct BrClaim {
    pub(super) validation: Validation,
    /// The strict generation; else multipurpose.
    pub(super) strict: bool,
    /// The reserved policy that states the claim.
    pub(super) policy: ObjectIdentifier,
}

impl BrClaim {
    fn of(conformance: Conformance) -> Option<Self> {
        let br = conformance.br()?;
        Some(Self { validation: br.validation, strict: br.strict, policy: br.policy() })
    }
}

/// One attribute of a name.
#[derive(Debug)]
pub(super) struct Attribute {
    pub(super) oid: ObjectIdentifier,
    /// Its text; none if it is not a string that we know.
    pub(super) text: Option<String>,
    /// The tag of its value.
    pub(super) tag: Tag,
}

/// What the rules look at.
pub(super) struct View<'a> {
    pub(super) tbs: &'a TbsCertificate,
    pub(super) context: LintContext<'a>,
    pub(super) claim: Option<BrClaim>,
    pub(super) key: Result<CheckedKey, KeyError>,
    /// The algorithm of the key that signs.
    pub(super) signer: Option<KeyAlgorithm>,
    pub(super) subject: Vec<Attribute>,
    pub(super) constraints: Option<BasicConstraints>,
    pub(super) usage: Option<KeyUsage>,
    pub(super) purposes: Option<Vec<ObjectIdentifier>>,
    pub(super) names: Option<SubjectAltName>,
    pub(super) policies: Option<CertificatePolicies>,
    pub(super) points: Option<CrlDistributionPoints>,
    pub(super) freshest: Option<FreshestCrl>,
    pub(super) access: Option<AuthorityInfoAccessSyntax>,
    pub(super) own_id: Option<SubjectKeyIdentifier>,
    pub(super) issuer_id: Option<AuthorityKeyIdentifier>,
    pub(super) name_constraints: Option<NameConstraints>,
}

impl<'a> View<'a> {
    pub(super) fn new(tbs: &'a TbsCertificate, context: LintContext<'a>) -> Self {
        let spki = tbs.subject_public_key_info.to_der().map_err(KeyError::Malformed);
        let signing_key = context
            .issuer
            .map_or(&tbs.subject_public_key_info, |issuer| &issuer.tbs_certificate.subject_public_key_info);
        Self {
            tbs,
            context,
            claim: BrClaim::of(context.conformance),
            key: spki.and_then(|der| check_public_key(&der)),
            signer: key_algorithm(signing_key),
            subject: attributes(&tbs.subject),
            constraints: extension(tbs),
            usage: extension(tbs),
            purposes: extension::<ExtendedKeyUsage>(tbs).map(|purposes| purposes.0),
            names: extension(tbs),
            policies: extension(tbs),
            points: extension(tbs),
            freshest: extension(tbs),
            access: extension(tbs),
            own_id: extension(tbs),
            issuer_id: extension(tbs),
            name_constraints: extension(tbs),
        }
    }

    pub(super) fn kind(&self) -> TemplateKind {
        self.context.kind
    }

    /// Whether an extension is there, well-formed or not.
    pub(super) fn has(&self, oid: ObjectIdentifier) -> bool {
        self.tbs.extensions.iter().flatten().any(|extension| extension.extn_id == oid)
    }

    pub(super) fn has_purpose(&self, oid: ObjectIdentifier) -> bool {
        self.purposes.as_ref().is_some_and(|purposes| purposes.contains(&oid))
    }

    pub(super) fn algorithm(&self) -> Option<KeyAlgorithm> {
        self.key.as_ref().ok().map(|key| key.algorithm)
    }

    pub(super) fn not_before(&self) -> Timestamp {
        self.tbs.validity.not_before.into()
    }

    pub(super) fn not_after(&self) -> Timestamp {
        self.tbs.validity.not_after.into()
    }

    /// The issuer's certificate, for what is not a root.
    pub(super) fn issuer(&self) -> Option<&'a TbsCertificate> {
        self.context.issuer.map(|issuer| &issuer.tbs_certificate)
    }

    /// The texts of an attribute of the subject.
    pub(super) fn subject_texts(&self, oid: ObjectIdentifier) -> impl Iterator<Item = &str> {
        self.subject.iter().filter(move |a| a.oid == oid).filter_map(|a| a.text.as_deref())
    }

    pub(super) fn subject_has(&self, oid: ObjectIdentifier) -> bool {
        self.subject.iter().any(|attribute| attribute.oid == oid)
    }
}

/// The first extension of a type, if it is well-formed. Malformed and repeated
/// ones have rules of their own.
pub(super) fn extension<T: for<'b> Decode<'b> + AssociatedOid>(tbs: &TbsCertificate) -> Option<T> {
    let found = tbs.extensions.iter().flatten().find(|extension| extension.extn_id == T::OID)?;
    T::from_der(found.extn_value.as_bytes()).ok()
}

/// The attributes of a name, in order.
pub(super) fn attributes(name: &Name) -> Vec<Attribute> {
    let flat = name.0.iter().flat_map(|rdn| rdn.0.iter());
    flat.map(|a| Attribute { oid: a.oid, text: text_of(&a.value), tag: a.value.tag() }).collect()
}

/// The text of a directory string.
pub(super) fn text_of(value: &Any) -> Option<String> {
    match value.tag() {
        Tag::Utf8String => Utf8StringRef::try_from(value).ok().map(|s| s.as_str().to_owned()),
        Tag::PrintableString => PrintableStringRef::try_from(value).ok().map(|s| s.as_str().to_owned()),
        Tag::Ia5String => Ia5StringRef::try_from(value).ok().map(|s| s.as_str().to_owned()),
        Tag::TeletexString => TeletexStringRef::try_from(value).ok().map(|s| s.as_str().to_owned()),
        _ => None,
    }
}

pub(super) fn always(_: &View<'_>) -> bool {
    true
}

pub(super) fn authority(view: &View<'_>) -> bool {
    view.kind().is_authority()
}

pub(super) fn root(view: &View<'_>) -> bool {
    view.kind() == TemplateKind::RootCa
}

pub(super) fn subordinate(view: &View<'_>) -> bool {
    view.kind() == TemplateKind::SubordinateCa
}

pub(super) fn leaf(view: &View<'_>) -> bool {
    !view.kind().is_authority()
}

pub(super) fn user(view: &View<'_>) -> bool {
    view.kind() == TemplateKind::User
}

pub(super) fn below_root(view: &View<'_>) -> bool {
    !root(view)
}

pub(super) fn ocsp_signer(view: &View<'_>) -> bool {
    view.kind() == TemplateKind::OcspSigner
}

/// Certificates that claim the S/MIME Baseline Requirements.
pub(super) fn claims_br(view: &View<'_>) -> bool {
    view.claim.is_some()
}
