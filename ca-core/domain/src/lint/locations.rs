//! Where clients find CRL, OCSP responder and issuer.

use const_oid::ObjectIdentifier;
use const_oid::db::rfc5280::{
    ID_AD_CA_ISSUERS, ID_AD_OCSP, ID_CE_CRL_DISTRIBUTION_POINTS, ID_PE_AUTHORITY_INFO_ACCESS,
};
use x509_cert::ext::pkix::crl::dp::DistributionPoint;
use x509_cert::ext::pkix::name::{DistributionPointName, GeneralName};

use super::view::{View, always, below_root, claims_br, root};
use super::{Lint, flag};
use crate::DnsName;
use crate::template::TemplateKind;

pub(super) const LINTS: &[Lint] = &[
    Lint::warning("crl-location", "S/MIME BR 7.1.2.2 b and 7.1.2.3 b", except_signer, crl_present)
        .client("gpgsm, Outlook and Exchange Online cannot check revocation"),
    Lint::error("crl-location-form", "RFC 5280, section 4.2.1.13", always, crl_form),
    Lint::warning("issuer-location", "S/MIME BR 7.1.2.2 c and 7.1.2.3 c", except_signer, issuer_present)
        .client("Exchange Online cannot build the path"),
    Lint::error("access-form", "RFC 5280, section 4.2.2.1", always, access_form),
    Lint::warning("br-ocsp-location", "S/MIME BR 7.1.2.3 c", claims_br, ocsp_present)
        .client("Thunderbird asks OCSP only"),
    Lint::warning("locations-of-root", "house rule", root, of_root),
];

/// An OCSP signer has id-pkix-ocsp-nocheck: nobody looks.
fn except_signer(view: &View<'_>) -> bool {
    below_root(view) && view.kind() != TemplateKind::OcspSigner
}

/// A URL as these extensions have it: plain http, a host name or an IPv4
/// address, printable ASCII.
fn is_http_url(name: &GeneralName) -> bool {
    let GeneralName::UniformResourceIdentifier(url) = name else { return false };
    let url = url.as_str();
    let Some(rest) = url.strip_prefix("http://") else { return false };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let (host, port) = authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port)));
    let address = host.parse::<std::net::Ipv4Addr>().is_ok();
    (address || DnsName::parse(host).is_ok())
        && port.is_none_or(|port| port.parse::<u16>().is_ok())
        && url.bytes().all(|b| b.is_ascii_graphic())
        && !url.contains('#')
}

fn crl_present(view: &View<'_>) -> Vec<String> {
    flag(!view.has(ID_CE_CRL_DISTRIBUTION_POINTS), "there is no cRLDistributionPoints")
}

fn crl_form(view: &View<'_>) -> Vec<String> {
    let plain = |point: &DistributionPoint| {
        let Some(DistributionPointName::FullName(names)) = &point.distribution_point else { return false };
        let whole = point.reasons.is_none() && point.crl_issuer.is_none();
        whole && !names.is_empty() && names.iter().all(is_http_url)
    };
    let points = view.points.as_ref().map(|points| points.0.as_slice()).unwrap_or_default();
    let mut found = flag(
        !points.iter().all(plain),
        "a CRL distribution point is more or less than http URLs of the issuer's whole CRL",
    );
    let freshest = view.freshest.as_ref().map(|points| points.0.as_slice()).unwrap_or_default();
    found.extend(flag(
        !freshest.iter().all(plain),
        "freshestCRL is more or less than http URLs of the issuer",
    ));
    found
}

fn has_method(view: &View<'_>, method: ObjectIdentifier) -> bool {
    view.access.as_ref().is_some_and(|access| access.0.iter().any(|entry| entry.access_method == method))
}

fn issuer_present(view: &View<'_>) -> Vec<String> {
    flag(!has_method(view, ID_AD_CA_ISSUERS), "authorityInfoAccess has no caIssuers")
}

fn ocsp_present(view: &View<'_>) -> Vec<String> {
    flag(!has_method(view, ID_AD_OCSP), "authorityInfoAccess has no OCSP responder")
}

fn access_form(view: &View<'_>) -> Vec<String> {
    let entries = view.access.as_ref().map(|access| access.0.as_slice()).unwrap_or_default();
    let methods = [ID_AD_CA_ISSUERS, ID_AD_OCSP];
    let wrong = entries
        .iter()
        .any(|entry| !methods.contains(&entry.access_method) || !is_http_url(&entry.access_location));
    flag(wrong, "authorityInfoAccess has something else than http URLs of caIssuers and OCSP")
}

fn of_root(view: &View<'_>) -> Vec<String> {
    let present = view.has(ID_CE_CRL_DISTRIBUTION_POINTS) || view.has(ID_PE_AUTHORITY_INFO_ACCESS);
    flag(present, "a root names no CRL, OCSP responder or issuer for itself")
}
