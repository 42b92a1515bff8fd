//! What other machines install to trust an authority: read by the programs that it is for.

use base64::Engine;
use chancery_tests::home::P12_PASSWORD;
use chancery_tests::tool::{python, source_root};
use chancery_tests::{Home, Tool};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// root.crt and issuing.crt, and their fingerprints.
fn authorities(home: &Home) -> [String; 2] {
    ["root", "issuing"].map(|name| {
        home.ca(&format!("authority export {name} --format pem --out {name}.crt")).ok();
        fingerprint(&home.path(format!("{name}.crt")))
    })
}

fn fingerprint(path: &Path) -> String {
    Tool::new("openssl").words("x509 -noout -fingerprint -sha256 -in").arg(path).ok().text()
}

/// The fingerprints of all certificates of PEM text.
fn fingerprints(home: &Home, pem: &str) -> BTreeSet<String> {
    const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
    let each = pem.split(BEGIN).skip(1).map(|rest| {
        let path = home.write_private("one.crt", format!("{BEGIN}{rest}"));
        fingerprint(&path)
    });
    each.collect()
}

/// The files of a directory by the end of their names.
fn files(dir: &Path, end: &str) -> Vec<PathBuf> {
    let mut found: Vec<_> =
        fs::read_dir(dir).expect("a directory").flatten().map(|entry| entry.path()).collect();
    found.retain(|path| path.to_string_lossy().ends_with(end));
    found.sort();
    found
}

#[test]
fn pem_der_pkcs7_and_pkcs12() {
    let home = Home::prepared();
    let both = authorities(&home);
    let all = BTreeSet::from(both.clone());
    let root = BTreeSet::from([both[0].clone()]);
    home.ca("export bundle --format pem --out all.pem").ok();
    assert_eq!(fingerprints(&home, &home.read("all.pem")), all);
    home.ca("export bundle --format pem --out all.pem").run().fails(3, &["exists already"]);
    home.tool("openssl", "verify -CAfile all.pem alice.crt").ok();
    let roots = home.ca("export bundle --format pem --authority issuing --roots-only").ok().text();
    assert_eq!(fingerprints(&home, &roots), root);
    home.ca("export bundle --format pem --authority nobody").run().fails(4, &["nobody"]);

    home.ca("export bundle --format p7c --out all.p7c").ok();
    let printed = home.tool("openssl", "pkcs7 -inform DER -print_certs -in all.p7c").ok().text();
    assert_eq!(fingerprints(&home, &printed), all);

    home.ca("export bundle --format der").run().fails(2, &["--out"]);
    home.ca("export bundle --format der --out der").ok();
    let ders = files(&home.path("der"), ".cer");
    assert_eq!(ders.iter().map(|path| fingerprint(path)).collect::<BTreeSet<_>>(), all);

    for profile in ["modern", "compat"] {
        let p12 = format!("{profile}.p12");
        home.ca(&format!("export bundle --format p12 --p12-profile {profile} --out {p12}"))
            .words("--p12-password-file p12-password")
            .ok();
        let open =
            |password: &str| home.tool("openssl", &format!("pkcs12 -in {p12} -passin pass:{password}"));
        let opened = open(P12_PASSWORD).ok().never_says(&["PRIVATE KEY"]).text();
        assert_eq!(fingerprints(&home, &opened), root);
        open("another").run().fails(1, &["mac verify error"]);
        // Java lists what it trusts.
        home.tool("keytool", &format!("-list -keystore {p12} -storetype PKCS12 -storepass {P12_PASSWORD}"))
            .ok()
            .says(&["trustedCertEntry", "1 entry"]);
    }
    // Where it must be the old format of Java, Java makes it of this one.
    home.tool("keytool", "-importkeystore -noprompt -srckeystore modern.p12 -srcstoretype PKCS12")
        .words(&format!("-srcstorepass {P12_PASSWORD} -destkeystore old.jks -deststoretype JKS"))
        .words(&format!("-deststorepass {P12_PASSWORD}"))
        .ok();
    home.tool("keytool", &format!("-list -keystore old.jks -storetype JKS -storepass {P12_PASSWORD}"))
        .ok()
        .says(&["trustedCertEntry", "1 entry"]);
}

#[test]
fn a_debian_package() {
    let home = Home::prepared();
    let [root, other] = authorities(&home);
    home.ca("export bundle --format debian --package Upper --out no").run().fails(2, &["Upper"]);
    home.ca("export bundle --format debian --package example-roots --out package").ok();
    let mode = fs::metadata(home.path("package/DEBIAN/postinst")).expect("postinst").permissions().mode();
    assert_eq!(mode & 0o777, 0o755);
    home.tool("dpkg-deb", "--build --root-owner-group package roots.deb").ok();
    // A machine of its own: dpkg's state, and a store with somebody else's certificate.
    for dir in ["var/lib/dpkg/updates", "var/lib/dpkg/info", "etc/ssl/certs"] {
        fs::create_dir_all(home.path("machine").join(dir)).expect("make a directory");
    }
    home.write_private("machine/var/lib/dpkg/status", "");
    let theirs = home.path("machine/usr/share/ca-certificates/other");
    fs::create_dir_all(&theirs).expect("make a directory");
    fs::copy(home.path("issuing.crt"), theirs.join("other.crt")).expect("copy a file");
    home.write_private("machine/etc/ca-certificates.conf", "other/other.crt\n");
    let dpkg = |words: &str| {
        home.tool("dpkg", "--force-not-root --force-script-chrootless --force-depends --root")
            .arg(home.path("machine"))
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .words(words)
            .ok()
    };
    dpkg("-i roots.deb");
    let trusted = || {
        let bundle = fs::read_to_string(home.path("machine/etc/ssl/certs/ca-certificates.crt"));
        fingerprints(&home, &bundle.unwrap_or_default())
    };
    assert_eq!(trusted(), BTreeSet::from([root, other.clone()]));
    dpkg("-r example-roots");
    assert_eq!(trusted(), BTreeSet::from([other]));
}

#[test]
fn policies_of_firefox_and_thunderbird() {
    let home = Home::prepared();
    authorities(&home);
    home.ca("export bundle --format firefox --out policies").ok();
    let read = |name: &str| -> serde_json::Value {
        serde_json::from_str(&home.read(name)).expect("policies.json is JSON")
    };
    let policies = read("policies/policies.json");
    let install = policies["policies"]["Certificates"]["Install"].as_array().expect("a list").clone();
    assert_eq!(install.len(), 1, "{policies}");
    let name = install[0].as_str().expect("a name");
    // What both programs do with it: an authority for servers and for mail.
    fs::create_dir(home.path("db")).expect("make a directory");
    home.tool("certutil", "-N -d db --empty-password").ok();
    home.tool("certutil", "-A -d db -n installed -t CT,CT, -a -i").arg(format!("policies/{name}")).ok();
    home.tool("certutil", "-A -d db -n issuing -t ,, -a -i issuing.crt").ok();
    home.tool("certutil", "-A -d db -n alice -t ,, -a -i alice.crt").ok();
    home.tool("certutil", "-V -u S -n alice -d db").ok();
    home.ca("export bundle --format thunderbird --out there --installed-in /etc/thunderbird/policies").ok();
    let path = read("there/policies.json")["policies"]["Certificates"]["Install"][0].to_string();
    assert!(path.starts_with("\"/etc/thunderbird/policies/Example-root-CA-"), "{path}");
}

#[test]
fn the_store_of_exchange_and_the_scripts_for_windows() {
    let home = Home::prepared();
    authorities(&home);
    let der = |name: &str| fs::read(chancery_tests::openssl::to_der("x509", &home.path(name))).expect("DER");
    let expected = vec![der("root.crt"), der("issuing.crt")];
    home.ca("export sst --authority issuing --out exchange.sst").ok();
    let store = fs::read(home.path("exchange.sst")).expect("the store");
    assert_eq!(read_sst(&store), expected);
    home.ca("export sst --out exchange.sst").run().fails(3, &["exists already"]);
    home.ca("export sst --out exchange.ps1").run().fails(2, &["exchange.sst"]);
    let digest = home.tool("sha256sum", "exchange.sst").ok().text()[..64].to_uppercase();
    let upload = home.read("exchange.ps1");
    assert!(upload.contains(&digest) && upload.contains("'exchange.sst'"), "{upload}");

    home.ca("export bundle --format windows --out trust.ps1").ok();
    let script = home.read("trust.ps1");
    for (store, der) in ["Root", "CA"].iter().zip(&expected) {
        let data = base64::engine::general_purpose::STANDARD.encode(der);
        assert!(script.contains(&format!("Store = '{store}'; Data = '{data}'")), "{script}");
    }
    // Both are PowerShell, as its grammar has it; a quote in a name changes nothing.
    home.ca("export sst").args(["--out", "it's.sst"]).ok();
    assert!(home.read("it's.ps1").contains("'it''s.sst'"));
    for script in ["trust.ps1", "exchange.ps1", "it's.ps1"] {
        Tool::new(python()).arg(source_root().join("tests/powershell/parse.py")).arg(home.path(script)).ok();
    }
    home.write_private("broken.ps1", script.replace("param(", "param(("));
    Tool::new(python())
        .arg(source_root().join("tests/powershell/parse.py"))
        .arg(home.path("broken.ps1"))
        .run()
        .fails(1, &["broken.ps1"]);
}

#[test]
fn exchange_and_names_that_look_like_code() {
    let home = Home::prepared();
    // No name ends a string of a script or runs anything.
    let name = "Bob's \u{2019}; $(Get-Date) `n #> CA";
    home.ca("authority create odd --template root-ca --key p256 --country DE --passphrase-file passphrase")
        .args(["--organization", "Example", "--common-name", name])
        .ok();
    home.ca("export exchange --out exchange --always-sign --strict-crl --crl-timeout 20").ok();
    home.ca("export sst --out alone.sst").ok();
    let store = fs::read(home.path("exchange/exchange.sst")).expect("the store");
    assert_eq!(store, fs::read(home.path("alone.sst")).expect("the store"));
    assert_eq!(read_sst(&store).len(), 3);
    let settings = home.read("exchange/owa.ps1");
    for line in [
        "OWAAlwaysSign                                  = $true",
        "OWAAlwaysEncrypt                               = $false",
        "OWACheckCRLOnSend                              = $true",
        "OWACRLRetrievalTimeout                         = 20000",
    ] {
        assert!(settings.contains(line), "{settings}");
    }
    let collection = home.read("exchange/collection.ps1");
    for der in read_sst(&store) {
        let path = home.write_private("one.der", der);
        let sha1 = Tool::new("openssl").words("x509 -noout -fingerprint -sha1 -in").arg(path).ok().text();
        let sha1 = sha1.trim().rsplit('=').next().unwrap_or_default().replace(':', "");
        assert!(collection.contains(&format!("'{sha1}'")), "{collection}");
    }
    home.ca("export bundle --format windows --out trust.ps1").ok();
    assert!(!home.read("trust.ps1").contains("Get-Date)"));
    let check = source_root().join("tests/powershell/parse.py");
    let scripts = ["exchange/owa.ps1", "exchange/collection.ps1", "trust.ps1"].map(|name| home.path(name));
    Tool::new(python()).arg(check).args(scripts).ok();
    home.ca("export exchange --out exchange").run().fails(3, &["exists already"]);
}

/// Windows' own interface to such stores, as Wine has it: the same certificates.
#[test]
fn crypt32_reads_the_store_of_exchange() {
    let home = Home::prepared();
    let expected: BTreeSet<_> = authorities(&home).into_iter().collect();
    home.ca("export sst --out exchange.sst").ok();
    home.tool("x86_64-w64-mingw32-gcc", "-Wall -Werror -o read-sst.exe")
        .arg(source_root().join("tests/windows/read-sst.c"))
        .arg("-lcrypt32")
        .ok();
    let wine = |program: &str, words: &str| {
        home.tool(program, words)
            .env("WINEPREFIX", home.path("prefix"))
            .env("WINEDLLOVERRIDES", "mscoree,mshtml=")
            .env("WINEDEBUG", "-all")
    };
    let read = wine("wine", "read-sst.exe exchange.sst").ok().text();
    // It lingers, and would hold the directory.
    wine("wineserver", "-k").run();
    let found: BTreeSet<_> = read.lines().map(str::trim).map(str::to_owned).collect();
    let colons = |text: &String| text.trim().rsplit('=').next().unwrap_or_default().replace(':', "");
    assert_eq!(found, expected.iter().map(colons).collect(), "{read}");
}

/// Reads a serialized certificate store, and nothing but what is expected of it.
fn read_sst(bytes: &[u8]) -> Vec<Vec<u8>> {
    let number = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four octets"));
    assert_eq!((number(0), &bytes[4..8]), (0, b"CERT".as_slice()));
    let (mut at, mut found) = (8, Vec::new());
    loop {
        let (kind, encoding, length) = (number(at), number(at + 4), number(at + 8) as usize);
        at += 12;
        if kind == 0 {
            assert_eq!((encoding, length, at), (0, 0, bytes.len()), "the end");
            return found;
        }
        assert_eq!((kind, encoding), (0x20, 1), "a certificate");
        found.push(bytes[at..at + length].to_vec());
        at += length;
    }
}
