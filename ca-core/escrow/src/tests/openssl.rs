//! OpenSSL opens what was sealed here, with nothing but the keys.

use std::path::Path;
use std::process::Command;

use der::EncodePem;
use der::pem::LineEnding;

use super::*;
use crate::share::Share;

/// The output of `openssl`, which must succeed.
fn openssl(arguments: &[&str]) -> Vec<u8> {
    let output = Command::new("openssl").args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn cms_decrypt_opens_the_shares_and_the_key() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let sealed = sealed(3, 3);
    let case = Case::of(std::slice::from_ref(&sealed));
    let archive = &case.archives[0];
    let mut points = Vec::new();
    for number in [0_usize, 2] {
        let (key_file, certificate_file, envelope) = (at("agent.key"), at("agent.pem"), at("share.der"));
        std::fs::write(&key_file, key(number).to_plain_pem().unwrap().as_bytes()).unwrap();
        let agent = &policy().agents()[number].clone();
        std::fs::write(&certificate_file, agent.certificate().to_pem(LineEnding::LF).unwrap()).unwrap();
        std::fs::write(&envelope, &archive.shares[number].envelope).unwrap();
        let arguments = [
            "cms",
            "-decrypt",
            "-inform",
            "DER",
            "-binary",
            "-in",
            text(&envelope),
            "-inkey",
            text(&key_file),
            "-recip",
            text(&certificate_file),
        ];
        let plain = openssl(&arguments);
        points.push(Share::from_der(&plain).unwrap().point);
    }
    // The key-encryption key, and with it the PKCS#8 key.
    let kek = sharing::combine(&points, 2).unwrap();
    let envelope = at("key.der");
    std::fs::write(&envelope, archive.key_der()).unwrap();
    let (secret, id) = (hex::encode(&kek[..]), hex::encode(archive.set));
    let plain = openssl(&[
        "cms",
        "-decrypt",
        "-inform",
        "DER",
        "-binary",
        "-in",
        text(&envelope),
        "-secretkey",
        &secret,
        "-secretkeyid",
        &id,
    ]);
    assert_eq!(plain, key(3).pkcs8_der().as_slice());
}
