//! Version, serial number, signature algorithm and subject key.

use der::Encode;
use x509_cert::certificate::Version;

use super::view::{View, always, below_root, user};
use super::{Lint, flag};
use crate::{KeyAlgorithm, SerialNumber, SignatureAlgorithm};

pub(super) const LINTS: &[Lint] = &[
    Lint::error("version", "RFC 5280, section 4.1.2.1", always, version),
    Lint::error("serial-range", "RFC 5280, section 4.1.2.2", always, serial_range),
    Lint::error("serial-entropy", "S/MIME BR 7.1", always, serial_entropy),
    Lint::error("unique-identifiers", "RFC 5280, section 4.1.2.8", always, unique_identifiers),
    Lint::error("signature-algorithm", "S/MIME BR 7.1.3.2", always, signature_algorithm),
    Lint::error("public-key", "S/MIME BR 6.1.1.3, 6.1.5, 6.1.6 and 7.1.3.1", always, public_key),
    Lint::error("issuers-own-key", "house rule", below_root, issuers_own_key),
    Lint::error("mail-key", "house rule", user, mail_key)
        .client("Thunderbird fails to import the key (-8016), gpgsm and NSS reject the certificate"),
];

fn version(view: &View<'_>) -> Vec<String> {
    flag(view.tbs.version != Version::V3, "the version is not v3")
}

fn serial_range(view: &View<'_>) -> Vec<String> {
    let serial = SerialNumber::try_from(&view.tbs.serial_number);
    serial.err().map(|error| error.to_string()).into_iter().collect()
}

/// A serial of 8 octets has at most 63 random bits, since its sign bit is clear.
fn serial_entropy(view: &View<'_>) -> Vec<String> {
    let octets = view.tbs.serial_number.as_bytes().iter().skip_while(|b| **b == 0).count();
    flag(octets <= 8, format!("a serial number of {octets} octets cannot hold 64 random bits"))
}

fn unique_identifiers(view: &View<'_>) -> Vec<String> {
    let present = view.tbs.issuer_unique_id.is_some() || view.tbs.subject_unique_id.is_some();
    flag(present, "there is an issuerUniqueID or subjectUniqueID")
}

fn signature_algorithm(view: &View<'_>) -> Vec<String> {
    let Some(found) = SignatureAlgorithm::from_identifier(&view.tbs.signature) else {
        let oid = view.tbs.signature.oid;
        return vec![format!("the signature algorithm {oid} is none of ours in its exact encoding")];
    };
    let wanted = view.signer.map(SignatureAlgorithm::of_key);
    flag(wanted != Some(found), "the signature algorithm is not the one of the issuer's key")
}

fn public_key(view: &View<'_>) -> Vec<String> {
    view.key.as_ref().err().map(ToString::to_string).into_iter().collect()
}

fn issuers_own_key(view: &View<'_>) -> Vec<String> {
    let own = view.tbs.subject_public_key_info.to_der().ok();
    let issuers = view.issuer().and_then(|issuer| issuer.subject_public_key_info.to_der().ok());
    flag(own.is_some() && own == issuers, "the key to be certified is the issuing authority's own")
}

fn mail_key(view: &View<'_>) -> Vec<String> {
    flag(
        view.algorithm() == Some(KeyAlgorithm::Ed25519),
        "no mail client can use an Ed25519 key; use RSA, P-256 or P-384",
    )
}
