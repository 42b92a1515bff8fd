//! A short run of the program `random-kill`; run it longer by hand.

use chancery_tests::Tool;
use std::time::Duration;

#[test]
fn sixty_rounds() {
    let outcome = Tool::ours("random-kill").words("--rounds 60").limit(Duration::from_secs(600)).ok();
    outcome.says(&["nothing lost"]);
}
