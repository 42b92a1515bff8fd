//! Changes of many entries, several on the way at once.

use std::time::Duration;

use ldap3::LdapResult;
use tokio::task::{JoinError, JoinSet};

use super::task::lost;
use super::{CHANGE, Change, Connection, mods};
use crate::LdapError;

/// Changes without an answer at most. The server has the next ones while it makes one durable; few enough that neither
/// side is ever full of what the other has not read.
const UNDER_WAY: usize = 32;

/// Changes that the server has not answered yet. Each has a task, so that an answer that the library cannot take ends
/// no other; they go on while something else is asked.
pub(super) type UnderWay = JoinSet<Answer>;

/// The number and the name of an entry, and what came of it.
type Answer = (usize, String, Result<LdapResult, ldap3::LdapError>);

impl Connection {
    /// Sends changes of an entry, all or none of which are made, and waits for an answer only if too many are due. The
    /// server may take entries in any order. `told` gets the numbers of entries, with what the server said of each.
    ///
    /// # Errors
    /// The connection is of no use any more, or no answer came in time. Nobody knows whether the entries that
    /// `told` did not get were changed: read them again.
    pub fn send_changes(
        &mut self,
        number: usize,
        dn: &str,
        changes: &[Change],
        mut told: impl FnMut(usize, Result<(), LdapError>),
    ) -> Result<(), LdapError> {
        if changes.is_empty() {
            told(number, Ok(()));
            return Ok(());
        }
        self.answers(UNDER_WAY - 1, &mut told)?;
        let Some(runtime) = &self.runtime else { return Err(self.nonsense("nothing: it is closed")) };
        let mods = changes.iter().flat_map(mods).collect();
        let (mut ldap, dn) = (self.ldap.clone(), dn.to_owned());
        let request = async move {
            let answer = ldap.modify(&dn, mods).await;
            (number, dn, answer)
        };
        self.under_way.spawn_on(request, runtime.handle());
        Ok(())
    }

    /// Waits for the answers to all changes that were sent.
    ///
    /// # Errors
    /// As [`Self::send_changes`].
    pub fn await_changes(
        &mut self,
        mut told: impl FnMut(usize, Result<(), LdapError>),
    ) -> Result<(), LdapError> {
        self.answers(0, &mut told)
    }

    /// Takes the answers that are there, and waits for others until no more than `left` are due.
    fn answers(
        &mut self,
        left: usize,
        told: &mut dyn FnMut(usize, Result<(), LdapError>),
    ) -> Result<(), LdapError> {
        if self.under_way.len() <= left {
            return Ok(());
        }
        let Some(runtime) = &self.runtime else { return Err(self.nonsense("nothing: it is closed")) };
        // After an error they are dropped, and so given up.
        let mut under_way = std::mem::take(&mut self.under_way);
        let after = self.config.timeout();
        runtime.block_on(async {
            while under_way.len() > left {
                let answer = tokio::time::timeout(after, under_way.join_next()).await;
                let Some(answer) = answer.map_err(|_| self.too_late(after))? else { break };
                let (number, dn, result) = self.answered(answer)?;
                match self.accepted(CHANGE, &dn, result) {
                    Err(error) if !error.is_refusal() => return Err(error),
                    outcome => told(number, outcome),
                }
            }
            Ok(())
        })?;
        self.under_way = under_way;
        Ok(())
    }

    fn answered(&self, answer: Result<Answer, JoinError>) -> Result<(usize, String, LdapResult), LdapError> {
        match answer {
            Ok((number, dn, Ok(result))) => Ok((number, dn, result)),
            Ok((_, _, Err(error))) => Err(lost(&self.config, &self.fault, CHANGE, Some(&error))),
            Err(_) => Err(lost(&self.config, &self.fault, CHANGE, None)),
        }
    }

    fn too_late(&self, after: Duration) -> LdapError {
        LdapError::Timeout { server: self.config.url.clone(), action: CHANGE, after }
    }
}
