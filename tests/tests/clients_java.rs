//! Java as a client: PKIX path validation with OCSP for every certificate of the
//! path, asked by GET.

use chancery_tests::{Outcome, Tls, Tool, tool};

fn validated(tls: &Tls, name: &str) -> Outcome {
    Tool::new("java")
        .within(tls.home().work())
        .words("-XX:TieredStopAtLevel=1 -Dcom.sun.security.ocsp.useget=true -Djava.security.egd=file:/dev/urandom")
        .arg(tool::source_root().join("tests/java/CheckRevocation.java"))
        .args([&format!("{name}.chain"), "root.crt"])
        .run()
}

#[test]
fn java_validates_the_good_and_refuses_the_revoked() {
    let tls = Tls::shared();
    tls.server("alice");
    tls.server("mallory");
    validated(&tls, "alice").ok().says(&["valid"]);
    validated(&tls, "mallory").ok().says(&["valid"]);
    tls.revoke("mallory");
    let outcome = validated(&tls, "mallory");
    assert_eq!(outcome.code, Some(1), "{}", outcome.transcript());
    outcome.says(&["refused at 0: REVOKED", "KEY_COMPROMISE"]);
    validated(&tls, "alice").ok().says(&["valid"]);
    // Without an answer there is no good one.
    tls.silence();
    let outcome = validated(&tls, "alice");
    assert_eq!(outcome.code, Some(1), "{}", outcome.transcript());
    outcome.says(&["UNDETERMINED_REVOCATION_STATUS"]);
}
