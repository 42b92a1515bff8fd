use super::*;

const FULL: &str = "\
listen: 127.0.0.1:8082
ledger: ledger
ledger_vkey: \"chancery.example.test+00000000+AAAA\"
directory: published
authorities:
  - name: issuing
    certificate: /a/certificate.pem
    chain: /a/chain.pem
    mode: sign
    key: /a/key.pem
    passphrase_file: /a/passphrase
    validity: 7d
    interval: 24h
    after_revocation: 5s
  - name: root
    certificate: /r/certificate.pem
    mode: distribute
    source: /r/root.crl
";

fn parse(text: &str) -> Result<Config, ServiceError> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("crl-publisher.yaml");
    ca_files::write_atomic(&path, text.as_bytes(), ca_files::Mode::Public).unwrap();
    Config::load(&path)
}

#[test]
fn a_full_file() {
    let config = parse(FULL).unwrap();
    assert!(config.directory.ends_with("published") && config.directory.is_absolute());
    let Work::Sign { passphrase, lists, .. } = &config.authorities[0].work else { panic!() };
    let schedule = &lists[0].schedule;
    assert_eq!(*passphrase, PassphraseSource::File("/a/passphrase".into()));
    assert_eq!(schedule.validity(), Span::days(7));
    assert_eq!(schedule.after_revocation(), Some(Span::seconds(5)));
    assert!(matches!(config.authorities[1].work, Work::Distribute { .. }));
}

#[test]
fn a_ledger_elsewhere() {
    let text = "ledger: {url: 'https://ca.example/ledger'}\nstate_dir: state\n";
    let ledger = parse(&FULL.replace("ledger: ledger\n", text)).unwrap().ledger.unwrap();
    let LedgerPlace::Remote(remote) = ledger.place else { panic!() };
    assert_eq!(remote.url, "https://ca.example/ledger");
    assert!(ledger.state_dir.unwrap().is_absolute());

    // Nothing is followed where nothing is signed.
    let sign = FULL.find("  - name: issuing").unwrap()..FULL.find("  - name: root").unwrap();
    let mut text = FULL.replace(&FULL[sign], "");
    text.replace_range(text.find("ledger:").unwrap()..text.find("directory:").unwrap(), "state_dir: state\n");
    let error = parse(&text).unwrap_err().to_string();
    assert!(error.contains("state_dir"), "{error}");
}

#[test]
fn the_right_to_wait_for_the_schedule() {
    let config = parse(&FULL.replace("after_revocation: 5s", "after_revocation: off")).unwrap();
    let Work::Sign { lists, .. } = &config.authorities[0].work else { panic!() };
    let schedule = &lists[0].schedule;
    assert_eq!(schedule.after_revocation(), None);
}

#[test]
fn fixed_times() {
    let text = "at: 30 2 * * MON-FRI\n    time_zone: Europe/Berlin\n    jitter: 10m\n    margin: 3h";
    let config = parse(&FULL.replace("interval: 24h", text)).unwrap();
    let Work::Sign { lists, .. } = &config.authorities[0].work else { panic!() };
    assert_eq!(lists[0].schedule.margin(), Span::hours(3));
}

#[test]
fn what_does_not_fit_is_named() {
    for (from, to, expected) in [
        ("mode: sign", "mode: signs", "signs"),
        ("    key: /a/key.pem\n", "", "key"),
        ("    source: /r/root.crl\n", "", "source"),
        ("    source: /r/root.crl\n", "    source: /r/root.crl\n    interval: 1d\n", "interval"),
        ("ledger: ledger\n", "", "ledger"),
        ("ledger: ledger\n", "ledger: {url: 'gopher://x'}\n", "https://"),
        ("ledger: ledger\n", "ledger: {url: 'https://x', client_key: k}\n", "client_certificate"),
        ("name: root", "name: issuing", "twice"),
        ("name: root", "name: ../root", "name"),
        ("name: root", "name: .root", "name"),
        ("name: root", "name: bundle", "bundle"),
        ("interval: 24h", "interval: 7d", "interval"),
        ("interval: 24h", "intervall: 24h", "intervall"),
        ("interval: 24h", "at: 30 2 * *", "minute, hour"),
        ("interval: 24h", "at: 30 2 * * *\n    time_zone: Berlin", "Berlin"),
        ("    source: /r/root.crl\n", "    source: /r/root.crl\n    at: 0 2 * * *\n", "mode sign"),
        ("passphrase_file: /a/passphrase", "passphrase_file: /a/p\n    passphrase_fd: 3", "one of"),
        ("validity: 7d", "validity: 7", "unit"),
    ] {
        let error = parse(&FULL.replacen(from, to, 1)).unwrap_err().to_string();
        assert!(error.contains(expected), "{to}: {error}");
    }
}
