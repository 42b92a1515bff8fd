//! pkilint at WARNING over every shipped template and key algorithm, CRLs,
//! chains and OCSP responses. Findings are listed with a reason in
//! `tests/pkilint/exceptions.txt`, or fail.

use chancery_tests::openssl::{self, Key};
use chancery_tests::pkilint::{Jobs, require_only_exceptions};
use chancery_tests::tool::source_root;
use chancery_tests::{Home, Pki, home};

const CA_KEYS: [&str; 4] = ["rsa-3072", "rsa-4096", "p256", "p384"];
const KEYS: [&str; 5] = ["rsa-2048", "rsa-3072", "rsa-4096", "p256", "p384"];
const BR_TEMPLATES: [&str; 8] = [
    "smime-mailbox-strict",
    "smime-mailbox-multipurpose",
    "smime-organization-strict",
    "smime-organization-multipurpose",
    "smime-sponsor-strict",
    "smime-sponsor-multipurpose",
    "smime-individual-strict",
    "smime-individual-multipurpose",
];
const REASONS: [&str; 6] = [
    "keyCompromise",
    "affiliationChanged",
    "superseded",
    "cessationOfOperation",
    "unspecified",
    "privilegeWithdrawn",
];

/// pkilint objects to names below .test, which nobody can own.
fn public_urls() -> home::Urls {
    home::Urls {
        publisher: "http://pki.example.org".to_owned(),
        responder: "http://ocsp.example.org".to_owned(),
    }
}

/// Whether a template claims the S/MIME BR.
fn claims_br(template: &str) -> bool {
    BR_TEMPLATES.contains(&template)
}

/// Who is named under the S/MIME BR; where there are several ways, as the key demands.
fn names(template: &str) -> Vec<&'static str> {
    let entity = ["--country", "DE", "--organization", "Example GmbH"];
    let identifier = ["--organization-identifier", "NTRDE-DEK1101R.HRB123456"];
    let person = ["--given-name", "Alice", "--surname", "Example", "--common-name", "Alice Example"];
    match template {
        "smime-organization-strict" => [&entity[..], &identifier].concat(),
        "smime-organization-multipurpose" => {
            [&entity[..], &["--organization-identifier", "LEIXG-529900T8BM49AURSDO55"]].concat()
        }
        "smime-sponsor-strict" => [&entity[..], &identifier, &person, &["--title", "Engineer"]].concat(),
        "smime-sponsor-multipurpose" => {
            [&entity[..], &["--organization-identifier", "VATDE-123456789", "--pseudonym", "Ace"]].concat()
        }
        "smime-individual-strict" => [&["--country", "DE"], &person[..]].concat(),
        "smime-individual-multipurpose" => vec!["--pseudonym", "Ace"],
        _ => Vec::new(),
    }
}

/// Issues one certificate of a template for a key of this algorithm.
fn issue(home: &Home, authority: &str, template: &str, key: &str, jobs: &mut Jobs) {
    let name = format!("{authority}-{template}-{key}");
    let subject = match template {
        "mail-server-tls" => "--dns mail.example.org --dns smtp.example.org".to_owned(),
        "tls-client" => format!("--email {key}@example.org"),
        _ => format!("--email {template}-{key}@example.org"),
    };
    home.ca(&format!("issue --authority {authority} --template {template} --key {key} {subject}"))
        .args(names(template))
        .words(&format!("--out {name}.crt --p12 {name}.p12 --p12-password-file p12-password"))
        .words("--passphrase-file passphrase")
        .ok();
    let file = home.path(format!("{name}.crt"));
    let job = format!("{template}/{key}");
    if claims_br(template) {
        jobs.smime(&job, &file);
    }
    jobs.pkix(&job, &file);
    jobs.chain(&job, &home.path(format!("{authority}.crt")), &file);
}

fn authority(home: &Home, name: &str, template: &str, key: &str, parent: Option<&str>) {
    let organisation = ["--organization", "Example", "--common-name"];
    let mut tool = home
        .ca(&format!("authority create {name} --template {template} --key {key} --country DE"))
        .args(organisation)
        .arg(format!("Example {name} CA"))
        .words("--passphrase-file passphrase");
    if let Some(parent) = parent {
        tool = tool.words(&format!("--parent {parent} --parent-passphrase-file passphrase"));
    }
    tool.ok();
    home.ca(&format!("authority export {name} --out {name}.crt")).ok();
}

#[test]
fn every_template_and_key_algorithm() {
    let home = Home::initialised(&public_urls());
    let mut jobs = Jobs::default();
    for key in CA_KEYS {
        let (root, mail, tls) = (format!("root-{key}"), format!("mail-{key}"), format!("tls-{key}"));
        authority(&home, &root, "root-ca", key, None);
        jobs.pkix(&format!("root-ca/{key}"), &home.path(format!("{root}.crt")));
        jobs.chain(
            &format!("root-ca/{key}"),
            &home.path(format!("{root}.crt")),
            &home.path(format!("{root}.crt")),
        );
        for (name, template) in [(&mail, "issuing-ca"), (&tls, "tls-issuing-ca")] {
            authority(&home, name, template, key, Some(&root));
            let (issuer, file) = (home.path(format!("{root}.crt")), home.path(format!("{name}.crt")));
            jobs.pkix(&format!("{template}/{key}"), &file);
            jobs.chain(&format!("{template}/{key}"), &issuer, &file);
        }
        home.ca(&format!("ocsp-signer issue --authority {mail} --out signers --passphrase-file passphrase"))
            .ok();
        let signer = home.path(format!("signers/{mail}.crt"));
        jobs.pkix(&format!("ocsp-signer/of-{key}"), &signer);
        jobs.chain(&format!("ocsp-signer/of-{key}"), &home.path(format!("{mail}.crt")), &signer);
    }
    for template in ["smime-signing", "smime-encryption", "smime-dual"].into_iter().chain(BR_TEMPLATES) {
        for key in KEYS {
            issue(&home, "mail-p256", template, key, &mut jobs);
        }
    }
    for template in ["mail-server-tls", "tls-client"] {
        for key in KEYS {
            issue(&home, "tls-p256", template, key, &mut jobs);
        }
    }
    for key in ["rsa-2048", "rsa-3072", "rsa-4096", "p256", "p384"] {
        home.ca(&format!("ocsp-signer issue --authority mail-p256 --key {key} --out signers-{key}"))
            .words("--passphrase-file passphrase")
            .ok();
        jobs.pkix(&format!("ocsp-signer/{key}"), &home.path(format!("signers-{key}/mail-p256.crt")));
    }
    for issuer in ["mail-rsa-3072", "mail-rsa-4096", "mail-p384"] {
        issue(&home, issuer, "smime-mailbox-strict", "rsa-2048", &mut jobs);
    }
    require_only_exceptions(&jobs.run(), &source_root().join("tests/pkilint/exceptions.txt"));
}

#[test]
fn crls() {
    let home = Home::initialised(&public_urls());
    let mut jobs = Jobs::default();
    for key in ["rsa-3072", "p256", "p384"] {
        let (root, mail) = (format!("root-{key}"), format!("mail-{key}"));
        authority(&home, &root, "root-ca", key, None);
        authority(&home, &mail, "issuing-ca", key, Some(&root));
        let crl = |authority: &str, kind: &str, label: &str, jobs: &mut Jobs| {
            let file = format!("{label}-{authority}.crl");
            home.ca(&format!("crl issue {authority} --out {file} --passphrase-file passphrase")).ok();
            jobs.crl(&format!("crl/{label}/{kind}/{key}"), &home.path(&file), kind);
        };
        crl(&root, "ARL", "empty", &mut jobs);
        crl(&mail, "CRL", "empty", &mut jobs);
        if key == "p256" {
            for reason in REASONS {
                let csr = openssl::csr(&home, reason, Key::P256);
                home.ca(&format!(
                    "issue --authority {mail} --template smime-dual --email {reason}@example.org"
                ))
                .words(&format!("--out {reason}.crt --passphrase-file passphrase --csr"))
                .arg(csr)
                .ok();
                home.ca(&format!("revoke --email {reason}@example.org --yes --reason {reason}"))
                    .words("--invalidity-date 2026-01-01")
                    .ok();
            }
            crl(&mail, "CRL", "full", &mut jobs);
            let serial = openssl::serial(&home.path(format!("{mail}.crt")));
            home.ca(&format!("revoke {serial} --reason cessationOfOperation --yes")).ok();
            crl(&root, "ARL", "full", &mut jobs);
        }
    }
    let findings = jobs.run();
    assert!(findings.is_empty(), "{findings:#?}");
}

#[test]
fn what_the_daemons_publish() {
    let pki = Pki::start("p256");
    for person in ["alice", "mallory"] {
        pki.person_by_request(person, "smime-mailbox-strict", Key::P256);
    }
    pki.revoke("mallory", "keyCompromise");
    let mut jobs = Jobs::default();
    for person in ["alice", "mallory"] {
        let url = format!("{}/", pki.responder_gate.url());
        pki.home
            .tool("openssl", "ocsp -issuer issuing.crt -no_nonce -CAfile root.crt -verify_other issuing.crt")
            .args(["-cert", &format!("{person}.crt"), "-respout", &format!("{person}.ocsp"), "-url", &url])
            .ok();
        jobs.ocsp(&format!("ocsp/{person}"), &pki.home.path(format!("{person}.ocsp")));
    }
    jobs.crl("published/issuing", &pki.fetch_crl("issuing"), "CRL");
    jobs.crl("published/root", &pki.fetch_crl("root"), "ARL");
    let findings = jobs.run();
    assert!(findings.is_empty(), "{findings:#?}");
}
