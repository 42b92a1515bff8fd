//! KeyUsage.

use const_oid::db::rfc5280::ID_CE_KEY_USAGE;
use der::flagset::FlagSet;
use x509_cert::ext::pkix::{KeyUsage, KeyUsages as Bit};

use super::view::{View, always, authority, claims_br, leaf, ocsp_signer, user};
use super::{Lint, flag};
use crate::KeyAlgorithm;
use crate::template::TemplateKind;

pub(super) const LINTS: &[Lint] = &[
    Lint::error("key-usage", "RFC 5280, section 4.2.1.3", always, present),
    Lint::error("key-usage-authority", "S/MIME BR 7.1.2.1 b and 7.1.2.2 e", authority, of_authority),
    Lint::error("key-usage-leaf", "RFC 5280, section 4.2.1.9", leaf, of_leaf),
    Lint::error("key-usage-rsa", "RFC 3279, section 2.3.1", leaf, of_rsa),
    Lint::error("key-usage-ec", "RFC 5480, section 3", leaf, of_ec),
    Lint::error("key-usage-ed25519", "RFC 8410, section 5", leaf, of_ed25519),
    Lint::error("key-usage-only-bits", "RFC 5280, section 4.2.1.3", leaf, only_bits),
    Lint::error("key-usage-mail", "RFC 8550, section 4.4.2", user, of_mail)
        .client("Thunderbird and OpenSSL reject certificates without a usage for mail"),
    Lint::warning("key-usage-agreement-alone", "house rule", user, agreement_alone)
        .client("OpenSSL 3.0 refuses it for -purpose smimeencrypt, gpgsm 2.2 reports \"Wrong key usage\""),
    Lint::error("key-usage-ocsp", "house rule", ocsp_signer, of_ocsp_signer),
    Lint::error("key-usage-tls", "RFC 8446, section 4.4.2.2", tls, of_tls),
    Lint::error("br-key-usage", "S/MIME BR 7.1.2.3 e", claims_br, br),
];

fn tls(view: &View<'_>) -> bool {
    matches!(view.kind(), TemplateKind::TlsClient | TemplateKind::TlsServer)
}

fn present(view: &View<'_>) -> Vec<String> {
    flag(!view.has(ID_CE_KEY_USAGE), "there is no keyUsage")
}

fn has(view: &View<'_>, bit: Bit) -> bool {
    view.usage.is_some_and(|KeyUsage(bits)| bits.contains(bit))
}

fn has_any(view: &View<'_>, bits: &[Bit]) -> bool {
    bits.iter().any(|bit| has(view, *bit))
}

/// The names of those bits of the list that are set.
fn set(view: &View<'_>, bits: &[(Bit, &'static str)]) -> Vec<String> {
    let set: Vec<_> = bits.iter().filter(|(bit, _)| has(view, *bit)).map(|(_, name)| *name).collect();
    if set.is_empty() { Vec::new() } else { vec![format!("keyUsage has {}", set.join(", "))] }
}

fn of_authority(view: &View<'_>) -> Vec<String> {
    let Some(KeyUsage(bits)) = view.usage else { return Vec::new() };
    let needed = Bit::KeyCertSign | Bit::CRLSign;
    flag(
        !bits.contains(needed) || !(needed | Bit::DigitalSignature).contains(bits),
        "an authority's keyUsage is keyCertSign and cRLSign, with digitalSignature if it signs OCSP answers",
    )
}

fn of_leaf(view: &View<'_>) -> Vec<String> {
    set(view, &[(Bit::KeyCertSign, "keyCertSign"), (Bit::CRLSign, "cRLSign")])
}

fn of_rsa(view: &View<'_>) -> Vec<String> {
    if !view.algorithm().is_some_and(KeyAlgorithm::is_rsa) {
        return Vec::new();
    }
    set(view, &[(Bit::KeyAgreement, "keyAgreement")])
}

fn of_ec(view: &View<'_>) -> Vec<String> {
    if !matches!(view.algorithm(), Some(KeyAlgorithm::P256 | KeyAlgorithm::P384)) {
        return Vec::new();
    }
    set(view, &[(Bit::KeyEncipherment, "keyEncipherment"), (Bit::DataEncipherment, "dataEncipherment")])
}

fn of_ed25519(view: &View<'_>) -> Vec<String> {
    if view.algorithm() != Some(KeyAlgorithm::Ed25519) {
        return Vec::new();
    }
    let mut found = set(
        view,
        &[
            (Bit::KeyEncipherment, "keyEncipherment"),
            (Bit::DataEncipherment, "dataEncipherment"),
            (Bit::KeyAgreement, "keyAgreement"),
        ],
    );
    found.extend(flag(!has(view, Bit::DigitalSignature), "an Ed25519 key can only sign"));
    found
}

fn only_bits(view: &View<'_>) -> Vec<String> {
    let only = has_any(view, &[Bit::EncipherOnly, Bit::DecipherOnly]);
    let both = has(view, Bit::EncipherOnly) && has(view, Bit::DecipherOnly);
    flag(
        both || (only && !has(view, Bit::KeyAgreement)),
        "encipherOnly and decipherOnly exclude each other and mean nothing without keyAgreement",
    )
}

fn of_mail(view: &View<'_>) -> Vec<String> {
    if view.usage.is_none() {
        return Vec::new();
    }
    let usable = has_any(view, &[Bit::DigitalSignature, Bit::KeyEncipherment, Bit::KeyAgreement]);
    let mut found = flag(!usable, "keyUsage has none of digitalSignature, keyEncipherment and keyAgreement");
    let alone = has(view, Bit::NonRepudiation) && !has(view, Bit::DigitalSignature);
    found.extend(flag(usable && alone, "keyUsage has nonRepudiation without digitalSignature"));
    found
}

fn agreement_alone(view: &View<'_>) -> Vec<String> {
    let signs = has(view, Bit::DigitalSignature);
    flag(has(view, Bit::KeyAgreement) && !signs, "keyUsage is keyAgreement without digitalSignature")
}

fn of_ocsp_signer(view: &View<'_>) -> Vec<String> {
    let Some(KeyUsage(bits)) = view.usage else { return Vec::new() };
    let only: FlagSet<Bit> = Bit::DigitalSignature.into();
    flag(bits != only, "an OCSP signer's keyUsage is digitalSignature alone")
}

fn of_tls(view: &View<'_>) -> Vec<String> {
    let signs = has(view, Bit::DigitalSignature);
    flag(view.usage.is_some() && !signs, "TLS 1.3 needs digitalSignature")
}

/// The sets that the table of the section allows.
fn br(view: &View<'_>) -> Vec<String> {
    let (Some(KeyUsage(bits)), Some(algorithm), Some(claim)) = (view.usage, view.algorithm(), view.claim)
    else {
        return Vec::new();
    };
    let signing = Bit::DigitalSignature | Bit::NonRepudiation;
    let (management, allowed) = match algorithm {
        KeyAlgorithm::Ed25519 => (None, signing),
        KeyAlgorithm::P256 | KeyAlgorithm::P384 => {
            let all = signing | Bit::KeyAgreement | Bit::EncipherOnly | Bit::DecipherOnly;
            (Some(Bit::KeyAgreement), all)
        }
        KeyAlgorithm::Rsa2048 | KeyAlgorithm::Rsa3072 | KeyAlgorithm::Rsa4096 if claim.strict => {
            (Some(Bit::KeyEncipherment), signing | Bit::KeyEncipherment)
        }
        KeyAlgorithm::Rsa2048 | KeyAlgorithm::Rsa3072 | KeyAlgorithm::Rsa4096 => {
            (Some(Bit::KeyEncipherment), signing | Bit::KeyEncipherment | Bit::DataEncipherment)
        }
    };
    let manages = management.is_some_and(|bit| bits.contains(bit));
    let signs = bits.contains(Bit::DigitalSignature);
    let orphan = bits.contains(Bit::DataEncipherment) && !manages;
    let repudiation = bits.contains(Bit::NonRepudiation) && !signs;
    flag(
        !allowed.contains(bits) || !(signs || manages) || orphan || repudiation,
        format!("keyUsage has a set of bits that is not allowed for {algorithm} keys"),
    )
}
