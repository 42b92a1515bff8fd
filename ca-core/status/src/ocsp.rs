//! OCSP (RFC 6960; nonces RFC 9654; profile RFC 5019 and RFC 9919).
//!
//! [`Responder::answer`] turns request bytes into response bytes without any
//! I/O. A server that signs outside its lock, or keeps signed answers, takes
//! the three steps apart: [`request::parse`], [`Responder::resolve`],
//! [`Resolved::sign`].

pub mod answer;
pub mod cert_id;
pub mod presigned;
pub mod request;
pub mod respond;
pub mod signer;
pub mod signer_request;
pub mod simple;
pub mod staple;
pub mod view;

pub use answer::{
    Answer, AnswerClass, AnswerPolicy, CacheInfo, CacheKey, NeverIssued, NoncePolicy, Resolved, Responder,
    SignerMap,
};
pub use cert_id::{CertHash, CertIdForm, IssuerIds};
pub use request::{Budget, RequestView};
pub use respond::{CertState, ErrorStatus, SingleStatus};
pub use signer::ResponseSigner;
pub use simple::{SimpleRequest, SimpleRequests};
pub use staple::{Staple, StapleSubject};
pub use view::{OcspView, ViewState, ViewStatus};
pub use x509_ocsp::CertId;

#[cfg(test)]
mod tests;
