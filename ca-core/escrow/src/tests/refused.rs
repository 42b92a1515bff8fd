//! What recovers nothing, and what the error says.

use serde_json::Value;

use super::*;

fn refusal(case: &Case, contributions: &[(String, Vec<u8>)]) -> String {
    case.recover(contributions).unwrap_err().to_string()
}

/// Changes one string in a JSON file.
fn edit(bytes: &[u8], pointer: &str, change: impl FnOnce(&str) -> String) -> Vec<u8> {
    let mut value: Value = serde_json::from_slice(bytes).unwrap();
    let place = value.pointer_mut(pointer).unwrap();
    *place = change(place.as_str().unwrap()).into();
    serde_json::to_vec(&value).unwrap()
}

/// Another base64 character somewhere near the end, in the encrypted content.
fn flip(text: &str) -> String {
    let at = text.len() - 20;
    let other = if text.as_bytes()[at] == b'A' { "B" } else { "A" };
    format!("{}{other}{}", &text[..at], &text[at + 1..])
}

#[test]
fn fewer_agents_than_needed() {
    let case = Case::new();
    assert!(refusal(&case, &[]).contains("needs 2 agents and 0"));
    let error = refusal(&case, &[case.from(1)]);
    assert!(error.contains("certificate 03 needs 2 agents and 1") && error.contains("carla"), "{error}");
    let error = refusal(&case, &[case.from(1), case.from(1)]);
    assert!(error.contains("bert contributed already"), "{error}");
}

#[test]
fn a_key_that_is_no_agents() {
    let case = Case::new();
    let error = contribute(&case.request, key(4)).unwrap_err();
    assert!(matches!(&error, EscrowError::NotAnAgent { .. }), "{error}");
    assert!(error.to_string().contains("anna, bert, carla"), "{error}");
    // Claiming to be one does not help: the share does not open.
    let mut request = case.request.clone();
    request.keys[0].shares[1].agent_key = ca_domain::SpkiHash::of_der(key(4).public_key_der());
    let error = contribute(&request, key(4)).unwrap_err().to_string();
    assert!(error.contains("the share of bert") && error.contains("does not open"), "{error}");
    let ec = SoftwareKey::generate(KeyAlgorithm::P256).unwrap();
    assert!(contribute(&case.request, &ec).is_err());
}

#[test]
fn a_contribution_that_was_changed() {
    let case = Case::new();
    let (file, bytes) = case.from(0);
    let changed = (file.clone(), edit(&bytes, "/envelope", flip));
    let error = refusal(&case, &[changed, case.from(1)]);
    assert!(error.starts_with("share-0: it was changed"), "{error}");
    let renamed = (file, edit(&bytes, "/agentKey", |_| key_hash(1)));
    let error = refusal(&case, &[renamed, case.from(2)]);
    assert!(error.starts_with("share-0: it was changed"), "{error}");
}

fn key_hash(number: usize) -> String {
    ca_domain::SpkiHash::of_der(key(number).public_key_der()).to_string()
}

#[test]
fn a_share_in_the_request_that_was_changed() {
    let case = Case::new();
    let bytes = case.request.to_bytes().unwrap();
    let changed = edit(&bytes, "/keys/1/shares/0/envelope", flip);
    let changed = RecoveryRequest::from_bytes(&changed).unwrap();
    let error = contribute(&changed, key(0)).unwrap_err().to_string();
    assert!(error.contains("the share of anna in the request: it was changed"), "{error}");
    // The others are not touched by it.
    contribute(&changed, key(1)).unwrap();
}

#[test]
fn a_share_of_another_set_or_agent() {
    let case = Case::new();
    // Dishonest agents: they give other shares of theirs in place of the wanted ones.
    let mut swapped = case.request.clone();
    let (one, two) = (swapped.keys[0].shares.clone(), swapped.keys[1].shares.clone());
    swapped.keys[0].shares = two;
    swapped.keys[1].shares = one;
    let bytes = contribute(&swapped, key(0)).unwrap().to_bytes().unwrap();
    let error = refusal(&case, &[("theirs".into(), bytes), case.from(1)]);
    assert!(error.starts_with("theirs: the share of anna belongs to another key"), "{error}");

    let unasked = Case::of(&[sealed(3, 9)]);
    let mut other = case.request.clone();
    other.keys = unasked.request.keys.clone();
    let bytes = contribute(&other, key(0)).unwrap().to_bytes().unwrap();
    let error = refusal(&case, &[("theirs".into(), bytes), case.from(1)]);
    assert!(error.starts_with("theirs: it has a share of a key that was not asked for"), "{error}");
}

#[test]
fn a_contribution_to_another_request() {
    let (case, old) = (Case::new(), Case::new());
    let error = refusal(&case, &[old.from(0), case.from(1)]);
    assert!(error.contains("share-0: it answers request"), "{error}");
    // With the identifier changed by hand the inner one tells.
    let (file, bytes) = old.from(0);
    let forged = (file, edit(&bytes, "/request", |_| case.request.id.clone()));
    let error = refusal(&case, &[forged, case.from(1)]);
    assert!(error.starts_with("share-0: it was made for another request"), "{error}");
    // Another request has another key as a rule.
    let error = recover(&case.request, &case.archives, key(0), &[case.from(0)]).unwrap_err().to_string();
    assert!(error.starts_with("share-0: it was changed, or sealed for another request"), "{error}");
}

#[test]
fn an_archive_that_was_changed() {
    let (_outer, dir) = escrow_dir();
    let sealed = sealed(3, 3);
    let path = stage(&dir, &sealed).unwrap().publish().unwrap();
    let size = sealed.blob.len();
    for at in [size / 5, size / 3, size / 2, size - 1] {
        let mut changed = sealed.blob.clone();
        changed[at] ^= 1;
        std::fs::write(&path, changed).unwrap();
        let error = Archive::load(&dir, &sealed.sha256).unwrap_err();
        assert!(matches!(error, EscrowError::ArchiveChanged { .. }), "{error}");
    }
    std::fs::remove_file(&path).unwrap();
    assert!(Archive::load(&dir, &sealed.sha256).is_err());
}

/// Even without the hash in the ledger, a changed archive gives no other key.
#[test]
fn an_archive_that_was_changed_opens_no_other_key() {
    let sealed = sealed(3, 3);
    let honest = Case::of(std::slice::from_ref(&sealed));
    let contributions = [honest.from(0), honest.from(1)];
    let mut seen = 0;
    for at in (0..sealed.blob.len()).step_by(97) {
        let mut changed = sealed.blob.clone();
        changed[at] ^= 0x10;
        let Ok(mut archive) = Archive::from_bytes(&changed) else { continue };
        archive.sha256 = sealed.sha256;
        let outcome = recover(&honest.request, &[archive], honest.recovery_key, &contributions);
        seen += 1;
        // Where the change hit what is not used (a name, the third share), the key is the true one.
        if let Ok(recovered) = outcome {
            assert_eq!(recovered.keys[0].key.pkcs8_der(), key(3).pkcs8_der(), "byte {at}");
        }
    }
    assert!(seen > 10, "{seen}");
}

#[test]
fn keys_that_sign() {
    let cases = [
        (None, "no key usage"),
        (Some(KeyUsages::DigitalSignature.into()), "allows signatures"),
        (Some(KeyUsages::DigitalSignature | KeyUsages::KeyEncipherment), "allows signatures"),
        (Some(KeyUsages::NonRepudiation | KeyUsages::KeyEncipherment), "allows signatures"),
        (Some(KeyUsages::EncipherOnly.into()), "does not allow encryption"),
    ];
    for (usage, why) in cases {
        let error = seal(&policy(), key(3), &certificate(key(3), "dora", 3, usage)).unwrap_err();
        assert!(error.to_string().contains(why), "{error}");
    }
    let other = certificate(key(4), "dora", 3, Some(KeyUsages::KeyEncipherment.into()));
    assert!(seal(&policy(), key(3), &other).unwrap_err().to_string().contains("another key"));
}

#[test]
fn certificates_that_are_no_agents() {
    let ec = SoftwareKey::generate(KeyAlgorithm::P256).unwrap();
    let usage = Some(KeyUsages::KeyAgreement.into());
    let error = Agent::new("anna", certificate(&ec, "anna", 1, usage)).unwrap_err().to_string();
    assert!(error.contains("not RSA"), "{error}");
    let signs = Some(KeyUsages::DigitalSignature.into());
    let error = Agent::new("anna", certificate(key(0), "anna", 1, signs)).unwrap_err().to_string();
    assert!(error.contains("keyEncipherment"), "{error}");
    Agent::new("anna", certificate(key(0), "anna", 1, None)).unwrap();
    for name in ["", "Anna", "../anna", "a/b", "1st"] {
        assert!(Agent::new(name, certificate(key(0), "anna", 1, None)).is_err(), "{name}");
    }
}

#[test]
fn junk_is_refused_without_a_panic() {
    let case = Case::new();
    let sealed = sealed(3, 3);
    for length in (0..sealed.blob.len()).step_by(131) {
        assert!(Archive::from_bytes(&sealed.blob[..length]).is_err());
    }
    let (_, contribution) = case.from(0);
    for junk in [&b""[..], b"{}", b"[]", &contribution[..200]] {
        assert!(RecoveryRequest::from_bytes(junk).is_err());
        let error = refusal(&case, &[("junk".into(), junk.to_vec())]);
        assert!(error.starts_with("junk: "), "{error}");
    }
    let bad = edit(&case.request.to_bytes().unwrap(), "/id", |_| "../../etc/passwd".into());
    assert!(RecoveryRequest::from_bytes(&bad).is_err());
}
