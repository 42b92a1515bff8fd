//! Enterprise policies of Firefox and Thunderbird.

use serde_json::json;

use super::bundle::ExportedFile;
use super::trust::Trusted;
use crate::certify::pem_of;
use crate::error::{AuthorityError, Result};

/// policies.json and the files that it names. Both programs take a certificate that is
/// installed so as an authority for servers and for mail.
pub(super) fn policies(roots: &[Trusted], directory: Option<&str>) -> Result<Vec<ExportedFile>> {
    let mut files = Vec::new();
    let mut names = Vec::new();
    for root in roots {
        let name = format!("{}.crt", root.file_stem);
        files.push(ExportedFile::new(&name, pem_of(std::slice::from_ref(&root.der))?));
        names.push(match directory {
            // A Windows path has its own separator.
            Some(dir) if dir.contains('\\') => format!("{}\\{name}", dir.trim_end_matches('\\')),
            Some(dir) => format!("{}/{name}", dir.trim_end_matches('/')),
            None => name,
        });
    }
    let policies = json!({"policies": {"Certificates": {"Install": names}}});
    let mut text = serde_json::to_string_pretty(&policies)
        .map_err(|error| AuthorityError::Input(format!("cannot write policies.json: {error}")))?;
    text.push('\n');
    files.push(ExportedFile::new("policies.json", text));
    Ok(files)
}
