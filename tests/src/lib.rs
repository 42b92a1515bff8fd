//! Helpers for tests of the whole suite.
