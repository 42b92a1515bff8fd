//! A short run of the program `batch-kill`; run it longer by hand.

use chancery_tests::Tool;
use std::time::Duration;

#[test]
fn twenty_batches_killed_again_and_again() {
    let outcome = Tool::ours("batch-kill")
        .words("--rounds 20 --people 100 --kills 3")
        .limit(Duration::from_secs(1_200))
        .ok();
    outcome.says(&["everybody has exactly one pair"]);
}
