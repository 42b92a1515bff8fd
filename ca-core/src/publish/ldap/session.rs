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

    /// For when nothing else says why.
    pub(super) fn lost(&self) -> LdapError {
        let (action, why) = ("change an entry", "the connection ended again and again".to_owned());
        LdapError::Connection { server: self.config.url.clone(), action, why }
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

    /// Gives each entry that meets the filter to `each`; some twice, if the connection is lost in between.
    pub(super) fn search(
        &mut self,
        base: &str,
        filter: &Filter,
        attributes: &[&str],
        limit: usize,
        mut each: impl FnMut(Entry),
    ) -> Result<(), LdapError> {
        self.twice(|connection| {
            connection.search(base, Scope::Subtree, filter, attributes, limit, |entry| {
                each(entry);
                Ok(())
            })
        })
    }

    /// Sends changes of an entry, and may tell of earlier ones; if the connection is lost, nobody knows of those
    /// that `told` did not get.
    pub(super) fn send_changes(
        &mut self,
        number: usize,
        dn: &str,
        changes: &[Change],
        told: impl FnMut(usize, Result<(), LdapError>),
    ) -> Result<(), LdapError> {
        self.with(|connection| connection.send_changes(number, dn, changes, told))
    }

    /// Waits for the answers to all that was sent over this connection.
    pub(super) fn await_changes(
        &mut self,
        told: impl FnMut(usize, Result<(), LdapError>),
    ) -> Result<(), LdapError> {
        self.with(|connection| connection.await_changes(told))
    }

    pub(super) fn read(&mut self, dn: &str, attributes: &[&str]) -> Result<Option<Entry>, LdapError> {
        self.twice(|connection| connection.read(dn, attributes))
    }
}
