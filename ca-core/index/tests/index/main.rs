//! The index as its users see it: one suite for both kinds, their agreement over
//! random histories, damage, and the way back from the ledger.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail like tests")]

mod agreement;
mod conformance;
mod damage;
mod entries;
mod kill;
mod ledger;
mod support;
