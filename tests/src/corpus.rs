//! Requests that real clients sent; see `tests/corpus/ocsp/README.md`.

use crate::tool::source_root;
use std::fs;
use std::path::PathBuf;

/// The DER requests by name, in the order of the names.
pub fn requests() -> Vec<(String, Vec<u8>)> {
    files(".der").into_iter().filter(|(name, _)| name != "issuer.crt").collect()
}

/// The paths of the GET requests by name.
pub fn paths() -> Vec<(String, String)> {
    let text = |bytes| String::from_utf8(bytes).expect("an ASCII path");
    files(".path").into_iter().map(|(name, bytes)| (name, text(bytes).trim_end().to_owned())).collect()
}

/// The DER certificate of the authority that nearly all requests are about.
pub fn issuer() -> Vec<u8> {
    read(&directory().join("issuer.crt.der"))
}

fn directory() -> PathBuf {
    source_root().join("tests/corpus/ocsp")
}

fn read(path: &PathBuf) -> Vec<u8> {
    fs::read(path).unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()))
}

fn files(ending: &str) -> Vec<(String, Vec<u8>)> {
    let mut found: Vec<_> = fs::read_dir(directory())
        .expect("tests/corpus/ocsp")
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter_map(|name| name.strip_suffix(ending).map(str::to_owned))
        .collect();
    found.sort();
    found.into_iter().map(|name| (name.clone(), read(&directory().join(name + ending)))).collect()
}
