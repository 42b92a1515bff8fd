//! Whether the time of a published CRL is right: for those who publish it, and for `--check`.

use std::fs::File;
use std::io;
use std::path::Path;

use ca_domain::Timestamp;
use ca_service::Alarms;
use ca_status::StatusError;
use ca_status::crl::{CLOCK_TOLERANCE, CrlReader};

use crate::schedule::Window;
use crate::status::Told;

/// What is wrong with the time of a CRL that should have been renewed by `renew_by`: for
/// everybody, and in detail.
#[must_use]
pub fn fault(window: Window, renew_by: Timestamp, now: Timestamp) -> Option<(&'static str, String)> {
    let Window { this_update, next_update } = window;
    if next_update <= now {
        Some(("the CRL has expired", format!("it ended on {next_update}")))
    } else if this_update > now.saturating_add(CLOCK_TOLERANCE) {
        let what =
            format!("it begins on {this_update}; look at the clock here, and at that of who signed it");
        Some(("the CRL is of the future", what))
    } else if renew_by <= now {
        Some(("the CRL ends soon and is not renewed", format!("it ends on {next_update}")))
    } else {
        None
    }
}

/// Says in an alarm what is wrong with the published CRL at `path`; `renew_by` tells until
/// when it should be renewed. Only what stands before and behind its list is read. That there is none is no
/// fault before the publisher has told of one.
pub fn survey(
    (path, name): (&Path, &str),
    told: Option<&Told>,
    renew_by: impl FnOnce(Window) -> Timestamp,
    now: Timestamp,
    alarms: &Alarms,
) {
    let topic = format!("crl {name}");
    match window(path) {
        Ok(Some(window)) => {
            if let Some((summary, what)) = fault(window, renew_by(window), now) {
                alarms.raise(&topic, summary, what);
            }
        }
        Ok(None) if told.is_some_and(|told| told.has_published(name)) => {
            alarms.raise(&topic, "there is no CRL", path.display());
        }
        Ok(None) => {}
        Err(error) => {
            alarms.raise(&topic, "the published CRL is unusable", format!("{}: {error}", path.display()));
        }
    }
}

/// The times of the CRL at `path`; nothing if there is none.
fn window(path: &Path) -> Result<Option<Window>, StatusError> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(StatusError::CrlRead)?,
    };
    let reader = CrlReader::open(file)?;
    let frame = reader.frame();
    let next_update =
        frame.next_update.ok_or_else(|| StatusError::CrlUnacceptable("it has no nextUpdate".to_owned()))?;
    Ok(Some(Window { this_update: frame.this_update, next_update }))
}
