//! Requests that are too large, too deep, or no requests at all.

use super::{GROWTH_KIB, meanwhile, raw};
use chancery_tests::asking::{Connection, Question, Said, loopback, post, serial_of, statuses};
use chancery_tests::mutate::tree::element;
use chancery_tests::mutate::{Mutator, path};
use chancery_tests::responder::Served;
use std::io::{Read, Write};
use std::net::TcpStream;

const MEGABYTE: usize = 1_000_000;
/// The longest request that is read, if nothing else is configured.
const LIMIT: usize = 10_000;

#[test]
fn large_deep_and_broken_requests() {
    // The largest request that can be configured, so that the parser sees the large ones.
    let served = Served::start("max_request_bytes: 1000000\n");
    // 17 connections at once, each with a head of four times that, and 16 KiB, and a body.
    meanwhile(&served, 17 * 5 * 1_024, |served| {
        large_bodies(served);
        deep_and_long_der(served);
        heads(served);
        paths(served);
        framing(served);
    });
}

#[test]
fn mutated_requests() {
    let served = Served::start("");
    meanwhile(&served, GROWTH_KIB, mutated);
}

/// The status of a POST of this body.
fn posted(served: &Served, body: &[u8]) -> u16 {
    let mut connection = Connection::open(served.port()).expect("a connection");
    connection.exchange(&post(body)).expect("a response").status
}

fn large_bodies(served: &Served) {
    let port = served.port();
    // 10 MB, said beforehand and not: refused, not stored.
    let head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/ocsp-request\r\n";
    let body = vec![0x30; 10 * MEGABYTE];
    let said = [&head[..], b"Content-Length: 10000000\r\n\r\n", &body].concat();
    let chunk = [format!("{:x}\r\n", MEGABYTE).as_bytes(), &body[..MEGABYTE], b"\r\n"].concat();
    let chunked =
        [&head[..], b"Transfer-Encoding: chunked\r\n\r\n", &chunk.repeat(10), b"0\r\n\r\n"].concat();
    for request in [&said, &chunked] {
        // The refusal can get lost when the server resets what it does not read.
        let (codes, _) = raw(port, request);
        assert!(codes.is_empty() || codes == [413], "{codes:?}");
    }
    let mut early = Connection::open(port).expect("a connection");
    let response = early.exchange(&said[..head.len() + 28]).expect("a refusal of the head alone");
    assert_eq!(response.status, 413);
    // Many at once.
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                raw(port, &said);
                raw(port, &chunked);
            });
        }
    });
}

fn deep_and_long_der(served: &Served) {
    // 10^4 certificates in one request.
    let id = served.question("alice").id;
    let entry = element(0x30, &id);
    let list = element(0x30, &entry.repeat(10_000));
    let request = element(0x30, &element(0x30, &list));
    assert_eq!(posted(served, &request), 400, "{} octets, within the limit", request.len());
    let small = element(
        0x30,
        &element(0x30, &[&element(0x30, &[0x06, 1, 0x2a])[..], &[4, 0, 4, 0, 2, 1, 5]].concat()),
    );
    let request = element(0x30, &element(0x30, &element(0x30, &small.repeat(10_000))));
    assert_eq!(posted(served, &request), 400, "as many in {} octets", request.len());
    let request = element(0x30, &element(0x30, &element(0x30, &entry.repeat(65))));
    assert_eq!(posted(served, &request), 400, "one more than may be asked for");
    let request = element(0x30, &element(0x30, &element(0x30, &entry.repeat(64))));
    assert_eq!(posted(served, &request), 200);

    // 10^5 levels, once with lengths that fit and once with indefinite ones.
    let mut heads = Vec::new();
    let mut length = 0_usize;
    for _ in 0..100_000 {
        let head = [&[0x30, 0x84][..], &(length as u32).to_be_bytes()].concat();
        length += head.len();
        heads.push(head);
    }
    heads.reverse();
    assert_eq!(posted(served, &heads.concat()), 400);
    assert_eq!(posted(served, &[0x30, 0x80].repeat(100_000)), 400);
    assert_eq!(posted(served, &[0xa0, 0x80].repeat(100_000)), 400);

    // Four gigabytes, so they say; and more.
    for lengths in
        [&[0x84, 0xff, 0xff, 0xff, 0xff][..], &[0x84, 0xff, 0xff, 0xff, 0xf0], &[0x88; 9], &[0xfe; 127]]
    {
        for tag in [0x30, 0x04, 0x02] {
            let lying = [&[tag], lengths, &[0; 100]].concat();
            assert_eq!(posted(served, &lying), 400);
            assert_eq!(posted(served, &element(0x30, &element(0x30, &element(0x30, &lying)))), 400);
        }
    }
}

fn heads(served: &Served) {
    let port = served.port();
    let long = "a".repeat(8 * MEGABYTE);
    let many: String = (0..10_000).map(|n| format!("X-{n}: {n}\r\n")).collect();
    for head in [
        format!("GET / HTTP/1.1\r\nHost: x\r\nX-Long: {long}\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nHost: x\r\n{many}\r\n"),
        format!("GET /{long} HTTP/1.1\r\nHost: x\r\n\r\n"),
        format!("{long} / HTTP/1.1\r\nHost: x\r\n\r\n"),
        long,
    ] {
        let (codes, _) = raw(port, head.as_bytes());
        let refused = codes.iter().all(|code| [400, 414, 431].contains(code));
        assert!(refused && codes.len() <= 1, "{codes:?} for a head of {} octets", head.len());
    }
}

fn paths(served: &Served) {
    let port = served.port();
    let good = served.question("alice");
    let path = good.path();
    let get = |path: &str| {
        raw(port, format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes())
    };
    // The same request in other clothes.
    for path in [
        path.clone(),
        format!("/{path}"),
        format!("//{path}"),
        format!("http://127.0.0.1:{port}{path}"),
        format!("{path}#x"),
    ] {
        let (codes, answer) = get(&path);
        assert_eq!(codes, [200], "{path}");
        let body = answer.windows(4).position(|w| w == b"\r\n\r\n").map(|at| &answer[at + 4..]);
        assert_eq!(good.read(body.expect("a body")), Some(Said::Good));
    }
    let encoded = &path[1..];
    for path in [
        "/..".to_owned(),
        "/../../etc/passwd".to_owned(),
        "/%2e%2e/%2e%2e/etc/passwd".to_owned(),
        "/.".to_owned(),
        "//".to_owned(),
        "/%00".to_owned(),
        format!("/{encoded}%00"),
        format!("/%00{encoded}"),
        format!("/../{encoded}"),
        format!("/{encoded}/.."),
        format!("/{encoded}?{encoded}"),
        format!("/{encoded}%"),
        format!("/{encoded}%2"),
        format!("/{encoded}{encoded}"),
        "/%25%33%30".to_owned(),
        "/é".to_owned(),
        "*".to_owned(),
        "healthz/../x".to_owned(),
        format!("/{}", "%2F".repeat(10_000)),
        format!("/{}", "M".repeat(900_000)),
    ] {
        let (codes, answer) = get(&path);
        let short = &path[..path.len().min(80)];
        let refused = codes.iter().all(|code| [400, 404, 414, 431].contains(code));
        assert!(refused && codes.len() <= 1, "{codes:?} for {short}");
        assert!(statuses(&answer).is_empty(), "{short}");
    }
}

/// What breaks HTTP itself: no answer or a refusal, and the connection is over.
fn framing(served: &Served) {
    let port = served.port();
    let question = served.question("alice");
    let body = &question.der;
    let length = body.len();
    let chunked = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    let text = |head: &str| [head.as_bytes(), body].concat();
    for (what, request) in [
        ("chunk of no size", text(&format!("{chunked}\r\n"))),
        ("chunk size that is no number", text(&format!("{chunked}zz\r\n"))),
        ("negative chunk", text(&format!("{chunked}-5\r\n"))),
        ("chunk of 2^64 octets", text(&format!("{chunked}FFFFFFFFFFFFFFFFF\r\n"))),
        ("endless chunk extension", text(&format!("{chunked}5;{}\r\n", "x".repeat(MEGABYTE)))),
        ("endless trailers", text(&format!("{chunked}0\r\n{}\r\n", "X: y\r\n".repeat(100_000)))),
        (
            "two lengths",
            text(&format!(
                "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\nContent-Length: 5\r\n\r\n"
            )),
        ),
        ("negative length", text("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n")),
        (
            "length beyond 2^64",
            text("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999999\r\n\r\n"),
        ),
        ("unknown transfer encoding", text("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n")),
        ("HTTP/0.9", b"GET /\r\n".to_vec()),
        ("HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec()),
        ("TLS", [&[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3][..], &[7; 500]].concat()),
        ("NUL in the head", b"GET /\0 HTTP/1.1\r\nHost: x\r\n\r\n".to_vec()),
        ("field without a name", b"GET / HTTP/1.1\r\n: x\r\n\r\n".to_vec()),
        ("folded field", b"GET / HTTP/1.1\r\nHost: x\r\n y\r\n\r\n".to_vec()),
        ("CONNECT", b"CONNECT example.test:443 HTTP/1.1\r\nHost: x\r\n\r\n".to_vec()),
        ("noise", (0..=255).cycle().take(100_000).collect()),
    ] {
        let (codes, answer) = raw(port, &request);
        let refused = codes.iter().all(|code| (400..500).contains(code));
        assert!(refused && codes.len() <= 1, "{what}: {codes:?}");
        assert!(statuses(&answer).is_empty(), "{what}");
    }
    // A length and chunks at once would smuggle a request past a proxy: one answer, then the end.
    let both = format!(
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n{length:x}\r\n"
    );
    let both = [both.as_bytes(), body, b"\r\n0\r\n\r\n", &question.get()].concat();
    let (codes, _) = raw(port, &both);
    assert!(codes.len() <= 1 || codes == [200, 200], "{codes:?}");

    // Pipelined: good ones are answered in turn; after garbage nothing is.
    let pipelined = [question.post(), question.get(), b"garbage\0\r\n\r\n".to_vec(), question.get()].concat();
    let (codes, _) = raw(port, &pipelined);
    assert_eq!(codes, [200, 200, 400]);
    // A thousand at once, never read meanwhile: the server stops reading, and keeps little.
    let mut greedy = TcpStream::connect(loopback(port)).expect("a connection");
    greedy.set_nonblocking(true).expect("a mode");
    let flood = question.post().repeat(1_000);
    let _ = greedy.write(&flood);
    let mut first = [0; 12];
    greedy.set_nonblocking(false).expect("a mode");
    greedy.read_exact(&mut first).expect("the first answer");
    assert_eq!(&first, b"HTTP/1.1 200");

    // HTTP/1.0 has no Host, as old clients send it; 1.1 must have one.
    for (version, code) in [("1.0", 200), ("1.1", 400)] {
        let request = format!("GET {} HTTP/{version}\r\n\r\n", question.path());
        assert_eq!(raw(port, request.as_bytes()).0, [code], "HTTP/{version} without Host");
    }
}

/// Mutated requests on kept connections: 200 or 400, and good is only what was issued.
fn mutated(served: &Served) {
    let many = element(
        0x30,
        &element(0x30, &element(0x30, &element(0x30, &served.question("alice").id).repeat(10_000))),
    );
    // 10,000 certificates: refused by the head, so that the rest may meet a closed connection.
    let (codes, _) = raw(served.port(), &post(&many));
    assert!(codes.is_empty() || codes == [413], "{codes:?}");
    let people: Vec<Question> = ["alice", "bob", "mallory"].map(|person| served.question(person)).into();
    let good: Vec<_> = people[..2].iter().map(|question| serial_of(&question.id)).collect();
    let corpus = people.iter().map(|question| question.der.clone());
    let several = people.iter().map(|question| element(0x30, &question.id)).collect::<Vec<_>>().concat();
    let several = element(0x30, &element(0x30, &element(0x30, &several)));
    let mut mutator = Mutator::new(corpus.chain([several]), 20_261_126);
    let mut connection = Connection::open(served.port()).expect("a connection");
    let (mut answered, mut said_good) = (0, 0);
    for turn in 0..2_000 {
        let (kind, der) = mutator.request();
        if der.len() > LIMIT {
            raw(served.port(), &post(&der));
            continue;
        }
        let request = if turn % 3 == 0 && der.len() < 2_000 {
            let path = path::encode(&der, mutator.dice());
            format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").into_bytes()
        } else {
            post(&der)
        };
        let response = connection.exchange(&request).expect("an answer");
        assert!([200, 400, 413, 414].contains(&response.status), "{kind:?}: {}", response.status);
        answered += usize::from(response.status == 200);
        for (id, _) in statuses(&response.body).iter().filter(|(_, said)| *said == Said::Good) {
            assert!(der.windows(id.len()).any(|part| part == id), "{kind:?}: nobody asked for {id:02x?}");
            assert!(good.contains(&serial_of(id)), "{kind:?}: good for {:02x?}", serial_of(id));
            said_good += 1;
        }
        if response.last {
            connection = Connection::open(served.port()).expect("a connection");
        }
    }
    assert!(answered > 150 && said_good > 30, "{answered} answers, {said_good} times good");
}
