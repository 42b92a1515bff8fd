//! Files of commands that were killed before they had their names.

use std::path::Path;

use ca_domain::SerialNumber;
use ca_files::leftovers;
use ca_index::Index;

use crate::error::Result;
use crate::home::{Wait, Writer};

/// Looks for what killed commands left of files of the same names. What was issued
/// is told, since its file may be the only place of its key; the rest is removed:
/// under the lock, nobody issues it any more.
pub(crate) fn look<'a>(
    writer: &mut Writer,
    files: impl Iterator<Item = &'a Path>,
    wait: &Wait<'_>,
) -> Result<()> {
    // A directory that may be written but not read hides them.
    for left in files.filter_map(|path| leftovers(path).ok()).flatten() {
        let Ok(serial) = SerialNumber::parse(left.mark()) else { continue };
        let shown = left.path().display().to_string();
        let said = if !writer.ask(wait, |index| index.by_serial(serial))?.is_empty() {
            format!(
                "{shown} belongs to certificate {serial}: it was issued, but its command was killed before the file had \
                 its name; rename the file, or revoke the certificate"
            )
        } else if let Err(error) = left.remove() {
            format!("{shown} is of a command that was killed before it issued anything: {}", error.what())
        } else {
            format!("removed {shown} of a command that was killed before it issued anything")
        };
        (wait.warn)(&said);
    }
    Ok(())
}
