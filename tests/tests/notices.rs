//! Notices by mail: over TLS to a real server, opened and verified by OpenSSL,
//! each once, whatever happens in between.

use chancery_tests::daemon::wait_for;
use chancery_tests::home::text;
use chancery_tests::{Home, Outcome, Post, Tool, openssl, post};
use serde_json::Value;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A home with a certificate of Zoë that ends in 62 days.
fn prepared() -> Home {
    let home = Home::prepared();
    post::certificates(&home);
    issue(&home, "zoe@example.test", "Zoë Müller 山田", "zoe");
    home
}

fn issue(home: &Home, email: &str, name: &str, file: &str) {
    let csr = openssl::csr(home, file, openssl::Key::P256);
    home.ca("issue --authority issuing --template smime-signing --days 62 --email")
        .args([email, "--common-name", name, "--out", &format!("{file}.crt"), "--csr"])
        .arg(csr)
        .words("--passphrase-file passphrase")
        .ok();
}

/// `ca notify` as many days from now.
fn notify(home: &Home, days: u32, words: &str) -> Tool {
    let clock = Tool::new("faketime").arg(format!("+{days} days"));
    home.ca("--json notify").words(words).under(clock)
}

fn sent(outcome: Outcome) -> Vec<String> {
    let report = outcome.ok().json();
    let sent = report["sent"].as_array().cloned().unwrap_or_default();
    sent.iter().map(|notice| text(notice, "to")).collect()
}

const SIGNED: &str = "sign_with: {certificate: ../sender.pem, key: ../sender.key}";

#[test]
fn people_and_administrators_are_told_once_in_signed_mail() {
    let home = prepared();
    // Nobody renews for somebody who left.
    home.issue_p12("smime-encryption", "yan@example.test", "p256", "yan").words("--days 62").ok();
    home.ca("person leave --email yan@example.test --encryption keep --yes").ok();
    let post = Post::start(&home, "starttls", SIGNED);
    assert!(sent(notify(&home, 0, "").run()).is_empty(), "nothing expires soon");

    let told = sent(notify(&home, 40, "").run());
    assert_eq!(told, ["zoe@example.test", "ops@example.test"]);
    let messages = post.messages();
    assert_eq!(messages.len(), 2);
    let mail = &messages[0];
    assert_eq!((text(mail, "mailFrom"), text(mail, "user")), ("ca@example.test".into(), "ca".into()));
    assert_eq!(mail["tls"], true);
    assert_eq!(text(mail, "from"), "Example CA <ca@example.test>");
    assert_eq!(text(mail, "to"), "Zoë Müller 山田 <zoe@example.test>");
    let body = text(mail, "text");
    assert!(body.contains("Hello Zoë Müller 山田,") && body.contains("smime-signing"), "{body}");
    let all = text(&messages[1], "text");
    assert!(all.contains("zoe@example.test") && !all.contains("yan@example.test"), "{all}");
    for number in 0..2 {
        verify(&home, &post, number, 40);
    }

    // The same reasons: nothing. A nearer threshold: once more, and then no more.
    assert!(sent(notify(&home, 41, "").run()).is_empty());
    assert_eq!(sent(notify(&home, 50, "--to-person").run()), ["zoe@example.test"]);
    assert_eq!(sent(notify(&home, 50, "").run()), ["ops@example.test"]);
    assert!(sent(notify(&home, 50, "").run()).is_empty());
    assert_eq!(post.messages().len(), 4);
    home.verify_ledger();
    home.ca("ledger show").ok().says(&["noticesSent"]);
}

/// Opens a message with OpenSSL and checks the signature as of that day.
fn verify(home: &Home, post: &Post, number: usize, days: u64) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_secs();
    let then = (now + days * 86_400).to_string();
    let verified = |file: &std::path::Path| {
        home.tool("openssl", "cms -verify -CAfile root.crt -purpose smimesign -attime")
            .args([&then, "-in"])
            .arg(file)
            .run()
    };
    verified(&post.file(number)).ok().says(&["Verification successful", "Content-Type: text/plain"]);
    let changed = std::fs::read_to_string(post.file(number)).expect("a message").replace("expire", "exqire");
    let file = home.write_private("changed.eml", changed);
    assert_ne!(verified(&file).code, Some(0), "a changed text verifies");
}

#[test]
fn a_person_with_a_later_certificate_is_not_told() {
    let home = prepared();
    let csr = openssl::csr(&home, "later", openssl::Key::P256);
    home.issue_csr("smime-signing", "zoe@example.test", &csr, "later").ok();
    let post = Post::start(&home, "starttls", "");
    assert!(sent(notify(&home, 40, "").run()).is_empty());
    assert!(post.messages().is_empty());
}

#[test]
fn a_dry_run_sends_and_records_nothing() {
    let home = prepared();
    let post = Post::start(&home, "starttls", SIGNED);
    assert_eq!(sent(notify(&home, 40, "--dry-run").run()).len(), 2);
    assert!(post.messages().is_empty() && !home.path("home/notices.log").exists());
    assert_eq!(sent(notify(&home, 40, "").run()).len(), 2);
}

#[test]
fn a_server_that_is_down_untrusted_or_unwilling_is_tried_again() {
    let home = prepared();
    let post = Post::start(&home, "starttls", "");
    let port = post.port();
    let closed =
        std::net::TcpListener::bind("127.0.0.1:0").and_then(|it| it.local_addr()).expect("a port").port();
    post.configure(&home, closed, "root.crt", "");
    notify(&home, 40, "").run().fails(1, &["cannot connect", "next run tries again"]);
    // The root of somebody else.
    home.tool("openssl", "req -x509 -newkey rsa:2048 -nodes -subj /CN=other -keyout o.key -out other.crt")
        .ok();
    post.configure(&home, port, "other.crt", "");
    notify(&home, 40, "").run().fails(1, &["cannot start tls", "certificate"]);
    post.configure(&home, port, "root.crt", "");
    home.write_private("smtp.password", "wrong");
    notify(&home, 40, "").run().fails(1, &["cannot log in"]).never_says(&["wrong"]);
    home.write_private("smtp.password", "mail-password");
    post.mode("refuse");
    notify(&home, 40, "").run().fails(1, &["451"]);
    assert!(post.messages().is_empty());
    post.mode("take");
    assert_eq!(sent(notify(&home, 40, "").run()).len(), 2);
    assert_eq!(post.messages().len(), 2);
}

#[test]
fn one_unknown_recipient_does_not_keep_others_from_being_told() {
    let home = prepared();
    issue(&home, "nobody@example.test", "Nobody", "nobody");
    let post = Post::start(&home, "starttls", "");
    notify(&home, 40, "").run().fails(1, &["nobody@example.test", "550"]);
    assert_eq!(post.messages().len(), 2);
}

#[test]
fn an_answer_that_is_lost_is_not_asked_for_again() {
    let home = prepared();
    let post = Post::start(&home, "starttls", "");
    post.mode("vanish");
    notify(&home, 40, "--to-admin").run().fails(1, &["not sent again by itself"]);
    post.mode("take");
    let outcome = notify(&home, 40, "--to-admin").run().ok().says(&["possibly sent"]);
    assert!(sent(outcome).is_empty());
    assert_eq!(post.messages().len(), 1);
    assert_eq!(sent(notify(&home, 40, "--to-admin --repeat-doubtful").run()), ["ops@example.test"]);
    let ids: Vec<Value> = post.messages().iter().map(|mail| mail["messageId"].clone()).collect();
    assert_eq!(ids[0], ids[1], "the same notice has the same Message-ID");
    notify(&home, 40, "--to-admin").run().ok().never_says(&["possibly sent"]);
}

#[test]
fn killed_between_the_text_and_the_answer_it_is_not_sent_again() {
    let home = prepared();
    let post = Post::start(&home, "starttls", "");
    post.mode("hang");
    let mut running = notify(&home, 40, "--to-admin").start();
    wait_for("the message", Duration::from_secs(30), || (!post.messages().is_empty()).then_some(()));
    // The clock's program runs ca itself (exec), so this is ca.
    running.kill().expect("kill ca");
    running.wait().expect("wait for ca");
    post.mode("take");
    assert!(sent(notify(&home, 40, "--to-admin").run()).is_empty());
    assert_eq!(post.messages().len(), 1);
    home.verify_ledger();
}

#[test]
fn over_implicit_tls_to_an_address_beyond_ascii() {
    let home = Home::prepared();
    post::certificates(&home);
    issue(&home, "zoë@example.test", "Zoë", "zoe");
    let post = Post::start(&home, "implicit", "");
    let told = sent(notify(&home, 40, "--to-person").run());
    assert_eq!(told, ["zoë@example.test"]);
    assert_eq!(post.messages()[0]["recipients"][0], "zoë@example.test");
}

#[test]
fn a_crl_that_ends_is_told_to_administrators() {
    let home = prepared();
    home.ca("crl issue root --days 60 --out root.crl --passphrase-file passphrase").ok();
    let post = Post::start(&home, "starttls", "crls: [../root.crl]");
    assert!(sent(notify(&home, 20, "").run()).is_empty());
    assert_eq!(sent(notify(&home, 31, "").run()), ["ops@example.test"]);
    assert!(text(&post.messages()[0], "text").contains("CRL of root"));
    post.configure(&home, post.port(), "root.crt", "crls: [../mail.pem]");
    notify(&home, 31, "").run().fails(1, &["not a CRL"]);
}
