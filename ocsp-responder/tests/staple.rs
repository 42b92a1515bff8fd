//! Staples: files that are always an answer that servers can hand on.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;

use ca_domain::{ReasonCode, SerialNumber, Timestamp};
use ca_ledger::EntryKind;
use ca_service::fixture::TestAuthority;
use ca_service::fixture::client::eventually;
use ca_status::ocsp::{CertHash, OcspView, ViewState, ViewStatus};
use common::{Bench, DAY};

const HALF: u64 = DAY / 2;

/// A responder with one staple, `mail.ocsp` for `mail.pem`.
struct Server {
    bench: Bench,
    serial: SerialNumber,
}

impl Server {
    fn new(more: &str) -> Self {
        let mut bench = Bench::idle();
        let serial = bench.issue();
        bench.write("mail.pem", bench.ca.server(&serial).as_bytes());
        bench.start(&format!("staples:\n  - certificate: mail.pem\n    out: mail.ocsp\n{more}"));
        Self { bench, serial }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.bench.ledger.home().join(name)
    }

    /// What the file says about a certificate, verified; none while it says nothing.
    fn says(&self, serial: &SerialNumber) -> Option<ViewStatus> {
        let bytes = fs::read(self.path("mail.ocsp")).ok()?;
        let now = self.bench.now();
        let view = OcspView::parse_and_verify(&bytes, &self.bench.ca.authority.certificate, now).unwrap();
        view.status(&self.bench.cert_id(CertHash::Sha1, serial))
    }

    fn wait_for(&self, what: &str, wanted: impl Fn(ViewStatus) -> bool) -> ViewStatus {
        eventually(what, || self.says(&self.serial).filter(|status| wanted(*status)))
    }

    fn inode(&self) -> u64 {
        fs::metadata(self.path("mail.ocsp")).unwrap().ino()
    }
}

fn is_revoked(status: ViewStatus) -> bool {
    matches!(status.state, ViewState::Revoked { reason: ReasonCode::KeyCompromise, .. })
}

#[test]
fn written_at_the_start_and_at_each_change_of_status() {
    let mut server = Server::new("");
    let first = server.wait_for("the staple", |status| status.state == ViewState::Good);
    assert_eq!(first.this_update, server.bench.now());
    let mode = fs::metadata(server.path("mail.ocsp")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o644);
    // What clients get over HTTP is the very same.
    let asked = server.bench.post(&server.bench.request(&server.serial));
    assert_eq!(asked.body, fs::read(server.path("mail.ocsp")).unwrap());

    // The status of others is none of its business.
    let inode = server.inode();
    let (other, authority) = (server.bench.issue(), server.bench.ca.id());
    let now = server.bench.now();
    server.bench.ledger.revoke(authority, other, ReasonCode::Superseded, now);
    server.bench.wait_for_state(&other, |state| state != ViewState::Good);

    server.bench.clock.advance(10);
    let now = server.bench.now();
    server.bench.ledger.append(EntryKind::Held, authority, server.serial, None, now);
    server.wait_for("the hold", |status| matches!(status.state, ViewState::Revoked { .. }));
    assert_ne!(server.inode(), inode);
    server.bench.ledger.append(EntryKind::Released, authority, server.serial, None, now);
    server.wait_for("the release", |status| status.state == ViewState::Good);
    server.bench.ledger.revoke(authority, server.serial, ReasonCode::KeyCompromise, now);
    server.wait_for("the revocation", is_revoked);
}

#[test]
fn renewed_at_half_its_life_and_not_before() {
    let mut server = Server::new("response_validity: 24h\n");
    let first = server.wait_for("the staple", |_| true);
    let start = first.this_update;
    server.bench.clock.set(start.saturating_add(HALF - 1));
    let authority = server.bench.ca.id();
    // A revocation of another certificate makes it look, and it leaves the file as it is.
    let other = server.bench.issue();
    let now = server.bench.now();
    server.bench.ledger.revoke(authority, other, ReasonCode::Superseded, now);
    server.bench.wait_for_state(&other, |state| state != ViewState::Good);
    assert_eq!(server.says(&server.serial), Some(first));
    // From its half life on it is renewed as soon as the responder signs a new one.
    server.bench.clock.set(start.saturating_add(DAY - 8 * 3_600));
    let next = server.wait_for("the next staple", |status| status.this_update != start);
    assert_eq!(next.this_update, start.saturating_add(DAY - 8 * 3_600));
}

#[test]
fn nothing_bad_replaces_a_staple() {
    let mut server = Server::new("max_checkpoint_age: 8d\nresponse_validity: 10d\n");
    let first = server.wait_for("the staple", |_| true);
    // The ledger is silent for too long: clients get tryLater, the server keeps its answer.
    server.bench.clock.advance(8 * DAY + 1);
    eventually("the alarm", || server.bench.health().1.contains("no new answer for a staple").then_some(()));
    assert_eq!(server.says(&server.serial), Some(first));
    let now = server.bench.now();
    server.bench.ledger.heartbeat(now);
    server.wait_for("the next staple", |status| status.this_update == now);
    eventually("health", || (server.bench.health().0 == 200).then_some(()));
    // Damaged or removed by somebody: put right.
    server.bench.write("mail.ocsp", b"damaged");
    eventually("the repair", || (fs::read(server.path("mail.ocsp")).unwrap() != b"damaged").then_some(()));
    server.wait_for("the staple", |_| true);
    fs::remove_file(server.path("mail.ocsp")).unwrap();
    server.wait_for("the staple", |_| true);
}

#[test]
fn a_replaced_certificate_gets_its_own() {
    let mut server = Server::new("");
    server.wait_for("the staple", |_| true);
    let next = server.bench.issue();
    // One of a stranger is refused, and the old staple stays.
    let stranger = TestAuthority::new("Issuing CA");
    server.bench.write("mail.pem", stranger.server(&next).as_bytes());
    eventually("the alarm", || {
        server.bench.health().1.contains("staple mail.ocsp: the certificate of a staple").then_some(())
    });
    assert!(server.says(&server.serial).is_some());
    server.bench.write("mail.pem", server.bench.ca.server(&next).as_bytes());
    eventually("the new staple", || server.says(&next));
    assert_eq!(server.says(&server.serial), None);
    eventually("health", || (server.bench.health().0 == 200).then_some(()));
}

#[test]
fn the_server_is_told_until_it_has_heard() {
    let script = "cat $CHANGED_FILE > told.new && test -e ready && mv told.new told";
    let mut server = Server::new(&format!(
        "    mode: 0640\n    reload: [/bin/sh, -c, 'cd $(dirname $CHANGED_FILE) && {script}']\n"
    ));
    server.wait_for("the staple", |_| true);
    let mode = fs::metadata(server.path("mail.ocsp")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o640);
    let alarm = "the command that tells a server of its staple fails";
    eventually("the alarm", || server.bench.health().1.contains(alarm).then_some(()));
    // Answers and files go on meanwhile.
    assert_eq!(server.bench.state(&server.serial), ViewState::Good);
    let (authority, now) = (server.bench.ca.id(), server.bench.now());
    server.bench.ledger.revoke(authority, server.serial, ReasonCode::KeyCompromise, now);
    server.wait_for("the revocation", is_revoked);
    // Even after a restart.
    server.bench.start("staples:\n  - certificate: mail.pem\n    out: mail.ocsp\n    reload: [/bin/sh, -c, 'cp $CHANGED_FILE $(dirname $CHANGED_FILE)/told']\n");
    eventually("the command", || {
        (fs::read(server.path("told")).ok()? == fs::read(server.path("mail.ocsp")).unwrap()).then_some(())
    });
    eventually("health", || (server.bench.health().0 == 200).then_some(()));
}

#[test]
fn a_command_that_hangs_delays_nothing() {
    let mut server = Server::new("    reload: [sleep, '600']\n");
    server.wait_for("the staple", |_| true);
    let (authority, now) = (server.bench.ca.id(), server.bench.now());
    server.bench.ledger.revoke(authority, server.serial, ReasonCode::KeyCompromise, now);
    server.wait_for("the revocation", is_revoked);
    server.bench.stop();
}

#[test]
fn a_clock_that_was_wrong_leaves_nothing_behind() {
    let server = Server::new("");
    let first = server.wait_for("the staple", |_| true);
    let back: Timestamp = first.this_update.saturating_sub(3_600);
    server.bench.clock.set(back);
    server.wait_for("the staple of now", |status| status.this_update == back);
}
