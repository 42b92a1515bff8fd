//! The signature of a profile: who made it.

use ca_domain::{RevocationState, Timestamp};
use ca_signing::pkcs12::load;
use ca_signing::{SigningKey, SoftwareKey};
use der::Decode;
use x509_cert::Certificate;

use super::super::keys::{KeyFile, issued, may_sign};
use crate::cms_signature::{Placement, Signer, digest_of};
use crate::error::{AuthorityError, Result};
use crate::home::{Home, Wait};
use crate::inventory::Inventory;

/// A key of this home that signs, with its certificate and issuers.
pub(super) struct ProfileSigner {
    key: SoftwareKey,
    certificate: Certificate,
    chain: Vec<Certificate>,
}

impl ProfileSigner {
    pub(super) fn load(
        home: &Home,
        inventory: &mut Inventory,
        file: KeyFile<'_>,
        now: Timestamp,
        wait: &Wait<'_>,
    ) -> Result<Self> {
        let bad = |what: &str| {
            AuthorityError::Refused(format!(
                "{} cannot sign the profile: {what}; issue a certificate that signs and name its PKCS#12 file",
                file.path.display()
            ))
        };
        let mut refused = bad("it holds no key");
        for one in load(file.path, file.password)? {
            let issuance = issued(inventory, &one.certificate, file.path, wait)?;
            let record = &issuance.record;
            if !may_sign(&issuance.certificate)? {
                refused = bad("its certificate does not allow signatures");
            } else if record.state != RevocationState::Good || record.is_expired(now) {
                refused = bad("its certificate is revoked, held or expired");
            } else if digest_of(one.key.signature_algorithm()).is_none() {
                refused = bad("Apple cannot verify Ed25519");
            } else {
                let chain = inventory.chain(home, &issuance)?;
                let decode = |der: &Vec<u8>| {
                    Certificate::from_der(der).map_err(AuthorityError::der("an issuer's certificate"))
                };
                let chain = chain.iter().map(decode).collect::<Result<_>>()?;
                return Ok(Self { key: one.key, certificate: issuance.certificate, chain });
            }
        }
        Err(refused)
    }

    pub(super) fn sign(&self, profile: &[u8], now: Timestamp) -> Result<Vec<u8>> {
        let signer = Signer { certificate: &self.certificate, chain: &self.chain, key: &self.key };
        signer.sign(profile, Placement::Attached, now)
    }
}
