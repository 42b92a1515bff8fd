//! The ledger as its users see it.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests, and helpers of tests")]

mod common;
mod crash;
mod follow;
mod prove;
mod random;
mod tamper;
mod write;
