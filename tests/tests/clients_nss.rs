//! NSS as a client: libpkix fetches OCSP and CRLs itself; cmsutil, pk12util.

use chancery_tests::home::P12_PASSWORD;
use chancery_tests::{Outcome, Pki, openssl};

fn people(key: &str) -> Pki {
    let pki = Pki::start(key);
    std::fs::create_dir(pki.home.path("db")).expect("make a directory");
    pki.home.tool("certutil", "-N -d db --empty-password").ok();
    pki.home.tool("certutil", "-A -d db -n root -t C,C, -a -i root.crt").ok();
    pki.home.tool("certutil", "-A -d db -n issuing -t ,, -a -i issuing.crt").ok();
    for authority in ["root", "issuing"] {
        openssl::to_der("x509", &pki.home.path(format!("{authority}.crt")));
    }
    for person in ["alice", "mallory"] {
        pki.person(person, "smime-dual", if key == "p256" { key } else { "rsa-2048" });
        openssl::to_der("x509", &pki.home.path(format!("{person}.crt")));
        pki.home
            .tool("pk12util", &format!("-i {person}.p12 -d db -W {P12_PASSWORD}"))
            .args(["-K", ""])
            .ok()
            .says(&["PKCS12 IMPORT SUCCESSFUL"]);
    }
    pki
}

/// Path validation that fails when there is no fresh answer of this kind.
fn validated(pki: &Pki, method: &str, person: &str) -> Outcome {
    pki.home
        .tool("vfychain", &format!("-d db -pp -u 4 -g leaf -h requireFreshInfo -m {method} -s failIfNoInfo"))
        .words(&format!("{person}.x509.der issuing.x509.der -t root.x509.der"))
        .run()
}

fn ocsp_and_crl(key: &str) {
    let pki = people(key);
    for method in ["ocsp", "crl"] {
        for person in ["alice", "mallory"] {
            validated(&pki, method, person).says(&["Chain is good!"]);
        }
    }
    pki.revoke("mallory", "cessationOfOperation");
    for method in ["ocsp", "crl"] {
        validated(&pki, method, "alice").says(&["Chain is good!"]);
        validated(&pki, method, "mallory").says(&["Chain is bad!", "-8180"]);
    }
    // With nobody to ask there is no answer, so "good" above was an answer.
    pki.responder_gate.close();
    validated(&pki, "ocsp", "alice").says(&["Chain is bad!"]);
}

#[test]
fn ocsp_and_crl_with_rsa() {
    ocsp_and_crl("rsa-3072");
}

#[test]
fn ocsp_and_crl_with_p256() {
    ocsp_and_crl("p256");
}

#[test]
fn mail_with_our_pkcs12() {
    let pki = people("rsa-3072");
    let nickname = nickname(&pki, "alice");
    pki.home.write_private("m", "hello\n");

    pki.home.tool("cmsutil", "-S -G -d db -i m -o signed.p7 -H SHA256 -N").arg(&nickname).ok();
    pki.trust_with_crls();
    pki.home
        .tool("openssl", "cms -verify -inform DER -in signed.p7 -certfile issuing.crt")
        .words("-CAfile trust+crls.pem -crl_check_all -purpose smimesign")
        .ok()
        .says(&["hello"]);

    pki.home.tool("cmsutil", "-E -d db -r alice@example.test -i m -o encrypted.p7").ok();
    pki.home
        .tool("openssl", "cms -decrypt -inform DER -in encrypted.p7 -recip alice.crt -inkey alice.key")
        .ok()
        .says(&["hello"]);
    pki.home
        .tool("openssl", "cms -encrypt -aes256 -binary -outform DER -in m -out to-alice.p7 alice.crt")
        .ok();
    pki.home.tool("cmsutil", "-D -d db -i to-alice.p7").ok().says(&["hello"]);
}

/// The nickname that the PKCS#12 file's friendly name became.
fn nickname(pki: &Pki, person: &str) -> String {
    let listed = pki.home.tool("certutil", "-L -d db").ok().text();
    let line = listed.lines().find(|line| line.to_lowercase().contains(person));
    let line = line.unwrap_or_else(|| panic!("{person} is not in the database\n{listed}"));
    line.trim_end().rsplit_once(char::is_whitespace).expect("name and trust").0.trim_end().to_owned()
}
