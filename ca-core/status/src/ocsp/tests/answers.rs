//! What is answered to which request.

use ca_domain::{SerialNumber, Timestamp};
use const_oid::db::rfc5912::{ID_SHA_384, SECP_256_R_1};
use const_oid::db::rfc6960::{ID_PKIX_OCSP_BASIC, ID_PKIX_OCSP_RESPONSE};
use der::asn1::{BitString, OctetString};
use der::{Decode, Encode};
use x509_cert::ext::Extension;
use x509_ocsp::{OcspRequest, Signature};

use super::*;
use crate::StatusError;

fn site() -> Site {
    Site::new(KeyAlgorithm::P256)
}

fn refused(answer: &Answer, status: ErrorStatus) {
    assert_eq!(answer.class, AnswerClass::Error(status), "{:?}", answer.problem);
    assert_eq!(answer.der, status.der());
    assert_eq!(answer.cacheable, None);
}

#[test]
fn every_state_has_its_status() {
    let site = site();
    let revoked = |seconds, reason| ViewState::Revoked { at: at(seconds), reason };
    for (number, state, class) in [
        (5, ViewState::Good, AnswerClass::Good),
        (6, revoked(1_700_000_000, ReasonCode::Unspecified), AnswerClass::Revoked),
        (7, revoked(1_700_000_001, ReasonCode::KeyCompromise), AnswerClass::Revoked),
        (8, revoked(1_700_000_002, ReasonCode::CertificateHold), AnswerClass::Revoked),
        (99, ViewState::Unknown, AnswerClass::Unknown),
    ] {
        let (answer, _, found) = site.ask(&site.cert_id(number));
        assert_eq!((found, answer.class), (state, class), "{number}");
    }
}

#[test]
fn the_cert_id_comes_back_as_it_was_asked() {
    let site = site();
    for hash in [CertHash::Sha1, CertHash::Sha256] {
        for drop_null in [false, true] {
            let mut id = site.ids.cert_id(hash, &serial(5)).unwrap();
            if drop_null {
                id.hash_algorithm.parameters = None;
            }
            let (_, view, state) = site.ask(&id);
            assert_eq!(state, ViewState::Good);
            let echoed = &view.basic().tbs_response_data.responses[0].cert_id;
            assert_eq!(echoed.to_der().unwrap(), id.to_der().unwrap());
        }
    }
}

#[test]
fn times_are_whole_and_next_update_is_there() {
    let mut site = site();
    let (answer, view, _) = site.ask(&site.cert_id(5));
    let status = view.status(&site.cert_id(5)).unwrap();
    let cache = answer.cacheable.unwrap();
    assert_eq!(status.next_update, Some(cache.next_update));
    assert_eq!(status.this_update, view.produced_at());
    assert_eq!(cache.next_update.seconds_since(cache.this_update), DAY);
    assert_eq!(cache.max_age, DAY);

    site.policy.validity = 400 * DAY;
    let (answer, ..) = site.ask(&site.cert_id(5));
    let end = Timestamp::from(site.delegate.certificate.tbs_certificate.validity.not_after);
    assert_eq!(answer.cacheable.unwrap().next_update, end, "never beyond the signer's notAfter");
}

#[test]
fn never_issued_is_never_good() {
    let mut site = site();
    let id = site.cert_id(99);
    let (answer, view, state) = site.ask(&id);
    assert_eq!(state, ViewState::Unknown);
    assert!(!view.has_extended_revoke());
    assert!(answer.cacheable.unwrap().max_age <= 60, "the ledger may show it in a moment");

    site.policy.never_issued = NeverIssued::Revoked;
    let (_, view, state) = site.ask(&id);
    assert_eq!(state, ViewState::Revoked { at: Timestamp::EPOCH, reason: ReasonCode::CertificateHold });
    assert!(view.has_extended_revoke());

    site.policy.never_issued = NeverIssued::Unauthorized;
    refused(&site.answer(&site.request(&[99], None)), ErrorStatus::Unauthorized);
    refused(&site.answer(&site.request(&[5, 99], None)), ErrorStatus::Unauthorized);
}

#[test]
fn a_serial_of_another_issuer_was_never_issued() {
    let mut site = site();
    let other = Holder::authority(KeyAlgorithm::P256, "CN=Other");
    let delegate = other.delegate(KeyAlgorithm::P256);
    let theirs = IssuerIds::of(&other.certificate).unwrap();
    let id = theirs.cert_id(CertHash::Sha256, &serial(5)).unwrap();

    let ask = |site: &Site, ids: &[CertId]| site.answer(&request::build(ids, None).unwrap());
    refused(&ask(&site, std::slice::from_ref(&id)), ErrorStatus::Unauthorized);
    let beside = [site.cert_id(5), id.clone()];
    let view = site.view(&ask(&site, &beside));
    assert_eq!(view.status(&beside[0]).unwrap().state, ViewState::Good);
    assert_eq!(view.status(&beside[1]).unwrap().state, ViewState::Unknown);

    site.responder.add_authority(&other.certificate).unwrap();
    refused(&ask(&site, std::slice::from_ref(&id)), ErrorStatus::TryLater);
    let signer =
        ResponseSigner::new(delegate.key.clone(), &delegate.certificate, &other.certificate).unwrap();
    site.signers.insert(theirs.authority(), Arc::new(signer));
    let answer = ask(&site, std::slice::from_ref(&id));
    let view = OcspView::parse_and_verify(&answer.der, &other.certificate, now()).unwrap();
    assert_eq!(view.status(&id).unwrap().state, ViewState::Unknown);
    refused(&ask(&site, &beside), ErrorStatus::Unauthorized);

    let mut mixed = site.cert_id(5);
    mixed.issuer_key_hash = OctetString::new(theirs.authority().0).unwrap();
    refused(&ask(&site, &[mixed]), ErrorStatus::Unauthorized);
    let mut strange = site.cert_id(5);
    strange.hash_algorithm.oid = ID_SHA_384;
    refused(&ask(&site, &[strange]), ErrorStatus::Unauthorized);
    let mut parameters = site.cert_id(5);
    parameters.hash_algorithm.parameters = Some((&SECP_256_R_1).into());
    refused(&ask(&site, &[parameters]), ErrorStatus::Unauthorized);
}

#[test]
fn nonces() {
    let mut site = site();
    for length in [1, 32, 33, 128] {
        let nonce = vec![7; length];
        let answer = site.answer(&site.request(&[5], Some(&nonce)));
        assert_eq!(site.view(&answer).nonce(), Some(nonce));
        assert_eq!(answer.cacheable, None, "it never enters a shared cache");
    }
    for length in [0, 129, 1000] {
        refused(&site.answer(&site.request(&[5], Some(&vec![7; length]))), ErrorStatus::MalformedRequest);
    }
    site.policy.nonce = NoncePolicy::Ignore;
    let answer = site.answer(&site.request(&[5], Some(&[7; 32])));
    assert_eq!(site.view(&answer).nonce(), None);
    assert!(answer.cacheable.is_some());
    site.policy.nonce = NoncePolicy::Require;
    refused(&site.answer(&site.request(&[5], None)), ErrorStatus::Unauthorized);
    let answer = site.answer(&site.request(&[5], Some(&[7; 32])));
    assert_eq!(site.view(&answer).nonce(), Some(vec![7; 32]));
}

fn changed(site: &Site, change: impl FnOnce(&mut OcspRequest)) -> Vec<u8> {
    let mut request = OcspRequest::from_der(&site.request(&[5], Some(&[7; 16]))).unwrap();
    change(&mut request);
    request.to_der().unwrap()
}

fn extension(oid: const_oid::ObjectIdentifier, critical: bool, value: impl Encode) -> Extension {
    Extension { extn_id: oid, critical, extn_value: OctetString::new(value.to_der().unwrap()).unwrap() }
}

#[test]
fn unknown_critical_extensions_are_refused() {
    let site = site();
    for critical in [false, true] {
        let strange = || extension(SECP_256_R_1, critical, true);
        let whole = changed(&site, |request| {
            request.tbs_request.request_extensions.get_or_insert_default().push(strange());
        });
        let single = changed(&site, |request| {
            request.tbs_request.request_list[0].single_request_extensions = Some(vec![strange()]);
        });
        for request in [whole, single] {
            let answer = site.answer(&request);
            if critical {
                refused(&answer, ErrorStatus::MalformedRequest);
                assert!(matches!(answer.problem, Some(StatusError::UnknownCriticalExtension(_))));
            } else {
                assert_eq!(answer.class, AnswerClass::Good);
            }
        }
    }
    for (wanted, good) in [(ID_PKIX_OCSP_BASIC, true), (SECP_256_R_1, false)] {
        let request = changed(&site, |request| {
            let types = extension(ID_PKIX_OCSP_RESPONSE, true, vec![wanted]);
            request.tbs_request.request_extensions.get_or_insert_default().push(types);
        });
        assert_eq!(site.answer(&request).class == AnswerClass::Good, good);
    }
    let twice = changed(&site, |request| {
        let extensions = request.tbs_request.request_extensions.get_or_insert_default();
        extensions.push(extensions[0].clone());
    });
    refused(&site.answer(&twice), ErrorStatus::MalformedRequest);
}

#[test]
fn signed_requests_are_answered() {
    let site = site();
    let request = changed(&site, |request| {
        request.optional_signature = Some(Signature {
            signature_algorithm: site.authority.certificate.signature_algorithm.clone(),
            signature: BitString::from_bytes(&[1; 70]).unwrap(),
            certs: Some(vec![site.delegate.certificate.clone()]),
        });
    });
    assert!(request::parse(&request, &Budget::default()).unwrap().signed);
    assert_eq!(site.answer(&request).class, AnswerClass::Good);
}

#[test]
fn many_certificates_at_once() {
    let site = site();
    let answer = site.answer(&site.request(&[5, 6, 7, 8, 99], None));
    assert_eq!(answer.class, AnswerClass::Several);
    let view = site.view(&answer);
    assert_eq!(view.basic().tbs_response_data.responses.len(), 5);
    assert_eq!(view.status(&site.cert_id(5)).unwrap().state, ViewState::Good);
    assert_eq!(view.status(&site.cert_id(99)).unwrap().state, ViewState::Unknown);

    let numbers: Vec<u64> = (100..164).collect();
    assert_eq!(site.answer(&site.request(&numbers, None)).class, AnswerClass::Several);
    let numbers: Vec<u64> = (100..165).collect();
    refused(&site.answer(&site.request(&numbers, None)), ErrorStatus::MalformedRequest);
    let attack: Vec<u64> = (0..10_000).map(|number| number + 100).collect();
    let answer = site.answer(&site.request(&attack, None));
    refused(&answer, ErrorStatus::MalformedRequest);
    assert!(matches!(answer.problem, Some(StatusError::RequestTooLarge { .. })));
    refused(&site.answer(&request::build(&[], None).unwrap()), ErrorStatus::MalformedRequest);
}

#[test]
fn serials_that_no_certificate_has() {
    let site = site();
    for bytes in [vec![0], vec![0xff], vec![0x80; 20], vec![1; 21]] {
        let mut der = vec![0x02, bytes.len() as u8];
        der.extend(&bytes);
        let mut id = site.cert_id(5);
        id.serial_number = x509_cert::serial_number::SerialNumber::from_der(&der).unwrap();
        let (_, view, state) = site.ask(&id);
        assert_eq!(state, ViewState::Unknown);
        assert_eq!(view.basic().tbs_response_data.responses[0].cert_id, id);
    }
    assert!(SerialNumber::from_be_bytes(&[0]).is_err());
}

#[test]
fn a_change_is_seen_at_once_and_names_the_cached_answer() {
    let mut site = site();
    let request = site.request(&[5], None);
    let view = request::parse(&request, &Budget::default()).unwrap();
    let key = site.responder.resolve(view.clone(), &site.policy).unwrap().cache_key().unwrap();
    let entry = revoked(id_of(&site), serial(5), now(), ReasonCode::KeyCompromise);
    let next = site.responder.table().next_index();
    let change = site.responder.apply(next, &entry).unwrap().unwrap();
    assert_eq!((change.authority, change.serial), (key.authority, key.serial));
    assert_eq!(site.answer(&request).class, AnswerClass::Revoked);

    let keyless = |request: &[u8]| {
        let view = request::parse(request, &Budget::default()).unwrap();
        site.responder.resolve(view, &site.policy).unwrap().cache_key().is_none()
    };
    assert!(keyless(&site.request(&[5], Some(&[1; 16]))));
    assert!(keyless(&site.request(&[5, 6], None)));
    assert!(keyless(&site.request(&[99], None)), "anybody can invent serials");
}

#[test]
fn an_expired_signer_answers_try_later() {
    let site = site();
    let request = site.request(&[5], None);
    for time in [now().saturating_add(31 * DAY), now().saturating_sub(2 * DAY)] {
        let answer = site.responder.answer(&request, time, &site.signers, &site.policy);
        refused(&answer, ErrorStatus::TryLater);
        assert!(matches!(answer.problem, Some(StatusError::SignerNotValid { .. })));
    }
}
