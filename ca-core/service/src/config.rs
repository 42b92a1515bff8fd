//! Reading a daemon's configuration strictly.

use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use crate::ServiceError;

/// The longest configuration file, in bytes.
const MAX_BYTES: u64 = 1 << 20;

/// Reads a YAML file into `T`.
///
/// Unknown fields are refused by `T`, duplicate keys and alias bombs by the
/// parser. The file must not be changeable by others: it names keys.
///
/// # Errors
/// The file cannot be read, is unsafe, or does not fit; with line and snippet.
pub fn load<T: DeserializeOwned>(path: &Path) -> Result<T, ServiceError> {
    ca_files::check_trusted(path)?;
    let refuse = |what: String| ServiceError::Config { path: path.to_owned(), what };
    let length = std::fs::metadata(path).map_err(|error| refuse(error.to_string()))?.len();
    if length > MAX_BYTES {
        return Err(refuse(format!("{length} bytes are more than a configuration has")));
    }
    let text = std::fs::read_to_string(path).map_err(|error| refuse(error.to_string()))?;
    serde_saphyr::from_str(&text).map_err(|error| refuse(error.to_string()))
}

/// Makes `path` absolute: a relative path counts from the directory of `config`.
#[must_use]
pub fn beside(config: &Path, path: &Path) -> PathBuf {
    let directory = config.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // `join` keeps an absolute path as it is.
    directory.join(path)
}

/// Puts a setting that only a restart can change back to what it was; notes its
/// name in `waiting` if it differs.
pub fn keep<T: Clone + PartialEq>(name: &'static str, new: &mut T, old: &T, waiting: &mut Vec<&'static str>) {
    if new != old {
        waiting.push(name);
        new.clone_from(old);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use serde::Deserialize;

    use super::*;
    use crate::Span;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Sample {
        listen: std::net::SocketAddr,
        age: Span,
    }

    fn parse(text: &str) -> Result<Sample, ServiceError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c.yaml");
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        load(&path)
    }

    #[test]
    fn strict() {
        let good = parse("listen: 127.0.0.1:80\nage: 8d\n").unwrap();
        assert_eq!((good.listen.port(), good.age), (80, Span::days(8)));
        for (text, expected) in [
            ("listen: 127.0.0.1:80\nage: 8d\nagee: 1d\n", "agee"),
            ("listen: 127.0.0.1:80\nage: 8\n", "unit"),
            ("listen: 127.0.0.1:80\nage: 8d\nage: 9d\n", "uplicate"),
            ("listen: localhost\nage: 8d\n", "line"),
            ("listen: 127.0.0.1:80\n", "age"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(expected) && error.contains("c.yaml"), "{text}: {error}");
        }
    }

    #[test]
    fn refuses_a_file_that_others_can_change() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c.yaml");
        std::fs::write(&path, "listen: 127.0.0.1:80\nage: 8d\n").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666)).unwrap();
        assert!(matches!(load::<Sample>(&path), Err(ServiceError::File(_))));
    }

    #[test]
    fn relative_paths_count_from_the_file() {
        assert_eq!(beside(Path::new("/etc/ca/c.yaml"), Path::new("ledger")), Path::new("/etc/ca/ledger"));
        assert_eq!(beside(Path::new("/etc/ca/c.yaml"), Path::new("/x")), Path::new("/x"));
        assert_eq!(beside(Path::new("c.yaml"), Path::new("x")), Path::new("./x"));
    }
}
