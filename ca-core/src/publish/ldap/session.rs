//! A connection that is opened again once it was lost.

use ca_ldap::{Change, Connection, DirectoryConfig, Entry, Filter, LdapError, Scope};

pub(super) struct Session<'a> {
    config: &'a DirectoryConfig,
    connection: Option<Connection>,
}

impl<'a> Session<'a> {
    pub(super) fn new(config: &'a DirectoryConfig) -> Self {
        Self { config, connection: None }
    }

    fn with<T>(&mut self, ask: impl FnOnce(&mut Connection) -> Result<T, LdapError>) -> Result<T, LdapError> {
        let mut connection = match self.connection.take() {
            Some(open) => open,
            None => Connection::open(self.config)?,
        };
        let answer = ask(&mut connection);
        if answer.as_ref().err().is_none_or(LdapError::is_refusal) {
            self.connection = Some(connection);
        }
        answer
    }

    /// Asks, and once more over a new connection if the first was lost.
    fn twice<T>(
        &mut self,
        mut ask: impl FnMut(&mut Connection) -> Result<T, LdapError>,
    ) -> Result<T, LdapError> {
        let fresh = self.connection.is_none();
        match self.with(&mut ask) {
            Err(LdapError::Connection { .. }) if !fresh => self.with(ask),
            answer => answer,
        }
    }

    pub(super) fn search(
        &mut self,
        base: &str,
        filter: &Filter,
        attributes: &[&str],
    ) -> Result<Vec<Entry>, LdapError> {
        self.twice(|connection| connection.find(base, Scope::Subtree, filter, attributes, usize::MAX))
    }

    /// Changes an entry; if the connection was lost, nobody knows whether it was, and the caller reads it again.
    pub(super) fn modify(&mut self, dn: &str, changes: &[Change]) -> Result<(), LdapError> {
        self.with(|connection| connection.modify(dn, changes))
    }

    pub(super) fn read(&mut self, dn: &str, attributes: &[&str]) -> Result<Option<Entry>, LdapError> {
        self.with(|connection| connection.read(dn, attributes))
    }
}
