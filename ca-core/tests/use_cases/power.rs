//! Power cuts: names whose directory was not fsynced are gone.

use std::fs;
use std::path::Path;

use ca_core::files::fault::{self, Failure};
use ca_core::issue_crl::{IssueCrl, issue_crl};
use ca_core::pair::Escrow;

use crate::common::{self, Fixture, PAIR, now, pair_files, wait};
use crate::{pairs, publishing};

/// Cuts the power at operation `step` of `act`, which writes anywhere below `fixture`. Also gives how many operations
/// there were.
fn cut<T>(fixture: &Fixture, step: u64, act: impl FnOnce() -> T) -> (T, u64) {
    fault::watch(fixture.dir.path());
    fault::arm(step, Failure::PowerCut);
    let outcome = act();
    let operations = fault::counts().operations;
    fault::disarm();
    (outcome, operations)
}

/// Never.
const NO_CUT: u64 = u64::MAX;

/// The operations from the middle to the last: the commit is late.
fn late(operations: u64) -> std::ops::Range<u64> {
    operations / 2..operations
}

/// Files in a directory, under their own or their temporary names.
fn files(dir: &Path, wanted: impl Fn(&str) -> bool) -> usize {
    let Ok(found) = fs::read_dir(dir) else { return 0 };
    found.filter(|entry| wanted(entry.as_ref().unwrap().file_name().to_str().unwrap())).count()
}

/// What the ledger has was not issued in vain: the only copy of its keys is there.
#[test]
fn keys_and_objects_survive_a_power_cut_from_the_commit_on() {
    let fixture = Fixture::with_authorities();
    publishing::configure(&fixture, publishing::CONFIG);
    let issuer = fixture.unlock("issuing");
    let pair = |name: &str, step| {
        let wanted = pair_files(&fixture, name);
        let act = || common::pair(&fixture, &issuer, "alice@example.test", PAIR, Escrow::None, &wanted);
        cut(&fixture, step, act)
    };
    let (first, operations) = pair("alice.p12", NO_CUT);
    first.unwrap();
    let (mut before, mut after) = (0, 0);
    for step in late(operations) {
        let (name, size) = (format!("alice-{step}.p12"), fixture.size());
        assert!(pair(&name, step).0.is_err() || step + 1 == operations, "step {step}");
        if fixture.size() == size {
            before += 1;
            continue;
        }
        after += 1;
        assert_eq!(files(fixture.dir.path(), |file| file.contains(&name)), 1, "step {step}");
        assert!(files(&fixture.home.root().join("smime-objects"), |_| true) > after, "step {step}");
    }
    assert!(before > 3 && after > 3, "{before} before the commit, {after} after it");
}

/// The next call of a batch completes what the ledger has.
#[test]
fn a_batch_goes_on_after_a_power_cut() {
    let fixture = Fixture::with_authorities();
    let issuer = fixture.unlock("issuing");
    let (mut before, mut after) = (0, 0);
    let mut batch = |step| {
        let out = fixture.path(&format!("out-{step}"));
        let table = format!("email\na{step}@example.test\nb{step}@example.test\n");
        let size = fixture.size();
        let (_, operations) = cut(&fixture, step, || pairs::batch(&fixture, &issuer, &table, &out));
        let counter = if fixture.size() == size { &mut before } else { &mut after };
        *counter += 1;
        let again = pairs::batch(&fixture, &issuer, &table, &out).unwrap();
        assert_eq!(again.missing, [], "step {step}");
        assert_eq!(files(&out, |file| file.ends_with(".p12")), 2, "step {step}");
        assert_eq!(fixture.size(), size + 4, "step {step}");
        operations
    };
    for step in late(batch(NO_CUT)) {
        batch(step);
    }
    assert!(before > 3 && after > 3, "{before} before the commit, {after} after it");
}

/// A number of a CRL that is used up has its CRL.
#[test]
fn a_crl_survives_a_power_cut_from_the_commit_on() {
    let fixture = Fixture::with_authorities();
    let issuer = fixture.unlock("issuing");
    let issue = |name: &str, step| {
        let out = Some(fixture.path(name));
        let request = IssueCrl { issuer: &issuer, days: 7, out, actor: "tester" };
        let size = fixture.size();
        let (_, operations) = cut(&fixture, step, || issue_crl(&fixture.home, &request, now(), &wait()));
        let committed = fixture.size() > size;
        let files = files(fixture.dir.path(), |file| file.contains(name));
        assert!(files == 1 || !committed, "{name}: {files}");
        (committed, operations)
    };
    let (_, operations) = issue("first.crl", NO_CUT);
    let committed = late(operations).filter(|step| issue(&format!("cut-{step}.crl"), *step).0).count() as u64;
    assert!(committed > 0 && committed < operations / 2, "{committed} of {operations}");
}
