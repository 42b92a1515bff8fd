//! Targets: what is taken there, what is not, and what happens when they fail.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;

use ca_domain::Timestamp;
use ca_files::fault::{self, Failure};
use ca_service::fixture::client::{self, eventually};
use ca_status::crl::CrlNumber;
use common::targets::{DELTA, ISSUING, ROOT, at, bench_with, publisher, publisher_of, waiting, web};
use common::{Bench, DAY, HOUR, told};
use crl_publisher::Daemon;

fn publish(bench: &Bench, daemon: &mut Daemon, number: u64) -> Vec<u8> {
    let crl = bench.make_crl(&bench.root, number, 90 * DAY);
    bench.write("root.crl", &crl);
    daemon.tick();
    assert_eq!(bench.root_crl().number, CrlNumber::from(number));
    crl
}

/// New CRLs come to the target `web` and are served, whatever becomes of another target.
fn others_go_on(bench: &Bench, address: std::net::SocketAddr) {
    for number in 2..=4 {
        let crl = bench.make_crl(&bench.root, number, 90 * DAY);
        bench.write("root.crl", &crl);
        eventually("the CRL at the other target", || (at(bench, "web/crl/root.crl") == crl).then_some(()));
        // A target may be faster than our own server.
        eventually("the CRL over HTTP", || (client::get(address, "/crl/root.crl").body == crl).then_some(()));
    }
}

#[test]
fn delivers_what_differs_and_only_that() {
    let bench = bench_with(&["web"]);
    let mut daemon = publisher(&bench, &web("web"));
    let first = publish(&bench, &mut daemon, 1);
    daemon.deliver();
    assert_eq!(at(&bench, "web/crl/root.crl"), first);
    assert_eq!(at(&bench, "web/ca/root.crt"), bench.root.authority.der);
    assert_eq!(fs::metadata(bench.home("web/crl/root.crl")).unwrap().permissions().mode() & 0o777, 0o644);
    assert_eq!(bench.alarms(&daemon), [""; 0]);

    let inode = |path: &str| fs::metadata(bench.home(path)).unwrap().ino();
    let before = (inode("web/crl/root.crl"), inode("web/ca/root.crt"));
    daemon.deliver();
    // Nor after a restart.
    publisher(&bench, &web("web")).deliver();
    assert_eq!((inode("web/crl/root.crl"), inode("web/ca/root.crt")), before);

    let second = publish(&bench, &mut daemon, 2);
    daemon.deliver();
    assert_eq!(at(&bench, "web/crl/root.crl"), second);
    assert_eq!(inode("web/ca/root.crt"), before.1);

    // What was lost or damaged there is noticed when it is looked at again.
    for damage in [None, Some(&first[..]), Some(b"nothing"), Some(&second[..second.len() - 1])] {
        match damage {
            None => fs::remove_file(bench.home("web/crl/root.crl")).unwrap(),
            Some(bytes) => fs::write(bench.home("web/crl/root.crl"), bytes).unwrap(),
        }
        daemon.deliver();
        assert_ne!(at(&bench, "web/crl/root.crl"), second);
        bench.clock.advance(3_600);
        daemon.deliver();
        assert_eq!(at(&bench, "web/crl/root.crl"), second);
    }
    assert_eq!(bench.alarms(&daemon), [""; 0]);
}

#[test]
fn an_older_crl_never_follows_a_newer_one() {
    let bench = bench_with(&["web"]);
    let mut daemon = publisher(&bench, &web("web"));
    publish(&bench, &mut daemon, 7);
    daemon.deliver();
    drop(daemon);
    // The published directory comes from an old backup, and the target was emptied.
    fs::remove_file(bench.published("crl/root.crl")).unwrap();
    fs::remove_file(bench.home("web/crl/root.crl")).unwrap();
    publish(&bench, &mut publisher(&bench, &web("web")), 6);
    bench.clock.advance(3_600);
    let daemon = publisher(&bench, &web("web"));
    daemon.deliver();
    assert_eq!(at(&bench, "web/crl/root.crl"), b"");
    assert_eq!(bench.alarms(&daemon), ["target web: a target does not take a CRL"]);
}

#[test]
fn an_expired_crl_is_not_sent() {
    let bench = bench_with(&["web"]);
    let mut daemon = publisher(&bench, &web("web"));
    publish(&bench, &mut daemon, 1);
    bench.clock.advance(91 * DAY);
    daemon.deliver();
    assert!(!bench.home("web/crl").exists());
    assert_eq!(bench.alarms(&daemon), [""; 0]);
}

#[test]
fn a_dead_target_gets_the_newest_when_it_is_back_and_delays_no_other() {
    let bench = bench_with(&["web"]);
    let targets = format!("{}{}", web("away"), web("web"));
    let mut daemon = publisher(&bench, &targets);
    let mut pauses = Vec::new();
    for number in 1..=3 {
        let crl = publish(&bench, &mut daemon, number);
        daemon.deliver();
        assert_eq!(at(&bench, "web/crl/root.crl"), crl);
        assert_eq!(bench.alarms(&daemon), ["target away: a target is behind"]);
    }
    // Pauses grow up to five minutes.
    for _ in 0..12 {
        let waiting = waiting(&bench, "away", "crl/root.crl");
        assert!(waiting["error"].as_str().unwrap().contains("is no directory"), "{waiting}");
        let retry = Timestamp::from_unix(waiting["retryAt"].as_u64().unwrap()).unwrap();
        pauses.push(retry.seconds_since(bench.now()));
        bench.clock.set(retry);
        daemon.deliver();
    }
    assert!(pauses[0] <= 20 && pauses[11] >= 150 && pauses.iter().all(|pause| *pause <= 300), "{pauses:?}");

    // What it is behind with is known after a restart, without asking it.
    let alarms = publisher(&bench, &targets);
    assert_eq!(bench.alarms(&alarms), ["target away: a target is behind"]);
    fs::create_dir(bench.home("away")).unwrap();
    bench.clock.advance(300);
    daemon.deliver();
    assert_eq!(told(&at(&bench, "away/crl/root.crl"), &bench.root).number, CrlNumber::from(3));
    assert_eq!(bench.alarms(&daemon), [""; 0]);
}

/// Beside an older full CRL a delta CRL would hide what only the new full CRL lists.
#[test]
fn a_delta_crl_never_comes_before_its_full_crl() {
    let mut bench = bench_with(&["web"]);
    let mut daemon = publisher_of(&bench, &format!("{ISSUING}{DELTA}"), &web("web"));
    daemon.tick();
    daemon.deliver();
    let there = bench.home("web/crl");
    let standing = |name: &str| fs::read(there.join(format!("{name}.crl"))).unwrap();
    let first = (standing("issuing"), standing("issuing-delta"));
    assert!(!first.0.is_empty() && !first.1.is_empty());

    // The full CRL is not taken: it cannot be written.
    let staging = bench.home("web/crl/.issuing.crl.tmp");
    fs::create_dir_all(staging.join("x")).unwrap();
    bench.clock.advance(25 * HOUR);
    let now = bench.now();
    bench.ledger.heartbeat(now);
    daemon.tick();
    daemon.deliver();
    assert_eq!((standing("issuing"), standing("issuing-delta")), first);
    let waiting = waiting(&bench, "web", "crl/issuing-delta.crl");
    assert!(
        waiting["error"].as_str().unwrap().contains("crl/issuing.crl there is not that yet"),
        "{waiting}"
    );
    assert_eq!(bench.alarms(&daemon), ["target web: a target is behind"]);
    fs::remove_dir_all(&staging).unwrap();
    bench.clock.advance(10);
    daemon.deliver();
    for name in ["issuing", "issuing-delta"] {
        assert_eq!(standing(name), fs::read(bench.published(&format!("crl/{name}.crl"))).unwrap());
    }
    assert_eq!(bench.alarms(&daemon), [""; 0]);
}

#[test]
fn a_choice_of_authorities_and_files() {
    let bench = bench_with(&["web", "certificates"]);
    let mut daemon = publisher_of(
        &bench,
        &format!("{ROOT}{ISSUING}"),
        "  - {name: web, directory: web, authorities: [issuing], files: crls}\n\
         \x20 - {name: certificates, directory: certificates, files: certificates}\n",
    );
    publish(&bench, &mut daemon, 1);
    daemon.deliver();
    let list = |name: &str| -> Vec<PathBuf> {
        let mut found: Vec<PathBuf> = fs::read_dir(bench.home(name))
            .unwrap()
            .flat_map(|sub| fs::read_dir(sub.unwrap().path()).unwrap())
            .map(|file| file.unwrap().path().strip_prefix(bench.home(name)).unwrap().to_owned())
            .collect();
        found.sort();
        found
    };
    assert_eq!(list("web"), [PathBuf::from("crl/issuing.crl")]);
    assert_eq!(list("certificates"), ["ca/issuing.crt", "ca/root.crt"].map(PathBuf::from));
}

/// Killed at every operation of a delivery, and with every operation failing: readers see the old
/// CRL or the new one, whole, and the next start delivers it.
#[test]
fn killed_at_every_step() {
    for failure in [Failure::Crash, Failure::Once(std::io::ErrorKind::StorageFull)] {
        let bench = bench_with(&["web"]);
        let mut old = publish(&bench, &mut publisher(&bench, &web("web")), 1);
        publisher(&bench, &web("web")).deliver();
        let mut steps = 0;
        loop {
            let new = publish(&bench, &mut publisher(&bench, &web("web")), steps + 2);
            let daemon = publisher(&bench, &web("web"));
            fault::arm(steps, failure);
            daemon.deliver();
            let reached = fault::counts().operations > steps;
            fault::disarm();
            let found = at(&bench, "web/crl/root.crl");
            assert!(found == old || found == new, "step {steps}");
            if !reached {
                assert_eq!(found, new);
                break;
            }
            // A new process, when the pause is over.
            bench.clock.advance(10);
            let daemon = publisher(&bench, &web("web"));
            daemon.deliver();
            assert_eq!(at(&bench, "web/crl/root.crl"), new, "step {steps}");
            assert_eq!(bench.alarms(&daemon), [""; 0], "step {steps}");
            let left: Vec<_> = fs::read_dir(bench.home("web/crl")).unwrap().collect();
            assert_eq!(left.len(), 1, "step {steps}: {left:?}");
            old = new;
            steps += 1;
        }
        assert!(steps > 8, "{steps} steps are too few to be all");
    }
}

#[test]
fn a_target_that_hangs_delays_nothing() {
    let bench = bench_with(&["web"]);
    let pipe = bench.home("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let hangs = format!(
        "  - {{name: hangs, command: [/bin/sh, -c, 'exec 3> {}; echo begun >&3; sleep 600'], timeout: 10m}}\n",
        pipe.display()
    );
    let mut daemon = publisher(&bench, &format!("{hangs}{}", web("web")));
    publish(&bench, &mut daemon, 1);
    let running = daemon.start(([127, 0, 0, 1], 0).into()).unwrap();
    let mut pipe = BufReader::new(File::open(pipe).unwrap());
    let mut line = String::new();
    pipe.read_line(&mut line).unwrap();
    assert_eq!(line, "begun\n", "it has begun, and will not end");
    others_go_on(&bench, running.address());
    // Nor does the end wait for it, and nothing that it started is left to write.
    running.stop();
    assert_eq!(pipe.read_line(&mut line).unwrap(), 0);
}

#[test]
fn a_directory_server_that_never_answers_delays_nothing() {
    let bench = bench_with(&["web"]);
    // It takes connections, and that is all.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    bench.private("password", b"secret");
    let ldap = format!(
        "  - name: ldap\n    ldap: {{url: 'ldap://{}', plain: true, bind_dn: cn=x, password_file: password, timeout_seconds: 600}}\n    \
         entries: [{{file: crl/root.crl, dn: cn=root}}]\n",
        silent.local_addr().unwrap()
    );
    let mut daemon = publisher(&bench, &format!("{ldap}{}", web("web")));
    publish(&bench, &mut daemon, 1);
    let running = daemon.start(([127, 0, 0, 1], 0).into()).unwrap();
    let _connection = silent.accept().unwrap();
    others_go_on(&bench, running.address());
    // Nor does the end wait for it.
    running.stop();
}
