//! Whether one person alone may issue.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Whether a second person must approve before a certificate is issued.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Approval {
    /// Whoever may run the authority issues.
    #[default]
    None,
    /// One person requests, another one approves.
    Required,
}
