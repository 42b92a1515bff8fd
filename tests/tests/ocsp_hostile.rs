//! The OCSP responder under hostile input over the network: none of it gets a wrong
//! answer, none a 5xx, its memory stays bounded, and others are answered meanwhile.

#[path = "ocsp_hostile/broken.rs"]
mod broken;
#[path = "ocsp_hostile/slow.rs"]
mod slow;

use chancery_tests::asking::{Connection, Said};
use chancery_tests::responder::{NormalClient, Served};
use std::io::{Read, Write};

/// What the responder may take beyond what it has after its first answers, with the usual limits.
const GROWTH_KIB: u64 = 48 * 1024;

/// Runs `attack` while a normal client asks, and then checks memory (in KiB) and signatures.
fn meanwhile(served: &Served, growth: u64, attack: impl FnOnce(&Served)) {
    served.verified("alice", "good");
    served.verified("mallory", "revoked");
    let before = served.peak();
    let expected = vec![(served.question("alice"), Said::Good), (served.question("mallory"), Said::Revoked)];
    let normal = NormalClient::start(served.port(), expected);
    attack(served);
    let answered = normal.stop();
    served.verified("alice", "good");
    served.verified("mallory", "revoked");
    let grown = served.peak() - before;
    println!("{answered} right answers meanwhile; memory before {before} KiB, grown by {grown} KiB");
    assert!(grown < growth, "its memory grew by {grown} KiB");
    assert!(!served.daemon.log().contains("panicked"), "{}", served.daemon.log());
}

/// Sends raw bytes, ends sending, and reads all that comes: the status codes of the responses.
fn raw(port: u16, bytes: &[u8]) -> (Vec<u16>, Vec<u8>) {
    let mut connection = Connection::open(port).expect("a connection");
    let stream = connection.stream();
    // A server that refuses early may close before it has all.
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(std::net::Shutdown::Write);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let codes = answer
        .windows(12)
        .filter(|window| window.starts_with(b"HTTP/1.1 ") || window.starts_with(b"HTTP/1.0 "))
        .filter_map(|window| std::str::from_utf8(&window[9..12]).ok()?.parse().ok())
        .collect();
    (codes, answer)
}
