//! Which staples are wanted: the list `staples` of the configuration.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use ca_files::Mode;
use serde::Deserialize;

/// One staple.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct StapleConfig {
    /// The server's certificate, PEM or DER; its chain may follow.
    pub certificate: PathBuf,
    /// Where the DER answer goes.
    pub out: PathBuf,
    /// Who may read it.
    #[serde(default)]
    pub mode: FileMode,
    /// The command, word by word, that tells the server of a new answer.
    #[serde(default)]
    pub reload: Vec<String>,
}

/// Who may read a staple.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
pub enum FileMode {
    /// Everybody: the answer is public.
    #[default]
    #[serde(rename = "0644")]
    Everybody,
    /// The owner and the group.
    #[serde(rename = "0640")]
    Group,
    /// The owner.
    #[serde(rename = "0600")]
    Owner,
}

impl From<FileMode> for Mode {
    fn from(mode: FileMode) -> Self {
        match mode {
            FileMode::Everybody => Self::Public,
            FileMode::Group => Self::Group,
            FileMode::Owner => Self::Private,
        }
    }
}

/// Resolves the paths with `beside` and checks the list; says what is wrong.
///
/// # Errors
/// Two staples in one file, or a command without a program.
pub fn check(
    staples: Vec<StapleConfig>,
    beside: impl Fn(&Path) -> PathBuf,
) -> Result<Vec<StapleConfig>, String> {
    let mut taken = BTreeSet::new();
    let mut checked = Vec::new();
    for staple in staples {
        let staple =
            StapleConfig { certificate: beside(&staple.certificate), out: beside(&staple.out), ..staple };
        if staple.out.file_name().is_none() {
            return Err(format!("staples: {} is no file name", staple.out.display()));
        }
        if !taken.insert(staple.out.clone()) {
            return Err(format!("staples: {} is the file of two staples", staple.out.display()));
        }
        if staple.reload.first().is_some_and(String::is_empty) {
            return Err("staples: reload: the first word names a program".to_owned());
        }
        checked.push(staple);
    }
    Ok(checked)
}
