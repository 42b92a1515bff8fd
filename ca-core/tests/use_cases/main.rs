//! The use-cases against real homes in temporary directories.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod authorities;
mod common;
mod faults;
mod homes;
mod issuing;
mod maintaining;
mod pairs;
mod power;
mod presigning;
mod publishing;
mod renewals;
mod revoking;
