//! Four generations of one person's keys, as programs import them: the oldest and
//! the newest open mail that was encrypted to them.

use chancery_tests::escrow::{add_agents, encrypt_to, four_generations, open_p12, recover_history};
use chancery_tests::home::P12_PASSWORD;
use chancery_tests::{Home, Tool};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use tempfile::TempDir;

const DORA: &str = "dora@example.test";
const ENDS: [&str; 2] = ["dora1", "dora4"];

/// dora's history in `all.p12` and `all/`, and the files of `all/` by age.
fn history(profile: &str) -> (Home, Vec<String>) {
    let home = Home::prepared();
    for name in ["root", "issuing"] {
        home.ca(&format!("authority export {name} --format pem --out {name}.crt --force")).ok();
    }
    add_agents(&home);
    four_generations(&home, DORA, "dora");
    // What was retired still has to open old mail.
    let archived = home.ca(&format!("--json escrow list --email {DORA}")).ok().json();
    let oldest = archived["keys"][0]["serial"].as_str().expect("a serial").to_owned();
    home.ca(&format!("revoke {oldest} --reason superseded --yes")).ok();
    let files = recover_history(&home, DORA, "all", profile);
    assert_eq!(files.len(), 4);
    for name in ENDS {
        encrypt_to(&home, name);
    }
    (home, files)
}

#[test]
fn openssl_opens_one_file_and_one_a_key() {
    for profile in ["modern", "compat"] {
        let (home, files) = history(profile);
        open_p12(&home, "all.p12", "all").says(&["Total found: 4"]);
        let text = fs::read_to_string(home.path("all.pem")).expect("read a file");
        let mut keys: Vec<_> = text.match_indices("localKeyID: ").map(|(at, _)| &text[at..at + 71]).collect();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), 4, "a key and its certificate have the same one, others another");
        for (name, file) in ENDS.iter().zip([&files[0], &files[3]]) {
            open_p12(&home, file, name).says(&["Total found: 1"]);
            home.tool("openssl", &format!("cms -decrypt -inform DER -in {name}.p7 -inkey {name}.pem"))
                .ok()
                .says(&[&format!("for {name}")]);
        }
    }
}

#[test]
fn nss_opens_mail_to_the_oldest_and_the_newest() {
    for profile in ["modern", "compat"] {
        let (home, _) = history(profile);
        fs::create_dir(home.path("db")).expect("make a directory");
        home.tool("certutil", "-N -d db --empty-password").ok();
        home.tool("certutil", "-A -d db -n root -t C,C, -a -i root.crt").ok();
        home.tool("pk12util", &format!("-i all.p12 -d db -W {P12_PASSWORD}"))
            .args(["-K", ""])
            .ok()
            .says(&["PKCS12 IMPORT SUCCESSFUL"]);
        let keys = home.tool("certutil", "-K -d db").ok().text();
        assert_eq!(keys.matches("dora@example.test").count(), 4, "{keys}");
        for name in ENDS {
            home.tool("cmsutil", &format!("-D -d db -i {name}.p7")).ok().says(&[&format!("for {name}")]);
        }
    }
}

/// gpgsm takes one key of a file: the files of `--dir` are for it.
#[test]
fn gpgsm_opens_mail_with_the_file_of_each_key() {
    let (home, files) = history("compat");
    let directory = TempDir::with_prefix_in("g", "/tmp").expect("a temporary directory");
    fs::set_permissions(directory.path(), Permissions::from_mode(0o700)).expect("set a mode");
    let fingerprint = home.tool("openssl", "x509 -noout -fingerprint -sha1 -in root.crt").ok().text();
    let fingerprint = fingerprint.trim().rsplit('=').next().expect("a fingerprint").to_owned();
    for (name, content) in [
        ("trustlist.txt", format!("{fingerprint} S relax\n")),
        ("gpgsm.conf", "batch\nno-tty\npinentry-mode loopback\ndisable-crl-checks\n".to_owned()),
        ("gpg-agent.conf", "allow-loopback-pinentry\n".to_owned()),
    ] {
        fs::write(directory.path().join(name), content).expect("write a configuration");
    }
    let gpgsm = |words: &str| home.tool("gpgsm", words).env("GNUPGHOME", directory.path());
    gpgsm("--import root.crt issuing.crt").ok();
    for file in &files {
        gpgsm(&format!("--passphrase-fd 0 --import {file}"))
            .input(format!("{P12_PASSWORD}\n"))
            .run()
            .says(&["secret keys imported: 1"]);
    }
    for name in ENDS {
        gpgsm(&format!("--passphrase-fd 0 --decrypt {name}.p7"))
            .input(format!("{P12_PASSWORD}\n"))
            .run()
            .says(&[&format!("for {name}")]);
    }
    Tool::new("gpgconf").words("--kill all").env("GNUPGHOME", directory.path()).run();
}
