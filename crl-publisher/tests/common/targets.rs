//! Publishers with targets.

use std::fs;

use crl_publisher::Daemon;

use super::Bench;

/// `root`, whose CRLs come from elsewhere.
pub const ROOT: &str =
    "  - name: root\n    certificate: root.pem\n    mode: distribute\n    source: root.crl\n";
/// `issuing`, whose CRLs are signed here; its further settings follow.
pub const ISSUING: &str = "  - name: issuing\n    certificate: ca.pem\n    mode: sign\n    key: ca.key\n";
/// Delta CRLs for `issuing`.
pub const DELTA: &str = "    url: http://a.test/crl/{name}.crl\n    delta: {validity: 6h, interval: 1h}\n";

/// A publisher of these authorities with these targets.
pub fn publisher_of(bench: &Bench, authorities: &str, targets: &str) -> Daemon {
    bench.open(&format!("{authorities}state_dir: state\ntargets:\n{targets}"))
}

/// A publisher of the root with these targets.
pub fn publisher(bench: &Bench, targets: &str) -> Daemon {
    publisher_of(bench, ROOT, targets)
}

/// A target that is the directory `name`, and tells at once when it is behind.
pub fn web(name: &str) -> String {
    format!("  - {{name: {name}, directory: {name}, alarm_after: 0s}}\n")
}

/// A bench with these directories.
pub fn bench_with(directories: &[&str]) -> Bench {
    let bench = Bench::new();
    for name in directories {
        fs::create_dir(bench.home(name)).unwrap();
    }
    bench
}

/// A file below the home; empty if there is none.
pub fn at(bench: &Bench, path: &str) -> Vec<u8> {
    fs::read(bench.home(path)).unwrap_or_default()
}

/// What a target waits with, from its state file.
pub fn waiting(bench: &Bench, target: &str, path: &str) -> serde_json::Value {
    let state: serde_json::Value =
        serde_json::from_slice(&at(bench, &format!("state/targets/{target}.json"))).unwrap();
    state["files"][path]["waiting"].clone()
}
