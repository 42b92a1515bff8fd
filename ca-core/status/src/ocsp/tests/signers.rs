//! Who may sign, and whose signature is believed.

use const_oid::db::rfc5280::ID_CE_EXT_KEY_USAGE;
use const_oid::db::rfc6960::ID_PKIX_OCSP_NOCHECK;
use der::{Decode, Encode};
use x509_cert::ext::pkix::KeyUsages;
use x509_ocsp::{AsResponseBytes, BasicOcspResponse, OcspResponse};

use super::*;
use crate::testing::{delegate_extensions, key_usage, nocheck, ocsp_signing, without};

fn signer(holder: &Holder, issuer: &Holder) -> Result<ResponseSigner, String> {
    ResponseSigner::new(holder.key.clone(), &holder.certificate, &issuer.certificate)
        .map_err(|error| error.to_string())
}

#[test]
fn only_the_authority_and_its_delegates_sign() {
    let authority = Holder::authority(KeyAlgorithm::P256, "CN=Toy");
    let end = now().saturating_add(DAY);
    let issue = |extensions| authority.issue(KeyAlgorithm::P256, serial(3), end, extensions);

    assert!(signer(&authority, &authority).unwrap().delegate().is_none());
    let delegate = issue(delegate_extensions());
    assert!(signer(&delegate, &authority).unwrap().delegate().is_some());
    let plain = issue(without(delegate_extensions(), ID_CE_EXT_KEY_USAGE));
    assert!(signer(&plain, &authority).unwrap_err().contains("OCSPSigning"));
    let checked = issue(without(delegate_extensions(), ID_PKIX_OCSP_NOCHECK));
    assert!(signer(&checked, &authority).unwrap_err().contains("nocheck"));
    let encrypting = issue(vec![key_usage(KeyUsages::KeyEncipherment), ocsp_signing(), nocheck()]);
    assert!(signer(&encrypting, &authority).unwrap_err().contains("digitalSignature"));

    let stranger = Holder::authority(KeyAlgorithm::P256, "CN=Stranger");
    assert!(signer(&delegate, &stranger).unwrap_err().contains("another authority"));
    let namesake = Holder::authority(KeyAlgorithm::P256, "CN=Toy");
    assert!(signer(&delegate, &namesake).unwrap_err().contains("signature"));
    let mixed = Holder { key: stranger.key, certificate: delegate.certificate };
    assert!(signer(&mixed, &authority).unwrap_err().contains("not that of the certificate"));
}

#[test]
fn the_authority_itself_embeds_no_certificate() {
    let mut site = Site::new(KeyAlgorithm::P256);
    let itself = Arc::new(signer(&site.authority, &site.authority).unwrap());
    site.signers.insert(id_of(&site), itself);
    let (_, view, state) = site.ask(&site.cert_id(5));
    assert_eq!(state, ViewState::Good);
    assert_eq!(view.basic().certs, None);
}

#[test]
fn a_signer_of_another_authority_is_not_used() {
    let mut site = Site::new(KeyAlgorithm::P256);
    let other = Holder::authority(KeyAlgorithm::P256, "CN=Other");
    let wrong = Arc::new(signer(&other, &other).unwrap());
    site.signers.insert(id_of(&site), wrong);
    assert_eq!(site.answer(&site.request(&[5], None)).class, AnswerClass::Error(ErrorStatus::TryLater));
}

#[test]
fn forged_responses_are_not_believed() {
    let site = Site::new(KeyAlgorithm::P256);
    let answer = site.answer(&site.request(&[7], None));
    let bytes = OcspResponse::from_der(&answer.der).unwrap().response_bytes.unwrap();
    let basic = BasicOcspResponse::from_der(bytes.response.as_bytes()).unwrap();
    let verify = |basic: BasicOcspResponse, issuer: &Holder| {
        let der = OcspResponse::successful(basic).unwrap().to_der().unwrap();
        OcspView::parse_and_verify(&der, &issuer.certificate, now()).map_err(|error| error.to_string())
    };
    assert_eq!(basic.to_response_bytes().unwrap(), bytes);
    verify(basic.clone(), &site.authority).unwrap();

    let mut good = basic.clone();
    good.tbs_response_data.responses[0].cert_status = x509_ocsp::CertStatus::good();
    assert!(verify(good, &site.authority).unwrap_err().contains("signature"));
    let mut bare = basic.clone();
    bare.certs = None;
    assert!(verify(bare, &site.authority).unwrap_err().contains("neither the issuer nor embedded"));
    let stranger = Holder::authority(KeyAlgorithm::P256, "CN=Stranger");
    assert!(verify(basic, &stranger).unwrap_err().contains("another authority"));

    let late = now().saturating_add(31 * DAY);
    assert!(OcspView::parse_and_verify(&answer.der, &site.authority.certificate, late).is_err());
    for status in [ErrorStatus::TryLater, ErrorStatus::Unauthorized, ErrorStatus::SigRequired] {
        assert_eq!(view::error_status(status.der()).unwrap(), Some(status));
        assert!(OcspView::parse_and_verify(status.der(), &site.authority.certificate, now()).is_err());
    }
}
