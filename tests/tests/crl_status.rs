//! `ca crl status|list`: with a publisher, without one, and for a root that is offline.

use chancery_tests::daemon::wait_for;
use chancery_tests::home::text;
use chancery_tests::pki::Pki;
use serde_json::Value;
use std::fs;
use std::time::Duration;

fn crl<'a>(status: &'a Value, name: &str) -> &'a Value {
    let crls = status["crls"].as_array().expect("CRLs");
    crls.iter().find(|crl| crl["name"] == name).expect("a CRL of this name")
}

#[test]
fn in_time_late_and_missing() {
    let mut pki = Pki::without_daemons("p256");
    pki.start_publisher();
    let status = |pki: &Pki| pki.home.ca("--json crl status published");
    // The file that tells comes after the CRL.
    let good = wait_for("a status", Duration::from_secs(20), || {
        let outcome = status(&pki).run();
        let told: Value = serde_json::from_str(&outcome.text()).ok()?;
        let all = ["issuing", "root"].iter().all(|name| crl(&told, name)["entries"].is_u64());
        all.then(|| outcome.ok().json())
    });
    let issuing = crl(&good, "issuing");
    assert_eq!((text(issuing, "state"), text(issuing, "kind")), ("ok".into(), "full".into()));
    assert_eq!(issuing["entries"], 0);
    assert!(text(issuing, "nextRun") < text(issuing, "renewBy"), "{issuing}");
    assert!(text(issuing, "renewBy") < text(issuing, "nextUpdate"), "{issuing}");
    let pid = pki.publisher.as_ref().expect("it runs").pid().to_string();
    for publisher in good["publishers"].as_array().expect("publishers") {
        assert!(text(publisher, "holder").contains(&pid), "{publisher}");
    }
    pki.home.ca("crl status published").ok().says(&["issuing", "ok", "(sign): published by process"]);
    pki.home.ca("crl list published").ok().says(&["issuing", "root", "full"]);

    // What cannot be written any more is not told from before: a full disk, here something in the way.
    let told = pki.home.path("published/.issuing.status.json");
    let staging = pki.home.path("published/..issuing.status.json.tmp");
    fs::create_dir_all(staging.join("x")).expect("make a directory");
    pki.person_by_request("alice", "smime-signing", chancery_tests::openssl::Key::P256);
    pki.home.ca("revoke --email alice@example.test --reason keyCompromise --yes").ok();
    wait_for("the end of what was told", Duration::from_secs(20), || (!told.exists()).then_some(()));
    status(&pki).run().fails(3, &["publishes for issuing and cannot tell how that is"]);
    fs::remove_dir_all(&staging).expect("remove");
    wait_for("what is so", Duration::from_secs(20), || told.exists().then_some(()));
    pki.home.ca("crl status published").ok().says(&["issuing (sign)"]);
    // A clock that jumped is told for a while.
    let mut jumped: Value = serde_json::from_slice(&fs::read(&told).expect("read")).expect("JSON");
    assert!(jumped["clock"].is_null(), "{jumped}");
    jumped["clock"] = "by 120 seconds against the time that passed".into();
    pki.home.write_private("published/.issuing.status.json", jumped.to_string());
    status(&pki).run().fails(3, &["the clock of process", "jumped: by 120 seconds"]);

    // Nobody publishes: the CRLs are good, but will not stay so.
    pki.publisher = None;
    status(&pki).run().fails(3, &["nobody publishes for issuing"]);

    // Files that are gone or broken.
    let published = pki.home.path("published/crl");
    fs::remove_file(published.join("issuing.crl")).expect("remove");
    fs::write(published.join("root.crl"), b"text").expect("write");
    let bad = status(&pki).run().fails(3, &["issuing is missing", "root is unreadable"]);
    assert_eq!(text(crl(&bad.json(), "issuing"), "state"), "missing");
    pki.home.ca("crl list published").run().fails(1, &["root.crl"]);
    pki.home.ca("crl status nowhere").run().fails(2, &["nowhere"]);

    // What the ledger has.
    let listed = pki.home.ca("--json crl list").ok().json();
    let recorded = &listed["crls"][0];
    assert_eq!(text(recorded, "authority"), "root");
    let hash = pki.home.tool("openssl", "dgst -sha256 -r root.crl").ok().text();
    assert!(hash.starts_with(&text(recorded, "sha256")), "{recorded} {hash}");
}

#[test]
fn the_next_ceremony_is_announced() {
    let pki = Pki::without_daemons("p256");
    // All of its life is within the reminder.
    let config = pki.publisher_config().replace("mode: distribute", "mode: distribute\n    remind: 365d");
    let config = pki.home.write_private("publisher.yaml", config);
    let _publisher = chancery_tests::Daemon::start("crl-publisher", &config);
    let said = wait_for("a status", Duration::from_secs(20), || {
        let outcome = pki.home.ca("crl status published").run();
        outcome.everything().contains("published by process").then_some(outcome)
    });
    said.fails(3, &["root is ending", "crl issue root --days 180 --out root.crl"]);

    // A CRL of people's certificates that is valid for too long is said by a check, too, and taken.
    let config = pki.publisher_config().replace("validity: 7d", "validity: 30d");
    let config = pki.home.write_private("long.yaml", config);
    let check = chancery_tests::Tool::ours("crl-publisher").args(["--check", "--config"]).arg(config).ok();
    check.says(&["S/MIME BR, section 4.9.7", "valid for 30d, and 10d is the limit"]);
}
