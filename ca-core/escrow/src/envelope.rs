//! CMS EnvelopedData (RFC 5652, section 6) for the two things that are sealed
//! here: a private key under a key-encryption key, and a share to an RSA key.
//! `openssl cms -decrypt` opens both.

use cms::content_info::{CmsVersion, ContentInfo};
use cms::enveloped_data::{
    EncryptedContentInfo, EnvelopedData, KekIdentifier, KekRecipientInfo, KeyTransRecipientInfo,
    RecipientIdentifier, RecipientInfo, RecipientInfos,
};
use const_oid::ObjectIdentifier;
use const_oid::db::{rfc5911, rfc5912};
use der::asn1::{Any, Null, OctetString, SetOfVec};
use der::{Decode, Encode, Sequence};
use spki::AlgorithmIdentifierOwned;
use zeroize::Zeroizing;

use crate::EscrowError;
use crate::crypto::{self, Secret};

/// id-aes256-wrap (RFC 3565, section 2.3.2).
const AES256_WRAP: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.1.45");
/// aes256-CBC (RFC 3565, section 4.1).
const AES256_CBC: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.1.42");

const WHAT: &str = "a CMS EnvelopedData";

fn failed() -> impl FnOnce(der::Error) -> EscrowError {
    EscrowError::der(WHAT)
}

/// RSAES-OAEP-params (RFC 8017, appendix A.2.1) without pSourceAlgorithm.
#[derive(Clone, Debug, Eq, PartialEq, Sequence)]
struct OaepParams {
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
    hash: AlgorithmIdentifierOwned,
    #[asn1(context_specific = "1", tag_mode = "EXPLICIT")]
    mask: AlgorithmIdentifierOwned,
}

/// RSA-OAEP with SHA-256 for hash and mask.
fn oaep() -> der::Result<AlgorithmIdentifierOwned> {
    let sha256 = AlgorithmIdentifierOwned { oid: rfc5912::ID_SHA_256, parameters: Some(Null.into()) };
    let mask =
        AlgorithmIdentifierOwned { oid: rfc5912::ID_MGF_1, parameters: Some(Any::encode_from(&sha256)?) };
    let parameters = Any::encode_from(&OaepParams { hash: sha256, mask })?;
    Ok(AlgorithmIdentifierOwned { oid: rfc5912::ID_RSAES_OAEP, parameters: Some(parameters) })
}

/// Seals `content` to an RSA key.
pub(crate) fn seal_to_rsa(
    rid: RecipientIdentifier,
    spki_der: &[u8],
    content: &[u8],
) -> Result<ContentInfo, EscrowError> {
    let key = crypto::random_key()?;
    let (rid_version, version) = match &rid {
        RecipientIdentifier::IssuerAndSerialNumber(_) => (CmsVersion::V0, CmsVersion::V0),
        RecipientIdentifier::SubjectKeyIdentifier(_) => (CmsVersion::V2, CmsVersion::V2),
    };
    let recipient = RecipientInfo::Ktri(KeyTransRecipientInfo {
        version: rid_version,
        rid,
        key_enc_alg: oaep().map_err(failed())?,
        enc_key: OctetString::new(crypto::oaep_encrypt(spki_der, &key)?).map_err(failed())?,
    });
    seal(version, recipient, &key, content)
}

/// Seals `content` under a key-encryption key with the identifier `id`.
pub(crate) fn seal_to_kek(kek: &Secret, id: &[u8], content: &[u8]) -> Result<ContentInfo, EscrowError> {
    let key = crypto::random_key()?;
    let recipient = RecipientInfo::Kekri(KekRecipientInfo {
        version: CmsVersion::V4,
        kek_id: KekIdentifier {
            kek_identifier: OctetString::new(id).map_err(failed())?,
            date: None,
            other: None,
        },
        key_enc_alg: AlgorithmIdentifierOwned { oid: AES256_WRAP, parameters: None },
        encrypted_key: OctetString::new(crypto::wrap(kek, &key)?).map_err(failed())?,
    });
    seal(CmsVersion::V2, recipient, &key, content)
}

fn seal(
    version: CmsVersion,
    recipient: RecipientInfo,
    key: &Secret,
    content: &[u8],
) -> Result<ContentInfo, EscrowError> {
    let (iv, encrypted) = crypto::cbc_encrypt(key, content)?;
    let build = || -> der::Result<ContentInfo> {
        let iv = Any::encode_from(&OctetString::new(iv)?)?;
        let enveloped = EnvelopedData {
            version,
            originator_info: None,
            recip_infos: RecipientInfos(SetOfVec::try_from(vec![recipient])?),
            encrypted_content: EncryptedContentInfo {
                content_type: rfc5911::ID_DATA,
                content_enc_alg: AlgorithmIdentifierOwned { oid: AES256_CBC, parameters: Some(iv) },
                encrypted_content: Some(OctetString::new(encrypted)?),
            },
            unprotected_attrs: None,
        };
        Ok(ContentInfo { content_type: rfc5911::ID_ENVELOPED_DATA, content: Any::encode_from(&enveloped)? })
    };
    build().map_err(failed())
}

/// Opens what was sealed to the RSA key (PKCS#8 DER); none if it was sealed to
/// another key or was changed.
pub(crate) fn open_with_rsa(
    pkcs8_der: &[u8],
    info: &ContentInfo,
) -> Result<Option<Zeroizing<Vec<u8>>>, EscrowError> {
    let enveloped = read(info)?;
    let [RecipientInfo::Ktri(recipient)] = enveloped.recip_infos.0.as_slice() else {
        return Err(strange("it has not one recipient with an RSA key"));
    };
    if recipient.key_enc_alg != oaep().map_err(failed())? {
        return Err(strange("its key is not encrypted with RSA-OAEP and SHA-256"));
    }
    match crypto::oaep_decrypt(pkcs8_der, recipient.enc_key.as_bytes())? {
        Some(key) => open(&enveloped.encrypted_content, &key),
        None => Ok(None),
    }
}

/// Opens what was sealed under a key-encryption key; none with another key, or
/// if it was changed.
pub(crate) fn open_with_kek(
    kek: &Secret,
    info: &ContentInfo,
) -> Result<Option<Zeroizing<Vec<u8>>>, EscrowError> {
    let enveloped = read(info)?;
    let [RecipientInfo::Kekri(recipient)] = enveloped.recip_infos.0.as_slice() else {
        return Err(strange("it has not one key-encryption key"));
    };
    if recipient.key_enc_alg.oid != AES256_WRAP {
        return Err(strange("its key is not wrapped with AES-256"));
    }
    match crypto::unwrap(kek, recipient.encrypted_key.as_bytes())? {
        Some(key) => open(&enveloped.encrypted_content, &key),
        None => Ok(None),
    }
}

fn open(sealed: &EncryptedContentInfo, key: &Secret) -> Result<Option<Zeroizing<Vec<u8>>>, EscrowError> {
    let iv = sealed
        .content_enc_alg
        .parameters
        .as_ref()
        .filter(|_| sealed.content_enc_alg.oid == AES256_CBC)
        .and_then(|any| any.decode_as::<OctetString>().ok())
        .and_then(|iv| <[u8; 16]>::try_from(iv.as_bytes()).ok())
        .ok_or_else(|| strange("its content is not encrypted with AES-256-CBC"))?;
    let content = sealed.encrypted_content.as_ref().ok_or_else(|| strange("it has no content"))?;
    crypto::cbc_decrypt(key, &iv, content.as_bytes())
}

fn read(info: &ContentInfo) -> Result<EnvelopedData, EscrowError> {
    if info.content_type != rfc5911::ID_ENVELOPED_DATA {
        return Err(strange("its content is of another type"));
    }
    EnvelopedData::from_der(&info.content.to_der().map_err(failed())?).map_err(failed())
}

fn strange(why: &str) -> EscrowError {
    EscrowError::Format { what: "an envelope of this program", why: why.into() }
}
