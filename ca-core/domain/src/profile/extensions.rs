//! The extensions, from the template, in a fixed order.

use const_oid::db::rfc5280::{ID_AD_CA_ISSUERS, ID_AD_OCSP, ID_QT_CPS};
use const_oid::db::rfc5911::SMIME_CAPABILITIES;
use const_oid::db::rfc6960::ID_PKIX_OCSP_NOCHECK;
use const_oid::{AssociatedOid, ObjectIdentifier};
use der::asn1::{Any, Ia5String, Ia5StringRef, Null, OctetString};
use der::{Encode, Sequence};
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::certpolicy::{PolicyInformation, PolicyQualifierInfo};
use x509_cert::ext::pkix::constraints::name::GeneralSubtree;
use x509_cert::ext::pkix::crl::dp::DistributionPoint;
use x509_cert::ext::pkix::name::{DistributionPointName, GeneralName};
use x509_cert::ext::pkix::{
    AccessDescription, AuthorityInfoAccessSyntax, AuthorityKeyIdentifier, BasicConstraints,
    CertificatePolicies, CrlDistributionPoints, ExtendedKeyUsage, FreshestCrl, NameConstraints,
    SubjectAltName, SubjectKeyIdentifier,
};
use x509_cert::name::Name;

use super::error::ProfileError;
use super::issuer::IssuerContext;
use super::names::SubjectInput;
use crate::microsoft::{SecurityExtension, TemplateExtension};
use crate::template::{ConstraintNames, NameConstraintSection, SmimeCapability, Template, UrlSource};
use crate::{KeyAlgorithm, KeyIdentifier, SerialNumber};

/// What the extensions are made of.
pub(super) struct Parts<'a> {
    pub(super) template: &'a Template,
    pub(super) issuer: Option<&'a IssuerContext>,
    pub(super) algorithm: KeyAlgorithm,
    pub(super) key_id: KeyIdentifier,
    pub(super) subject: &'a Name,
    pub(super) alternative: Option<SubjectAltName>,
    pub(super) input: &'a SubjectInput,
    pub(super) serial: SerialNumber,
}

/// The extensions in their order.
pub(super) fn build(parts: Parts<'_>) -> Result<Vec<Extension>, ProfileError> {
    let Parts { template, issuer, algorithm, key_id, subject, alternative, input, serial } = parts;
    if subject.is_empty() && alternative.is_none() {
        return Err(ProfileError::Nameless(template.name().to_owned()));
    }
    let usage = template.key_usage(algorithm).ok_or_else(|| ProfileError::KeyNotAllowed {
        algorithm,
        template: template.name().to_owned(),
        allowed: super::allowed(template),
    })?;
    let mut list = List(Vec::new());
    let constraints =
        BasicConstraints { ca: template.kind().is_authority(), path_len_constraint: template.path_length() };
    list.add(true, &constraints)?;
    list.add(true, &usage)?;
    let purposes = template.extended_key_usage();
    if !purposes.is_empty() {
        list.add(false, &ExtendedKeyUsage(purposes))?;
    }
    let policies = policies(template)?;
    if !policies.is_empty() {
        list.add(false, &CertificatePolicies(policies))?;
    }
    if let Some(names) = alternative {
        // RFC 5280, section 4.2.1.6: critical where it is the only name.
        list.add(subject.is_empty(), &names)?;
    }
    if let Some(section) = template.name_constraints() {
        list.add(true, &name_constraints(section)?)?;
    }
    if let Some(issuer) = issuer {
        services(&mut list, template, issuer, serial)?;
    }
    let own = OctetString::new(key_id.0).map_err(ProfileError::Encoding)?;
    let of_issuer = match issuer {
        Some(issuer) => OctetString::new(issuer.key_id.as_slice()).map_err(ProfileError::Encoding)?,
        None => own.clone(),
    };
    list.add(false, &SubjectKeyIdentifier(own))?;
    let authority = AuthorityKeyIdentifier { key_identifier: Some(of_issuer), ..Default::default() };
    list.add(false, &authority)?;
    if template.ocsp_no_check() {
        list.add(false, &OcspNoCheck)?;
    }
    if !template.smime_capabilities().is_empty() {
        list.add(false, &SmimeCapabilities::of(template.smime_capabilities()))?;
    }
    if let Some(of_windows) = template.microsoft_template() {
        let value = TemplateExtension {
            template: of_windows.oid.0,
            major: of_windows.major,
            minor: Some(of_windows.minor),
        };
        list.add(false, &value)?;
    }
    if let Some(sid) = &input.sid {
        list.add(false, &SecurityExtension::of(sid).map_err(ProfileError::Encoding)?)?;
    }
    Ok(list.0)
}

/// CRL distribution point and authority information access, with the issuer's URLs.
fn services(
    list: &mut List,
    template: &Template,
    issuer: &IssuerContext,
    serial: SerialNumber,
) -> Result<(), ProfileError> {
    let need = |source: UrlSource, urls: &[String], what: &'static str| match source {
        UrlSource::None => Ok(Vec::new()),
        UrlSource::Authority if urls.is_empty() => {
            Err(ProfileError::NoUrl { what, template: template.name().to_owned() })
        }
        UrlSource::Authority => urls.iter().map(|url| uri(url)).collect(),
    };
    let of_certificate = |urls: &[String]| {
        let urls_of = issuer.urls.crls_of(urls, &serial, template.kind().is_authority());
        urls_of.ok_or_else(|| ProfileError::Url(urls.join(", ")))
    };
    let point = |names| DistributionPoint {
        distribution_point: Some(DistributionPointName::FullName(names)),
        reasons: None,
        crl_issuer: None,
    };
    let crl = need(template.cdp(), &of_certificate(&issuer.urls.crl)?, "crl")?;
    if !crl.is_empty() {
        list.add(false, &CrlDistributionPoints(vec![point(crl)]))?;
    }
    let delta = need(template.freshest_crl(), &of_certificate(&issuer.urls.delta_crl)?, "delta_crl")?;
    if !delta.is_empty() {
        list.add(false, &FreshestCrl(vec![point(delta)]))?;
    }
    let describe = |names: Vec<GeneralName>, method: ObjectIdentifier| {
        names.into_iter().map(move |name| AccessDescription { access_method: method, access_location: name })
    };
    let ocsp = need(template.ocsp(), &issuer.urls.ocsp, "ocsp")?;
    let ca_issuers = need(template.ca_issuers(), &issuer.urls.ca_issuers, "ca_issuers")?;
    let access: Vec<_> = describe(ocsp, ID_AD_OCSP).chain(describe(ca_issuers, ID_AD_CA_ISSUERS)).collect();
    if !access.is_empty() {
        list.add(false, &AuthorityInfoAccessSyntax(access))?;
    }
    Ok(())
}

/// http only: a client that must check an https server's certificate to read a
/// CRL goes in circles (RFC 5280, section 8).
fn uri(url: &str) -> Result<GeneralName, ProfileError> {
    let host = url.strip_prefix("http://").unwrap_or_default();
    let refuse = || ProfileError::Url(url.chars().take(200).collect());
    if host.is_empty() || host.starts_with('/') || !url.chars().all(|c| c.is_ascii_graphic()) {
        return Err(refuse());
    }
    Ia5String::new(url).map(GeneralName::UniformResourceIdentifier).map_err(|_| refuse())
}

fn policies(template: &Template) -> Result<Vec<PolicyInformation>, ProfileError> {
    template
        .policies()
        .into_iter()
        .map(|(oid, cps)| {
            let qualifier = |url: &str| {
                let qualifier = Any::encode_from(&Ia5StringRef::new(url)?)?;
                Ok(vec![PolicyQualifierInfo { policy_qualifier_id: ID_QT_CPS, qualifier: Some(qualifier) }])
            };
            let qualifiers = cps.map(qualifier).transpose().map_err(ProfileError::Encoding)?;
            Ok(PolicyInformation { policy_identifier: oid, policy_qualifiers: qualifiers })
        })
        .collect()
}

fn name_constraints(section: &NameConstraintSection) -> Result<NameConstraints, ProfileError> {
    let subtrees = |names: &ConstraintNames| {
        let text = |name: &str| Ia5String::new(name).map_err(ProfileError::Encoding);
        let mailboxes = names.rfc822.iter().map(|name| text(name.as_str()).map(GeneralName::Rfc822Name));
        let hosts = names.dns.iter().map(|name| text(name.as_str()).map(GeneralName::DnsName));
        let trees = mailboxes
            .chain(hosts)
            .map(|base| base.map(|base| GeneralSubtree { base, minimum: 0, maximum: None }))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(if trees.is_empty() { None } else { Some(trees) })
    };
    Ok(NameConstraints {
        permitted_subtrees: subtrees(&section.permitted)?,
        excluded_subtrees: subtrees(&section.excluded)?,
    })
}

struct List(Vec<Extension>);

impl List {
    /// Adds an extension; we decide what is critical, not the type.
    fn add<T: Encode + AssociatedOid>(&mut self, critical: bool, value: &T) -> Result<(), ProfileError> {
        let der = value.to_der().map_err(ProfileError::Encoding)?;
        let extn_value = OctetString::new(der).map_err(ProfileError::Encoding)?;
        self.0.push(Extension { extn_id: T::OID, critical, extn_value });
        Ok(())
    }
}

/// id-pkix-ocsp-nocheck: NULL (RFC 6960, section 4.2.2.2.1).
struct OcspNoCheck;

impl AssociatedOid for OcspNoCheck {
    const OID: ObjectIdentifier = ID_PKIX_OCSP_NOCHECK;
}

impl Encode for OcspNoCheck {
    fn encoded_len(&self) -> der::Result<der::Length> {
        Null.encoded_len()
    }

    fn encode(&self, writer: &mut impl der::Writer) -> der::Result<()> {
        Null.encode(writer)
    }
}

/// One capability; those that we announce have no parameters (RFC 8551, section
/// 2.5.2; RFC 3565; RFC 5084).
#[derive(Clone, Debug, Eq, PartialEq, Sequence)]
struct SmimeCapabilityValue {
    capability_id: ObjectIdentifier,
    parameters: Option<Any>,
}

/// The SMIMECapabilities extension (RFC 4262).
#[derive(Clone, Debug, Eq, PartialEq)]
struct SmimeCapabilities(Vec<SmimeCapabilityValue>);

impl SmimeCapabilities {
    fn of(capabilities: &[SmimeCapability]) -> Self {
        let value =
            |one: &SmimeCapability| SmimeCapabilityValue { capability_id: one.oid(), parameters: None };
        Self(capabilities.iter().map(value).collect())
    }
}

impl AssociatedOid for SmimeCapabilities {
    const OID: ObjectIdentifier = SMIME_CAPABILITIES;
}

impl Encode for SmimeCapabilities {
    fn encoded_len(&self) -> der::Result<der::Length> {
        self.0.encoded_len()
    }

    fn encode(&self, writer: &mut impl der::Writer) -> der::Result<()> {
        self.0.encode(writer)
    }
}
