//! What stands at a target that the publisher did not put there: it is kept and told if it may be somebody's,
//! and replaced if nobody can rely upon it.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::collections::BTreeSet;
use std::fs;

use ca_domain::{ReasonCode, Shard};
use ca_service::fixture::TestAuthority;
use ca_signing::SigningKey;
use ca_status::crl::{CrlParams, CrlScope};
use common::targets::{DELTA, ISSUING, at, publisher_of, waiting, web};
use common::{Bench, DAY};
use der::asn1::{BitString, OctetString};
use der::{Decode, Encode};
use x509_cert::crl::CertificateList;
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::crl::dp::IssuingDistributionPoint;

const FULL: &str = "issuing";
const DELTA_CRL: &str = "issuing-delta";
const PART: &str = "issuing-0-of-2";

/// A number that is higher than those of today.
const HIGHER: u64 = 1 << 40;

/// A publisher of `issuing` with delta CRLs and two parts, and of its successor of the same name.
struct Setup {
    bench: Bench,
    successor: TestAuthority,
    authorities: String,
    /// Targets that there were.
    targets: usize,
}

impl Setup {
    fn new() -> Self {
        let bench = Bench::new();
        let successor = TestAuthority::new("Issuing CA");
        bench.write("successor.pem", successor.pem().as_bytes());
        bench.write("successor.crl", &bench.make_crl(&successor, 1, 90 * DAY));
        let authorities = format!(
            "{ISSUING}{DELTA}    shards: [2]\n  - name: successor\n    certificate: successor.pem\n    \
             mode: distribute\n    source: successor.crl\n"
        );
        bench.open(&authorities).tick();
        Self { bench, successor, authorities, targets: 0 }
    }

    fn published(&self, name: &str) -> Vec<u8> {
        fs::read(self.bench.published(&format!("crl/{name}.crl"))).unwrap()
    }

    /// A CRL of the authority with a number that is higher than all.
    fn higher(&self, change: impl FnOnce(&mut CrlParams)) -> Vec<u8> {
        self.bench.make_crl_of(&self.bench.ca, HIGHER, DAY, 1, change)
    }

    fn scoped(&self, scope: &CrlScope, url: &str) -> Vec<u8> {
        self.higher(|params| params.scope = scope.point(Some(url)).unwrap())
    }

    /// A higher CRL with another extension, signed by the authority.
    fn extended(&self, extension: Extension) -> Vec<u8> {
        let mut list = CertificateList::from_der(&self.higher(|_| {})).unwrap();
        list.tbs_cert_list.crl_extensions.get_or_insert_default().push(extension);
        let signature = self.bench.ca.key.sign(&list.tbs_cert_list.to_der().unwrap()).unwrap();
        list.signature = BitString::from_bytes(&signature).unwrap();
        list.to_der().unwrap()
    }

    /// Delivers to a new target at which `standing` has the place of the CRL `name`. With `fault`, what stands
    /// there stays, and an alarm says why; once it is removed, the right one comes. Without, it comes at once.
    #[track_caller]
    fn check(&mut self, what: &str, name: &str, standing: &[u8], fault: Option<&str>) {
        let bench = &self.bench;
        let target = format!("web{}", self.targets);
        self.targets += 1;
        let (path, place) = (format!("crl/{name}.crl"), format!("{target}/crl/{name}.crl"));
        fs::create_dir_all(bench.home(&format!("{target}/crl"))).unwrap();
        bench.write(&place, standing);
        let daemon = publisher_of(bench, &self.authorities, &web(&target));
        daemon.deliver();
        if let Some(fault) = fault {
            assert_eq!(at(bench, &place), standing, "{what}");
            let waiting = waiting(bench, &target, &path);
            let error = waiting["error"].as_str().unwrap();
            assert!(error.contains(fault) && waiting["refused"] == true, "{what}: {waiting}");
            assert_eq!(
                bench.alarms(&daemon),
                [format!("target {target}: a target does not take a CRL")],
                "{what}"
            );
            fs::remove_file(bench.home(&place)).unwrap();
            bench.clock.advance(10);
            daemon.deliver();
        }
        for name in [FULL, DELTA_CRL, PART, "issuing-1-of-2", "successor"] {
            assert_eq!(
                at(bench, &format!("{target}/crl/{name}.crl")),
                self.published(name),
                "{what}: {name}"
            );
        }
        assert_eq!(bench.alarms(&daemon), [""; 0], "{what}");
    }
}

#[test]
fn another_scope_stays_and_is_told() {
    let mut setup = Setup::new();
    let reasons = CrlScope::Reasons(BTreeSet::from([ReasonCode::KeyCompromise]));
    let shard = |index| CrlScope::Shard(Shard::new(index, 2).unwrap());
    let here = "http://a.test/crl/issuing.crl";
    let part = "http://a.test/crl/issuing-0-of-2.crl";
    let delta = |setup: &Setup, scope: Option<IssuingDistributionPoint>| {
        setup.higher(|params| (params.base, params.scope) = (Some(1.into()), scope))
    };
    let whole = "a full CRL of everything";
    for (what, name, standing, fault) in [
        (
            "that of a part",
            FULL,
            setup.published(PART),
            "a full CRL of [http://a.test/crl/issuing-0-of-2.crl], not a",
        ),
        ("that of users", FULL, setup.scoped(&CrlScope::Users, here), "only certificates of users"),
        ("that of authorities", FULL, setup.scoped(&CrlScope::Authorities, here), "of authorities"),
        ("that of some reasons", FULL, setup.scoped(&reasons, here), "only some reasons"),
        ("a delta CRL", FULL, setup.published(DELTA_CRL), "a delta CRL of everything, not a full"),
        ("a newer delta CRL", FULL, delta(&setup, None), "a delta CRL of everything, not a full"),
        ("that of everything", PART, setup.published(FULL), whole),
        ("a newer one of everything", PART, setup.higher(|_| {}), whole),
        ("that of another part", PART, setup.published("issuing-1-of-2"), "issuing-1-of-2.crl], not a full"),
        (
            "that of another place",
            PART,
            setup.scoped(&shard(0), "http://b.test/x.crl"),
            "http://b.test/x.crl",
        ),
        ("that of the part's users", PART, setup.scoped(&CrlScope::Users, part), "users], not a full"),
        ("the part's delta CRL", PART, setup.published("issuing-0-of-2-delta"), "a delta CRL of [http"),
        ("a full CRL", DELTA_CRL, setup.published(FULL), "a full CRL of everything, not a delta"),
        ("a newer full CRL", DELTA_CRL, setup.higher(|_| {}), "a full CRL of everything, not a delta"),
        ("a part's delta CRL", DELTA_CRL, setup.published("issuing-0-of-2-delta"), "a delta CRL of [http"),
    ] {
        setup.check(what, name, &standing, Some(fault));
    }
}

#[test]
fn a_newer_one_stays_and_is_told() {
    let mut setup = Setup::new();
    let soon_over = setup.bench.make_crl(&setup.bench.ca, HIGHER, 30);
    let point = CrlScope::Shard(Shard::new(0, 2).unwrap())
        .point(Some("http://a.test/crl/issuing-0-of-2.crl"))
        .unwrap();
    let newer_delta = setup.higher(|params| params.base = Some(1.into()));
    let newer_part = setup.higher(|params| params.scope = point);
    let newer = setup.higher(|_| {});
    let number = setup.bench.now().as_unix();
    let twin = setup.bench.make_crl(&setup.bench.ca, number, DAY);
    setup.bench.clock.advance(60);
    for (what, name, standing) in [
        ("a newer one", FULL, newer),
        ("one with the same number and other content", FULL, twin),
        ("an expired newer one", FULL, soon_over),
        ("a newer one of the part", PART, newer_part),
        ("a newer delta CRL", DELTA_CRL, newer_delta),
    ] {
        setup.check(what, name, &standing, Some("which is not older than"));
    }
}

#[test]
fn what_is_of_others_or_not_understood_stays_and_is_told() {
    let mut setup = Setup::new();
    let point = IssuingDistributionPoint {
        distribution_point: None,
        only_contains_user_certs: false,
        only_contains_ca_certs: false,
        only_some_reasons: None,
        indirect_crl: true,
        only_contains_attribute_certs: false,
    };
    let critical = |oid: &str, value: Vec<u8>| Extension {
        extn_id: oid.parse().unwrap(),
        critical: true,
        extn_value: OctetString::new(value).unwrap(),
    };
    let indirect = setup.extended(critical("2.5.29.28", point.to_der().unwrap()));
    let unknown = setup.extended(critical("1.3.6.1.4.1.55555.9", vec![5, 0]));
    let foreign = setup.bench.make_crl(&setup.bench.root, 1, DAY);
    let successor = setup.bench.make_crl(&setup.successor, 1, DAY);
    for (what, standing, fault) in [
        ("one of another authority", foreign, "a CRL of CN=Root CA,O=Example,C=DE stands there"),
        (
            "one of an authority of the same name",
            successor,
            "a CRL of successor stands there, which has another key",
        ),
        ("an indirect CRL", indirect, "indirect CRLs are not supported"),
        ("one with an unknown critical extension", unknown, "1.3.6.1.4.1.55555.9"),
    ] {
        for name in [FULL, DELTA_CRL, PART] {
            setup.check(what, name, &standing, Some(fault));
        }
    }
}

#[test]
fn what_nobody_can_rely_upon_is_replaced() {
    let mut setup = Setup::new();
    let bench = &setup.bench;
    // Whoever can write there must not be able to keep ours away with a number.
    let namesake = bench.make_crl(&TestAuthority::new("Issuing CA"), HIGHER, DAY);
    let mut forged = setup.higher(|_| {});
    *forged.last_mut().unwrap() ^= 1;
    let older = bench.make_crl(&bench.ca, 4, DAY);
    let expired = bench.make_crl(&bench.ca, 4, 30);
    let certificate = bench.ca.authority.der.clone();
    bench.clock.advance(60);
    for (what, standing) in [
        ("an older one", older),
        ("an expired older one", expired),
        ("one of another key under the same name", namesake),
        ("a forged one", forged),
        ("a certificate", certificate),
        ("text", b"nothing".to_vec()),
        ("nothing", Vec::new()),
    ] {
        setup.check(what, FULL, &standing, None);
    }
}

/// What was delivered once and has been replaced by somebody since is noticed at the next look.
#[test]
fn what_takes_the_place_of_a_delivered_one_is_told() {
    let setup = Setup::new();
    let bench = &setup.bench;
    fs::create_dir(bench.home("web")).unwrap();
    let daemon = publisher_of(bench, &setup.authorities, &web("web"));
    daemon.deliver();
    assert_eq!(at(bench, "web/crl/issuing-0-of-2.crl"), setup.published(PART));
    bench.write("web/crl/issuing-0-of-2.crl", &setup.published(FULL));
    bench.clock.advance(3_600);
    daemon.deliver();
    assert_eq!(at(bench, "web/crl/issuing-0-of-2.crl"), setup.published(FULL));
    assert_eq!(bench.alarms(&daemon), ["target web: a target does not take a CRL"]);
    // Nor is it forgotten by a restart.
    let daemon = publisher_of(bench, &setup.authorities, &web("web"));
    assert_eq!(bench.alarms(&daemon), ["target web: a target does not take a CRL"]);
}
