//! The publisher mails its alarms over TLS to a real server: once raised, once over.

use chancery_tests::daemon::wait_for;
use chancery_tests::home::text;
use chancery_tests::server::LIMIT;
use chancery_tests::{Daemon, Home, Post, post};
use serde_json::Value;

#[test]
fn by_mail() {
    let home = Home::prepared();
    post::certificates(&home);
    let post = Post::start(&home, "starttls", "");
    home.ca("authority export issuing --out issuing.pem").ok();
    let config = format!(
        "listen: 127.0.0.1:0\ndirectory: published\nstate_dir: state\nauthorities:\n  \
         - {{name: issuing, certificate: issuing.pem, mode: distribute, source: issuing.crl}}\n\
         alarms:\n  after: 0s\n  mail:\n    from: Example CA <ca@example.test>\n    to: [ops@example.test, night@example.test]\n    \
         smtp: {{host: localhost, port: {}, tls: starttls, ca_root: root.crt, username: ca, password_file: smtp.password}}\n",
        post.port()
    );
    let config = home.write_private("publisher.yaml", config);
    post.mode("refuse");
    let daemon = Daemon::start("crl-publisher", &config);
    wait_for("the refusal", LIMIT, || daemon.log().contains("alarms were not told").then_some(()));
    post.mode("take");
    let messages = |topic: &str| -> Vec<Value> {
        let messages = post.messages();
        messages.into_iter().filter(|mail| text(mail, "text").contains(topic)).collect()
    };
    let mail = wait_for("the mail", LIMIT, || messages("Alarm: crl issuing: there is no CRL").pop());
    assert_eq!(mail["recipients"], serde_json::json!(["ops@example.test", "night@example.test"]));
    assert_eq!((text(&mail, "mailFrom"), text(&mail, "user")), ("ca@example.test".into(), "ca".into()));
    assert_eq!(mail["tls"], true);
    assert!(text(&mail, "text").contains("issuing.crl"), "{mail}");

    // It goes on after a restart, and tells nothing twice.
    assert_eq!(daemon.terminate(), Some(0));
    let before = post.messages().len();
    let daemon = Daemon::start("crl-publisher", &config);
    home.ca("crl issue issuing --out issuing.crl --passphrase-file passphrase").ok();
    let health = || {
        let url = format!("http://127.0.0.1:{}/healthz", daemon.port());
        chancery_tests::Tool::new("curl").args(["-s", &url]).ok().text()
    };
    wait_for("the CRL", LIMIT, || (health() == "ok\n").then_some(()));
    assert_eq!(post.messages().len(), before);
    assert!(!daemon.log().contains("mail-password"));
    assert_eq!(daemon.terminate(), Some(0));
}
