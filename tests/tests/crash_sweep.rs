//! `ca issue` and `ca revoke` stopped, or failed by the disk, at every call
//! with which they change a file: nothing acknowledged is lost, and every
//! later command works without repair.

use chancery_tests::inject::{self, CALLS, Fault};
use chancery_tests::{Home, Outcome, Tool, openssl};
use std::collections::BTreeSet;

/// A command under test.
#[derive(Clone, Copy)]
enum Act {
    Issue,
    Revoke,
}

impl Act {
    fn command(self, home: &Home) -> Tool {
        match self {
            Self::Issue => {
                home.issue_csr("smime-signing", "carol@example.test", &home.path("carol.csr"), "carol")
            }
            Self::Revoke => home.ca("--json revoke --email alice@example.test --reason superseded --yes"),
        }
    }

    /// A command that does something like it, on other objects.
    fn next(self, home: &Home) -> Tool {
        match self {
            Self::Issue => {
                home.issue_csr("smime-signing", "dave@example.test", &home.path("dave.csr"), "dave")
            }
            Self::Revoke => home.ca("revoke --email bob@example.test --reason superseded --yes"),
        }
    }
}

/// What the authority knows: each serial number with its state.
fn known(home: &Home) -> BTreeSet<(String, String)> {
    let text = chancery_tests::home::text;
    home.list("").iter().map(|row| (text(row, "serial"), text(row, "state"))).collect()
}

/// Requires that a home is sound: its ledger verifies, and what was
/// acknowledged before is there. Returns what is known now.
fn sound(
    home: &Home,
    before: &BTreeSet<(String, String)>,
    act: Act,
    context: &str,
) -> BTreeSet<(String, String)> {
    home.ca("ledger verify").run().ok_in(context);
    let now = known(home);
    let serials =
        |known: &BTreeSet<(String, String)>| known.iter().map(|(serial, _)| serial.clone()).collect();
    let (old, new): (BTreeSet<String>, BTreeSet<String>) = (serials(before), serials(&now));
    assert!(old.is_subset(&new), "{context}: a certificate is lost: {old:?} {new:?}");
    let at_most = old.len() + usize::from(matches!(act, Act::Issue));
    assert!(new.len() <= at_most, "{context}: more certificates than were issued: {new:?}");
    let changed = before.iter().filter(|known| !now.contains(*known)).count();
    assert!(
        changed <= usize::from(matches!(act, Act::Revoke)),
        "{context}: states changed: {before:?} {now:?}"
    );
    now
}

trait InContext {
    fn ok_in(self, context: &str) -> Outcome;
}

impl InContext for Outcome {
    #[track_caller]
    fn ok_in(self, context: &str) -> Outcome {
        assert_eq!(self.code, Some(0), "{context}\n{}", self.transcript());
        self
    }
}

fn prepared() -> Home {
    let home = Home::prepared();
    for person in ["carol", "dave"] {
        openssl::csr(&home, person, openssl::Key::P256);
    }
    home
}

/// Runs the act with a fault at every call in turn, each time in a fresh copy.
fn sweep(act: Act, fault: Fault, mut check: impl FnMut(&Home, &Outcome, &BTreeSet<(String, String)>, &str)) {
    let original = prepared();
    let before = known(&original);
    let mut points = 0;
    for call in CALLS {
        for nth in 1.. {
            let home = original.copy();
            let outcome = act.command(&home).under(inject::strace(call, nth, fault, "trace")).run();
            let context = format!("{fault:?} at {call} number {nth}");
            if !inject::happened(&home.path("trace")) && outcome.signal.is_none() {
                outcome.ok_in(&context);
                break;
            }
            check(&home, &outcome, &before, &context);
            points += 1;
            assert!(nth < 5_000, "the command never completes");
        }
    }
    println!("{points} points");
    assert!(points >= 15, "only {points} calls were met: is strace at work?");
}

fn killed(act: Act) {
    sweep(act, Fault::Kill, |home, outcome, before, context| {
        assert_eq!(outcome.signal, Some(9), "{context}\n{}", outcome.transcript());
        let now = sound(home, before, act, context);
        // Nothing leaves the process before the commit.
        let certificate = std::fs::read_to_string(home.path("carol.crt")).unwrap_or_default();
        if certificate.contains("-----END CERTIFICATE-----") {
            let serial = openssl::serial(&home.path("carol.crt")).to_lowercase();
            let issued = now.iter().any(|(known, _)| *known == serial);
            assert!(issued, "{context}: a certificate is out that the ledger does not have");
        }
        act.next(home).run().ok_in(context);
        home.ca("ledger verify").run().ok_in(context);
        assert!(known(home).len() >= now.len(), "{context}");
    });
}

fn failed(act: Act, fault: Fault) {
    // Between the rename that commits and the fsync that makes it last, nobody
    // can know what a failing disk keeps: the error has to say so. That is one
    // call, no more.
    let mut unknown = 0;
    sweep(act, fault, |home, outcome, before, context| {
        if inject::met_a_stream(&home.path("trace")) {
            sound(home, before, act, context);
            return;
        }
        let now = sound(home, before, act, context);
        match outcome.code {
            Some(1) if outcome.stderr.contains("unknown whether") => {
                unknown += 1;
                assert!(
                    !outcome.stderr.contains("nothing was changed"),
                    "{context}\n{}",
                    outcome.transcript()
                );
            }
            // Issued, but the file could not be put where it was wanted: the
            // error names the certificate, and `ca cert export` has it.
            Some(1) if outcome.stderr.contains("stands in the ledger") => {
                let named = now.iter().find(|(serial, _)| outcome.stderr.contains(serial));
                assert!(
                    named.is_some_and(|new| !before.contains(new)),
                    "{context}\n{}",
                    outcome.transcript()
                );
                assert!(
                    !outcome.stderr.contains("nothing was changed"),
                    "{context}\n{}",
                    outcome.transcript()
                );
            }
            // What failed was not needed (the index is rebuilt): then the act is done.
            Some(0) => {
                assert_ne!(&now, before, "{context}: reported as done, but is not\n{}", outcome.transcript())
            }
            Some(1) => {
                assert_eq!(
                    &now,
                    before,
                    "{context}: failed, but something changed\n{}",
                    outcome.transcript()
                );
                assert!(
                    outcome.stderr.contains("error"),
                    "{context}: no clear error\n{}",
                    outcome.transcript()
                );
            }
            _ => panic!("{context}: {}", outcome.transcript()),
        }
        // Opening no key, this is quick; after a kill the act itself is repeated.
        Act::Revoke.next(home).run().ok_in(context);
        home.ca("ledger verify").run().ok_in(context);
    });
    assert!(unknown <= 1, "{unknown} calls after which the state is unknown");
}

#[test]
fn issue_killed_at_every_call() {
    killed(Act::Issue);
}

#[test]
fn revoke_killed_at_every_call() {
    killed(Act::Revoke);
}

#[test]
fn issue_on_a_full_disk() {
    failed(Act::Issue, Fault::NoSpace);
}

#[test]
fn revoke_on_a_full_disk() {
    failed(Act::Revoke, Fault::NoSpace);
}

#[test]
fn issue_on_a_failing_disk() {
    failed(Act::Issue, Fault::InputOutputError);
}

#[test]
fn revoke_on_a_failing_disk() {
    failed(Act::Revoke, Fault::InputOutputError);
}
