//! What keeps the misbehaviour of sled on damaged files away from its users.

use std::any::Any;
use std::cell::Cell;
use std::io::ErrorKind;
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::sync::{Once, mpsc};
use std::thread;
use std::time::Duration;

use crate::IndexError;

thread_local! {
    /// Whether a panic of this thread is caught by [`guard`], which reports it.
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Runs an operation of sled and turns its errors and panics into ours.
pub(super) fn guard<T>(dir: &Path, work: impl FnOnce() -> sled::Result<T>) -> Result<T, IndexError> {
    quiet_guarded_panics();
    let outer = GUARDED.replace(true);
    // After a panic the store is given up: nothing looks at what may be half changed.
    let outcome = panic::catch_unwind(AssertUnwindSafe(work));
    GUARDED.set(outer);
    match outcome {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(translate(dir, error)),
        Err(payload) => Err(panicked(dir, payload.as_ref())),
    }
}

/// Runs `work` on another thread and gives it up after `limit`.
///
/// A thread that hangs is left behind; it works on files that the next
/// generation of the index does not touch.
pub(super) fn with_limit<T: Send + 'static>(
    dir: &Path,
    limit: Duration,
    work: impl FnOnce() -> Result<T, IndexError> + Send + 'static,
) -> Result<T, IndexError> {
    let (sender, receiver) = mpsc::sync_channel(1);
    let spawned = thread::Builder::new().name("index".into()).spawn(move || {
        // Fails only when the time was over: then nobody wants the result.
        let _ = sender.send(work());
    });
    if let Err(source) = spawned {
        return Err(IndexError::Storage { path: dir.to_owned(), source });
    }
    receiver.recv_timeout(limit).unwrap_or_else(|_| {
        let what = format!("the storage engine did not end within {} s", limit.as_secs());
        Err(IndexError::Corrupt { path: dir.to_owned(), what })
    })
}

/// Panics that [`guard`] catches are reported as errors; the default hook would
/// print them as well. sled's own threads pass theirs on to the caller.
fn quiet_guarded_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let previous = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let of_sled = thread::current().name().is_some_and(|name| name.starts_with("sled-"));
            if !of_sled && !GUARDED.get() {
                previous(info);
            }
        }));
    });
}

fn translate(dir: &Path, error: sled::Error) -> IndexError {
    let path = dir.to_owned();
    match error {
        sled::Error::Io(source) if source.to_string().starts_with("could not acquire lock") => {
            IndexError::Busy { path }
        }
        sled::Error::Io(source) if is_environment(source.kind()) => IndexError::Storage { path, source },
        // Anything else of a file that we alone write is damage: missing, short, not parseable.
        other => IndexError::Corrupt { path, what: format!("the storage engine says: {other}") },
    }
}

/// Faults of the machine, which building the index again does not cure.
const fn is_environment(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::StorageFull
            | ErrorKind::QuotaExceeded
            | ErrorKind::PermissionDenied
            | ErrorKind::ReadOnlyFilesystem
            | ErrorKind::OutOfMemory
    )
}

fn panicked(dir: &Path, payload: &(dyn Any + Send)) -> IndexError {
    let text = payload
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| payload.downcast_ref::<&str>().copied())
        .unwrap_or("without a message");
    // sled unwraps some of its I/O results.
    if ["StorageFull", "No space left"].iter().any(|sign| text.contains(sign)) {
        return IndexError::Storage { path: dir.to_owned(), source: ErrorKind::StorageFull.into() };
    }
    let text: String = text.chars().take(200).collect();
    IndexError::Corrupt { path: dir.to_owned(), what: format!("the storage engine panicked: {text}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panics_errors_and_hangs_become_errors() {
        let dir = Path::new("index");
        assert_eq!(guard(dir, || Ok(7)).unwrap(), 7);
        let error = guard(dir, || -> sled::Result<()> { panic!("torn page {}", 3) }).unwrap_err();
        assert!(error.is_corrupt() && error.to_string().contains("torn page 3"), "{error}");
        let full = || Err::<(), _>(sled::Error::Io(ErrorKind::StorageFull.into()));
        assert!(matches!(guard(dir, full), Err(IndexError::Storage { .. })));
        let short = || Err::<(), _>(sled::Error::Io(ErrorKind::UnexpectedEof.into()));
        assert!(guard(dir, short).unwrap_err().is_corrupt());
        let hang = with_limit(dir, Duration::from_millis(5), || {
            thread::sleep(Duration::from_secs(1));
            Ok(())
        });
        assert!(hang.unwrap_err().is_corrupt());
        assert_eq!(with_limit(dir, Duration::from_secs(9), || Ok(7)).unwrap(), 7);
    }
}
