//! Recovery agents, archived keys and recoveries in tests.

use crate::Home;
use crate::home::P12_PASSWORD;
use crate::tool::{Outcome, Tool};

/// The agents of these tests; two of them recover a key.
pub const AGENTS: [&str; 3] = ["anna", "bert", "carla"];

/// The flags of `ca escrow complete` and `ca history export` that read secrets.
pub const SECRETS: &str = "--p12-password-file p12-password --passphrase-file passphrase";

/// Makes `NAME.key` and `NAME.pem`, an agent's own key and certificate.
pub fn agent_key(home: &Home, name: &str) {
    home.tool("openssl", &format!("req -x509 -newkey rsa:2048 -noenc -keyout {name}.key -out {name}.pem"))
        .words(&format!("-days 90 -subj /CN={name} -addext keyUsage=critical,keyEncipherment"))
        .ok();
    let key = std::fs::read(home.path(format!("{name}.key"))).expect("read a key");
    home.write_private(&format!("{name}.key"), key);
}

/// Makes the three agents and adds them.
pub fn add_agents(home: &Home) {
    for name in AGENTS {
        agent_key(home, name);
        home.ca(&format!("escrow agent add {name} --certificate {name}.pem")).ok();
    }
}

/// Issues an encryption certificate with an archived key: `NAME.p12`, `NAME.crt`.
pub fn issue_archived(home: &Home, email: &str, name: &str) -> Outcome {
    home.issue_p12("smime-encryption", email, "rsa-2048", name)
        .words(&format!("--escrow --out {name}.crt"))
        .ok()
}

/// Four generations of keys of one person, `NAME1.crt` to `NAME4.crt`.
pub fn four_generations(home: &Home, email: &str, name: &str) {
    for generation in 1..=4 {
        issue_archived(home, email, &format!("{name}{generation}"));
    }
}

/// Asks the agents for all keys of a person: `OUT`.
pub fn request(home: &Home, email: &str, out: &str) -> Outcome {
    home.ca(&format!("--json escrow recover --email {email} --out {out} --passphrase-file passphrase")).ok()
}

/// An agent's own machine: the request and the agent's key, and no home.
pub fn contribute(home: &Home, agent: &str, request: &str, out: &str) -> Tool {
    Tool::ours("ca")
        .within(home.work())
        .env("CA_HOME", "/nonexistent")
        .words(&format!("escrow contribute --request {request} --key {agent}.key --out {out} --yes"))
}

/// All keys of a person with anna's and carla's help: `NAME.p12` and a file a
/// key in `NAME/`, in the order of their age.
pub fn recover_history(home: &Home, email: &str, name: &str, profile: &str) -> Vec<String> {
    request(home, email, &format!("{name}.json"));
    for agent in ["anna", "carla"] {
        contribute(home, agent, &format!("{name}.json"), &format!("{name}-{agent}.json")).ok();
    }
    let done = home
        .ca(&format!("--json history export --email {email} --p12 {name}.p12 --dir {name} {SECRETS}"))
        .words(&format!("--share {name}-anna.json --share {name}-carla.json --p12-profile {profile}"))
        .ok()
        .json();
    let serials = done["serials"].as_array().expect("serials").clone();
    let files = done["files"].as_array().expect("files");
    let file = |serial: &serde_json::Value| {
        let begin = &serial.as_str().expect("a serial")[..8];
        let names = files.iter().filter_map(|file| file.as_str());
        names.into_iter().find(|file| file.contains(begin)).expect("a file of the key").to_owned()
    };
    serials.iter().map(file).collect()
}

/// Encrypts a text to `NAME.crt`, as DER in `NAME.p7`.
pub fn encrypt_to(home: &Home, name: &str) {
    home.write_private("m", format!("for {name}\n"));
    home.tool("openssl", &format!("cms -encrypt -aes256 -in m -outform DER -out {name}.p7 {name}.crt")).ok();
}

/// `NAME.pem` with everything that `FILE` holds, in clear.
pub fn open_p12(home: &Home, file: &str, name: &str) -> Outcome {
    home.tool("openssl", &format!("pkcs12 -in {file} -passin pass:{P12_PASSWORD} -noenc -out {name}.pem"))
        .ok();
    home.tool("openssl", &format!("storeutl -noout -keys {name}.pem")).ok()
}
