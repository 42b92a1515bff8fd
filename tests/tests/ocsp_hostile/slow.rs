//! Clients that send slowly, read slowly, or only hold connections.

use super::{GROWTH_KIB, meanwhile};
use chancery_tests::asking::{Connection, Said};
use chancery_tests::responder::Served;
use chancery_tests::tool::Tool;
use std::io::{Read, Write};
use std::thread;
use std::time::Duration;

/// Few connections, so that a flood is small; one address may have half of them.
const FEW: &str = "max_connections: 200\nmax_connections_per_source: 100\n";

#[test]
fn slow_clients_and_floods_hold_up_nobody() {
    let served = Served::start(FEW);
    meanwhile(&served, GROWTH_KIB, |served| {
        flood(served);
        slow_readers(served);
    });
}

/// slowhttptest's three attacks at once, with more connections than one address may have.
#[test]
fn slowhttptest() {
    let served = Served::start(FEW);
    meanwhile(&served, GROWTH_KIB, |served| {
        let url = format!("http://127.0.0.1:{}/", served.port());
        let attacks = [
            "-H -i 1 -x 24",
            "-B -i 1 -s 8192 -x 10 -f application/ocsp-request",
            "-X -w 512 -y 1024 -n 1 -z 32 -k 3",
        ];
        thread::scope(|scope| {
            for attack in attacks {
                let url = &url;
                scope.spawn(move || {
                    let outcome = Tool::new("slowhttptest")
                        .words(&format!("-c 150 -r 150 -l 6 -p 3 {attack} -u {url}"))
                        .within(served.home.work())
                        .limit(Duration::from_secs(60))
                        .run();
                    assert!(outcome.everything().contains("slow"), "{}", outcome.transcript());
                });
            }
        });
    });
}

/// More connections from one address than it may have: those beyond are closed at
/// once, and when the others are gone it is served again.
fn flood(served: &Served) {
    let port = served.port();
    let question = served.question("bob");
    let mut held: Vec<_> = (0..300).filter_map(|_| Connection::open(port).ok()).collect();
    for connection in &mut held {
        let _ = connection.stream().write_all(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n0");
    }
    // A closed one is read to its end at once, the others have nothing to read.
    let closed = held.iter_mut().map(is_closed).filter(|closed| *closed).count();
    assert!((200..300).contains(&closed), "{closed} of 300 connections were closed");
    drop(held);
    let again = chancery_tests::daemon::wait_for("room for this address", Duration::from_secs(20), || {
        Connection::open(port).ok()?.exchange(&question.post()).ok()
    });
    assert_eq!(question.read(&again.body), Some(Said::Good));
}

fn is_closed(connection: &mut Connection) -> bool {
    let stream = connection.stream();
    stream.set_read_timeout(Some(Duration::from_millis(20))).expect("a time limit");
    match stream.read(&mut [0; 1]) {
        Ok(read) => read == 0,
        Err(error) => !matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut),
    }
}

/// Clients that ask without end and never read: each keeps little of the responder's memory.
fn slow_readers(served: &Served) {
    let question = served.question("bob").post().repeat(200);
    let mut readers: Vec<_> = (0..80).filter_map(|_| Connection::open(served.port()).ok()).collect();
    for reader in &mut readers {
        let stream = reader.stream();
        stream.set_nonblocking(true).expect("a mode");
        // Until the responder no longer takes any.
        while stream.write(&question).is_ok_and(|sent| sent > 0) {}
    }
    assert_eq!(served.question("alice").read(&fresh(served)), Some(Said::Good));
}

/// An answer about alice on a connection from another address.
fn fresh(served: &Served) -> Vec<u8> {
    let mut connection = Connection::from_address(7, served.port()).expect("a connection");
    connection.exchange(&served.question("alice").post()).expect("an answer").body
}
