use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use axum::routing::get;

use super::*;
use crate::Running;

const LONG: Duration = Duration::from_secs(20);

fn start(limits: Limits) -> Running {
    let slow = get(async || {
        tokio::time::sleep(Duration::from_millis(300)).await;
        "done"
    });
    let app = Router::new().route("/", get(async || "hello")).route("/slow", slow);
    Running::start(([127, 0, 0, 1], 0).into(), app, limits, Vec::new()).unwrap()
}

fn open(running: &Running, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(running.address()).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    stream.write_all(bytes).unwrap();
    stream
}

/// What comes until the server closes.
fn rest(mut stream: TcpStream) -> String {
    let mut text = String::new();
    // A reset is an end as well.
    let _ = stream.read_to_string(&mut text);
    text
}

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";

#[test]
fn unfinished_heads_and_idle_connections_are_closed() {
    let running = start(Limits { head: Duration::from_millis(300), ..Limits::default() });
    let begun = Instant::now();
    let slow = open(&running, b"GET / HTTP/1.1\r\nHost: x\r\n");
    let idle = open(&running, GET);
    assert!(!rest(slow).contains("hello"));
    assert!(rest(idle).ends_with("hello"));
    assert!(begun.elapsed() < LONG);
    running.stop();
}

#[test]
fn a_connection_ends_at_its_limit() {
    let running = start(Limits { connection: Duration::from_millis(300), ..Limits::default() });
    let mut stream = open(&running, b"");
    let begun = Instant::now();
    let mut answers = 0;
    let mut buffer = [0; 1024];
    while begun.elapsed() < LONG && stream.write_all(GET).is_ok() {
        match stream.read(&mut buffer) {
            Ok(length) if length > 0 => answers += 1,
            _ => break,
        }
    }
    assert!(answers > 0 && begun.elapsed() < LONG);
    running.stop();
}

#[test]
fn more_connections_wait_and_are_served() {
    let running = start(Limits { connections: 2, head: Duration::from_millis(300), ..Limits::default() });
    let hogs = [open(&running, b"GET"), open(&running, b"GET")];
    let guest = open(&running, b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert!(rest(guest).ends_with("hello"));
    drop(hogs);
    running.stop();
}

#[test]
fn a_source_has_no_more_than_its_share() {
    let running = start(Limits { per_source: 2, ..Limits::default() });
    let mut held = [open(&running, GET), open(&running, GET)];
    // Both are served, so both were counted before the third comes.
    held.iter_mut().for_each(|stream| assert!(stream.read(&mut [0; 64]).is_ok_and(|read| read > 0)));
    assert_eq!(rest(open(&running, GET)), "", "closed without an answer");
    drop(held);
    let again = || rest(open(&running, b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
    let begun = Instant::now();
    while !again().ends_with("hello") {
        assert!(begun.elapsed() < LONG, "the places of closed connections are given again");
    }
    running.stop();
}

#[test]
fn an_answer_under_way_is_finished() {
    let running = start(Limits::default());
    let stream = open(&running, b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n");
    // The request is being answered when another one, sent after it, was.
    let probe = open(&running, b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert!(rest(probe).ends_with("hello"));
    let address = running.address();
    running.stop();
    assert!(rest(stream).ends_with("done"));
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn http_1_1_names_one_host() {
    let running = start(Limits::default());
    for (head, status) in [
        ("HTTP/1.1\r\nHost: x", "200"),
        ("HTTP/1.1\r\nHost:", "200"),
        ("HTTP/1.0", "200"),
        ("HTTP/1.1", "400"),
        ("HTTP/1.1\r\nHost: x\r\nHost: x", "400"),
        ("HTTP/1.0\r\nHost: x\r\nHost: y", "400"),
    ] {
        let request = format!("GET / {head}\r\nConnection: close\r\n\r\n");
        let answer = rest(open(&running, request.as_bytes()));
        assert_eq!(answer.split(' ').nth(1), Some(status), "{request}{answer}");
    }
    running.stop();
}
