//! The command line as a person and as a script meet it.

use chancery_tests::home::{P12_PASSWORD, PASSPHRASE, Urls};
use chancery_tests::openssl::{self, Key};
use chancery_tests::{Home, Tool};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::time::Duration;

/// The subcommands that a help text lists.
fn subcommands(help: &str) -> Vec<String> {
    let lines = help.lines().skip_while(|line| !line.starts_with("Commands:")).skip(1);
    let listed = lines.take_while(|line| !line.trim().is_empty());
    // A description that goes on in the next line is indented further.
    let named = listed.filter_map(|line| line.strip_prefix("  ").filter(|rest| !rest.starts_with(' ')));
    let names = named.filter_map(|rest| rest.split_whitespace().next().map(str::to_owned));
    names.filter(|name| name != "help").collect()
}

#[test]
fn help_of_every_command() {
    let mut waiting = vec![Vec::<String>::new()];
    let mut seen = 0;
    while let Some(command) = waiting.pop() {
        let help = Tool::ours("ca").args(&command).arg("--help").ok().text();
        assert!(help.contains("Usage:"), "{command:?}");
        for name in subcommands(&help) {
            waiting.push(command.iter().cloned().chain([name]).collect());
        }
        seen += 1;
    }
    assert!(seen >= 30, "only {seen} commands");
    let help = Tool::ours("ca").arg("--help").ok().text();
    for word in ["Examples:", "Exit status:", "busy", "refused by policy"] {
        assert!(help.contains(word), "no {word:?} in\n{help}");
    }
    assert!(Tool::ours("ca").arg("--version").ok().text().starts_with("ca "));
}

#[test]
fn exit_codes() {
    let home = Home::prepared();
    let code = |words: &str, expected: i32| home.ca(words).run().fails(expected, &[]);
    code("cert list", 0);
    code("cert show 00ffee", 4);
    code("cert lst", 2);
    code("issue --authority issuing", 2);
    code("revoke 00ffee --reason superseded --yes", 4);
    code("revoke --email nobody@example.test --reason superseded --yes", 4);
    code("revoke --email alice@example.test --reason boredom --yes", 2);
    code("authority show nobody", 4);
    code("authority show ../../etc/passwd", 2);
    code("template show nothing", 4);
    home.write_private("torn.yaml", "format: 1\n");
    code("template check torn.yaml", 2);
    let issue = "issue --authority issuing --template smime-dual --passphrase-file passphrase --p12 never.p12 --p12-password-file p12-password";
    code(&format!("{issue} --email carol@@example.test"), 2);
    code(&format!("{issue} --email carol@example..test"), 2);
    code(
        "issue --authority issuing --template nothing --email a@example.test --csr alice.csr --out x.crt",
        4,
    );
    code(
        "issue --authority nothing --template smime-dual --email a@example.test --csr alice.csr --out x.crt",
        4,
    );
    code("ledger show --from 100000", 0);
    let empty = Home::empty();
    empty.ca("cert list").run().fails(4, &["ca init"]);
}

#[test]
fn errors_as_json() {
    let home = Home::prepared();
    for (words, code) in [("cert show 00ffee", 4), ("cert lst", 2), ("authority show nobody", 4)] {
        let outcome = home.ca("--json").words(words).run().fails(code, &[]);
        let error: serde_json::Value = serde_json::from_str(&outcome.stderr).expect("JSON on standard error");
        assert_eq!(error["error"]["code"], code, "{error}");
        assert!(error["error"]["what"].as_str().is_some_and(|what| !what.is_empty()), "{error}");
        assert!(outcome.stdout.is_empty());
    }
}

#[test]
fn results_as_json() {
    let home = Home::prepared();
    let serial = home.serials().pop_first().expect("a certificate");
    for words in [
        "authority list",
        "authority show issuing",
        "template list",
        "template show smime-dual",
        "cert list",
        "ledger verify",
        "ledger heartbeat",
        "index rebuild",
    ] {
        home.ca("--json").words(words).ok().json();
    }
    for command in ["cert show", "ledger prove"] {
        home.ca("--json").words(command).arg(&serial).ok().json();
    }
    // Long results come as one object a line.
    for line in home.ca("--json ledger show").ok().text().lines() {
        let entry: serde_json::Value = serde_json::from_str(line).expect("JSON");
        assert!(entry["position"].is_u64() && entry["kind"].is_string(), "{line}");
    }
    home.ca("template schema").ok().json();
    for shell in ["bash", "zsh", "fish"] {
        assert!(!Tool::ours("ca").args(["completions", shell]).ok().stdout.is_empty());
    }
    Tool::ours("ca").arg("man").ok().says(&[".TH"]);
}

#[test]
fn a_typo_gets_a_suggestion() {
    Tool::ours("ca").arg("isue").run().fails(2, &["issue"]);
    Tool::ours("ca").args(["cert", "list", "--mailbx", "a@b"]).run().fails(2, &["--mailbox"]);
}

#[test]
fn twice_is_refused_or_changes_nothing() {
    let home = Home::prepared();
    home.ca("init --origin again.example.test").run().fails(3, &[]);
    home.ca(
        "authority create root --template root-ca --key p256 --country DE --organization E --common-name R",
    )
    .words("--passphrase-file passphrase")
    .run()
    .fails(3, &["root"]);
    let before = home.serials();
    let csr = openssl::csr(&home, "carol", Key::P256);
    home.write_private("carol.crt", "something of mine");
    home.issue_csr("smime-dual", "carol@example.test", &csr, "carol").run().fails(3, &["carol.crt"]);
    assert_eq!(home.serials(), before, "nothing is issued when the file is there");
    assert_eq!(home.read("carol.crt"), "something of mine");

    home.ca("revoke --email alice@example.test --reason superseded --yes").ok();
    let entries = home.ca("--json ledger show").ok().stdout;
    home.ca("revoke --email alice@example.test --reason superseded --yes").run();
    assert_eq!(home.ca("--json ledger show").ok().stdout, entries, "a second revocation adds nothing");
}

#[test]
fn a_plan_before_the_deed() {
    let home = Home::prepared();
    let before = home.list("");
    home.ca("revoke --email alice@example.test --reason superseded --dry-run")
        .ok()
        .says(&["alice@example.test"]);
    assert_eq!(home.list(""), before);
    // Without a terminal and without --yes nobody could have agreed.
    let outcome = home.ca("revoke --email alice@example.test --reason superseded").run();
    assert_ne!(outcome.code, Some(0), "{}", outcome.transcript());
    assert_eq!(home.list(""), before);
}

#[test]
fn reasons_holds_and_releases() {
    let home = Home::prepared();
    let state = |person: &str| {
        chancery_tests::home::text(&home.list(&format!("--mailbox {person}@example.test"))[0], "state")
    };
    assert_eq!(state("alice"), "good");
    home.ca("hold --email alice@example.test --yes").ok();
    assert_eq!(state("alice"), "held");
    home.ca("release --email alice@example.test --yes").ok();
    assert_eq!(state("alice"), "good");
    let mallory = chancery_tests::home::text(&home.list("--mailbox mallory@example.test")[0], "serial");
    for command in ["release", "hold"] {
        home.ca(&format!("{command} {mallory} --yes")).run().fails(3, &["revoked"]);
        home.ca(&format!("{command} --email mallory@example.test --yes")).run().fails(4, &[]);
    }
    home.ca("hold --email bob@example.test --yes").ok();
    home.ca("revoke --email bob@example.test --reason keyCompromise --yes").ok();
    assert_eq!(state("bob"), "revoked");
    let bob = chancery_tests::home::text(&home.list("--mailbox bob@example.test")[0], "serial");
    home.ca(&format!("release {bob} --yes")).run().fails(3, &["revoked"]);
    home.verify_ledger();
}

#[test]
fn csv_and_filters() {
    let home = Home::prepared();
    let csv = home.ca("cert list --csv").ok().text();
    assert_eq!(csv.lines().count(), 1 + home.list("").len(), "{csv}");
    assert_eq!(home.list("--state revoked").len(), 1);
    assert_eq!(home.list("--mailbox alice@EXAMPLE.TEST").len(), 1);
    assert_eq!(home.list("--mailbox ALICE@example.test").len(), 1, "people do not remember the case");
    assert_eq!(home.list("--template smime-signing --state good").len(), 2);
    assert_eq!(home.list("--expiring-within 30d").len(), 0);
    assert_eq!(home.list("--template smime-signing --limit 1").len(), 1);
}

/// What is below a directory with any of these permission bits.
fn with_bits(dir: &Path, bits: &str) -> Vec<String> {
    let listed = Tool::new("find").arg(dir).args(["-perm", bits, "!", "-type", "l"]).ok().text();
    listed.lines().map(str::to_owned).collect()
}

#[test]
fn nothing_is_open_to_others_whatever_the_umask() {
    let home = Home::empty();
    let urls = Urls::nowhere();
    let loose = |tool: Tool| tool.under(Tool::new("sh").args(["-c", "umask 000; exec \"$@\"", "sh"])).ok();
    loose(home.ca("init").args([
        "--crl-url",
        &urls.publisher,
        "--aia-url",
        &urls.publisher,
        "--ocsp-url",
        &urls.responder,
    ]));
    for (name, template, parent) in [
        ("root", "root-ca", ""),
        ("issuing", "issuing-ca", "--parent root --parent-passphrase-file passphrase"),
    ] {
        loose(
            home.ca(&format!(
                "authority create {name} --template {template} --key p256 --country DE {parent}"
            ))
            .words("--organization E --passphrase-file passphrase --common-name")
            .arg(name),
        );
    }
    loose(home.issue_p12("smime-dual", "alice@example.test", "p256", "alice"));
    loose(home.ca("revoke --email alice@example.test --reason superseded --yes"));
    loose(home.ca("ocsp-signer issue --authority issuing --out signers --passphrase-file passphrase"));
    assert_eq!(with_bits(&home.dir(), "/022"), Vec::<String>::new(), "others could write");
    // The ledger's public part has no personal data; the home itself is closed.
    let readable = with_bits(&home.dir(), "/055").into_iter();
    let private: Vec<_> =
        readable.filter(|path| !path.contains("/ledger") && !path.ends_with(".pem")).collect();
    assert_eq!(private, Vec::<String>::new(), "others could read");
    for secret in ["", "keys", "ledger/details", "authorities/issuing/key.pem", "index", "templates"] {
        let mode = fs::metadata(home.dir().join(secret)).expect("it exists").permissions().mode();
        assert_eq!(mode & 0o077, 0, "{secret:?} has mode {mode:o}");
    }
    for secret in ["alice.p12", "signers/issuing.key"] {
        let mode = fs::metadata(home.path(secret)).expect("the file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{secret}");
    }
}

#[test]
fn keys_and_templates_that_others_can_write_are_refused() {
    let chmod =
        |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("set a mode");
    let issue = |home: &Home| {
        let csr = home.path("carol.csr");
        home.issue_csr("smime-dual", "carol@example.test", &csr, "carol").run()
    };
    for (file, mode) in [
        ("home/authorities/issuing/key.pem", 0o640),
        ("home/templates/smime-dual.yaml", 0o666),
        ("passphrase", 0o644),
        ("home/keys/ledger.key", 0o644),
    ] {
        let home = Home::prepared();
        openssl::csr(&home, "carol", Key::P256);
        chmod(&home.path(file), mode);
        let outcome = issue(&home);
        assert!(matches!(outcome.code, Some(1 | 3)), "{file}\n{}", outcome.transcript());
        let name = Path::new(file).file_name().expect("a name").to_string_lossy().into_owned();
        assert!(outcome.stderr.contains(&name), "{file}\n{}", outcome.transcript());
    }
    let home = Home::prepared();
    openssl::csr(&home, "carol", Key::P256);
    let template = home.path("home/templates/smime-dual.yaml");
    fs::rename(&template, home.path("elsewhere.yaml")).expect("move");
    symlink(home.path("elsewhere.yaml"), &template).expect("link");
    let outcome = issue(&home);
    assert!(matches!(outcome.code, Some(1 | 3 | 4)), "{}", outcome.transcript());
}

#[test]
fn secrets_are_neither_in_argv_nor_in_output() {
    let home = Home::prepared();
    let trace = home.path("trace");
    let strace = Tool::new("strace").words("-f -qq -s 4096 -v -e trace=execve,write -o").arg(&trace);
    let outcome =
        home.issue_p12("smime-encryption", "carol@example.test", "p256", "carol").under(strace).ok();
    let written = fs::read_to_string(&trace).expect("the trace");
    for secret in [PASSPHRASE, P12_PASSWORD] {
        assert!(!written.contains(secret), "a secret was written or passed on");
        assert!(!outcome.everything().contains(secret));
    }
    assert!(!outcome.everything().contains("PRIVATE KEY"));

    home.write_private("wrong", "not the passphrase, but SeCrEt too\n");
    let csr = openssl::csr(&home, "dave", Key::P256);
    let outcome = home
        .ca("issue --authority issuing --template smime-dual --email dave@example.test --out dave.crt")
        .words("--passphrase-file wrong --csr")
        .arg(csr)
        .run()
        .fails(1, &["passphrase"]);
    assert!(outcome.took >= Duration::from_millis(400), "a guess costs too little: {:?}", outcome.took);
    assert!(!outcome.everything().contains("SeCrEt"), "{}", outcome.transcript());
}

#[test]
fn passphrase_by_descriptor() {
    let home = Home::prepared();
    openssl::csr(&home, "carol", Key::P256);
    home.ca("issue --authority issuing --template smime-dual --email carol@example.test --csr carol.csr")
        .words("--out carol.crt --passphrase-fd 7")
        .under(Tool::new("sh").args(["-c", "exec \"$@\" 7<passphrase", "sh"]))
        .ok();
    assert!(home.read("carol.crt").contains("BEGIN CERTIFICATE"));
}

#[test]
fn a_closed_pipe_is_no_error() {
    let home = Home::prepared();
    let outcome = home
        .ca("cert list")
        .under(Tool::new("bash").args(["-c", "\"$@\" | true; exit ${PIPESTATUS[0]}", "bash"]))
        .run();
    outcome.ok().never_says(&["panicked", "Broken pipe"]);
}

#[test]
fn interrupted_at_the_prompt() {
    let home = Home::prepared();
    openssl::csr(&home, "carol", Key::P256);
    let before = home.serials();
    // No terminal to ask at, no passphrase given: an error that says what to do.
    home.ca("issue --authority issuing --template smime-dual --email carol@example.test --csr carol.csr --out c.crt")
        .under(Tool::new("setsid").arg("-w"))
        .run()
        .fails(2, &["--passphrase-file"]);
    assert_eq!(home.serials(), before);
}

#[test]
fn an_offline_root() {
    let offline = Home::initialised(&Urls::nowhere());
    let online = Home::initialised(&Urls::nowhere());
    offline.create_root("root", "p256");
    let name = ["--common-name", "Example Mail CA", "--organization", "Example", "--country", "DE"];
    online
        .ca("authority csr issuing --template issuing-ca --key p256 --out issuing.csr --passphrase-file passphrase")
        .args(name)
        .ok();
    offline
        .ca("authority sign --parent root --template issuing-ca --passphrase-file passphrase --yes --out issuing.pem")
        .arg("--csr")
        .arg(online.path("issuing.csr"))
        .args(name)
        .ok();
    online.ca("authority import issuing --certificate").arg(offline.path("issuing.pem")).ok();
    let csr = openssl::csr(&online, "alice", Key::P256);
    online.issue_csr("smime-dual", "alice@example.test", &csr, "alice").ok();
    offline.ca("authority export root --out root.crt").ok();
    online.ca("authority export issuing --out issuing.crt").ok();
    online
        .tool("openssl", "verify -purpose smimesign -untrusted issuing.crt -CAfile")
        .arg(offline.path("root.crt"))
        .arg("alice.crt")
        .ok();
    for home in [&online, &offline] {
        home.verify_ledger();
    }
}
