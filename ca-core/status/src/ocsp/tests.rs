//! Tests of OCSP answers.

mod answers;
mod mutations;
mod openssl;
mod oracle;
mod signers;
mod staples;

use std::sync::Arc;

use ca_domain::{KeyAlgorithm, KeyIdentifier, ReasonCode};
use ca_ledger::EntryKind;

use super::*;
use crate::testing::{DAY, Holder, at, entry, issued, now, revoked, serial};

/// A responder for one authority with a delegate: serial 5 is good, 6 revoked
/// without a reason, 7 revoked with one, 8 held.
struct Site {
    authority: Holder,
    delegate: Holder,
    ids: IssuerIds,
    responder: Responder,
    signers: SignerMap,
    policy: AnswerPolicy,
}

impl Site {
    fn new(algorithm: KeyAlgorithm) -> Self {
        let authority = Holder::authority(algorithm, "CN=Toy,O=Chancery Test,C=DE");
        let delegate = authority.delegate(algorithm);
        let mut responder = Responder::new();
        let id = responder.add_authority(&authority.certificate).unwrap();
        let end = now().saturating_add(90 * DAY);
        let mut entries: Vec<_> = (5..=8).map(|number| issued(id, serial(number), end)).collect();
        entries.push(revoked(id, serial(6), at(1_700_000_000), ReasonCode::Unspecified));
        entries.push(revoked(id, serial(7), at(1_700_000_001), ReasonCode::KeyCompromise));
        entries.push(entry(EntryKind::Held, id, Some(serial(8)), at(1_700_000_002)));
        for (index, entry) in entries.iter().enumerate() {
            responder.apply(index as u64, entry).unwrap();
        }
        let signer = ResponseSigner::new(delegate.key.clone(), &delegate.certificate, &authority.certificate);
        let signers = SignerMap::from([(id, Arc::new(signer.unwrap()))]);
        let ids = IssuerIds::of(&authority.certificate).unwrap();
        Self { authority, delegate, ids, responder, signers, policy: AnswerPolicy::default() }
    }

    fn cert_id(&self, number: u64) -> CertId {
        self.ids.cert_id(CertHash::Sha1, &serial(number)).unwrap()
    }

    fn request(&self, numbers: &[u64], nonce: Option<&[u8]>) -> Vec<u8> {
        let ids: Vec<_> = numbers.iter().map(|number| self.cert_id(*number)).collect();
        request::build(&ids, nonce).unwrap()
    }

    fn answer(&self, request: &[u8]) -> Answer {
        self.responder.answer(request, now(), &self.signers, &self.policy)
    }

    fn view(&self, answer: &Answer) -> OcspView {
        OcspView::parse_and_verify(&answer.der, &self.authority.certificate, now()).unwrap()
    }

    /// Asks about one certificate and verifies the answer.
    fn ask(&self, id: &CertId) -> (Answer, OcspView, ViewState) {
        let answer = self.answer(&request::build(std::slice::from_ref(id), None).unwrap());
        let view = self.view(&answer);
        let state = view.status(id).unwrap().state;
        (answer, view, state)
    }
}

fn id_of(site: &Site) -> KeyIdentifier {
    site.ids.authority()
}
