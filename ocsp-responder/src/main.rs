//! ocsp-responder
fn main() {}
