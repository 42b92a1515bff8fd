//! Telling people of alarms: by mail, and by a request to a web server.
//!
//! Each way has a queue and a thread of its own. An alarm is told once when it is
//! raised, again after a time while it lasts, and once when it is over. What was not
//! told yet is in a file, so that a restart loses nothing; after a crash something may be
//! told twice, under the same identifier. A server that fails holds up nothing else.

pub mod config;
pub mod mail;
pub mod metrics;
pub mod queue;
pub mod teller;
pub mod webhook;

pub use config::AlarmsConfig;
pub use queue::{Event, Occasion};

/// A way to tell people.
pub trait Channel: Send {
    /// Reads what it needs of this machine: secrets, certificates. Nothing is sent.
    ///
    /// # Errors
    /// What is missing, unsafe or not what it must be.
    fn ready(&mut self) -> Result<(), String>;

    /// How many events it tells at once, at most.
    fn batch(&self) -> usize;

    /// Tells `events`, all or none.
    ///
    /// # Errors
    /// Why they were not told, or why nobody knows.
    fn send(&mut self, events: &[Event]) -> Result<(), String>;
}
