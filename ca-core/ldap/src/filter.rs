//! Search filters and names, with every value escaped.

use std::fmt;

/// A search filter (RFC 4515). Values cannot change its form.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Filter(String);

impl Filter {
    /// Entries where `attribute` has this value, as the directory compares it.
    ///
    /// `attribute` is a name of the program or of its configuration, not of a person: anything
    /// but letters, digits, `-`, `.` and `;` is left out of it.
    #[must_use]
    pub fn equals(attribute: &str, value: &str) -> Self {
        Self(format!("({}={})", plain(attribute), ldap3::ldap_escape(value)))
    }

    /// Entries that have `attribute`.
    #[must_use]
    pub fn present(attribute: &str) -> Self {
        Self(format!("({}=*)", plain(attribute)))
    }

    /// Entries that meet at least one of these.
    #[must_use]
    pub fn any(filters: impl IntoIterator<Item = Self>) -> Self {
        Self::joined('|', filters)
    }

    /// Entries that meet all of these.
    #[must_use]
    pub fn all(filters: impl IntoIterator<Item = Self>) -> Self {
        Self::joined('&', filters)
    }

    fn joined(sign: char, filters: impl IntoIterator<Item = Self>) -> Self {
        let parts: String = filters.into_iter().map(|filter| filter.0).collect();
        Self(format!("({sign}{parts})"))
    }

    /// The text of it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn plain(attribute: &str) -> String {
    attribute.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | ';')).collect()
}

/// A value for a distinguished name (RFC 4514), as in `cn=VALUE,dc=example`.
#[must_use]
pub fn escape_dn_value(value: &str) -> String {
    ldap3::dn_escape(value).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stay_values() {
        let hostile = "x)(|(mail=*\0\\";
        let filter = Filter::equals("mail", hostile);
        assert_eq!(filter.as_str(), "(mail=x\\29\\28|\\28mail=\\2a\\00\\5c)");
        assert_eq!(Filter::equals("ma=il)(", "x").as_str(), "(mail=x)");
        let both = Filter::all([Filter::present("mail"), Filter::any([filter.clone(), filter])]);
        assert!(ldap3::parse_filter(both.as_str()).is_ok(), "{both}");
        assert_eq!(escape_dn_value(" a,b+c=d\"#"), "\\20a\\2cb\\2bc\\3dd\\22#");
    }
}
