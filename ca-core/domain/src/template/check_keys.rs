//! Contradictions between keys and what they are used for.

use super::check::Problems;
use super::file::{At, KeyUsageSection, TemplateFile};
use super::value::{KeyFamily, KeyUsageBit, Permission};

/// The bits that sign.
const SIGNING: [KeyUsageBit; 4] = [
    KeyUsageBit::DigitalSignature,
    KeyUsageBit::NonRepudiation,
    KeyUsageBit::KeyCertSign,
    KeyUsageBit::CrlSign,
];

impl KeyUsageSection {
    /// The usages of a family.
    pub(super) const fn of(&self, family: KeyFamily) -> Option<&At<Vec<KeyUsageBit>>> {
        match family {
            KeyFamily::Ec => self.ec.as_ref(),
            KeyFamily::Ed25519 => self.ed25519.as_ref(),
            KeyFamily::Rsa => self.rsa.as_ref(),
        }
    }

    /// The families that the file lists.
    pub(super) fn listed(&self) -> impl Iterator<Item = (KeyFamily, &At<Vec<KeyUsageBit>>)> {
        [KeyFamily::Ec, KeyFamily::Ed25519, KeyFamily::Rsa]
            .into_iter()
            .filter_map(|family| self.of(family).map(|bits| (family, bits)))
    }
}

/// The RFC's names of some bits, for a message.
pub(super) fn names(bits: &[KeyUsageBit]) -> String {
    bits.iter().map(|bit| bit.name()).collect::<Vec<_>>().join(", ")
}

pub(super) fn check_keys(file: &TemplateFile, problems: &mut Problems) {
    let key = &file.key;
    problems.add_if(
        key.algorithms.is_empty(),
        &key.algorithms,
        "key.algorithms",
        "no key could be certified; list at least one of rsa-2048, rsa-3072, rsa-4096, p256, p384, ed25519",
    );
    problems.add_if(
        !key.algorithms.is_empty() && !key.algorithms.contains(&key.default),
        &key.default,
        "key.default",
        format!(
            "{} is not in key.algorithms; use one of {}",
            *key.default,
            key.algorithms.iter().map(|algorithm| algorithm.name()).collect::<Vec<_>>().join(", ")
        ),
    );
    problems.add_if(
        *key.generate == Permission::Forbidden && *key.csr == Permission::Forbidden,
        &key.csr,
        "key.csr",
        "no key could come to the authority, since key.generate is forbidden too; allow one of them",
    );
    for algorithm in key.algorithms.iter() {
        let family = KeyFamily::of(*algorithm);
        problems.add_if(
            file.key_usage.of(family).is_none(),
            &key.algorithms,
            "key.algorithms",
            format!(
                "{algorithm} needs the field key_usage.{}; add it, or remove the algorithm",
                family.name()
            ),
        );
    }
    for (family, bits) in file.key_usage.listed() {
        check_usages(family, bits, problems);
    }
}

/// RFC 8017, RFC 5480 section 3 and RFC 8410 section 5: which usages a key can have.
fn check_usages(family: KeyFamily, bits: &At<Vec<KeyUsageBit>>, problems: &mut Problems) {
    use KeyUsageBit as Bit;
    let field = format!("key_usage.{}", family.name());
    problems.add_if(
        bits.is_empty(),
        bits,
        &field,
        "a certificate without any key usage is of no use; list at least one (RFC 5280, section 4.2.1.3)",
    );
    problems.add_if(
        bits.iter().enumerate().any(|(i, bit)| bits.iter().take(i).any(|other| other == bit)),
        bits,
        &field,
        "a key usage is there twice; remove one of them",
    );
    let impossible: &[Bit] = match family {
        KeyFamily::Ec => &[Bit::KeyEncipherment, Bit::DataEncipherment],
        KeyFamily::Ed25519 => &[
            Bit::KeyEncipherment,
            Bit::DataEncipherment,
            Bit::KeyAgreement,
            Bit::EncipherOnly,
            Bit::DecipherOnly,
        ],
        KeyFamily::Rsa => &[Bit::KeyAgreement, Bit::EncipherOnly, Bit::DecipherOnly],
    };
    for bit in bits.iter().filter(|bit| impossible.contains(bit)) {
        let allowed: &[Bit] = match family {
            KeyFamily::Ec => &[
                Bit::DigitalSignature,
                Bit::NonRepudiation,
                Bit::KeyAgreement,
                Bit::EncipherOnly,
                Bit::DecipherOnly,
                Bit::KeyCertSign,
                Bit::CrlSign,
            ],
            KeyFamily::Ed25519 => &SIGNING,
            KeyFamily::Rsa => &[
                Bit::DigitalSignature,
                Bit::NonRepudiation,
                Bit::KeyEncipherment,
                Bit::DataEncipherment,
                Bit::KeyCertSign,
                Bit::CrlSign,
            ],
        };
        problems.add(
            bits,
            &field,
            format!("{} keys cannot do {}; use some of {}", family.name(), bit.name(), names(allowed)),
        );
    }
    let one_way = bits.contains(&Bit::EncipherOnly) || bits.contains(&Bit::DecipherOnly);
    problems.add_if(
        one_way && !bits.contains(&Bit::KeyAgreement) && family == KeyFamily::Ec,
        bits,
        &field,
        "encipherOnly and decipherOnly mean nothing without keyAgreement (RFC 5280, section 4.2.1.3); add it",
    );
    problems.add_if(
        bits.contains(&Bit::EncipherOnly) && bits.contains(&Bit::DecipherOnly),
        bits,
        &field,
        "encipherOnly and decipherOnly exclude each other; use one of them",
    );
}
