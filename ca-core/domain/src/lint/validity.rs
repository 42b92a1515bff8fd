//! Validity.

use x509_cert::time::Time;

use super::view::{View, always, below_root, claims_br};
use super::{Lint, flag};
use crate::Timestamp;

/// Seconds of a subscriber certificate's validity at most: 825 days.
const BR_MAX: u64 = 825 * 86_400;

pub(super) const LINTS: &[Lint] = &[
    Lint::error("validity-encoding", "RFC 5280, section 4.1.2.5", always, encoding),
    Lint::error("validity-order", "RFC 5280, section 4.1.2.5", always, order),
    Lint::error("validity-ended", "house rule", always, ended),
    Lint::error("issuer-valid", "house rule", below_root, issuer_valid),
    Lint::error("validity-within-issuer", "house rule", below_root, within_issuer)
        .client("clients that check the path at the time of signing reject the certificate"),
    Lint::error("br-validity-825-days", "S/MIME BR 6.3.2", claims_br, br_days),
];

fn encoding(view: &View<'_>) -> Vec<String> {
    let exact = |time: Time| match (time, Timestamp::from(time).to_x509()) {
        (Time::UtcTime(_), Time::UtcTime(_)) | (Time::GeneralTime(_), Time::GeneralTime(_)) => true,
        (Time::UtcTime(_) | Time::GeneralTime(_), _) => false,
    };
    let validity = &view.tbs.validity;
    flag(
        !exact(validity.not_before) || !exact(validity.not_after),
        "times are UTCTime up to 2049 and GeneralizedTime from 2050",
    )
}

fn order(view: &View<'_>) -> Vec<String> {
    let (from, to) = (view.not_before(), view.not_after());
    flag(from >= to, format!("notBefore {from} is not before notAfter {to}"))
}

fn ended(view: &View<'_>) -> Vec<String> {
    let (now, to) = (view.context.now, view.not_after());
    flag(to < now, format!("the certificate would have expired on {to}; check the clock and the validity"))
}

fn issuer_valid(view: &View<'_>) -> Vec<String> {
    let now = view.context.now;
    let Some(issuer) = view.issuer() else { return Vec::new() };
    let (from, to) =
        (Timestamp::from(issuer.validity.not_before), Timestamp::from(issuer.validity.not_after));
    flag(now < from || now > to, format!("the issuer is valid from {from} to {to}, and it is {now} now"))
}

fn within_issuer(view: &View<'_>) -> Vec<String> {
    let Some(issuer) = view.issuer() else { return Vec::new() };
    let (own, limit) = (view.not_after(), Timestamp::from(issuer.validity.not_after));
    flag(own > limit, format!("notAfter {own} is later than the issuer's, {limit}"))
}

/// The second of notAfter counts: 825 days end one second before the 826th.
fn br_days(view: &View<'_>) -> Vec<String> {
    let seconds = view.not_after().seconds_since(view.not_before()) + 1;
    flag(
        seconds > BR_MAX,
        format!(
            "{} days are too many; 825 are allowed, notAfter's second included",
            seconds.div_ceil(86_400)
        ),
    )
}
