//! Names as they are looked up.

use ca_domain::mailbox::{DnsName, Mailbox};

/// The form in which a mailbox or host name is looked up: canonical, and all of
/// it in lower case, because people type addresses in any case.
///
/// Certificates and records keep the letter case of the local part.
#[must_use]
pub fn lookup_key(name: &str) -> String {
    // A NUL ends the name in keys of the index, and is part of no name.
    let without_nul = name.replace('\0', "");
    let name = without_nul.trim();
    if name.is_ascii() {
        return name.to_ascii_lowercase();
    }
    // A domain typed with U-labels is found under its A-labels.
    let lower = name.to_lowercase();
    let canonical = match lower.contains('@') {
        true => Mailbox::parse(&lower).map(String::from).ok(),
        false => DnsName::parse(&lower).map(|host| host.to_string()).ok(),
    };
    canonical.unwrap_or(lower)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_and_labels_do_not_matter() {
        assert_eq!(lookup_key(" Alice@Example.TEST"), "alice@example.test");
        assert_eq!(lookup_key("Alice@BÜCHER.test"), "alice@xn--bcher-kva.test");
        assert_eq!(lookup_key("ÄNNE@example.test"), "änne@example.test");
        assert_eq!(lookup_key("a@example.test\0b"), "a@example.testb");
        assert_eq!(lookup_key("ÄNNE at example"), "änne at example");
    }
}
