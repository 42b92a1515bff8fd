//! The templates of a home.

use std::fs;
use std::path::Path;

use ca_domain::template::Template;
use ca_files::check_trusted;

use crate::error::{AuthorityError, Result};
use crate::home::Home;
use crate::init::io;

/// Loads the template `name` of the home.
///
/// # Errors
/// There is none (the message lists those there are), others could have changed
/// the file, or it is malformed.
pub fn load(home: &Home, name: &str) -> Result<Template> {
    let dir = home.templates_dir();
    let plain = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c));
    let path = dir.join(format!("{name}.yaml"));
    if !plain || !path.exists() {
        let names = names(home)?.join(", ");
        return Err(AuthorityError::NotFound(format!("there is no template {name:?}; use one of {names}")));
    }
    check_trusted(&dir)?;
    let template = load_file(&path)?;
    if template.name() != name {
        return Err(AuthorityError::Refused(format!(
            "{} calls itself {:?}; give the file and its `name` the same name",
            path.display(),
            template.name()
        )));
    }
    Ok(template)
}

/// Loads a template file, wherever it is.
///
/// # Errors
/// Others could have changed the file, or it is malformed.
pub fn load_file(path: &Path) -> Result<Template> {
    check_trusted(path)?;
    let text = fs::read_to_string(path).map_err(io("read", path))?;
    Ok(Template::parse(&text, &path.display().to_string())?)
}

/// The names of the home's templates, in order.
///
/// # Errors
/// The directory cannot be read.
pub fn names(home: &Home) -> Result<Vec<String>> {
    let dir = home.templates_dir();
    let mut names = Vec::new();
    for entry in fs::read_dir(&dir).map_err(io("read", &dir))? {
        let name = entry.map_err(io("read", &dir))?.file_name();
        if let Some(stem) = name.to_str().and_then(|name| name.strip_suffix(".yaml"))
            && !stem.starts_with('.')
        {
            names.push(stem.to_owned());
        }
    }
    names.sort();
    Ok(names)
}
