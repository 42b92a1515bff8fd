//! Four eyes: what a template asks approval for is issued by two people or not
//! at all.

use chancery_tests::home::{P12_PASSWORD, text};
use chancery_tests::inject::{self, CALLS, Fault};
use chancery_tests::{Home, Tool, openssl};
use std::fs;
use std::thread;

/// A home with template `board-signing`, which asks for approval.
fn prepared() -> Home {
    let home = Home::prepared();
    let template = home.read("home/templates/smime-signing.yaml");
    let template = template.replace("name: smime-signing", "name: board-signing\napproval: required");
    home.write_private("home/templates/board-signing.yaml", template);
    openssl::csr(&home, "carol", openssl::Key::P256);
    home
}

/// As another person: one who came through sudo. Where the kernel knows who
/// logged in, that counts instead, and no test can change it.
fn other(tool: Tool) -> Tool {
    let login = fs::read_to_string("/proc/self/loginuid").unwrap_or_default();
    let unknown = login.trim().is_empty() || login.trim() == u32::MAX.to_string();
    assert!(
        unknown,
        "the kernel knows who logged in: run this where loginuid is not set, in a container or by a service"
    );
    tool.env("SUDO_UID", "54321").env("SUDO_USER", "another")
}

fn submit(home: &Home, words: &str) -> String {
    let submitted = home
        .ca("--json request submit --authority issuing --template board-signing")
        .words("--email carol@example.test")
        .words(words)
        .without_env("SUDO_UID")
        .ok()
        .json();
    text(&submitted, "id")
}

fn approve(home: &Home, id: &str, words: &str) -> Tool {
    home.ca("--json request approve --passphrase-file passphrase")
        .arg(id)
        .words(words)
        .without_env("SUDO_UID")
}

fn state(home: &Home, id: &str) -> String {
    text(&home.ca("--json request show").arg(id).ok().json(), "state")
}

#[test]
fn one_person_alone_gets_nothing() {
    let home = prepared();
    let issue = home.issue_csr("board-signing", "carol@example.test", &home.path("carol.csr"), "carol");
    issue.run().fails(3, &["approval of a second person", "ca request submit"]);
    let id = submit(&home, "--csr carol.csr");
    let before = home.serials();
    approve(&home, &id, "--out carol.crt").run().fails(3, &["same person", "another person must approve"]);
    assert_eq!((home.serials(), state(&home, &id)), (before, "open".to_owned()));
    assert!(!home.path("carol.crt").exists());
}

#[test]
fn the_second_person_approves_once_and_both_are_on_record() {
    let home = prepared();
    let id = submit(&home, "--csr carol.csr");
    home.ca("person show --email carol@example.test").ok().says(&[&id, "open"]);
    let tool = other(approve(&home, &id, "--out carol.crt"));
    let issued = tool.ok().json();
    home.ca("authority export root --format pem --out root.crt").ok();
    home.ca("authority export issuing --format pem --out issuing.crt").ok();
    home.tool("openssl", "verify -purpose smimesign -CAfile root.crt -untrusted issuing.crt carol.crt").ok();
    let shown = home.ca("--json request show").arg(&id).ok().json();
    assert_eq!(text(&shown, "state"), "approved");
    assert_eq!(text(&shown["approved"], "serial"), text(&issued, "serial"));
    assert_eq!(shown["approved"]["by"], 54321);
    assert_ne!(shown["requester"], 54321);
    let person = home.ca("--json person show --email carol@example.test").ok().json();
    assert_eq!(text(&person["requests"][0], "id"), id);
    assert_eq!(text(&person["requests"][0], "state"), "approved");
    let again = other(approve(&home, &id, "--out again.crt"));
    again.run().fails(3, &["was approved"]);
    home.ca("request reject --reason late").arg(&id).run().fails(3, &["was approved"]);
    let listed = home.ca("--json request list --state approved").ok().json();
    assert_eq!(listed["requests"].as_array().map(Vec::len), Some(1));
    home.ca("ledger show").ok().says(&["requestSubmitted", "requestApproved"]);
    home.verify_ledger();
}

#[test]
fn a_key_made_at_the_approval_goes_to_the_approver() {
    let home = prepared();
    let id = submit(&home, "--key p256 --days 100");
    let tool = other(approve(&home, &id, "--out carol.crt"));
    tool.run().fails(2, &["--p12"]);
    let words = "--p12 carol.p12 --p12-password-file p12-password --out carol.crt";
    other(approve(&home, &id, words)).ok();
    home.tool("openssl", "pkcs12 -noout -in carol.p12")
        .args(["-passin", &format!("pass:{P12_PASSWORD}")])
        .ok();
}

#[test]
fn a_key_that_is_to_be_archived_is_archived_at_the_approval() {
    let home = prepared();
    let template = home.read("home/templates/smime-encryption.yaml");
    let template = template.replace("name: smime-encryption", "name: board-encryption\napproval: required");
    home.write_private("home/templates/board-encryption.yaml", template);
    let submit = || {
        home.ca("--json request submit --authority issuing --template board-encryption --escrow")
            .words("--email carol@example.test --key p256")
            .without_env("SUDO_UID")
            .run()
    };
    assert_ne!(submit().code, Some(0), "there is no agent yet");
    chancery_tests::escrow::add_agents(&home);
    let id = text(&submit().ok().json(), "id");
    let words = "--p12 carol.p12 --p12-password-file p12-password";
    let tool = other(approve(&home, &id, words));
    let serial = text(&tool.ok().json(), "serial");
    home.ca("escrow list --email carol@example.test").ok().says(&[&serial]);
    home.verify_ledger();
}

#[test]
fn what_changed_after_the_submission_is_not_issued() {
    let home = prepared();
    let id = submit(&home, "--csr carol.csr");
    let file = format!("home/requests/{id}.json");
    let original = home.read(&file);
    home.write_private(&file, original.replace("carol@", "mallory@"));
    approve(&home, &id, "--out carol.crt").run().fails(3, &["not what was submitted"]);
    home.ca("request list").run().fails(3, &["not what was submitted"]);
    home.write_private(&file, original);
    let template = home.read("home/templates/board-signing.yaml");
    home.write_private("home/templates/board-signing.yaml", format!("{template}# changed\n"));
    let tool = other(approve(&home, &id, "--out carol.crt"));
    tool.run().fails(3, &["was changed after request"]);
    assert_eq!(state(&home, &id), "open");
}

#[test]
fn a_rejected_request_stays_rejected() {
    let home = prepared();
    let id = submit(&home, "--csr carol.csr");
    home.ca("request reject --reason").arg(" ").arg(&id).run().fails(2, &["reason"]);
    home.ca("request reject --reason").args(["not needed any more", &id]).ok();
    let tool = other(approve(&home, &id, "--out carol.crt"));
    tool.run().fails(3, &["was rejected"]);
    home.ca("request show").arg(&id).ok().says(&["not needed any more"]);
    home.ca("request show 0123456789abcdef").run().fails(4, &["no request"]);
    home.ca("request show ../../ca").run().fails(4, &["no request"]);
}

#[test]
fn a_request_that_could_not_be_issued_is_refused_at_once() {
    let home = prepared();
    let submit = |words: &str| home.ca("request submit --authority issuing --template").words(words).run();
    submit("board-signing --csr carol.csr").fails(3, &["needs a value for common_name"]);
    submit("board-signing --email carol@example.test --days 90000").fails(3, &["days"]);
    submit("root-ca --common-name x").fails(3, &["ca authority create"]);
    submit("board-signing --email carol@example.test --key ed25519").fails(3, &["ed25519"]);
    assert!(home.ca("--json request list").ok().json()["requests"].as_array().is_some_and(Vec::is_empty));
}

#[test]
fn two_approvals_at_once_issue_one_certificate() {
    let home = prepared();
    let id = submit(&home, "--csr carol.csr");
    let before = home.serials().len();
    let first = other(approve(&home, &id, "--out one.crt"));
    let second = other(approve(&home, &id, "--out two.crt"));
    let running = [first, second].map(|tool| thread::spawn(move || tool.run()));
    let codes = running.map(|thread| thread.join().expect("a command").code);
    assert!(codes.contains(&Some(0)) && codes.contains(&Some(3)), "{codes:?}");
    assert_eq!(home.serials().len(), before + 1);
}

#[test]
fn killed_at_any_change_of_a_file_an_approval_happened_once_or_not_at_all() {
    let original = prepared();
    let id = submit(&original, "--csr carol.csr");
    let before = original.serials().len();
    let act = |home: &Home| other(approve(home, &id, "--out carol.crt --force"));
    let trial = original.copy();
    let tool = act(&trial);
    let counts = inject::count_calls(tool, &trial.path("trace"));
    assert!(!counts.is_empty() && counts.iter().all(|(call, _)| CALLS.contains(call)));
    let mut kills = 0;
    for (call, count) in counts {
        // Every other place: the sweep of `ca issue` visits them all.
        for nth in (1..=count).step_by(2) {
            let home = original.copy();
            let wrapper = inject::strace(call, nth, Fault::Kill, "trace");
            let killed = act(&home).under(wrapper).run();
            kills += usize::from(killed.code.is_none());
            let approved = state(&home, &id) == "approved";
            assert_eq!(home.serials().len(), before + usize::from(approved), "{call} {nth}");
            let again = act(&home).run();
            assert_eq!(
                again.code,
                Some(if approved { 3 } else { 0 }),
                "{call} {nth}\n{}",
                again.transcript()
            );
            assert_eq!(home.serials().len(), before + 1, "{call} {nth}");
            home.verify_ledger();
        }
    }
    assert!(kills > 10, "only {kills} kills");
}
