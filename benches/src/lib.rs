//! What the measuring programs share.
//!
//! The machine that measures is seldom quiet, so nothing is measured alone: each
//! figure is taken beside the one that it is compared with, in turn, in one run,
//! and the ratio is what counts. `benches/run`, `benches/batch` and
//! `benches/ocsp` run them.

pub mod bare;
pub mod forge;
pub mod home;
pub mod people;
pub mod program;
pub mod question;
pub mod responder;
pub mod sample;
pub mod table;

/// The result of a measurement. A measuring program has one reader, a person:
/// it passes the rooms' messages on as they are.
pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// An error with this text.
#[must_use]
pub fn fail(text: impl Into<String>) -> Box<dyn std::error::Error + Send + Sync> {
    text.into().into()
}
