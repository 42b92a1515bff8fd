//! `ca crl show|diff|verify` on CRLs of ours and of OpenSSL.

use chancery_tests::home::text;
use chancery_tests::{Home, Tool};
use serde_json::Value;
use std::fs;

/// The objects of a command, one a line.
#[track_caller]
fn objects(tool: Tool) -> Vec<Value> {
    tool.ok().text().lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}

fn kinds(objects: &[Value]) -> Vec<String> {
    objects.iter().map(|object| text(object, "kind")).collect()
}

/// A home with `issuing.crl`, `newer.crl` (bob revoked since), `root.crl`,
/// `issuing.pem` and `root.pem`.
fn home() -> Home {
    let home = Home::prepared();
    let issue = |name: &str, out: &str| {
        home.ca(&format!("crl issue {name} --out {out} --passphrase-file passphrase")).ok();
    };
    issue("issuing", "issuing.crl");
    home.ca("revoke --email bob@example.test --reason superseded --yes").ok();
    issue("issuing", "newer.crl");
    issue("root", "root.crl");
    for name in ["issuing", "root"] {
        home.ca(&format!("authority export {name} --out {name}.pem")).ok();
    }
    home
}

#[test]
fn shown_compared_and_verified() {
    let home = home();

    // Show: the same as OpenSSL has it.
    let shown = objects(home.ca("--json crl show newer.crl"));
    assert_eq!(kinds(&shown), ["crl", "entry", "entry", "end"]);
    let openssl = home.tool("openssl", "crl -inform DER -noout -text -in newer.crl").ok().text();
    for entry in &shown[1..3] {
        assert!(openssl.contains(&text(entry, "serial").to_uppercase()), "{entry} {openssl}");
    }
    let number = u64::from_str_radix(&text(&shown[0], "number"), 16).expect("a number");
    assert!(openssl.contains(&number.to_string()), "{number} {openssl}");
    assert_eq!(shown[3]["entries"], 2);
    let limited = objects(home.ca("--json crl show --limit 1 newer.crl"));
    assert_eq!(kinds(&limited), ["crl", "entry", "end"]);
    assert_eq!((&limited[2]["entries"], &limited[2]["shown"]), (&2.into(), &1.into()));
    home.tool("openssl", "crl -inform DER -in newer.crl -out newer.pem").ok();
    let words = ["CRL of CN=Example issuing CA", "keyCompromise", "superseded", "2 entries"];
    home.ca("crl show newer.pem").ok().says(&words);
    home.ca("crl show issuing.pem").run().fails(2, &["CERTIFICATE", "give a CRL"]);
    fs::write(home.path("cut.crl"), &fs::read(home.path("newer.crl")).expect("read")[..200]).expect("write");
    home.ca("crl show cut.crl").run().fails(2, &["cut.crl"]);
    home.ca("crl show nothing.crl").run().fails(1, &["nothing.crl"]);

    // Compare: bob was added.
    let changes = objects(home.ca("--json crl diff issuing.crl newer.pem"));
    assert_eq!(kinds(&changes), ["crls", "added", "end"]);
    assert_eq!(text(&changes[1], "reason"), "superseded");
    let back = home.ca("crl diff newer.crl issuing.crl").ok();
    back.says(&["number: ", "- ", "0 added, 1 removed, 0 changed"]);
    home.ca("crl diff --exit-code issuing.crl newer.crl").run().fails(1, &["differ"]);
    home.ca("crl diff --exit-code newer.pem newer.crl").ok().says(&["0 added, 0 removed, 0 changed"]);
    home.ca("crl diff root.crl newer.crl").run().fails(3, &["one authority"]);

    // Whoever asks for too much is told before the passphrase is.
    home.ca("crl issue issuing --days 11 --out long.crl").run().fails(3, &["1 to 10 days, not 11"]);
    assert!(!home.path("long.crl").exists());

    // Verify: as relying parties do.
    let verify = |crl: &str, issuer: &str, more: &str| {
        home.ca(&format!("--json crl verify {crl} --issuer {issuer}.pem {more}")).run()
    };
    for (crl, issuer) in [("newer.crl", "issuing"), ("newer.pem", "issuing"), ("root.crl", "root")] {
        assert_eq!(verify(crl, issuer, "").ok().json()["valid"], true);
    }
    verify("newer.crl", "root", "").fails(3, &["issuer", "signature"]);
    verify("newer.crl", "issuing", "--at 2099-01-01T00:00:00Z").fails(3, &["validity", "expired"]);
    verify("newer.crl", "issuing", "--at 2020-01-01T00:00:00Z").fails(3, &["validity", "future"]);
    let mut forged = fs::read(home.path("newer.crl")).expect("read a CRL");
    *forged.last_mut().expect("bytes") ^= 1;
    fs::write(home.path("forged.crl"), forged).expect("write a CRL");
    verify("forged.crl", "issuing", "").fails(3, &["signature"]);

    // A long one takes no more memory than a short one: 14 MB, and 8 more at most.
    fs::write(home.path("long.crl"), long(400_000)).expect("write a CRL");
    for command in ["show --limit 0", "show --limit 9", "verify --issuer issuing.pem"] {
        let (short, _) = peak(&home, &format!("{command} newer.crl"));
        let (long, said) = peak(&home, &format!("{command} long.crl"));
        assert!(said.contains("400000 entries") || command.starts_with("verify"), "{command}: {said}");
        assert!(long < short + 8_192, "{command}: {long} KiB, and {short} KiB for a short one");
    }
}

/// A TLV of DER, of 64 KiB to 16 MiB.
fn tlv(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let length = u32::try_from(content.len()).expect("a length").to_be_bytes();
    [&[tag, 0x83][..], &length[1..], &content].concat()
}

/// A CRL of so many entries that nobody signed.
fn long(entries: u32) -> Vec<u8> {
    let mut list = Vec::new();
    for entry in 1..=entries {
        let mut serial = [0x11; 16];
        serial[1..5].copy_from_slice(&entry.to_be_bytes());
        let time = [&[0x17, 13][..], b"261127000000Z"].concat();
        let body = [&[2, 16][..], &serial, &time].concat();
        list.extend([&[0x30, u8::try_from(body.len()).expect("short")][..], &body].concat());
    }
    let ecdsa_with_sha256 = [0x30, 10, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];
    let time = |text: &[u8]| [&[0x17, 13][..], text].concat();
    let tbs = [
        &[2, 1, 1][..],
        &ecdsa_with_sha256,
        &[0x30, 0],
        &time(b"261127000000Z"),
        &time(b"361127000000Z"),
        &tlv(0x30, &[&list]),
    ]
    .concat();
    tlv(0x30, &[&tlv(0x30, &[&tbs]), &ecdsa_with_sha256, &[3, 9, 0, 0x30, 6, 2, 1, 1, 2, 1, 1]])
}

/// The memory that `ca crl` takes at most, in KiB, and what it says.
fn peak(home: &Home, words: &str) -> (u64, String) {
    let measure = "import resource, subprocess, sys\nsubprocess.run(sys.argv[1:])\n\
                   print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)";
    let program = Tool::ours("ca").within(home.work()).words("--home none crl").words(words);
    let outcome = program.under(Tool::new("/usr/bin/python3").args(["-c", measure])).ok();
    let said = outcome.text();
    let last = said.trim_end().rsplit_once('\n').map_or(said.trim(), |(_, last)| last);
    (last.parse().expect("a number"), said)
}
