//! When a new CRL may replace a published one.

use ca_domain::Timestamp;

use super::CrlView;
use crate::StatusError;

/// How far in the future a thisUpdate may lie, in seconds: clocks differ.
pub const CLOCK_TOLERANCE: u64 = 300;

/// Checks that `new` may take the place of `old` at `now`: current, of the same
/// issuer, key and scope, and with a greater number.
///
/// Signatures are not checked here; see [`CrlView::verify`].
///
/// # Errors
/// What speaks against it.
pub fn acceptable_successor(
    old: Option<&CrlView<'_>>,
    new: &CrlView<'_>,
    now: Timestamp,
) -> Result<(), StatusError> {
    let refuse = |what: String| Err(StatusError::CrlUnacceptable(what));
    if new.next_update() <= now {
        return refuse(format!("it expired on {}; issue a new one", new.next_update()));
    }
    if new.this_update() > now.saturating_add(CLOCK_TOLERANCE) {
        let this_update = new.this_update();
        return refuse(format!("its thisUpdate {this_update} is in the future; check the clocks"));
    }
    if new.next_update() <= new.this_update() {
        return refuse("its nextUpdate is not later than its thisUpdate".to_owned());
    }
    let Some(old) = old else { return Ok(()) };
    if new.issuer() != old.issuer() {
        return refuse(format!("it is of {}; the published one is of {}", new.issuer(), old.issuer()));
    }
    if new.authority_key_id() != old.authority_key_id() {
        return refuse("it is of another key than the published one".to_owned());
    }
    if new.scope() != old.scope() {
        return refuse("its issuing distribution point differs from that of the published one".to_owned());
    }
    if new.number() <= old.number() {
        return refuse(format!(
            "its number {} is not greater than {}, that of the published one",
            new.number(),
            old.number()
        ));
    }
    Ok(())
}
