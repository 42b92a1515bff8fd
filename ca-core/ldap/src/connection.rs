//! A connection to a directory, logged in.

mod login;
mod several;
pub(crate) mod task;

use std::collections::HashSet;
use std::future::Future;

use ldap3::adapters::{Adapter, EntriesOnly, PagedResults};
use ldap3::{Ldap, LdapResult, Mod};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

use crate::transport::Fault;
use crate::{Dialect, DirectoryConfig, Entry, Filter, LdapError};
use task::{accepted, run};

pub use login::check_files;

/// Entries a page; Active Directory gives at most 1,000.
const PAGE: i32 = 500;
/// What changing an entry is called in errors.
const CHANGE: &str = "change an entry";

/// How far a search goes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Scope {
    /// The base alone.
    Base,
    /// The entries right below the base.
    OneLevel,
    /// The base and all below it.
    Subtree,
}

/// A change of one attribute of an entry. The attribute's name is that of the directory's
/// [`Dialect`]. Values to add are sent in the order given.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Change {
    /// Adds these values.
    Add(String, Vec<Vec<u8>>),
    /// Removes these values; without values, the whole attribute.
    Delete(String, Vec<Vec<u8>>),
    /// Puts these values in the place of all; without values, removes the attribute. Their order is not
    /// kept: some attributes can only be replaced by one set.
    Replace(String, Vec<Vec<u8>>),
}

/// An open connection. All calls block, for no longer than the configured time each.
#[derive(Debug)]
pub struct Connection {
    // None only while it is dropped.
    runtime: Option<Runtime>,
    ldap: Ldap,
    relay: Option<JoinHandle<()>>,
    fault: Fault,
    config: DirectoryConfig,
    under_way: several::UnderWay,
}

impl Connection {
    /// Connects, checks the server's certificate and logs in.
    ///
    /// # Errors
    /// The settings are wrong, this build cannot log in so, the server cannot be reached or trusted, or it refuses the login.
    pub fn open(config: &DirectoryConfig) -> Result<Self, LdapError> {
        let entrance = login::Entrance::prepare(config)?;
        let runtime = Builder::new_current_thread().enable_all().build().map_err(|error| {
            LdapError::Connection { server: config.url.clone(), action: "connect", why: error.to_string() }
        })?;
        let fault = Fault::default();
        match entrance.enter(&runtime, config, &fault) {
            Ok((ldap, relay)) => Ok(Self {
                runtime: Some(runtime),
                ldap,
                relay: Some(relay),
                fault,
                config: config.clone(),
                under_way: several::UnderWay::new(),
            }),
            Err(error) => {
                // A name that is still being looked up would be waited for.
                runtime.shutdown_background();
                Err(error)
            }
        }
    }

    /// How the directory names binary attributes.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        self.config.dialect
    }

    /// The server's URL.
    #[must_use]
    pub fn server(&self) -> &str {
        &self.config.url
    }

    /// Gives every entry that meets `filter` to `each`, page by page (RFC 2696), with the
    /// attributes named. Each page may take as long as the configured time.
    ///
    /// # Errors
    /// The base does not exist, the server refuses or answers nonsense, there are more than `limit` entries
    /// (`each` has got so many then), or `each` failed.
    pub fn search<E: From<LdapError>>(
        &mut self,
        base: &str,
        scope: Scope,
        filter: &Filter,
        attributes: &[&str],
        limit: usize,
        mut each: impl FnMut(Entry) -> Result<(), E>,
    ) -> Result<(), E> {
        let scope = match scope {
            Scope::Base => ldap3::Scope::Base,
            Scope::OneLevel => ldap3::Scope::OneLevel,
            Scope::Subtree => ldap3::Scope::Subtree,
        };
        let names: Vec<String> = attributes.iter().map(|&name| name.to_owned()).collect();
        let (mut ldap, at, filter) = (self.ldap.clone(), base.to_owned(), filter.as_str().to_owned());
        let mut stream = self.run("search", async move {
            let adapters: Vec<Box<dyn Adapter<'static, String, Vec<String>>>> =
                vec![Box::new(EntriesOnly::new()), Box::new(PagedResults::new(PAGE))];
            ldap.streaming_search_with(adapters, &at, scope, &filter, names).await
        })?;
        let mut left = limit;
        loop {
            let found;
            (stream, found) = self.run("search", async move {
                let mut page = Vec::new();
                // An answer that is here already is taken along, so that not every entry costs a task.
                while page.len() < usize::try_from(PAGE).unwrap_or_default() {
                    match stream.next().await? {
                        Some(entry) => page.push(entry),
                        None => return Ok((stream, (page, true))),
                    }
                }
                Ok((stream, (page, false)))
            })?;
            let (page, last) = found;
            for entry in page {
                let entry = Entry::read(entry.0).ok_or_else(|| self.nonsense("an unreadable entry"))?;
                left = left.checked_sub(1).ok_or_else(|| LdapError::TooMany {
                    server: self.config.url.clone(),
                    dn: base.to_owned(),
                    limit,
                })?;
                each(entry)?;
            }
            if last {
                let result = self.run("search", async move { Ok(stream.finish().await) })?;
                self.accepted("search", base, result)?;
                return Ok(());
            }
        }
    }

    /// The entries that meet `filter`, at most `limit` of them.
    ///
    /// # Errors
    /// As [`Self::search`], or there are more than `limit`.
    pub fn find(
        &mut self,
        base: &str,
        scope: Scope,
        filter: &Filter,
        attributes: &[&str],
        limit: usize,
    ) -> Result<Vec<Entry>, LdapError> {
        let mut found = Vec::new();
        self.search(base, scope, filter, attributes, limit, |entry| {
            found.push(entry);
            Ok::<_, LdapError>(())
        })?;
        Ok(found)
    }

    /// One entry by its name; none if there is no such entry.
    ///
    /// # Errors
    /// The server refuses or answers nonsense.
    pub fn read(&mut self, dn: &str, attributes: &[&str]) -> Result<Option<Entry>, LdapError> {
        match self.find(dn, Scope::Base, &Filter::present("objectClass"), attributes, 1) {
            Ok(mut found) => Ok(found.pop()),
            Err(error) if error.code() == Some(32) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Makes all these changes of one entry, or none of them.
    ///
    /// # Errors
    /// The server refuses. If the connection was lost or the time was over, nobody knows
    /// whether the change was made: read the entry again.
    pub fn modify(&mut self, dn: &str, changes: &[Change]) -> Result<(), LdapError> {
        if changes.is_empty() {
            return Ok(());
        }
        let mods = changes.iter().flat_map(mods).collect();
        let (mut ldap, name) = (self.ldap.clone(), dn.to_owned());
        let result = self.run(CHANGE, async move { ldap.modify(&name, mods).await })?;
        self.accepted(CHANGE, dn, result)
    }

    /// Adds an entry.
    ///
    /// # Errors
    /// The server refuses: there is such an entry (code 68), or none above it (code 32).
    pub fn add(&mut self, dn: &str, attributes: &[(&str, Vec<Vec<u8>>)]) -> Result<(), LdapError> {
        let attributes = attributes
            .iter()
            .map(|(name, values)| (name.as_bytes().to_vec(), values.iter().cloned().collect()))
            .collect();
        let (mut ldap, name) = (self.ldap.clone(), dn.to_owned());
        let result = self.run("add an entry", async move { ldap.add(&name, attributes).await })?;
        self.accepted("add an entry", dn, result)
    }

    /// Says good-bye. Dropping the connection closes it as well.
    pub fn close(mut self) {
        let (mut ldap, relay) = (self.ldap.clone(), self.relay.take());
        let _ = self.run("close", async move {
            ldap.unbind().await?;
            if let Some(relay) = relay {
                let _ = relay.await;
            }
            Ok(())
        });
    }

    fn run<T, F>(&self, action: &'static str, work: F) -> Result<T, LdapError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, ldap3::LdapError>> + Send + 'static,
    {
        match &self.runtime {
            Some(runtime) => run(runtime, &self.config, &self.fault, action, work),
            None => Err(self.nonsense("nothing: the connection is closed")),
        }
    }

    fn accepted(&self, action: &'static str, dn: &str, result: LdapResult) -> Result<(), LdapError> {
        accepted(&self.config, action, dn, result)
    }

    fn nonsense(&self, what: &str) -> LdapError {
        LdapError::Protocol { server: self.config.url.clone(), what: what.to_owned() }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn mods(change: &Change) -> Vec<Mod<Vec<u8>>> {
    // The library takes sets; one value each keeps the order.
    let (name, values) = match change {
        Change::Add(name, values) | Change::Delete(name, values) | Change::Replace(name, values) => {
            (name.as_bytes().to_vec(), values)
        }
    };
    let ones = values.iter().map(|value| (name.clone(), HashSet::from([value.clone()])));
    match change {
        Change::Add(..) => ones.map(|(name, one)| Mod::Add(name, one)).collect(),
        Change::Delete(..) if values.is_empty() => vec![Mod::Delete(name, HashSet::new())],
        Change::Delete(..) => ones.map(|(name, one)| Mod::Delete(name, one)).collect(),
        Change::Replace(..) => vec![Mod::Replace(name, values.iter().cloned().collect())],
    }
}
