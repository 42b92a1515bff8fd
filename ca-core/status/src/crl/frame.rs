//! What the extensions of a CRL say, and whether a CRL may be relied upon.

use std::io::{Read, Seek};

use ca_domain::Timestamp;
use ca_signing::StreamVerifier;
use const_oid::ObjectIdentifier;
use const_oid::db::rfc5280::{
    ID_CE_AUTHORITY_KEY_IDENTIFIER, ID_CE_CRL_NUMBER, ID_CE_DELTA_CRL_INDICATOR, ID_CE_FRESHEST_CRL,
    ID_CE_ISSUING_DISTRIBUTION_POINT, ID_CE_KEY_USAGE,
};
use der::asn1::Uint;
use der::{Decode, DecodeOwned, Encode};
use x509_cert::Certificate;
use x509_cert::ext::pkix::crl::dp::{DistributionPoint, IssuingDistributionPoint};
use x509_cert::ext::pkix::{AuthorityKeyIdentifier, FreshestCrl, KeyUsage};
use x509_cert::time::Time;

use super::extensions::NEXT_PUBLISH;
use super::pipeline::verify_while_reading;
use super::stream::{CrlFrame, CrlReader};
use super::writer::{WrittenCrl, authority_key_id};
use super::{CLOCK_TOLERANCE, CrlNumber};
use crate::StatusError;

const DIFFERENT_ALGORITHMS: &str = "its two signature algorithms differ";

/// One thing that a relying party checks, and what is wrong with it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CrlCheck {
    /// What was checked.
    pub what: &'static str,
    /// Why it is wrong; none if it is right.
    pub fault: Option<String>,
}

impl CrlFrame {
    /// The value of an extension, if it is there.
    ///
    /// # Errors
    /// It does not decode.
    pub fn extension<T: DecodeOwned>(&self, oid: ObjectIdentifier) -> Result<Option<T>, StatusError> {
        let found = self.extensions.iter().find(|extension| extension.extn_id == oid);
        Ok(found.map(|extension| T::from_der(extension.extn_value.as_bytes())).transpose()?)
    }

    fn number_in(&self, oid: ObjectIdentifier) -> Result<Option<CrlNumber>, StatusError> {
        self.extension::<Uint>(oid)?.map(|number| CrlNumber::from_be_bytes(number.as_bytes())).transpose()
    }

    /// The CRL number.
    ///
    /// # Errors
    /// The extension does not decode, as below.
    pub fn number(&self) -> Result<Option<CrlNumber>, StatusError> {
        self.number_in(ID_CE_CRL_NUMBER)
    }

    /// Of a delta CRL, the number of the CRL that it changes.
    ///
    /// # Errors
    /// The extension does not decode.
    pub fn base(&self) -> Result<Option<CrlNumber>, StatusError> {
        self.number_in(ID_CE_DELTA_CRL_INDICATOR)
    }

    /// The authority key identifier.
    ///
    /// # Errors
    /// The extension does not decode.
    pub fn authority_key_id(&self) -> Result<Option<Vec<u8>>, StatusError> {
        let found = self.extension::<AuthorityKeyIdentifier>(ID_CE_AUTHORITY_KEY_IDENTIFIER)?;
        Ok(found.and_then(|key| key.key_identifier).map(|key| key.as_bytes().to_vec()))
    }

    /// The URLs of its delta CRL (freshestCRL, RFC 5280, section 5.2.6).
    ///
    /// # Errors
    /// The extension does not decode.
    pub fn freshest(&self) -> Result<Vec<String>, StatusError> {
        let points = self.extension::<FreshestCrl>(ID_CE_FRESHEST_CRL)?.map(|points| points.0);
        let urls = |point: &DistributionPoint| super::point_urls(point.distribution_point.as_ref());
        Ok(points.unwrap_or_default().iter().flat_map(urls).collect())
    }

    /// The issuing distribution point.
    ///
    /// # Errors
    /// The extension does not decode.
    pub fn scope(&self) -> Result<Option<IssuingDistributionPoint>, StatusError> {
        self.extension(ID_CE_ISSUING_DISTRIBUTION_POINT)
    }

    /// What the issuing distribution point says, in a line.
    ///
    /// # Errors
    /// The extension does not decode.
    pub fn scope_text(&self) -> Result<Option<String>, StatusError> {
        let Some(scope) = self.scope()? else { return Ok(None) };
        let mut parts = super::point_urls(scope.distribution_point.as_ref());
        let flags = [
            (scope.only_contains_user_certs, "only certificates of users"),
            (scope.only_contains_ca_certs, "only certificates of authorities"),
            (scope.only_contains_attribute_certs, "only attribute certificates"),
            (scope.only_some_reasons.is_some(), "only some reasons"),
            (scope.indirect_crl, "also of other issuers"),
        ];
        parts.extend(flags.into_iter().filter(|(set, _)| *set).map(|(_, text)| text.to_owned()));
        Ok(Some(parts.join(", ")))
    }

    /// The name of the signature algorithm, or its object identifier.
    #[must_use]
    pub fn algorithm_name(&self) -> String {
        let oid = self.algorithm.oid;
        const_oid::db::DB.by_oid(&oid).map_or_else(|| oid.to_string(), str::to_owned)
    }

    /// When the next CRL is planned (Microsoft's Next CRL Publish).
    ///
    /// # Errors
    /// The extension does not decode.
    pub fn next_publish(&self) -> Result<Option<Timestamp>, StatusError> {
        Ok(self.extension::<Time>(NEXT_PUBLISH)?.map(Into::into))
    }

    /// What of its critical extensions is not understood here, or would change what its list means:
    /// an indirect CRL.
    #[must_use]
    pub fn critical_fault(&self) -> Option<String> {
        let known = [ID_CE_ISSUING_DISTRIBUTION_POINT, ID_CE_DELTA_CRL_INDICATOR];
        let unknown: Vec<String> = (self.extensions.iter())
            .filter(|extension| extension.critical && !known.contains(&extension.extn_id))
            .map(|extension| extension.extn_id.to_string())
            .collect();
        if !unknown.is_empty() {
            return Some(format!("{} are not supported", unknown.join(", ")));
        }
        let indirect = |scope: &IssuingDistributionPoint| scope.indirect_crl;
        match self.scope() {
            Ok(scope) => {
                scope.as_ref().is_some_and(indirect).then(|| "indirect CRLs are not supported".to_owned())
            }
            Err(error) => Some(error.to_string()),
        }
    }
}

impl<R: Read + Seek> CrlReader<R> {
    /// Checks at the time `at` whether the CRL may be relied upon as one of `issuer`.
    ///
    /// # Errors
    /// A failure of the input.
    pub fn check(&mut self, issuer: &Certificate, at: Timestamp) -> Result<Vec<CrlCheck>, StatusError> {
        let mut checks = vec![
            check("issuer", self.issuer_fault(issuer)),
            check("authority key identifier", self.key_fault(issuer)),
            check("key usage of the issuer", usage_fault(issuer)),
        ];
        let signature = self.verify(issuer);
        if let Err(StatusError::CrlRead(_)) = signature {
            return signature.map(|()| checks);
        }
        checks.push(check("signature", signature.err().map(|error| error.to_string())));
        checks.push(check("number", self.number_fault()));
        checks.push(check("validity", self.validity_fault(at)));
        checks.push(check("critical extensions", self.frame().critical_fault()));
        let broken = self.entries()?.find_map(Result::err);
        checks.push(check("entries", broken.map(|error| error.to_string())));
        Ok(checks)
    }

    /// Checks the signature, in constant memory where the kind of key permits it.
    ///
    /// # Errors
    /// It is not that of `issuer`, or a failure of the input.
    pub fn verify(&mut self, issuer: &Certificate) -> Result<(), StatusError> {
        let frame = self.frame();
        if frame.algorithm != frame.signed_algorithm {
            return Err(StatusError::CrlUnacceptable(DIFFERENT_ALGORITHMS.to_owned()));
        }
        let (algorithm, signature) = (frame.algorithm.clone(), frame.signature.clone());
        let key = issuer.tbs_certificate.subject_public_key_info.to_der()?;
        let verifier = StreamVerifier::new(&key, &algorithm)?;
        verify_while_reading(|sink| self.signed_bytes(sink), verifier, &signature)
    }

    /// Checks all that does not change with time: that it is a CRL of `issuer`, which may sign
    /// CRLs (RFC 5280, section 6.3.3), signed by it, with a number and a nextUpdate, and nothing
    /// critical that is unknown.
    ///
    /// # Errors
    /// What is wrong, or a failure of the input.
    pub fn accept(&mut self, issuer: &Certificate) -> Result<(), StatusError> {
        self.accept_frame(issuer)?;
        self.verify(issuer)
    }

    /// As [`CrlReader::accept`] of a CRL that this process wrote to a file, of which
    /// every octet was read back and compared: its signature was verified when it was
    /// made, so that it need not be hashed again.
    ///
    /// # Errors
    /// What is wrong, or a failure of the input.
    pub fn accept_written(&self, issuer: &Certificate, written: &WrittenCrl) -> Result<(), StatusError> {
        self.accept_frame(issuer)?;
        let key = issuer.tbs_certificate.subject_public_key_info.to_der()?;
        let frame = self.frame();
        let fault = if key != written.public_key {
            "it was signed with another key than the issuer's"
        } else if frame.signature != written.signature || self.length() != written.bytes {
            "it is not what was written"
        } else if frame.algorithm != frame.signed_algorithm {
            DIFFERENT_ALGORITHMS
        } else {
            return Ok(());
        };
        Err(StatusError::CrlUnacceptable(fault.to_owned()))
    }

    fn accept_frame(&self, issuer: &Certificate) -> Result<(), StatusError> {
        let no_end = self.frame().next_update.is_none().then(|| "it has no nextUpdate".to_owned());
        let faults = [
            self.issuer_fault(issuer),
            self.key_fault(issuer).map(|fault| format!("its authority key identifier: {fault}")),
            usage_fault(issuer).map(|fault| format!("its issuer: {fault}")),
            self.number_fault().map(|fault| format!("its number: {fault}")),
            self.frame().critical_fault(),
            no_end,
        ];
        faults.into_iter().flatten().next().map_or(Ok(()), |fault| Err(StatusError::CrlUnacceptable(fault)))
    }

    fn issuer_fault(&self, issuer: &Certificate) -> Option<String> {
        let (got, wanted) = (&self.frame().issuer, &issuer.tbs_certificate.subject);
        (got != wanted).then(|| format!("it is of {got}, not of {wanted}"))
    }

    fn key_fault(&self, issuer: &Certificate) -> Option<String> {
        match (self.frame().authority_key_id(), authority_key_id(issuer)) {
            (Ok(Some(got)), Ok(wanted)) if got == wanted => None,
            (Ok(Some(_)), Ok(_)) => Some("it is not that of the issuer's certificate".into()),
            (Ok(None), _) => Some("it has none".into()),
            (Err(error), _) | (_, Err(error)) => Some(error.to_string()),
        }
    }

    fn number_fault(&self) -> Option<String> {
        match self.frame().number() {
            Ok(Some(_)) => None,
            Ok(None) => Some("it has none".into()),
            Err(error) => Some(error.to_string()),
        }
    }

    fn validity_fault(&self, at: Timestamp) -> Option<String> {
        let frame = self.frame();
        let Some(next_update) = frame.next_update else { return Some("it has no nextUpdate".into()) };
        if next_update <= at {
            Some(format!("it expired on {next_update}"))
        } else if frame.this_update > at.saturating_add(CLOCK_TOLERANCE) {
            Some(format!("its thisUpdate {} is in the future", frame.this_update))
        } else {
            None
        }
    }
}

const fn check(what: &'static str, fault: Option<String>) -> CrlCheck {
    CrlCheck { what, fault }
}

fn usage_fault(issuer: &Certificate) -> Option<String> {
    let mut extensions = issuer.tbs_certificate.extensions.iter().flatten();
    let found = extensions.find(|extension| extension.extn_id == ID_CE_KEY_USAGE)?;
    match KeyUsage::from_der(found.extn_value.as_bytes()) {
        Ok(usage) if usage.crl_sign() => None,
        Ok(_) => Some("its certificate does not allow to sign CRLs (no cRLSign in its key usage)".into()),
        Err(error) => Some(error.to_string()),
    }
}
