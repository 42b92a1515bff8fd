//! The use-cases against real homes in temporary directories.

mod authorities;
mod common;
mod homes;
mod issuing;
mod revoking;
