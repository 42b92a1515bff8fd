//! The crate `ocsp`, which shares no code with ours, encodes the same bytes.

use der::Encode;
use ocsp::common::asn1::{CertId as TheirId, GeneralizedTime, Oid};
use ocsp::response::{
    CertStatus, CertStatusCode, CrlReason, OneResp, ResponderId, ResponseData, RevokedInfo,
};

use super::*;

fn their_time(time: ca_domain::Timestamp) -> GeneralizedTime {
    let date = time.date_time();
    let (month, day) = (u32::from(date.month()), u32::from(date.day()));
    let (hour, minute, second) = (date.hour().into(), date.minutes().into(), date.seconds().into());
    GeneralizedTime::new(date.year().into(), month, day, hour, minute, second).unwrap()
}

#[test]
fn response_data_is_byte_identical() {
    let site = Site::new(KeyAlgorithm::Rsa2048);
    let signer = &site.signers[&id_of(&site)];
    let (this_update, next_update) = (now(), now().saturating_add(DAY));
    let revoked = |seconds, reason| CertState::Revoked { at: at(seconds), reason };
    let theirs = |code, info| CertStatus::new(code, info);
    let theirs_revoked = |seconds, reason| {
        theirs(CertStatusCode::Revoked, Some(RevokedInfo::new(their_time(at(seconds)), reason)))
    };
    let cases = [
        (CertState::Good, theirs(CertStatusCode::Good, None)),
        (CertState::Unknown, theirs(CertStatusCode::Unknown, None)),
        (revoked(1_700_000_000, ReasonCode::Unspecified), theirs_revoked(1_700_000_000, None)),
        (
            revoked(1_700_000_001, ReasonCode::KeyCompromise),
            theirs_revoked(1_700_000_001, Some(CrlReason::OcspRevokeKeyCompromise)),
        ),
        (
            revoked(1_700_000_002, ReasonCode::CertificateHold),
            theirs_revoked(1_700_000_002, Some(CrlReason::OcspRevokeCertHold)),
        ),
    ];
    let mut ours = Vec::new();
    let mut list = Vec::new();
    for (number, (state, cert_status)) in (0x51..).zip(cases) {
        let cert_id = site.cert_id(number);
        list.push(OneResp {
            cid: TheirId::new(
                Oid::new_from_dot("1.3.14.3.2.26").unwrap(),
                cert_id.issuer_name_hash.as_bytes(),
                cert_id.issuer_key_hash.as_bytes(),
                serial(number).as_be_bytes(),
            ),
            cert_status,
            this_update: their_time(this_update),
            next_update: Some(their_time(next_update)),
            one_resp_ext: None,
        });
        ours.push(SingleStatus { cert_id, state, this_update, next_update });
        let data = respond::response_data(&ours, signer, this_update, None).unwrap();
        let responder = ResponderId::new_key_hash(&signer.key_hash().0);
        let theirs = ResponseData::new(responder, their_time(this_update), list.clone(), None);
        assert_eq!(data.to_der().unwrap(), theirs.to_der().unwrap());
    }
}

#[test]
fn our_requests_are_read_by_it() {
    let site = Site::new(KeyAlgorithm::P256);
    let request = site.request(&[5, 6], Some(&[1, 2, 3, 4]));
    let parsed = ocsp::request::OcspRequest::parse(&request).unwrap();
    assert_eq!(parsed.extract_cert_sn(), [&vec![5], &vec![6]]);
}
