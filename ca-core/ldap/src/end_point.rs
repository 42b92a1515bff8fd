//! What ties a login to the TLS connection that it goes through.

use const_oid::db::{rfc5912, rfc5912::ID_RSASSA_PSS};
use der::asn1::{AnyRef, BitStringRef, ObjectIdentifier};
use der::{Decode, Sequence};
use pkcs1::RsaPssParams;
use sha2::{Digest, Sha256, Sha384, Sha512};
use spki::AlgorithmIdentifierRef;

/// A certificate (RFC 5280, section 4.1), of which only the signature algorithm matters.
#[derive(Sequence)]
struct Signed<'a> {
    _certificate: AnyRef<'a>,
    algorithm: AlgorithmIdentifierRef<'a>,
    _signature: BitStringRef<'a>,
}

/// The channel binding `tls-server-end-point` (RFC 5929, section 4): the hash of the server's
/// certificate, with the hash function of its signature. None if that has none of its own
/// (Ed25519): there the binding is not defined. SHA-1 is in no certificate that our TLS takes.
pub(crate) fn channel_binding(certificate: &[u8]) -> Option<Vec<u8>> {
    let signed = Signed::from_der(certificate).ok()?;
    let hash = match hash(&signed.algorithm)? {
        rfc5912::ID_SHA_256 => Sha256::digest(certificate).to_vec(),
        rfc5912::ID_SHA_384 => Sha384::digest(certificate).to_vec(),
        rfc5912::ID_SHA_512 => Sha512::digest(certificate).to_vec(),
        _ => return None,
    };
    Some([b"tls-server-end-point:", hash.as_slice()].concat())
}

fn hash(algorithm: &AlgorithmIdentifierRef<'_>) -> Option<ObjectIdentifier> {
    Some(match algorithm.oid {
        rfc5912::ECDSA_WITH_SHA_256 | rfc5912::SHA_256_WITH_RSA_ENCRYPTION => rfc5912::ID_SHA_256,
        rfc5912::ECDSA_WITH_SHA_384 | rfc5912::SHA_384_WITH_RSA_ENCRYPTION => rfc5912::ID_SHA_384,
        rfc5912::ECDSA_WITH_SHA_512 | rfc5912::SHA_512_WITH_RSA_ENCRYPTION => rfc5912::ID_SHA_512,
        ID_RSASSA_PSS => algorithm.parameters?.decode_as::<RsaPssParams<'_>>().ok()?.hash.oid,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    fn openssl(dir: &std::path::Path, words: &str) -> Vec<u8> {
        let output = Command::new("openssl").args(words.split(' ')).current_dir(dir).output().unwrap();
        assert!(output.status.success(), "{words}: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    /// The certificate's hash as OpenSSL takes it.
    fn certificate(key: &str, sign: &str) -> (Vec<u8>, impl Fn(&str) -> Vec<u8>) {
        let dir = tempfile::tempdir().unwrap();
        let request =
            format!("req -x509 -newkey {key} {sign} -nodes -keyout key -subj /CN=a -outform DER -out c");
        openssl(dir.path(), &request);
        let bytes = std::fs::read(dir.path().join("c")).unwrap();
        (bytes, move |hash| openssl(dir.path(), &format!("dgst -{hash} -binary c")))
    }

    #[test]
    fn the_hash_is_that_of_the_signature() {
        for (key, sign, hash) in [
            ("ec -pkeyopt ec_paramgen_curve:P-256", "-sha256", "sha256"),
            ("ec -pkeyopt ec_paramgen_curve:P-256", "-sha384", "sha384"),
            ("rsa:2048", "-sha256", "sha256"),
            ("rsa:2048", "-sha512", "sha512"),
            ("rsa:2048", "-sha384 -sigopt rsa_padding_mode:pss", "sha384"),
        ] {
            let (certificate, digest) = certificate(key, sign);
            let expected = [&b"tls-server-end-point:"[..], &digest(hash)].concat();
            assert_eq!(channel_binding(&certificate), Some(expected), "{key} {sign}");
        }
    }

    #[test]
    fn without_a_hash_there_is_none() {
        assert_eq!(channel_binding(&certificate("ed25519", "-days 3").0), None);
        assert_eq!(channel_binding(b"no certificate"), None);
    }
}
