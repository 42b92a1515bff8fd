use ca_ledger::{DirectorySource, Follower};
use proptest::prelude::*;

use crate::common::{Home, at, entries, poll, vkey};
use crate::write::naive;

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    /// Any sequence of batches, with the writer opened again at any point: the
    /// root is that of the definition, the ledger sound, the follower in step.
    #[test]
    fn any_batches_make_the_same_tree(batches in prop::collection::vec((1u64..300, any::<bool>()), 1..8)) {
        let home = Home::new();
        let mut writer = home.writer();
        let mut follower = Follower::new(DirectorySource::new(&home.ledger()), &vkey()).unwrap();
        let mut size = 0;
        for (count, reopen) in batches {
            let committed = writer.append(entries(size..size + count), at(size)).unwrap();
            size += count;
            prop_assert_eq!(committed.checkpoint.root, naive(size));
            if reopen {
                writer = home.writer();
                prop_assert_eq!(poll(&mut follower).unwrap().last().unwrap().0, size - 1);
            }
        }
        poll(&mut follower).unwrap();
        prop_assert_eq!(follower.checkpoint().unwrap(), writer.checkpoint());
        prop_assert_eq!(home.verify().faults, vec![]);
    }
}
