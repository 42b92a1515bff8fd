//! A note of how a process left the files of the index.
//!
//! sled recovers what it can of damaged files without a word, and may so forget
//! or resurrect pairs. If the files are still as they were when the last process
//! closed them, nothing happened to them; if not, everything is read and summed
//! up before a question is answered.

use std::fmt::Write;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::codec::Meta;

const NAME: &str = "stamp";

/// Whether `generation` is as the note says, and the note is about `meta`.
pub(super) fn matches(generation: &Path, files: &str, meta: &Meta) -> bool {
    fs::read_to_string(generation.join(NAME)).is_ok_and(|stored| stored == text(files, meta))
}

/// Writes the note. It is as fast to lose as the index itself, hence no fsync:
/// sled has made the files durable before, and an older note does not match.
pub(super) fn write(generation: &Path, meta: &Meta) {
    let temporary = generation.join("stamp.tmp");
    let written = files(&generation.join(super::open::SLED))
        .and_then(|files| fs::write(&temporary, text(&files, meta)))
        .and_then(|()| fs::rename(&temporary, generation.join(NAME)));
    // Without a note the next process reads more than it needs, no more.
    let _ = written;
}

/// Removes the note before the first change.
pub(super) fn remove(generation: &Path) {
    let _ = fs::remove_file(generation.join(NAME));
}

/// Name, size and time of the last change of every file below `dir`. The change
/// time, unlike the modification time, cannot be set by `cp -p` or `touch`.
pub(super) fn files(dir: &Path) -> std::io::Result<String> {
    let mut lines = Vec::new();
    let mut directories = vec![dir.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            let metadata = entry.metadata()?;
            if metadata.is_dir() {
                directories.push(entry.path());
                continue;
            }
            let (size, seconds, nanos) = (metadata.len(), metadata.ctime(), metadata.ctime_nsec());
            lines.push(format!("{} {size} {seconds}.{nanos:09}", entry.path().display()));
        }
    }
    lines.sort_unstable();
    Ok(lines.join("\n"))
}

fn text(files: &str, meta: &Meta) -> String {
    let mut text = String::new();
    for octet in meta.encode() {
        // Writing to a String cannot fail.
        let _ = write!(text, "{octet:02x}");
    }
    format!("{text}\n{files}\n")
}
