//! Any text as the path of a GET request: what is decoded is not empty, within the
//! limit, and comes out again when it is encoded as clients do.
#![no_main]

use ca_status::ocsp::{AnswerPolicy, request};
use libfuzzer_sys::fuzz_target;
use ocsp_responder::intake;

fuzz_target!(|path: &str| {
    let budget = AnswerPolicy::default().budget;
    for prefix in ["", "/ocsp"] {
        let Ok(der) = intake::from_path(path, prefix, budget.max_bytes) else { continue };
        assert!((1..=budget.max_bytes).contains(&der.len()));
        let _ = request::parse(&der, &budget);
        let encoded: String = path[prefix.len()..].trim_start_matches('/').to_owned();
        let again = intake::from_path(&format!("{prefix}//{encoded}"), prefix, budget.max_bytes);
        assert_eq!(again, Ok(der));
    }
});
