//! The index as its users see it: one suite for both kinds, their agreement over
//! random histories, damage, and the way back from the ledger.

mod agreement;
mod conformance;
mod damage;
mod entries;
mod ledger;
mod support;
