//! Options of `ca` that the other tests have no use for: each does what its help says.

use chancery_tests::escrow::{add_agents, contribute, issue_archived, request};
use chancery_tests::home::{PASSPHRASE, text};
use chancery_tests::tool::build_directory;
use chancery_tests::{Home, Outcome};

/// `ca --home home WORDS`, run by a shell that opens descriptors.
fn by_shell(home: &Home, words: &str) -> Outcome {
    home.tool("sh", "-c")
        .arg(format!("exec \"$CA\" --home home {words}"))
        .env("CA", build_directory().join("ca"))
        .ok()
}

/// What the last entries of the ledger say, with their details.
fn last(home: &Home, count: usize) -> String {
    home.ca(&format!("--json ledger show --details --last {count}")).ok().text()
}

#[test]
fn secrets_by_descriptor() {
    let home = Home::prepared();
    by_shell(
        &home,
        "issue --authority issuing --template smime-encryption --email carol@example.test --key p256 --no-escrow \
         --p12 carol.p12 --friendly-name 'Carol in 2026' --passphrase-fd 3 --p12-password-fd 4 3<passphrase 4<p12-password",
    );
    home.tool("openssl", "pkcs12 -in carol.p12 -passin file:p12-password -nokeys")
        .ok()
        .says(&["friendlyName: Carol in 2026"]);

    by_shell(
        &home,
        "authority create second --template issuing-ca --key p256 --parent root --common-name Second --organization Example \
         --country DE --passphrase-file passphrase --parent-passphrase-fd 3 3<passphrase",
    );
    home.ca("authority show second").ok().says(&["Second"]);

    by_shell(
        &home,
        "issue --authority issuing --template smime-signing --email it@example.test --key p256 \
         --p12 it.p12 --passphrase-file passphrase --p12-password-file p12-password",
    );
    by_shell(
        &home,
        "export mobileconfig --email carol@example.test --p12 carol.p12 --p12-password-fd 4 \
         --organization Example --sign-p12 it.p12 --sign-p12-password-fd 3 --out trust.mobileconfig \
         3<p12-password 4<p12-password",
    );
    home.tool("openssl", "cms -verify -inform DER -in trust.mobileconfig -noverify -out /dev/null").ok();
}

#[test]
fn an_agents_key_with_a_passphrase() {
    let home = Home::prepared();
    add_agents(&home);
    home.ca("escrow agent list").ok().says(&["anna", "bert", "carla"]);
    issue_archived(&home, "dora@example.test", "dora");
    request(&home, "dora@example.test", "request.json");
    for agent in ["anna", "carla"] {
        home.tool("openssl", &format!("pkcs8 -topk8 -in {agent}.key -v2 aes-256-cbc -out {agent}.locked"))
            .args(["-passout", "file:passphrase"])
            .ok();
        let locked = std::fs::read(home.path(format!("{agent}.locked"))).expect("read a key");
        home.write_private(&format!("{agent}.key"), locked);
    }
    contribute(&home, "anna", "request.json", "anna.json").words("--key-passphrase-file passphrase").ok();
    home.write_private("wrong", "wrong");
    contribute(&home, "carla", "request.json", "carla.json")
        .words("--key-passphrase-file wrong")
        .run()
        .fails(1, &["wrong passphrase"])
        .never_says(&[PASSPHRASE]);
    by_shell(
        &home,
        "escrow contribute --request request.json --key carla.key --out carla.json --yes --key-passphrase-fd 3 3<passphrase",
    );
    home.ca(
        "history export --email dora@example.test --p12 dora-all.p12 --share anna.json --share carla.json",
    )
    .words("--p12-password-file p12-password --passphrase-file passphrase")
    .ok();
}

#[test]
fn names_and_notes_where_they_belong() {
    let home = Home::prepared();
    let template = home.read("home/templates/smime-signing.yaml");
    let own = template.replace("name: smime-signing", "name: staff").replace(
        "  - { attribute: common_name",
        "  - { attribute: locality, pattern: \"{locality}\", need: optional }\n  \
         - { attribute: user_id, pattern: \"{user_id}\", need: optional }\n  - { attribute: common_name",
    );
    home.write_private("home/templates/staff.yaml", own);
    home.ca("issue --authority issuing --template staff --email emil@example.test --key p256 --out emil.crt")
        .words("--p12 emil.p12 --p12-password-file p12-password --passphrase-file passphrase")
        .words("--country DE --locality Jena --organization Example --organizational-unit Post --user-id e17")
        .ok();
    let subject = home.tool("openssl", "x509 -in emil.crt -noout -subject -nameopt RFC2253").ok();
    subject.says(&["L=Jena", "OU=Post", "UID=e17"]);

    for (act, note) in
        [("hold", "lost on a train"), ("release", "found again"), ("revoke", "stolen after all")]
    {
        let reason = if act == "revoke" { "--reason keyCompromise" } else { "" };
        home.ca(&format!("{act} --email emil@example.test {reason} --yes --note")).arg(note).ok();
        assert!(last(&home, 1).contains(&format!("\"note\":\"{note}\"")), "{}", last(&home, 1));
    }
    home.ca("person leave --email alice@example.test --encryption keep --yes --note")
        .arg("as of Friday")
        .ok();
    assert!(last(&home, 9).contains("as of Friday"));
}

#[test]
fn a_batch_by_a_program() {
    let home = Home::prepared();
    home.write_private("people.csv", "email\nfritz@example.test\ngerda@example.test\n");
    let issue = |more: &str| {
        home.ca(
            "--quiet issue --pair --batch people.csv --authority issuing --key p256 --no-escrow --workers 1",
        )
        .words("--passphrase-file passphrase")
        .words(more)
        .args(["--password-program", "cat >> told"])
    };
    let first = issue("--out first").ok();
    assert_eq!(first.text(), "", "--quiet");
    let told = home.read("told");
    let lines: Vec<Vec<&str>> = told.lines().map(|line| line.split('\t').collect()).collect();
    assert!(!lines.is_empty() && !home.path("first/passwords.csv").exists(), "{told}");
    for line in &lines {
        let [address, file, password] = line[..] else { panic!("no three fields in {line:?}") };
        assert!(address.ends_with("@example.test"), "{address}");
        home.write_private("password", password);
        let file = if home.path(file).exists() { file.to_owned() } else { format!("first/{file}") };
        home.tool("openssl", &format!("pkcs12 -in {file} -passin file:password -noenc -nokeys")).ok();
    }
    // The same table again: nobody gets two pairs, whatever the batch is called, unless asked for.
    issue("--out second --name second").run().fails(2, &["fritz@example.test", "--again"]);
    issue("--out second --name second --again").ok();
    assert_eq!(home.list("--mailbox gerda@example.test").len(), 4);
}

#[test]
fn what_exports_are_told() {
    let home = Home::prepared();
    home.ca("export exchange --out exchange --always-encrypt").ok();
    let script = home.read("exchange/owa.ps1");
    let line = script.lines().find(|line| line.contains("OWAAlwaysEncrypt ")).expect("a setting");
    assert!(line.ends_with("$true"), "{line}");

    home.ca("export bundle --format debian --out package --maintainer").arg("IT <it@example.test>").ok();
    home.read("package/DEBIAN/control")
        .lines()
        .find(|line| *line == "Maintainer: IT <it@example.test>")
        .expect("a maintainer");

    home.ca(
        "issue --authority issuing --pair --email hanna@example.test --key p256 --no-escrow --encryption-p12 encrypt.p12",
    )
    .words("--signing-p12 sign.p12 --p12-password-file p12-password --passphrase-file passphrase")
    .ok();
    let keys = |file: &str| {
        let shown = home
            .tool("openssl", &format!("pkcs12 -in {file} -passin file:p12-password -noenc -nocerts"))
            .ok();
        shown.text().matches("BEGIN PRIVATE KEY").count()
    };
    assert_eq!((keys("encrypt.p12"), keys("sign.p12")), (1, 1));

    let zone = home.ca("publish smimea --ttl 60").ok().text();
    let records: Vec<_> = zone.lines().filter(|line| line.contains("SMIMEA")).collect();
    assert!(!records.is_empty() && records.iter().all(|line| line.contains(" 60 ")), "{zone}");
}

#[test]
fn one_directory_of_two() {
    let home = Home::prepared();
    let encryption = home
        .issue_p12("smime-encryption", "alice@example.test", "p256", "alice")
        .words("--no-escrow")
        .ok()
        .json();
    let one = |name: &str, base: &str| {
        format!(
            "  - name: {name}\n    base: {base}\n    server:\n      url: ldap://127.0.0.1:9\n      plain: true\n      \
             bind_dn: cn=ca,{base}\n      password_file: passphrase\n      dialect: openldap\n"
        )
    };
    let config = format!("version: 1\ndirectories:\n{}{}", one("staff", "dc=a"), one("guests", "dc=b"));
    home.write_private("home/publish.yaml", config);
    home.write_private("home/passphrase", PASSPHRASE);
    home.write_private("export.ldif", "dn: uid=alice,dc=b\nmail: alice@example.test\n\n");
    home.ca("publish ldap --directory nobody --dry-run").run().fails(4, &["nobody", "staff", "guests"]);
    let publish = "publish ldap --directory guests --from export.ldif --ldif changes.ldif";
    let done = home.ca(&format!("--json {publish}")).ok();
    done.never_says(&["staff"]);
    let changes = home.read("changes.ldif");
    assert!(
        changes.contains("dn: uid=alice,dc=b") && changes.contains("userCertificate;binary"),
        "{changes}"
    );
    // The object needs the person's own signing key, which may be locked.
    home.issue_p12("smime-signing", "alice@example.test", "p256", "sign").ok();
    home.tool(
        "openssl",
        "pkcs12 -in sign.p12 -passin file:p12-password -nocerts -passout file:passphrase -out alice.key",
    )
    .ok();
    let key = home.read("alice.key");
    home.write_private("alice.key", key);
    let object = "--json publish object --email alice@example.test --key alice.key";
    let kept = home.ca(&format!("{object} --key-passphrase-file passphrase")).ok().json();
    assert_eq!(text(&kept, "encryption"), text(&encryption, "serial"));
}
