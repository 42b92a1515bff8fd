use ca_ledger::{InclusionProof, LedgerKey, LedgerReader};

use crate::common::{Home, ORIGIN, entry, vkey};

#[test]
fn proofs_prove_and_travel_as_text() {
    for size in [1, 2, 256, 257, 700] {
        let home = Home::with(&[size]);
        let reader = LedgerReader::open(&home.ledger(), &vkey()).unwrap();
        for index in [0, size / 2, size - 1] {
            let proof = reader.prove(index).unwrap();
            let text = proof.to_string();
            assert!(text.starts_with("c2sp.org/tlog-proof@v1\nextra "), "{text}");
            let again = InclusionProof::parse(&text).unwrap();
            assert_eq!(again, proof);
            let (found, checkpoint) = again.verify(&vkey()).unwrap();
            assert_eq!((found, checkpoint.size), (entry(index).entry(), size));
        }
        assert!(reader.prove(size).is_err());
    }
}

#[test]
fn a_changed_proof_proves_nothing_else() {
    let home = Home::with(&[5]);
    let reader = LedgerReader::open(&home.ledger(), &vkey()).unwrap();
    let proof = reader.prove(3).unwrap();
    let text = proof.to_string();
    for at in 0..text.len() {
        let mut bytes = text.clone().into_bytes();
        bytes[at] ^= 1;
        let Ok(changed) = String::from_utf8(bytes) else { continue };
        assert!(
            InclusionProof::parse(&changed).and_then(|proof| proof.verify(&vkey())).is_err(),
            "byte {at}"
        );
    }
    let mut longer = proof.clone();
    longer.hashes.push([0; 32]);
    let mut elsewhere = proof.clone();
    elsewhere.index = 2;
    let mut beyond = proof.clone();
    beyond.index = 5;
    for wrong in [longer, elsewhere, beyond] {
        assert!(wrong.verify(&vkey()).is_err());
    }
    let stranger = LedgerKey::from_seed(ORIGIN, &[1; 32]).unwrap();
    assert!(proof.verify(&stranger.vkey()).is_err());
    assert!(InclusionProof::parse(&text.replace("index 3", "index 03")).is_err());
}
