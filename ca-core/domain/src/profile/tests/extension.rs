//! The extensions, byte by byte.

use super::*;

/// The extensions' identifiers and criticality, in order.
fn list(tbs: &TbsCertificate) -> Vec<(String, bool)> {
    let extensions = tbs.extensions.iter().flatten();
    extensions.map(|extension| (extension.extn_id.to_string(), extension.critical)).collect()
}

#[test]
fn they_are_the_templates_in_a_fixed_order() {
    let cases: [(&str, &[(&str, bool)]); 4] = [
        ("root-ca", &[("2.5.29.19", true), ("2.5.29.15", true), ("2.5.29.14", false), ("2.5.29.35", false)]),
        (
            "issuing-ca",
            &[
                ("2.5.29.19", true),
                ("2.5.29.15", true),
                ("2.5.29.37", false),
                ("2.5.29.32", false),
                ("2.5.29.31", false),
                ("1.3.6.1.5.5.7.1.1", false),
                ("2.5.29.14", false),
                ("2.5.29.35", false),
            ],
        ),
        (
            "smime-mailbox-strict",
            &[
                ("2.5.29.19", true),
                ("2.5.29.15", true),
                ("2.5.29.37", false),
                ("2.5.29.32", false),
                ("2.5.29.17", false),
                ("2.5.29.31", false),
                ("1.3.6.1.5.5.7.1.1", false),
                ("2.5.29.14", false),
                ("2.5.29.35", false),
                ("1.2.840.113549.1.9.15", false),
            ],
        ),
        (
            "ocsp-signer",
            &[
                ("2.5.29.19", true),
                ("2.5.29.15", true),
                ("2.5.29.37", false),
                ("2.5.29.31", false),
                ("1.3.6.1.5.5.7.1.1", false),
                ("2.5.29.14", false),
                ("2.5.29.35", false),
                ("1.3.6.1.5.5.7.48.1.5", false),
            ],
        ),
    ];
    for (name, wanted) in cases {
        let wanted: Vec<_> = wanted.iter().map(|(oid, critical)| ((*oid).to_owned(), *critical)).collect();
        assert_eq!(list(&Args::of(name).build().unwrap()), wanted, "{name}");
    }
}

#[test]
fn contents() {
    let strict = Args::of("smime-mailbox-strict").build().unwrap();
    let root = Args::of("root-ca").build().unwrap();
    let issuing = Args::of("issuing-ca").build().unwrap();
    let signer = Args::of("ocsp-signer").build().unwrap();
    let cases = [
        ("end entity", &strict, "2.5.29.19", "3000"),
        ("root without limit", &root, "2.5.29.19", "30030101ff"),
        ("pathLen 0", &issuing, "2.5.29.19", "30060101ff020100"),
        ("digitalSignature, keyAgreement", &strict, "2.5.29.15", "03020388"),
        ("keyCertSign, cRLSign", &root, "2.5.29.15", "03020106"),
        ("emailProtection", &strict, "2.5.29.37", "300a06082b06010505070304"),
        ("mailbox strict", &strict, "2.5.29.32", "300b300906076781 0c01050103"),
        ("no-check", &signer, "1.3.6.1.5.5.7.48.1.5", "0500"),
        (
            "aes256-cbc, aes128-cbc",
            &strict,
            "1.2.840.113549.1.9.15",
            "301a 300b060960864801650304012a 300b0609608648016503040102",
        ),
    ];
    for (case, tbs, oid, wanted) in cases {
        assert_eq!(content(tbs, oid), wanted.replace(' ', ""), "{case}");
    }
    let hex_of = |text: &str| hex::encode(text);
    let point = hex_of("http://pki.test/crl/issuing.crl");
    // DistributionPoint { [0] { [0] { [6] url } } }
    assert_eq!(content(&strict, "2.5.29.31"), format!("30273025a023a021861f{point}"));
    let access = content(&strict, "1.3.6.1.5.5.7.1.1");
    let ocsp = access.find(&format!("06082b060105050730018611{}", hex_of("http://ocsp.test/")));
    let issuers =
        access.find(&format!("06082b06010505073002861e{}", hex_of("http://pki.test/ca/issuing.crt")));
    assert!(ocsp.unwrap() < issuers.unwrap());
}

#[test]
fn crls_of_parts_kinds_and_changes() {
    let edited = |urls: fn(&mut AuthorityUrls)| {
        let mut args = Args::of("smime-dual");
        args.template =
            template("smime-dual", &[("cdp: authority", "cdp: authority\nfreshest_crl: authority")]);
        urls(&mut args.issuer.as_mut().unwrap().urls);
        args.build()
    };
    // The serial of these tests is 47 07 07...: the eighth of 62 bits begins with 0x07.
    let tbs = edited(|urls| {
        urls.shards = Some(16);
        urls.crl = vec!["http://a.test/i-{shard}-of-{shards}-{kind}.crl".into()];
        urls.delta_crl = vec!["http://a.test/i-{shard}-of-{shards}-delta.crl".into()];
    });
    let tbs = tbs.unwrap();
    let text = |oid| String::from_utf8_lossy(&hex::decode(content(&tbs, oid)).unwrap()).into_owned();
    assert!(text("2.5.29.31").ends_with("http://a.test/i-1-of-16-users.crl"));
    assert!(text("2.5.29.46").ends_with("http://a.test/i-1-of-16-delta.crl"));
    let extension = extension_of(&tbs, "2.5.29.46").unwrap();
    assert!(!extension.critical, "RFC 5280, section 4.2.1.15");
    let error = edited(|urls| urls.crl = vec!["http://a.test/i-{shard}-of-{shards}.crl".into()]);
    assert!(error.unwrap_err().to_string().contains("{shard}"));
    let error = edited(|_| {});
    assert!(error.unwrap_err().to_string().contains("no delta_crl URL"));
}

#[test]
fn a_cps_is_an_ia5_qualifier() {
    let mut args = Args::of("smime-mailbox-strict");
    args.template = template("smime-mailbox-strict", &[("5.1.3", "5.1.3\n    cps: http://pki.test/cps")]);
    let qualifier = "06082b06010505070201 16 13".replace(' ', "") + &hex::encode("http://pki.test/cps");
    assert!(content(&args.build().unwrap(), "2.5.29.32").ends_with(&qualifier));
}

#[test]
fn name_constraints_are_critical() {
    let mut args = Args::of("issuing-ca");
    let section = "path_length: 0\nname_constraints:\n  permitted: { rfc822: [example.test] }\n  excluded: { dns: [x.test] }";
    args.template = template("issuing-ca", &[("path_length: 0", section)]);
    let tbs = args.build().unwrap();
    assert!(extension_of(&tbs, "2.5.29.30").unwrap().critical);
    let (mailboxes, hosts) = (hex::encode("example.test"), hex::encode("x.test"));
    let wanted = format!("301ea010300e810c{mailboxes}a10a30088206{hosts}");
    assert_eq!(content(&tbs, "2.5.29.30"), wanted);
}

#[test]
fn urls_that_are_missing_or_not_http_are_refused() {
    type Edit = fn(&mut AuthorityUrls);
    let cases: [(&str, Edit, &str); 5] = [
        (
            "smime-dual",
            |urls| urls.crl.clear(),
            "the issuer has no crl URL, but template \"smime-dual\" has it in every certificate; set it under urls in ca.yaml",
        ),
        (
            "smime-dual",
            |urls| urls.ocsp.clear(),
            "the issuer has no ocsp URL, but template \"smime-dual\" has it in every certificate; set it under urls in ca.yaml",
        ),
        (
            "ocsp-signer",
            |urls| urls.ca_issuers.clear(),
            "the issuer has no ca_issuers URL, but template \"ocsp-signer\" has it in every certificate; set it under urls in ca.yaml",
        ),
        (
            "smime-dual",
            |urls| urls.crl = vec!["https://a.test/c".into()],
            "\"https://a.test/c\" cannot be in a certificate; use a plain http:// URL in ASCII",
        ),
        (
            "smime-dual",
            |urls| urls.crl = vec!["http://a.test/ü".into()],
            "\"http://a.test/ü\" cannot be in a certificate; use a plain http:// URL in ASCII",
        ),
    ];
    for (name, edit, wanted) in cases {
        let mut args = Args::of(name);
        edit(&mut args.issuer.as_mut().unwrap().urls);
        assert_eq!(args.refusal(), wanted);
    }
    let mut args = Args::of("ocsp-signer");
    args.issuer.as_mut().unwrap().urls.ocsp.clear();
    assert!(args.build().is_ok());
}
