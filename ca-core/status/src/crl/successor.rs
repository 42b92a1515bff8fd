//! When a new CRL may replace a published one.

use ca_domain::Timestamp;

use super::CrlFrame;
use crate::StatusError;

/// How far in the future a thisUpdate may lie, in seconds: clocks differ.
pub const CLOCK_TOLERANCE: u64 = 300;

/// Checks that `new` may take the place of `old` at `now`: current, of the same
/// issuer, key, kind and scope, and with a greater number.
///
/// Signatures are not checked here; see [`super::CrlReader::accept`].
///
/// # Errors
/// What speaks against it.
pub fn acceptable_successor(
    old: Option<&CrlFrame>,
    new: &CrlFrame,
    now: Timestamp,
) -> Result<(), StatusError> {
    let refuse = |what: String| Err(StatusError::CrlUnacceptable(what));
    let Some(next_update) = new.next_update else { return refuse("it has no nextUpdate".to_owned()) };
    if next_update <= now {
        return refuse(format!("it expired on {next_update}; issue a new one"));
    }
    if new.this_update > now.saturating_add(CLOCK_TOLERANCE) {
        let this_update = new.this_update;
        return refuse(format!("its thisUpdate {this_update} is in the future; check the clocks"));
    }
    if next_update <= new.this_update {
        return refuse("its nextUpdate is not later than its thisUpdate".to_owned());
    }
    let Some(number) = new.number()? else { return refuse("it has no CRL number".to_owned()) };
    let Some(old) = old else { return Ok(()) };
    if new.issuer != old.issuer {
        return refuse(format!("it is of {}; the published one is of {}", new.issuer, old.issuer));
    }
    if new.authority_key_id()? != old.authority_key_id()? {
        return refuse("it is of another key than the published one".to_owned());
    }
    match (old.base()?.is_some(), new.base()?.is_some()) {
        (true, false) => return refuse("it is no delta CRL; the published one is".to_owned()),
        (false, true) => return refuse("it is a delta CRL; the published one is not".to_owned()),
        _ => {}
    }
    if new.scope()? != old.scope()? {
        return refuse("its issuing distribution point differs from that of the published one".to_owned());
    }
    match old.number()? {
        Some(old) if number <= old => {
            refuse(format!("its number {number} is not greater than {old}, that of the published one"))
        }
        _ => Ok(()),
    }
}
