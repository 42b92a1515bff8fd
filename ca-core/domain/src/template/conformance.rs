//! The outside rules that a template can promise to follow.

use der::asn1::ObjectIdentifier;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The arc of the S/MIME Baseline Requirements' policies (section 7.1.6.1).
const BR_ARC: &str = "2.23.140.1.5";

/// The outside rules that a template promises to follow; lint holds it to them.
///
/// But for `none` they are the CA/Browser Forum S/MIME Baseline Requirements, by what
/// was validated and by generation.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Conformance {
    /// None beyond RFC 5280 and RFC 8550.
    #[default]
    None,
    /// An individual, multipurpose generation.
    SmimeBrIndividualMultipurpose,
    /// An individual, strict generation.
    SmimeBrIndividualStrict,
    /// The mailbox alone, multipurpose generation.
    SmimeBrMailboxMultipurpose,
    /// The mailbox alone, strict generation.
    SmimeBrMailboxStrict,
    /// A legal entity, multipurpose generation.
    SmimeBrOrganizationMultipurpose,
    /// A legal entity, strict generation.
    SmimeBrOrganizationStrict,
    /// A person within a legal entity, multipurpose generation.
    SmimeBrSponsorMultipurpose,
    /// A person within a legal entity, strict generation.
    SmimeBrSponsorStrict,
}

/// Whose identity was validated (S/MIME BR 7.1.6.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Validation {
    /// The mailbox only.
    Mailbox,
    /// A legal entity.
    Organization,
    /// A person within a legal entity, which vouches for the person.
    Sponsor,
    /// A person.
    Individual,
}

impl Validation {
    /// The arc of the level below the requirements' own.
    const fn arc(self) -> u8 {
        match self {
            Self::Mailbox => 1,
            Self::Organization => 2,
            Self::Sponsor => 3,
            Self::Individual => 4,
        }
    }

    /// Whether a legal entity is named.
    #[must_use]
    pub const fn names_entity(self) -> bool {
        matches!(self, Self::Organization | Self::Sponsor)
    }

    /// Whether a person is named.
    #[must_use]
    pub const fn names_person(self) -> bool {
        matches!(self, Self::Sponsor | Self::Individual)
    }

    /// As the requirements call it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mailbox => "mailbox-validated",
            Self::Organization => "organization-validated",
            Self::Sponsor => "sponsor-validated",
            Self::Individual => "individual-validated",
        }
    }
}

/// Level and generation of a claim of conformance to the S/MIME BR.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BrProfile {
    /// Whose identity was validated.
    pub validation: Validation,
    /// The strict generation; else multipurpose.
    pub strict: bool,
}

impl BrProfile {
    /// The one reserved policy that states the claim (S/MIME BR 7.1.6.1).
    #[must_use]
    pub fn policy(self) -> ObjectIdentifier {
        let generation = if self.strict { 3 } else { 2 };
        // At most nine small arcs: always an object identifier.
        ObjectIdentifier::new_unwrap(BR_ARC)
            .push_arc(u32::from(self.validation.arc()))
            .and_then(|oid| oid.push_arc(generation))
            .unwrap_or(ObjectIdentifier::new_unwrap(BR_ARC))
    }
}

impl Conformance {
    /// Every claim.
    pub const ALL: [Self; 9] = [
        Self::None,
        Self::SmimeBrIndividualMultipurpose,
        Self::SmimeBrIndividualStrict,
        Self::SmimeBrMailboxMultipurpose,
        Self::SmimeBrMailboxStrict,
        Self::SmimeBrOrganizationMultipurpose,
        Self::SmimeBrOrganizationStrict,
        Self::SmimeBrSponsorMultipurpose,
        Self::SmimeBrSponsorStrict,
    ];

    /// Level and generation of the S/MIME BR; none without a claim.
    #[must_use]
    pub const fn br(self) -> Option<BrProfile> {
        let (validation, strict) = match self {
            Self::None => return None,
            Self::SmimeBrIndividualMultipurpose => (Validation::Individual, false),
            Self::SmimeBrIndividualStrict => (Validation::Individual, true),
            Self::SmimeBrMailboxMultipurpose => (Validation::Mailbox, false),
            Self::SmimeBrMailboxStrict => (Validation::Mailbox, true),
            Self::SmimeBrOrganizationMultipurpose => (Validation::Organization, false),
            Self::SmimeBrOrganizationStrict => (Validation::Organization, true),
            Self::SmimeBrSponsorMultipurpose => (Validation::Sponsor, false),
            Self::SmimeBrSponsorStrict => (Validation::Sponsor, true),
        };
        Some(BrProfile { validation, strict })
    }

    /// The claim that a reserved policy states; none for any other policy, the
    /// legacy generation's included.
    #[must_use]
    pub fn of_policy(policy: ObjectIdentifier) -> Option<Self> {
        Self::ALL.into_iter().find(|claim| claim.br().is_some_and(|br| br.policy() == policy))
    }

    /// The word in the template file.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::SmimeBrIndividualMultipurpose => "smime-br-individual-multipurpose",
            Self::SmimeBrIndividualStrict => "smime-br-individual-strict",
            Self::SmimeBrMailboxMultipurpose => "smime-br-mailbox-multipurpose",
            Self::SmimeBrMailboxStrict => "smime-br-mailbox-strict",
            Self::SmimeBrOrganizationMultipurpose => "smime-br-organization-multipurpose",
            Self::SmimeBrOrganizationStrict => "smime-br-organization-strict",
            Self::SmimeBrSponsorMultipurpose => "smime-br-sponsor-multipurpose",
            Self::SmimeBrSponsorStrict => "smime-br-sponsor-strict",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_words_and_claims_are_one() {
        let policies: Vec<_> = Conformance::ALL
            .into_iter()
            .filter_map(|claim| claim.br().map(|br| (claim.name(), br.policy().to_string())))
            .collect();
        let wanted = [
            ("smime-br-individual-multipurpose", "2.23.140.1.5.4.2"),
            ("smime-br-individual-strict", "2.23.140.1.5.4.3"),
            ("smime-br-mailbox-multipurpose", "2.23.140.1.5.1.2"),
            ("smime-br-mailbox-strict", "2.23.140.1.5.1.3"),
            ("smime-br-organization-multipurpose", "2.23.140.1.5.2.2"),
            ("smime-br-organization-strict", "2.23.140.1.5.2.3"),
            ("smime-br-sponsor-multipurpose", "2.23.140.1.5.3.2"),
            ("smime-br-sponsor-strict", "2.23.140.1.5.3.3"),
        ];
        assert!(policies.iter().map(|(name, oid)| (*name, oid.as_str())).eq(wanted));
        for claim in Conformance::ALL {
            assert_eq!(serde_json::to_value(claim).unwrap(), claim.name());
            let found = claim.br().and_then(|br| Conformance::of_policy(br.policy()));
            assert_eq!(found, Some(claim).filter(|claim| *claim != Conformance::None));
        }
        assert_eq!(Conformance::of_policy(ObjectIdentifier::new_unwrap("2.23.140.1.5.1.1")), None);
    }
}
