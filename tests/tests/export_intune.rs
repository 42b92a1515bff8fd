//! Keys for Intune: what is sent is opened as the certificate connector opens it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chancery_tests::escrow::{add_agents, contribute, encrypt_to, issue_archived};
use chancery_tests::home::snapshot;
use chancery_tests::tool::{python, source_root};
use chancery_tests::{Home, Tool};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

const DORA: &str = "dora@example.test";

/// The connector's key, and its public half in both forms: `connector.pem`,
/// `connector.blob`.
fn connector(home: &Home) {
    home.tool("openssl", "genrsa -out connector.key 2048").ok();
    home.tool("openssl", "rsa -in connector.key -pubout -out connector.pem").ok();
    let printed = home.tool("openssl", "rsa -in connector.key -modulus -noout").ok().text();
    let digits = printed.trim().trim_start_matches("Modulus=");
    let modulus: Vec<u8> = (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).expect("hexadecimal"))
        .collect();
    // BCRYPT_RSAPUBLIC_BLOB: bits, and the lengths of exponent, modulus and two primes.
    let header = [2048_u32, 3, 256, 0, 0].map(u32::to_le_bytes).concat();
    home.write_private("connector.blob", [&b"RSA1"[..], &header, &[1, 0, 1], &modulus].concat());
}

/// The password of a body for Graph, with the connector's private key.
fn password(home: &Home, body: &Value) -> String {
    let text = body["encryptedPfxPassword"].as_str().expect("a password");
    home.write_private("sealed", STANDARD.decode(text).expect("base64"));
    let options = "-pkeyopt rsa_padding_mode:oaep -pkeyopt rsa_oaep_md:sha512 -pkeyopt rsa_mgf1_md:sha512";
    home.tool("openssl", &format!("pkeyutl -decrypt -inkey connector.key -in sealed {options}")).ok().text()
}

/// Opens a PFX file into `NAME.pem`; the certificate's serial number and thumbprint.
fn open(home: &Home, pfx: &Path, password: &str, name: &str) -> (String, String) {
    home.tool("openssl", &format!("pkcs12 -noenc -out {name}.pem -passin pass:{password} -in")).arg(pfx).ok();
    home.tool("openssl", &format!("storeutl -noout -keys {name}.pem")).ok().says(&["Total found: 1"]);
    let x509 = |what: &str| home.tool("openssl", &format!("x509 -noout -in {name}.pem {what}")).ok().text();
    let value =
        |text: String| text.trim().rsplit('=').next().unwrap_or_default().replace(':', "").to_lowercase();
    (value(x509("-serial")), value(x509("-fingerprint -sha1")))
}

fn powershell(home: &Home, script: &str) {
    let text = home.read(script);
    // Each looks for keys and imports them in a way of its own, and does the same with what it finds.
    for part in
        ["function Get-ImportedThumbprint", "function Import-Key", "$PSCmdlet.ShouldProcess($what, 'Import')"]
    {
        assert_eq!(text.matches(part).count(), 1, "{script}: {part}");
    }
    assert!(!text.contains("@IMPORT@"), "{script}");
    Tool::new(python()).arg(source_root().join("tests/powershell/parse.py")).arg(home.path(script)).ok();
}

/// The lines of a table after its header, which must begin as is said.
fn table(home: &Home, name: &str, header: &str) -> Vec<Vec<String>> {
    let text = home.read(name);
    let mut lines = text.lines();
    assert!(lines.next().is_some_and(|first| first.starts_with(header)), "{text}");
    lines.map(|line| line.split(',').map(str::to_owned).collect()).collect()
}

fn all_private(dir: &Path) {
    let mode = |path: &Path| fs::metadata(path).expect("a file").permissions().mode() & 0o777;
    assert_eq!(mode(dir), 0o700);
    for path in snapshot(dir).keys() {
        assert_eq!((mode(path), mode(path.parent().expect("a directory"))), (0o600, 0o700), "{path:?}");
    }
}

#[test]
fn bodies_for_graph_open_with_the_connectors_key() {
    let home = Home::prepared();
    add_agents(&home);
    connector(&home);
    issue_archived(&home, DORA, "old");
    issue_archived(&home, DORA, "new");
    let export = |words: &str| {
        home.ca(&format!("--json export intune --email {DORA} --p12-password-file p12-password")).words(words)
    };
    export("--p12 new.p12 --out no").run().fails(3, &["--partial"]);
    export("--p12 new.p12 --p12 old.p12 --connector-key new.crt --out no").run().fails(2, &["new.crt"]);
    export("--p12 new.p12 --p12 old.p12 --key-name x --out no").run().fails(2, &["required"]);
    home.ca("export intune --out no").run().fails(2, &["--email"]);
    assert!(!home.path("no").exists());
    encrypt_to(&home, "old");

    for (form, out) in [("blob", "intune"), ("pem", "again")] {
        let done = export(&format!("--p12 new.p12 --p12 old.p12 --connector-key connector.{form}"))
            .words(&format!("--key-name TheKey --upn dora@corp.example.test --out {out}"))
            .ok()
            .json();
        assert_eq!(done["people"][0]["upn"], "dora@corp.example.test");
        all_private(&home.path(out));
        assert!(!home.path(out).join("passwords.csv").exists());
        let rows =
            table(&home, &format!("{out}/manifest.csv"), "UserPrincipalName,Email,PfxFile,Thumbprint,Serial");
        assert_eq!(rows.len(), 2);
        let mut opened_old = false;
        for row in rows {
            let (pfx, thumbprint, serial) = (&row[2], &row[3], &row[4]);
            let body: Value =
                serde_json::from_str(&home.read(&format!("{out}/graph/{thumbprint}.json"))).expect("JSON");
            assert_eq!(body["@odata.type"], "#microsoft.graph.userPFXCertificate");
            assert_eq!((&body["keyName"], &body["paddingScheme"]), (&"TheKey".into(), &"oaepSha512".into()));
            assert_eq!(
                (&body["intendedPurpose"], &body["thumbprint"]),
                (&"smimeEncryption".into(), &thumbprint.as_str().into())
            );
            assert_eq!(body["userPrincipalName"], "dora@corp.example.test");
            assert_eq!(
                (&body["startDateTime"], &body["expirationDateTime"]),
                (&row[7].as_str().into(), &row[8].as_str().into())
            );
            let password = password(&home, &body);
            assert!(password.len() >= 20 && password.is_ascii(), "{password}");
            // Nowhere in clear.
            for (path, bytes) in snapshot(&home.path(out)) {
                assert!(!String::from_utf8_lossy(&bytes).contains(&password), "{path:?}");
            }
            let sent = STANDARD.decode(body["encryptedPfxBlob"].as_str().expect("a PFX")).expect("base64");
            assert_eq!(sent, fs::read(home.path(out).join(pfx)).expect("a PFX"));
            let path = home.write_private("sent.pfx", sent);
            assert_eq!(open(&home, &path, &password, "opened"), (serial.clone(), thumbprint.clone()));
            let opened = home.tool("openssl", "cms -decrypt -inform DER -in old.p7 -inkey opened.pem").run();
            opened_old |= opened.code == Some(0) && opened.text().contains("for old");
            // The ledger has the key and the file that it left in.
            let sha256 = home.tool("sha256sum", "sent.pfx").ok().text()[..64].to_owned();
            let details = snapshot(&home.path("home/ledger/details"));
            assert!(details.values().any(|bytes| String::from_utf8_lossy(bytes).contains(&sha256)));
        }
        assert!(opened_old, "the oldest key opens old mail");
        powershell(&home, &format!("{out}/import.ps1"));
        assert!(home.read(&format!("{out}/import.ps1")).contains("Invoke-MgGraphRequest"));
        let values = home.read(&format!("{out}/profile-values.txt"));
        assert!(values.contains("TheKey") && values.contains("Example-root-CA-"), "{values}");
        export(&format!("--p12 new.p12 --p12 old.p12 --out {out}")).run().fails(3, &["exists already"]);
    }
    let entries = home.ca("--json ledger show").ok().text();
    assert_eq!(entries.matches("\"keyExported\"").count(), 4, "{entries}");
    home.verify_ledger();
}

/// The agents contribute once for everybody: no file with keys lies in between.
#[test]
fn the_history_of_many_people_out_of_the_archive() {
    let home = Home::prepared();
    add_agents(&home);
    connector(&home);
    let people = ["gina", "hugo"];
    for (name, generations) in people.iter().zip([2, 1]) {
        for generation in 1..=generations {
            issue_archived(&home, &format!("{name}@example.test"), &format!("{name}{generation}"));
        }
    }
    home.write_private("people.csv", "email\ngina@example.test\nhugo@example.test\nbob@example.test\n");
    let asked = home
        .ca("--json escrow recover --batch people.csv --out request.json --passphrase-file passphrase")
        .ok()
        .says(&["no key of bob@example.test is archived"]);
    let asked: Value = serde_json::from_slice(&asked.stdout).expect("JSON");
    assert_eq!(asked["serials"].as_array().map(Vec::len), Some(3), "{asked}");
    for agent in ["anna", "carla"] {
        contribute(&home, agent, "request.json", &format!("{agent}.json")).ok();
    }
    let export = |words: &str| {
        home.ca("--json export intune --connector-key connector.pem --passphrase-file passphrase")
            .words("--share anna.json --share carla.json")
            .words(words)
            .run()
    };
    export("--email gina@example.test --out no").fails(3, &["hugo@example.test", "not named"]);
    export("--batch people.csv --out no").fails(2, &["line 4", "bob@example.test"]);
    assert!(!home.path("no/manifest.csv").exists());
    home.write_private("two.csv", "email\ngina@example.test\nhugo@example.test\n");
    let done = export("--batch two.csv --out intune").ok().json();
    let keys: Vec<_> = done["people"]
        .as_array()
        .expect("people")
        .iter()
        .map(|one| one["keys"].as_array().map(Vec::len))
        .collect();
    assert_eq!(keys, [Some(2), Some(1)], "{done}");
    all_private(&home.path("intune"));
    for row in table(&home, "intune/manifest.csv", "UserPrincipalName") {
        let body = home.read(&format!("intune/graph/{}.json", row[3]));
        let password = password(&home, &serde_json::from_str(&body).expect("JSON"));
        let path = home.path("intune").join(&row[2]);
        assert_eq!(open(&home, &path, &password, "opened"), (row[4].clone(), row[3].clone()));
    }
    // The recovery is done, and the ledger says of each person what happened.
    export("--batch two.csv --out again").fails(3, &["was completed"]);
    for (name, count) in people.iter().zip([2, 1]) {
        let shown = home.ca(&format!("--json person show --email {name}@example.test")).ok().json();
        let recoveries = shown["recoveries"].as_array().expect("recoveries").clone();
        assert_eq!(recoveries.len(), 1 + count, "asked for once, {count} keys recovered: {shown}");
    }
    let entries = home.ca("--json ledger show").ok().text();
    assert_eq!(
        (entries.matches("\"keyRecovered\"").count(), entries.matches("\"keyExported\"").count()),
        (3, 3)
    );
    home.verify_ledger();
}

#[test]
fn a_batch_with_the_passwords_of_its_issue() {
    let home = Home::prepared();
    add_agents(&home);
    home.write_private("people.csv", "email\nerin@example.test\nfinn@example.test\n");
    home.ca("issue --authority issuing --pair --batch people.csv --out batch --key p256")
        .words("--passphrase-file passphrase")
        .ok();
    let good = home.read("batch/passwords.csv");
    let with_names = good
        .replace("email,file,password\n", "email,file,password,upn\n")
        .lines()
        .map(|line| {
            if line.starts_with("erin") {
                format!("{line},erin@corp.example.test\n")
            } else {
                format!("{line},\n")
            }
        })
        .collect::<String>()
        .replacen("upn,\n", "upn\n", 1);
    home.write_private("batch/with-names.csv", with_names);
    let done =
        home.ca("--json export intune --batch batch/with-names.csv --signing --out intune").ok().json();
    let upns: Vec<_> = done["people"].as_array().expect("people").iter().map(|one| &one["upn"]).collect();
    assert_eq!(upns, ["erin@corp.example.test", "finn@example.test"]);
    all_private(&home.path("intune"));
    let passwords = table(&home, "intune/passwords.csv", "PfxFile,PfxPassword");
    let rows = table(&home, "intune/manifest.csv", "UserPrincipalName");
    assert_eq!((rows.len(), passwords.len()), (4, 4));
    for (row, password) in rows.iter().zip(&passwords) {
        assert_eq!(row[2], password[0]);
        let path = home.path("intune").join(&row[2]);
        assert_eq!(open(&home, &path, &password[1], "opened"), (row[4].clone(), row[3].clone()));
        let usage = home.tool("openssl", "x509 -noout -ext keyUsage -in opened.pem").ok().text();
        let purpose = if usage.contains("Digital Signature") { "smimeSigning" } else { "smimeEncryption" };
        assert_eq!(row[5], purpose);
    }
    powershell(&home, "intune/import.ps1");
    assert!(home.read("intune/import.ps1").contains("New-IntuneUserPfxCertificate"));

    // Encryption keys alone; and all faults of a table at once.
    home.ca("export intune --batch batch/passwords.csv --out alone").ok();
    assert_eq!(table(&home, "alone/manifest.csv", "UserPrincipalName").len(), 2);
    let swapped =
        good.replacen("\nerin@example.test,", "\nalice@example.test,", 1) + "finn@example.test,gone.p12,x\n";
    home.write_private("batch/bad.csv", swapped);
    let entries = home.ca("--json ledger show").ok().stdout;
    home.ca("export intune --batch batch/bad.csv --out no")
        .run()
        .fails(2, &["line 2", "erin@example.test", "line 3", "gone.p12"]);
    home.write_private("batch/none.csv", "email,file\n");
    home.ca("export intune --batch batch/none.csv --out no").run().fails(2, &["email, file and password"]);
    assert!(!home.path("no").exists());
    assert_eq!(home.ca("--json ledger show").ok().stdout, entries);
}
