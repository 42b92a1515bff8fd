//! Any octets as the DER of an OCSP request: both readings of it end, stay within the
//! budget, and agree.
#![no_main]

use std::sync::LazyLock;

use ca_status::ocsp::{AnswerPolicy, Responder, SimpleRequests, request};
use der::Decode;
use libfuzzer_sys::fuzz_target;
use x509_cert::Certificate;

/// Answers for the issuer of the corpus, which has issued nothing here.
static RESPONDER: LazyLock<Responder> = LazyLock::new(|| {
    let issuer = Certificate::from_der(include_bytes!("../../tests/corpus/ocsp/issuer.crt.der")).unwrap();
    let mut responder = Responder::new();
    responder.add_authority(&issuer).unwrap();
    responder
});

static SIMPLE: LazyLock<SimpleRequests> = LazyLock::new(|| SimpleRequests::about(RESPONDER.issuers()));

fuzz_target!(|data: &[u8]| {
    let policy = AnswerPolicy::default();
    let quick = SIMPLE.read(data);
    let Ok(view) = request::parse(data, &policy.budget) else {
        assert!(quick.is_none() || data.len() > policy.budget.max_bytes);
        return;
    };
    assert!((1..=policy.budget.max_cert_ids).contains(&view.cert_ids.len()));
    assert!(quick.is_none_or(|quick| quick.view().as_ref() == Some(&view)));
    // Nothing was issued, so there is nothing to keep an answer for.
    let resolved = RESPONDER.resolve(view, &policy);
    assert!(resolved.is_ok_and(|resolved| resolved.cache_key().is_none()) || quick.is_none());
});
