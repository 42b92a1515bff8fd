//! Fetching as relying parties do: plain HTTP, no redirection followed.

use std::time::Duration;

use ureq::http::header::{ACCEPT, CONTENT_TYPE, LOCATION};
use ureq::{Agent, Body, http::Response};

/// What is asked for.
pub(super) struct Wanted<'a> {
    /// The media types that it may have.
    pub(super) types: &'a [&'a str],
    /// Bytes at most.
    pub(super) limit: u64,
    /// The body of a POST; a GET without it.
    pub(super) post: Option<(&'static str, &'a [u8])>,
}

/// The body at `url`, or why there is none that a relying party takes.
pub(super) fn fetch(url: &str, wanted: &Wanted<'_>, timeout: Duration) -> Result<Vec<u8>, String> {
    let config = Agent::config_builder()
        .timeout_global(Some(timeout))
        .max_redirects(0)
        .max_redirects_will_error(false)
        .http_status_as_error(false)
        .user_agent("chancery")
        .build();
    let agent = Agent::new_with_config(config);
    let accept = wanted.types.join(", ");
    let response = match wanted.post {
        Some((kind, body)) => agent.post(url).header(CONTENT_TYPE, kind).header(ACCEPT, &accept).send(body),
        None => agent.get(url).header(ACCEPT, &accept).call(),
    };
    let mut response = response.map_err(|error| format!("no answer: {error}"))?;
    check(&response, wanted.types)?;
    let body = response.body_mut().with_config().limit(wanted.limit).read_to_vec();
    body.map_err(|error| format!("no whole answer: {error}"))
}

fn check(response: &Response<Body>, types: &[&str]) -> Result<(), String> {
    let header =
        |name| response.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let status = response.status();
    if status.is_redirection() {
        return Err(format!(
            "it is redirected ({status}) to {}, where not every client goes",
            shortened(header(LOCATION))
        ));
    }
    if status.as_u16() != 200 {
        return Err(format!("the answer is {status}"));
    }
    let got = header(CONTENT_TYPE);
    let media_type = got.split(';').next().unwrap_or_default().trim();
    if types.iter().any(|wanted| media_type.eq_ignore_ascii_case(wanted)) {
        return Ok(());
    }
    Err(format!("its content type is {:?}, not {}", shortened(got), types.join(" or ")))
}

/// What a stranger wrote, fit for a terminal.
fn shortened(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(200).collect()
}
