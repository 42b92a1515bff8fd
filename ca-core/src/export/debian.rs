//! A Debian package that puts roots into the store of ca-certificates.

use ca_domain::Timestamp;

use super::bundle::ExportedFile;
use super::trust::{Trusted, slug};
use crate::certify::pem_of;
use crate::error::{AuthorityError, Result};

const CONTROL: &str = include_str!("debian/control");
const POSTINST: &str = include_str!("debian/postinst");
const POSTRM: &str = include_str!("debian/postrm");

/// The tree that `dpkg-deb --build` makes the package of. Certificates lie under
/// /usr/share/ca-certificates: /usr/local is the administrator's own.
pub(super) fn package(
    roots: &[Trusted],
    name: Option<&str>,
    maintainer: &str,
    now: Timestamp,
) -> Result<Vec<ExportedFile>> {
    let first = roots.first().map_or("", |root| root.label.as_str());
    let name = name.map_or_else(|| format!("ca-certificates-{}", slug(first).to_lowercase()), str::to_owned);
    check_name(&name)?;
    if maintainer.is_empty() || maintainer.chars().any(char::is_control) {
        return Err(AuthorityError::Input(
            "the maintainer is a line of text, as 'Name <address>'; correct it".into(),
        ));
    }
    // Every later export is a later version.
    let version = now.to_string().replace(|c: char| !c.is_ascii_digit(), "");
    let list: Vec<String> = roots.iter().map(|root| format!("{name}/{}.crt", root.file_stem)).collect();
    let fill = |text: &str| {
        text.replace("@PACKAGE@", &name)
            .replace("@VERSION@", &version)
            .replace("@MAINTAINER@", maintainer)
            .replace("@LIST@", &list.join(" "))
    };
    let mut files = vec![
        ExportedFile::new("DEBIAN/control", fill(CONTROL)),
        ExportedFile::program("DEBIAN/postinst", fill(POSTINST)),
        ExportedFile::program("DEBIAN/postrm", fill(POSTRM)),
    ];
    for (root, path) in roots.iter().zip(&list) {
        let pem = pem_of(std::slice::from_ref(&root.der))?;
        files.push(ExportedFile::new(format!("usr/share/ca-certificates/{path}"), pem));
    }
    Ok(files)
}

/// Debian Policy, section 5.6.7.
fn check_name(name: &str) -> Result<()> {
    let fine = (2..=128).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "+-.".contains(c));
    if fine {
        return Ok(());
    }
    Err(AuthorityError::Input(format!(
        "{name:?} cannot be the name of a Debian package; use a-z, 0-9, '+', '-' and '.', beginning with a letter or digit"
    )))
}
