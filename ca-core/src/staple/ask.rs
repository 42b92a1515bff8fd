//! Asking a responder over HTTP (RFC 6960, appendix A.1).

use std::time::Duration;

use ureq::Agent;
use ureq::http::header::{ACCEPT, CONTENT_TYPE};

/// POSTs `request` and returns the body of the answer, or why there is none.
///
/// POST, since a cache on the way may hold the answer to a GET from before a
/// revocation. Redirections are not followed. A proxy is taken from the
/// environment, as other clients do.
pub(super) fn ask(url: &str, request: &[u8], timeout: Duration, limit: u64) -> Result<Vec<u8>, String> {
    if !url.starts_with("http://") {
        return Err(format!("{url} is no http:// URL; OCSP answers are signed and need no TLS"));
    }
    let config = Agent::config_builder()
        .timeout_global(Some(timeout))
        .max_redirects(0)
        .http_status_as_error(false)
        .user_agent("chancery")
        .build();
    let unreachable = |error: ureq::Error| format!("{url} gave no answer: {error}");
    let mut response = Agent::new_with_config(config)
        .post(url)
        .header(CONTENT_TYPE, "application/ocsp-request")
        .header(ACCEPT, "application/ocsp-response")
        .send(request)
        .map_err(unreachable)?;
    let status = response.status();
    if !status.is_success() {
        return Err(format!("{url} gave no answer but the status {status}"));
    }
    response.body_mut().with_config().limit(limit).read_to_vec().map_err(unreachable)
}
