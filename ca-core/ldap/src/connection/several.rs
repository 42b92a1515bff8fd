//! Changes of many entries, several on the way at once.

use ldap3::LdapResult;
use tokio::task::{JoinError, JoinSet};

use super::{CHANGE, Change, Connection, lost, mods};
use crate::LdapError;

/// Requests without an answer at most. The server has the next one while it makes a change durable; few enough that
/// neither side is ever full of what the other has not read.
const UNDER_WAY: usize = 32;

/// The entry's number and name, and what came of it.
type Answer = (usize, String, Result<LdapResult, ldap3::LdapError>);

impl Connection {
    /// Makes the changes of each of these entries, all of an entry or none; the server may take entries in any order.
    /// `told` gets an entry's number, from 0, with what the server said: done or refused.
    ///
    /// # Errors
    /// The connection is of no use any more, or no answer came in time. Nobody knows whether the entries that
    /// `told` did not get were changed: read them again.
    pub fn modify_all<'a>(
        &mut self,
        entries: impl IntoIterator<Item = (&'a str, &'a [Change])>,
        mut told: impl FnMut(usize, Result<(), LdapError>),
    ) -> Result<(), LdapError> {
        let Some(runtime) = &self.runtime else { return Err(self.nonsense("nothing: it is closed")) };
        let mut waiting = entries.into_iter().enumerate();
        runtime.block_on(async {
            let mut under_way: JoinSet<Answer> = JoinSet::new();
            loop {
                while under_way.len() < UNDER_WAY
                    && let Some((number, (dn, changes))) = waiting.next()
                {
                    if changes.is_empty() {
                        told(number, Ok(()));
                        continue;
                    }
                    let mods = changes.iter().flat_map(mods).collect();
                    let (mut ldap, dn) = (self.ldap.clone(), dn.to_owned());
                    // A task each: an answer that the library cannot take ends no other.
                    under_way.spawn(async move {
                        let answer = ldap.modify(&dn, mods).await;
                        (number, dn, answer)
                    });
                }
                let answer = tokio::time::timeout(self.config.timeout(), under_way.join_next()).await;
                let timeout = |_| LdapError::Timeout {
                    server: self.config.url.clone(),
                    action: CHANGE,
                    after: self.config.timeout(),
                };
                let Some(answer) = answer.map_err(timeout)? else { return Ok(()) };
                let (number, dn, result) = self.answered(answer)?;
                match self.accepted(CHANGE, &dn, result) {
                    Err(error) if !error.is_refusal() => return Err(error),
                    outcome => told(number, outcome),
                }
            }
        })
    }

    fn answered(&self, answer: Result<Answer, JoinError>) -> Result<(usize, String, LdapResult), LdapError> {
        match answer {
            Ok((number, dn, Ok(result))) => Ok((number, dn, result)),
            Ok((_, _, Err(error))) => Err(lost(&self.config, &self.fault, CHANGE, Some(&error))),
            Err(_) => Err(lost(&self.config, &self.fault, CHANGE, None)),
        }
    }
}
