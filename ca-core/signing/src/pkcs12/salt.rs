//! Salts that every importer can work with.

use zeroize::Zeroizing;

/// Octets of an input block of SHA-1: v of RFC 7292, appendix B.2.
const BLOCK: usize = 64;

/// Whether gpgsm derives another key than `key`, of which the first 20 octets are the first
/// output block of the key derivation with SHA-1.
///
/// Step 6C of RFC 7292, appendix B.2, adds the output to both input blocks. GnuPG (2.2.40
/// at least) drops a leading zero octet of a sum, so that the rest of the block moves. It
/// cannot import one of 64 files whose two salts were drawn without a look at this.
pub(super) fn misleads_gpgsm(salt: &[u8; 8], passphrase: &str, key: &[u8]) -> bool {
    let text: Zeroizing<Vec<u8>> =
        passphrase.encode_utf16().chain([0]).flat_map(u16::to_be_bytes).collect::<Vec<u8>>().into();
    let first = &key[..key.len().min(20)];
    // GnuPG takes no longer ones.
    text.len() <= BLOCK && (leading_octet_of_sum(salt, first) == 0 || leading_octet_of_sum(&text, first) == 0)
}

/// The most significant octet of a + b + 1, each over and over up to a block, big-endian.
fn leading_octet_of_sum(a: &[u8], b: &[u8]) -> u8 {
    let octets: Vec<_> = a.iter().cycle().zip(b.iter().cycle()).take(BLOCK).collect();
    let sum = octets.into_iter().rev().fold((0, true), |(_, carry), (&a, &b)| {
        let (sum, over) = a.overflowing_add(b);
        let (sum, over_again) = sum.overflowing_add(u8::from(carry));
        (sum, over || over_again)
    });
    sum.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use pkcs12::kdf::{Pkcs12KeyType, derive_key_utf8};
    use sha1::Sha1;

    fn misleads(salt: u64, passphrase: &str) -> bool {
        let salt = salt.to_be_bytes();
        let first = derive_key_utf8::<Sha1>(passphrase, &salt, Pkcs12KeyType::EncryptionKey, 10_000, 20);
        misleads_gpgsm(&salt, passphrase, &first.unwrap())
    }

    #[test]
    fn told_as_gpgsm_has_it() {
        // gpgsm 2.2.40 refused seven of 400 files: for the first salt of each pair, not for the second.
        for (bad, good) in [
            (0xd4dc_3d90_c950_f1b5, 0xd84f_21de_7b00_dcbe),
            (0xb04a_1f5b_f74b_6467, 0x64d1_3585_d023_edb9),
            (0x3044_0024_5318_4795, 0xe4ca_cc7b_cb73_d76c),
            (0xbb18_3644_8f14_abc8, 0xfc09_6320_dce4_d64f),
            (0x1619_87d8_ae59_ffa1, 0x1e03_7548_be76_c03b),
            (0xcca6_40e0_a1a3_8dbe, 0xbc9a_e5c2_602b_5ad2),
            (0xa553_ce84_3993_1538, 0x2d44_1b41_60d6_4f86),
        ] {
            assert!(misleads(bad, "pw-for-import"), "{bad:x}");
            assert!(!misleads(good, "pw-for-import"), "{good:x}");
        }
    }

    #[test]
    fn carries_go_through_the_whole_block() {
        let mut block = [0xff; BLOCK];
        assert_eq!(leading_octet_of_sum(&block, &[0; 20]), 0);
        block[BLOCK - 1] = 0xfe;
        assert_eq!(leading_octet_of_sum(&block, &[0; 20]), 0xff);
        assert_eq!(leading_octet_of_sum(&[0x80; 8], &[0x80; 20]), 1);
        assert_eq!(leading_octet_of_sum(&[0x12; 8], &[0x34; 20]), 0x46);
    }
}
