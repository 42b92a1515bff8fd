//! A disk that fails at every step of an issuance.

use std::fs;
use std::io::ErrorKind;

use ca_core::domain::KeyAlgorithm;
use ca_core::files::fault::{self, Failure};
use ca_core::issue::{Output, SubjectKey};
use ca_core::signing::SoftwareKey;

use crate::common::Fixture;

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
