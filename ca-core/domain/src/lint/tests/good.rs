//! Certificates as they should be, and what comes out of signing.

use super::*;

#[test]
fn every_shipped_template_passes_with_every_key() {
    for (name, _) in shipped() {
        for algorithm in [KeyAlgorithm::Rsa2048, KeyAlgorithm::P256, KeyAlgorithm::P384] {
            // Authorities have longer RSA keys, which take long to make.
            if algorithm == KeyAlgorithm::Rsa2048 && template(name).kind().is_authority() {
                continue;
            }
            let tbs = good_tbs(name, algorithm);
            let linted =
                lint(tbs, context(name, issuer_of(name))).unwrap_or_else(|report| panic!("{report}"));
            let warned: Vec<_> = linted.warnings().iter().map(|finding| finding.lint).collect();
            if *name == "smime-encryption" && !algorithm.is_rsa() {
                assert_eq!(warned, ["key-usage-agreement-alone"]);
            } else {
                assert!(warned.is_empty(), "{name} {algorithm}: {:?}", linted.warnings());
            }
        }
    }
}

#[test]
fn the_linted_bytes_are_signed() {
    let tbs = good_tbs("smime-dual", KeyAlgorithm::P256);
    let linted = lint(tbs.clone(), context("smime-dual", issuer_of("smime-dual"))).unwrap();
    assert_eq!(linted.tbs(), &tbs);
    assert_eq!(linted.bytes(), tbs.to_der().unwrap());
    let mut message = Vec::new();
    let signed = linted
        .sign(|bytes| {
            message = bytes.to_vec();
            Ok::<_, ()>(vec![0x30, 0])
        })
        .unwrap();
    assert_eq!(message, tbs.to_der().unwrap());
    assert_eq!(signed.certificate.tbs_certificate, tbs);
    assert_eq!(signed.certificate.signature_algorithm, tbs.signature);
    assert_eq!(signed.certificate.signature.raw_bytes(), [0x30, 0]);
    assert_eq!(signed.certificate.to_der().unwrap(), signed.der);
}

#[test]
fn a_failing_signer_gives_its_error() {
    let tbs = good_tbs("smime-dual", KeyAlgorithm::P256);
    let linted = lint(tbs, context("smime-dual", issuer_of("smime-dual"))).unwrap();
    assert!(matches!(linted.sign(|_| Err("locked")), Err(SignError::Signer("locked"))));
}

#[test]
fn findings_block_by_severity_and_claim() {
    let no_crl = |name: &str| {
        let mut tbs = good_tbs(name, KeyAlgorithm::P256);
        remove(&mut tbs, const_oid::db::rfc5280::ID_CE_CRL_DISTRIBUTION_POINTS);
        lint(tbs, context(name, issuer_of(name)))
    };
    assert_eq!(no_crl("smime-dual").unwrap().warnings()[0].lint, "crl-location");
    let report = no_crl("smime-mailbox-strict").unwrap_err();
    assert_eq!(report.findings[0].lint, "crl-location");
    assert!(report.to_string().contains("crl-location: there is no cRLDistributionPoints (S/MIME BR"));
}

#[test]
fn errors_come_before_warnings() {
    let mut tbs = good_tbs("smime-dual", KeyAlgorithm::P256);
    remove(&mut tbs, const_oid::db::rfc5280::ID_CE_CRL_DISTRIBUTION_POINTS);
    remove(&mut tbs, const_oid::db::rfc5280::ID_CE_SUBJECT_ALT_NAME);
    let report = lint(tbs, context("smime-dual", issuer_of("smime-dual"))).unwrap_err();
    assert_eq!(report.findings.first().unwrap().severity, Severity::Error);
    assert_eq!(report.findings.last().unwrap().lint, "crl-location");
}

#[test]
fn a_finished_certificate_is_judged_by_what_it_says() {
    for (name, kind, conformance) in [
        ("root-ca", TemplateKind::RootCa, Conformance::None),
        ("issuing-ca", TemplateKind::SubordinateCa, Conformance::None),
        ("smime-dual", TemplateKind::User, Conformance::None),
        ("smime-sponsor-strict", TemplateKind::User, Conformance::SmimeBrSponsorStrict),
        ("smime-mailbox-multipurpose", TemplateKind::User, Conformance::SmimeBrMailboxMultipurpose),
        ("ocsp-signer", TemplateKind::OcspSigner, Conformance::None),
        ("mail-server-tls", TemplateKind::TlsServer, Conformance::None),
        ("tls-client", TemplateKind::TlsClient, Conformance::None),
    ] {
        let issuer = issuer_of(name);
        let mut made = certificate(good_tbs(name, KeyAlgorithm::P256), context(name, issuer));
        for known in [issuer, None] {
            let report = lint_certificate(&made, known);
            assert_eq!((report.kind, report.conformance), (kind, conformance), "{name}");
            assert!(report.findings.is_empty(), "{name}: {:?}", report.findings);
            assert_eq!(report.issuer_known, known.is_some() || name == "root-ca");
        }
        made.signature_algorithm = SignatureAlgorithm::RsaSha256.identifier();
        assert_eq!(lint_certificate(&made, issuer).findings[0].lint, "signature-algorithm-outer");
    }
    let mut tbs = good_tbs("smime-dual", KeyAlgorithm::P256);
    remove(&mut tbs, const_oid::db::rfc5280::ID_CE_SUBJECT_ALT_NAME);
    let report = lint_tbs(&tbs, issuer_of("smime-dual"), TemplateKind::User, Conformance::None);
    assert_eq!(report.findings[0].lint, "alt-name-mailbox");
}
