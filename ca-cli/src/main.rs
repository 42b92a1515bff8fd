//! ca-cli
fn main() {}
