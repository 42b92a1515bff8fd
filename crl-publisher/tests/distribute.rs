//! Mode `distribute`: what is taken from the file, and what is not.

mod common;

use std::fs;

use ca_service::fixture::{TestAuthority, pem};
use ca_status::crl::CrlNumber;
use common::{Bench, DAY};

#[test]
fn takes_what_is_good_in_der_and_pem() {
    let bench = Bench::new();
    let mut daemon = bench.distributor();
    daemon.tick();
    let alarms = bench.alarms(&daemon).join("\n");
    assert!(alarms.contains("crl root: there is no CRL") && alarms.contains("source root"), "{alarms}");

    bench.write("root.crl", &bench.make_crl(&bench.root, 1, 90 * DAY));
    daemon.tick();
    assert_eq!(bench.root_crl().number, CrlNumber::from(1));
    assert_eq!(bench.alarms(&daemon), [""; 0]);

    let second = pem("X509 CRL", &bench.make_crl(&bench.root, 2, 90 * DAY));
    bench.write("root.crl", second.as_bytes());
    daemon.tick();
    assert_eq!(bench.root_crl().number, CrlNumber::from(2));
    let published = fs::read_to_string(bench.published("crl/root.pem")).unwrap();
    assert_eq!(published, second);
}

#[test]
fn a_bad_one_never_replaces_a_good_one() {
    let bench = Bench::new();
    let mut daemon = bench.distributor();
    bench.write("root.crl", &bench.make_crl(&bench.root, 10, 90 * DAY));
    daemon.tick();
    let good = bench.root_crl();

    let expired = bench.make_crl(&bench.root, 11, 30);
    bench.clock.advance(60);
    let namesake = TestAuthority::new("Root CA");
    let mut altered = bench.make_crl(&bench.root, 11, 90 * DAY);
    let last = altered.len() - 1;
    altered[last] ^= 1;
    let cut = bench.make_crl(&bench.root, 11, 90 * DAY)[..60].to_vec();
    let ahead = {
        bench.clock.advance(DAY);
        let crl = bench.make_crl(&bench.root, 11, 90 * DAY);
        bench.clock.set(bench.now().saturating_sub(DAY));
        crl
    };
    let bad = [
        ("older", bench.make_crl(&bench.root, 9, 90 * DAY)),
        ("the same number with other content", bench.make_crl(&bench.root, 10, 90 * DAY)),
        ("of another authority", bench.make_crl(&bench.ca, 11, 90 * DAY)),
        ("of another key under the same name", bench.make_crl(&namesake, 11, 90 * DAY)),
        ("with a bad signature", altered),
        ("cut", cut),
        ("expired", expired),
        ("of the future", ahead),
        ("a certificate", bench.root.authority.der.clone()),
        ("a PEM certificate", bench.root.pem().into_bytes()),
        ("text", b"nothing".to_vec()),
        ("nothing", Vec::new()),
    ];
    for (what, bytes) in bad {
        bench.write("root.crl", &bytes);
        daemon.tick();
        assert_eq!(bench.root_crl(), good, "{what}");
        let alarms = bench.alarms(&daemon).join("\n");
        assert!(alarms.contains("the CRL offered cannot be published"), "{what}: {alarms}");
        // Nor after a restart.
        drop(daemon);
        daemon = bench.distributor();
        daemon.tick();
        assert_eq!(bench.root_crl(), good, "{what}");
    }
    fs::remove_file(bench.home("root.crl")).unwrap();
    daemon.tick();
    assert_eq!(bench.root_crl(), good);

    bench.write("root.crl", &bench.make_crl(&bench.root, 12, 90 * DAY));
    daemon.tick();
    assert_eq!(bench.root_crl().number, CrlNumber::from(12));
    assert_eq!(bench.alarms(&daemon), [""; 0]);
}

/// The publisher's own lock was the one of an authority of this name.
#[test]
fn an_authority_may_be_called_shared() {
    let bench = Bench::new();
    let mut daemon = bench
        .open("  - name: shared\n    certificate: root.pem\n    mode: distribute\n    source: root.crl\n");
    bench.write("root.crl", &bench.make_crl(&bench.root, 1, 90 * DAY));
    daemon.tick();
    assert_eq!(bench.alarms(&daemon), [""; 0]);
    let read = |name: &str| fs::read(bench.published(&format!("crl/{name}.pem"))).unwrap();
    assert_eq!(read("bundle"), read("shared"));
}

#[test]
fn its_end_is_announced() {
    let bench = Bench::new();
    let mut daemon = bench.distributor();
    bench.write("root.crl", &bench.make_crl(&bench.root, 1, 90 * DAY));
    daemon.tick();
    for (days, expected) in [(80, None), (2, Some("expires soon")), (8, Some("has expired"))] {
        bench.clock.advance(days * DAY);
        daemon.tick();
        let expected: Vec<String> = expected.iter().map(|end| format!("crl root: the CRL {end}")).collect();
        assert_eq!(bench.alarms(&daemon), expected);
    }
}

#[test]
fn somebody_is_reminded_with_the_command() {
    let bench = Bench::new();
    let mut daemon = bench.open(
        "  - name: root\n    certificate: root.pem\n    mode: distribute\n    source: root.crl\n    remind: 30d\n",
    );
    bench.write("root.crl", &bench.make_crl(&bench.root, 1, 90 * DAY));
    daemon.tick();
    bench.clock.advance(60 * DAY - 1);
    daemon.tick();
    assert_eq!(bench.alarms(&daemon), [""; 0]);
    bench.clock.advance(1);
    daemon.tick();
    assert_eq!(bench.alarms(&daemon), ["crl root: the CRL expires soon"]);
    let detail = daemon.alarms().detail("crl root").unwrap();
    assert!(detail.contains("ca --home HOME crl issue root --days 90 --out root.crl"), "{detail}");
    bench.write("root.crl", &bench.make_crl(&bench.root, 2, 90 * DAY));
    daemon.tick();
    assert_eq!(bench.alarms(&daemon), [""; 0]);
}
