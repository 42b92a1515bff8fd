//! crl-publisher
fn main() {}
