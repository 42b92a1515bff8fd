//! Escrow from the command line: two of three agents recover, nobody else does.

use chancery_tests::Home;
use chancery_tests::escrow::{
    SECRETS, add_agents, agent_key, contribute, encrypt_to, issue_archived, open_p12, request,
};
use serde_json::Value;
use std::fs;

const DORA: &str = "dora@example.test";

/// A home with agents and one archived key of dora.
fn home() -> Home {
    let home = Home::prepared();
    add_agents(&home);
    issue_archived(&home, DORA, "dora");
    home
}

fn complete(home: &Home, shares: &[&str]) -> chancery_tests::Tool {
    let shares: String = shares.iter().map(|share| format!(" --share {share}")).collect();
    home.ca(&format!("escrow complete --p12 back.p12 {SECRETS}{shares}"))
}

/// What the ledger counts of each kind, and that nothing was recovered.
fn nothing_recovered(home: &Home) {
    assert!(!home.path("back.p12").exists());
    let shown = home.ca("ledger show").ok().text();
    assert!(!shown.contains("keyRecovered") && !shown.contains("recoveryContributed"), "{shown}");
}

#[test]
fn two_agents_recover_and_the_ledger_knows_it() {
    let home = home();
    let asked = request(&home, DORA, "request.json").json();
    let fingerprint = asked["fingerprint"].as_str().expect("a fingerprint");
    for agent in ["bert", "carla"] {
        contribute(&home, agent, "request.json", &format!("{agent}.json")).ok().says(&[fingerprint, DORA]);
    }
    complete(&home, &["bert.json", "carla.json"]).ok().says(&["Recovered 1 key", "bert, carla"]);

    open_p12(&home, "back.p12", "back");
    encrypt_to(&home, "dora");
    home.tool("openssl", "cms -decrypt -inform DER -in dora.p7 -recip dora.crt -inkey back.pem")
        .ok()
        .says(&["for dora"]);
    let shown = home.ca("ledger show").ok().text();
    for (kind, count) in
        [("escrowAgentAdded", 3), ("recoveryRequested", 1), ("recoveryContributed", 2), ("keyRecovered", 1)]
    {
        assert_eq!(shown.matches(kind).count(), count, "{kind}\n{shown}");
    }
    home.ca("ledger verify").ok();
    home.ca("index rebuild").ok();
    home.ca(&format!("escrow list --email {DORA}")).ok();

    // The same shares again: each recovery needs the agents anew.
    fs::remove_file(home.path("back.p12")).expect("remove a file");
    complete(&home, &["bert.json", "carla.json"]).run().fails(3, &["was completed on"]);
    request(&home, DORA, "again.json");
    complete(&home, &["bert.json", "carla.json"]).run().fails(3, &["was completed on"]);
    let again = request(&home, DORA, "third.json").json();
    let id = again["request"].as_str().expect("an identifier");
    complete(&home, &["bert.json", "carla.json"])
        .words(&format!("--request {id}"))
        .run()
        .fails(3, &["bert.json", "it answers request"]);
    assert!(!home.path("back.p12").exists());
}

#[test]
fn fewer_agents_or_strangers_recover_nothing() {
    let home = home();
    request(&home, DORA, "request.json");
    contribute(&home, "anna", "request.json", "anna.json").ok();
    complete(&home, &["anna.json"]).run().fails(3, &["needs 2 agents and 1", "anna, bert, carla"]);
    complete(&home, &["anna.json", "anna.json"]).run().fails(3, &["anna contributed already"]);
    agent_key(&home, "eve");
    let error = contribute(&home, "eve", "request.json", "eve.json").run();
    error.fails(3, &["not one that the shares were sealed to", "anna, bert, carla"]);
    assert!(!home.path("eve.json").exists());
    nothing_recovered(&home);
}

#[test]
fn changed_files_recover_nothing() {
    let home = home();
    request(&home, DORA, "request.json");
    for agent in ["anna", "bert"] {
        contribute(&home, agent, "request.json", &format!("{agent}.json")).ok();
    }
    // A contribution.
    let changed = change(&home, "anna.json", "/envelope");
    home.write_private("changed.json", changed);
    complete(&home, &["changed.json", "bert.json"]).run().fails(3, &["changed.json: it was changed"]);
    // A share in the request.
    let changed = change(&home, "request.json", "/keys/0/shares/2/envelope");
    home.write_private("forged.json", changed);
    contribute(&home, "carla", "forged.json", "carla.json")
        .run()
        .fails(3, &["share of carla", "was changed"]);
    // The request in the home.
    let stored = find(&home, "home/escrow/requests", "request.json");
    let honest = fs::read(home.path(&stored)).expect("read a file");
    home.write_private(&stored, change(&home, &stored, "/keys/0/shares/0/envelope"));
    complete(&home, &["anna.json", "bert.json"]).run().fails(3, &["was changed since it was made"]);
    home.write_private(&stored, honest);
    // The archive.
    let archive = find(&home, "home/escrow/archive", "");
    let honest = fs::read(home.path(&archive)).expect("read a file");
    let mut bytes = honest.clone();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    home.write_private(&archive, bytes);
    complete(&home, &["anna.json", "bert.json"])
        .run()
        .fails(1, &["was changed: its SHA-256 is not its name"]);
    nothing_recovered(&home);
    // With everything back in its place the same shares do.
    home.write_private(&archive, honest);
    complete(&home, &["anna.json", "bert.json"]).ok();
}

#[test]
fn shares_of_one_recovery_are_worth_nothing_in_another() {
    let home = home();
    issue_archived(&home, "emil@example.test", "emil");
    request(&home, DORA, "dora.json");
    request(&home, "emil@example.test", "emil.json");
    contribute(&home, "anna", "dora.json", "for-dora.json").ok();
    contribute(&home, "bert", "emil.json", "for-emil.json").ok();
    complete(&home, &["for-dora.json", "for-emil.json"])
        .run()
        .fails(3, &["for-emil.json: it answers request"]);
    // With the envelope of one in the file of the other.
    let mut mixed: Value = read(&home, "for-dora.json");
    mixed["envelope"] = read(&home, "for-emil.json")["envelope"].clone();
    home.write_private("mixed.json", mixed.to_string());
    complete(&home, &["mixed.json", "for-dora.json"])
        .run()
        .fails(3, &["mixed.json: it was changed, or sealed for another"]);
    // Nor can emil's shares be taken for the export of dora's history.
    contribute(&home, "anna", "emil.json", "for-emil-2.json").ok();
    home.ca(&format!("history export --email {DORA} --p12 back.p12 {SECRETS}"))
        .words("--share for-emil.json --share for-emil-2.json")
        .run()
        .fails(3, &["for other keys"]);
    nothing_recovered(&home);
}

#[test]
fn keys_that_sign_are_refused_and_single_agents_must_be_meant() {
    let home = Home::prepared();
    agent_key(&home, "anna");
    home.ca("escrow agent add anna --certificate anna.pem").ok();
    let issue =
        |template: &str, name: &str| home.issue_p12(template, DORA, "rsa-2048", name).words("--escrow");
    issue("smime-encryption", "early").run().fails(3, &["2 recovery agents", "there are 1"]);
    home.ca("escrow threshold 1").run().fails(3, &["--threshold-one"]);
    home.ca("escrow threshold --threshold-one").ok();
    issue("smime-encryption", "dora").ok();
    for template in ["smime-dual", "smime-signing"] {
        issue(template, "never").run().fails(3, &["allows signatures"]);
    }
    assert!(!home.path("never.p12").exists() && !home.path("early.p12").exists());
    assert_eq!(fs::read_dir(home.path("home/escrow/archive")).expect("list").count(), 1);
    home.ca("escrow agent add again --certificate anna.pem").run().fails(3, &["has the same key"]);
    home.ca("escrow agent remove anna").ok();
    home.ca("escrow agent remove anna").run().fails(4, &["no recovery agent"]);
    issue("smime-encryption", "late").run().fails(3, &["there are 0"]);
    home.ca("escrow list --email nobody@example.test").run().fails(4, &["no key of nobody@example.test"]);
    home.ca("ledger verify").ok();
}

fn read(home: &Home, name: &str) -> Value {
    serde_json::from_slice(&fs::read(home.path(name)).expect("read a file")).expect("JSON")
}

/// The file with one base64 character changed, deep in the value at `pointer`.
fn change(home: &Home, name: &str, pointer: &str) -> String {
    let mut value = read(home, name);
    let place = value.pointer_mut(pointer).expect("a value");
    let text = place.as_str().expect("a text");
    let at = text.len() - 20;
    let other = if text.as_bytes()[at] == b'A' { 'B' } else { 'A' };
    *place = format!("{}{other}{}", &text[..at], &text[at + 1..]).into();
    value.to_string()
}

/// The one file, in the one subdirectory if it has a name of its own.
fn find(home: &Home, directory: &str, name: &str) -> String {
    let mut entries = fs::read_dir(home.path(directory)).expect("list");
    let entry = entries.next().expect("an entry").expect("an entry").file_name();
    let path = format!("{directory}/{}", entry.to_string_lossy());
    if name.is_empty() { path } else { format!("{path}/{name}") }
}
