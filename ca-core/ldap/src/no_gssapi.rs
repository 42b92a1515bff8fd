//! In place of Kerberos, in a build without it.

use tokio::runtime::Runtime;

use crate::transport::{Channel, Fault};
use crate::{DirectoryConfig, LdapError};

/// Refuses.
pub(crate) fn log_in(
    _: &Runtime,
    config: &DirectoryConfig,
    _: &Fault,
    _: String,
    _: Channel,
) -> Result<Channel, LdapError> {
    Err(LdapError::Build { server: config.url.clone() })
}
