//! A disk that fails at every step of an issuance.

use std::cell::RefCell;
use std::fs;
use std::io::ErrorKind;

use ca_core::Wait;
use ca_core::domain::KeyAlgorithm;
use ca_core::files::fault::{self, Failure};
use ca_core::issue::{Output, SubjectKey};
use ca_core::signing::SoftwareKey;

use crate::common::{Fixture, PATIENCE};

/// A certificate that exists has its key on disk; one that does not leaves nothing.
#[test]
fn no_certificate_without_its_key_and_no_key_without_its_certificate() {
    let fixture = Fixture::with_authorities();
    let issuer = fixture.unlock("issuing");
    let mut unknown = 0;
    let mut issued = false;
    for step in 0..200 {
        let dir = fixture.path(&format!("out-{step}"));
        fs::create_dir(&dir).unwrap();
        let outputs = [
            Output::PrivateKey { path: dir.join("key.pem"), replace: false },
            Output::Certificate { path: dir.join("cert.pem"), replace: false },
        ];
        let before = fixture.size();
        let key = SubjectKey::Generate(Some(KeyAlgorithm::P256));
        fault::arm(step, Failure::Once(ErrorKind::StorageFull));
        let result = fixture.issue(&issuer, "alice@example.test", key, &outputs);
        fault::disarm();
        let left: Vec<_> = fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path()).collect();
        if fixture.size() == before {
            assert!(result.is_err(), "step {step}");
            assert_eq!(left, Vec::<std::path::PathBuf>::new(), "step {step}: nothing was issued");
            continue;
        }
        let is_key = |text: &String| SoftwareKey::from_pem(text, None).is_ok();
        let keys = left.iter().map(|path| fs::read_to_string(path).unwrap()).filter(is_key).count();
        assert_eq!(keys, 1, "step {step}: {left:?}");
        match result {
            // What can fail without harm: removing a file that is not there.
            Ok(_) if fs::metadata(dir.join("key.pem")).is_ok() => {
                issued = true;
                if step > 60 {
                    break;
                }
            }
            Ok(_) => panic!("step {step}: no key where it was promised"),
            Err(error) => unknown += usize::from(error.to_string().contains("unknown whether")),
        }
    }
    assert!(issued);
    assert_eq!(unknown, 1, "only the last fsync of the commit leaves it open");
}

/// What a killed command leaves beside its targets is told if it was issued, and
/// removed if it was not.
#[test]
fn the_next_command_looks_after_what_a_killed_one_left() {
    let fixture = Fixture::with_authorities();
    let issuer = fixture.unlock("issuing");
    let (mut removed, mut told) = (0, 0);
    for step in 0..200 {
        let dir = fixture.path(&format!("out-{step}"));
        fs::create_dir(&dir).unwrap();
        let key = || SubjectKey::Generate(Some(KeyAlgorithm::P256));
        let outputs = [
            Output::PrivateKey { path: dir.join("key.pem"), replace: true },
            Output::Certificate { path: dir.join("cert.pem"), replace: true },
        ];
        let before = fixture.size();
        fault::arm(step, Failure::Crash);
        let result = fixture.issue(&issuer, "alice@example.test", key(), &outputs);
        fault::disarm();
        if result.is_ok() {
            break;
        }
        let left = |named: bool| {
            let entries = fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().file_name());
            entries.filter(|name| name.to_str().unwrap().starts_with('.') != named).count()
        };
        let (committed, waiting) = (fixture.size() > before, left(false));
        let said = RefCell::new(Vec::new());
        let warn = |text: &str| said.borrow_mut().push(text.to_owned());
        let wait = Wait { warn: &warn, ..Wait::quiet(PATIENCE, "test") };
        fixture.issue_waiting(&issuer, "alice@example.test", key(), &outputs, &wait).unwrap();
        let said = said.into_inner();
        let of = |word: &str| said.iter().filter(|text| text.contains(word)).count();
        let expected = if committed { (0, waiting) } else { (waiting, 0) };
        assert_eq!((of("removed "), of("rename the file")), expected, "step {step}: {said:?}");
        assert_eq!((left(false), left(true)), (expected.1, 2), "step {step}");
        removed += expected.0;
        told += expected.1;
    }
    assert!(removed > 0 && told > 0, "{removed} were removed, {told} told");
}
