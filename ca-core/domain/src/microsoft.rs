//! What a Windows domain reads from a certificate: user principal names, security
//! identifiers and the certificate template extension.
//!
//! For private certificates only: no public requirements know these names.

use std::fmt;
use std::str::FromStr;

use const_oid::{AssociatedOid, ObjectIdentifier};
use der::asn1::{Any, OctetString, Utf8StringRef};
use der::{Decode, Encode, Sequence};
use serde::{Deserialize, Serialize};
use x509_cert::ext::pkix::name::{GeneralName, GeneralNames, OtherName};

use crate::mailbox::{Mailbox, MailboxError};

/// szOID_NT_PRINCIPAL_NAME: the otherName of a user principal name.
pub const UPN: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.20.2.3");
/// szOID_CERTIFICATE_TEMPLATE: the certificate template extension, version 2.
pub const TEMPLATE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.21.7");
/// szOID_NTDS_CA_SECURITY_EXT: the security identifier extension.
pub const SECURITY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.25.2");
/// szOID_NTDS_OBJECTSID: the otherName within the security identifier extension.
pub const OBJECT_SID: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.25.2.1");

/// Sub-authorities of a security identifier at most (MS-DTYP, section 2.4.2).
const MAX_SUBAUTHORITIES: usize = 15;

/// Why a text is no name of a Windows domain.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum MicrosoftNameError {
    /// Not of the form of an address.
    #[error("the user principal name {0}")]
    Upn(#[from] MailboxError),
    /// Letters beyond ASCII in the domain.
    #[error(
        "the user principal name {0:?} has another form in its certificate; write its domain in ASCII and lower case"
    )]
    UpnForm(String),
    /// Not a security identifier.
    #[error("{0:?} is not a security identifier; write it as S-1-5-21-1004336348-1177238915-682003330-512")]
    Sid(String),
}

/// A user principal name, `user@suffix`.
///
/// Only those in the form of a mailbox are certified: what is checked and what
/// Windows compares is then the same text.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Upn(Mailbox);

impl Upn {
    /// Reads a user principal name.
    ///
    /// # Errors
    /// A text that is not of the form of a mailbox, or whose suffix has letters
    /// beyond ASCII or capitals.
    pub fn parse(text: &str) -> Result<Self, MicrosoftNameError> {
        let mailbox = Mailbox::parse(text)?;
        if mailbox.as_str() == text {
            Ok(Self(mailbox))
        } else {
            Err(MicrosoftNameError::UpnForm(text.chars().take(100).collect()))
        }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The text as the mailbox that it looks like: its suffix is under the policies
    /// for the domains of mailboxes.
    #[must_use]
    pub const fn mailbox(&self) -> &Mailbox {
        &self.0
    }

    /// The alternative name: an otherName of a UTF8String.
    ///
    /// # Errors
    /// None for a text of this length; the encoder's signature asks for it.
    pub fn general_name(&self) -> der::Result<GeneralName> {
        let value = Any::encode_from(&Utf8StringRef::new(self.as_str())?)?;
        Ok(GeneralName::OtherName(OtherName { type_id: UPN, value }))
    }
}

/// A security identifier in its text form (MS-DTYP, section 2.4.2.1).
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SecurityIdentifier(String);

impl SecurityIdentifier {
    /// Reads `S-1-AUTHORITY-SUBAUTHORITY...`, numbers in decimal without leading
    /// zeros, 1 to 15 sub-authorities of 32 bits.
    ///
    /// # Errors
    /// Any other text.
    pub fn parse(text: &str) -> Result<Self, MicrosoftNameError> {
        let refuse = || MicrosoftNameError::Sid(text.chars().take(100).collect());
        let numbers: Vec<&str> = text.strip_prefix("S-1-").ok_or_else(refuse)?.split('-').collect();
        let plain = |number: &&str| {
            number.bytes().all(|b| b.is_ascii_digit()) && (*number == "0" || !number.starts_with('0'))
        };
        let (authority, below) = numbers.split_first().ok_or_else(refuse)?;
        let good = numbers.iter().all(plain)
            && authority.parse::<u64>().is_ok_and(|number| number < 1 << 32)
            && (1..=MAX_SUBAUTHORITIES).contains(&below.len())
            && below.iter().all(|number| number.parse::<u32>().is_ok());
        if good { Ok(Self(text.to_owned())) } else { Err(refuse()) }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The security identifier extension: the holder's account, for the strong mapping
/// of certificates to accounts (MS-WCCE, section 2.2.2.7.7.4). Never critical.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SecurityExtension(GeneralNames);

impl SecurityExtension {
    /// The extension of an account.
    ///
    /// # Errors
    /// None for a text of this length; the encoder's signature asks for it.
    pub fn of(sid: &SecurityIdentifier) -> der::Result<Self> {
        let value = Any::encode_from(&OctetString::new(sid.as_str().as_bytes())?)?;
        Ok(Self(vec![GeneralName::OtherName(OtherName { type_id: OBJECT_SID, value })]))
    }

    /// Whose account it names; none for a value that is not of the extension's form.
    #[must_use]
    pub fn read(der: &[u8]) -> Option<SecurityIdentifier> {
        let names = GeneralNames::from_der(der).ok()?;
        let [GeneralName::OtherName(name)] = names.as_slice() else { return None };
        let text = name.value.decode_as::<OctetString>().ok().filter(|_| name.type_id == OBJECT_SID)?;
        SecurityIdentifier::parse(std::str::from_utf8(text.as_bytes()).ok()?).ok()
    }
}

impl AssociatedOid for SecurityExtension {
    const OID: ObjectIdentifier = SECURITY;
}

impl Encode for SecurityExtension {
    fn encoded_len(&self) -> der::Result<der::Length> {
        self.0.encoded_len()
    }

    fn encode(&self, writer: &mut impl der::Writer) -> der::Result<()> {
        self.0.encode(writer)
    }
}

/// The certificate template extension (MS-WCCE, section 2.2.2.7.7.2). Never critical.
#[derive(Clone, Debug, Eq, PartialEq, Sequence)]
pub struct TemplateExtension {
    /// The template's object identifier in the directory.
    pub template: ObjectIdentifier,
    /// Its major version.
    pub major: u32,
    /// Its minor version.
    pub minor: Option<u32>,
}

impl AssociatedOid for TemplateExtension {
    const OID: ObjectIdentifier = TEMPLATE;
}

macro_rules! text_form {
    ($($name:ty),*) => {
        $(impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = MicrosoftNameError;

            fn from_str(text: &str) -> Result<Self, MicrosoftNameError> {
                Self::parse(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = MicrosoftNameError;

            fn try_from(text: String) -> Result<Self, MicrosoftNameError> {
                Self::parse(&text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.as_str().to_owned()
            }
        })*
    };
}

text_form!(SecurityIdentifier, Upn);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn security_identifiers() {
        for good in
            ["S-1-5-21-1004336348-1177238915-682003330-512", "S-1-5-18", "S-1-0-0", "S-1-16-4294967295"]
        {
            let sid = SecurityIdentifier::parse(good).unwrap();
            let der = SecurityExtension::of(&sid).unwrap().to_der().unwrap();
            assert_eq!(SecurityExtension::read(&der), Some(sid));
        }
        let long = format!("S-1-5{}", "-1".repeat(16));
        for bad in [
            "",
            "S-1-",
            "S-1-5",
            "s-1-5-18",
            "S-2-5-18",
            "S-1-5-018",
            "S-1-5-4294967296",
            "S-1-5--1",
            "S-1-5-1 ",
            &long,
        ] {
            assert!(SecurityIdentifier::parse(bad).is_err(), "{bad}");
        }
        assert_eq!(SecurityExtension::read(&[0x30, 0]), None);
    }

    #[test]
    fn the_security_extension_has_microsofts_form() {
        let sid = SecurityIdentifier::parse("S-1-5-18").unwrap();
        let der = hex::encode(SecurityExtension::of(&sid).unwrap().to_der().unwrap());
        assert_eq!(der, "301aa018060a2b060104018237190201a00a0408532d312d352d3138");
    }

    #[test]
    fn user_principal_names() {
        assert_eq!(Upn::parse("Alice@corp.example.test").unwrap().as_str(), "Alice@corp.example.test");
        for bad in ["alice", "alice@Corp.example.test", "alice@corp", "alice@b\u{fc}cher.test", "CORP\\alice"]
        {
            assert!(Upn::parse(bad).is_err(), "{bad}");
        }
    }
}
