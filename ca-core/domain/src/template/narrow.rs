//! An authority's name constraints, narrowed for one authority.

use super::Template;
use super::domains::DomainPattern;
use super::file::{At, ConstraintNames, NameConstraintSection};
use super::value::TemplateKind;

/// Why a template's name constraints cannot be narrowed so. Messages read "what
/// happened; what to do".
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NarrowError {
    /// The template makes no authority below another.
    #[error(
        "template {0:?} makes no authority below another one, and only those have name constraints; leave them out"
    )]
    Kind(String),
    /// A host name with a leading dot.
    #[error(
        "{0:?}: a host name constraint has no leading dot; write example.test, which includes every name below it"
    )]
    DottedHost(String),
    /// A name beyond what the template permits.
    #[error(
        "{name:?} is beyond what template {template:?} permits under name_constraints; name a part of that"
    )]
    Beyond {
        /// The name.
        name: String,
        /// The template.
        template: String,
    },
}

impl Template {
    /// The template with more name constraints. What is permitted must lie within what
    /// the template permits, and takes its place; what is excluded is added to it.
    ///
    /// # Errors
    /// [`NarrowError`]: another kind of template, or names beyond the template's.
    pub fn narrowed(&self, more: &NameConstraintSection) -> Result<Self, NarrowError> {
        let lists = [&more.permitted, &more.excluded];
        if lists.iter().all(|names| names.rfc822.is_empty() && names.dns.is_empty()) {
            return Ok(self.clone());
        }
        if self.kind() != TemplateKind::SubordinateCa {
            return Err(NarrowError::Kind(self.name().to_owned()));
        }
        if let Some(dotted) =
            lists.iter().flat_map(|names| &names.dns).find(|name| name.as_str().starts_with('.'))
        {
            return Err(NarrowError::DottedHost(dotted.to_string()));
        }
        let own = self.name_constraints().cloned().unwrap_or_default();
        let permit = |own: &[DomainPattern], more: &[DomainPattern], within: Within| {
            if more.is_empty() {
                return Ok(own.to_vec());
            }
            match more.iter().find(|name| !own.is_empty() && !own.iter().any(|base| within(name, base))) {
                Some(name) => {
                    Err(NarrowError::Beyond { name: name.to_string(), template: self.name().to_owned() })
                }
                None => Ok(more.to_vec()),
            }
        };
        let permitted = ConstraintNames {
            rfc822: permit(&own.permitted.rfc822, &more.permitted.rfc822, mailboxes_within)?,
            dns: permit(&own.permitted.dns, &more.permitted.dns, hosts_within)?,
        };
        let exclude = |own: &[DomainPattern], more: &[DomainPattern]| {
            let new = more.iter().filter(|name| !own.contains(name));
            own.iter().chain(new).cloned().collect()
        };
        let excluded = ConstraintNames {
            rfc822: exclude(&own.excluded.rfc822, &more.excluded.rfc822),
            dns: exclude(&own.excluded.dns, &more.excluded.dns),
        };
        let mut narrowed = self.clone();
        narrowed.file.name_constraints = Some(At::given(NameConstraintSection { permitted, excluded }));
        Ok(narrowed)
    }
}

/// Whether every name that the first pattern means is meant by the second.
type Within = fn(&DomainPattern, &DomainPattern) -> bool;

fn mailboxes_within(name: &DomainPattern, base: &DomainPattern) -> bool {
    match (name.as_str().strip_prefix('.'), base.as_str().strip_prefix('.')) {
        (Some(_), Some(base)) => name.as_str().ends_with(&format!(".{base}")),
        (None, _) => base.matches(name.as_str()),
        (Some(_), None) => false,
    }
}

fn hosts_within(name: &DomainPattern, base: &DomainPattern) -> bool {
    name == base || name.as_str().ends_with(&format!(".{base}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::shipped;

    fn issuing(constraints: &str) -> Template {
        let text = shipped().iter().find(|(name, _)| *name == "issuing-ca").unwrap().1;
        let text = text.replacen("path_length: 0", &format!("path_length: 0\n{constraints}"), 1);
        Template::parse(&text, "t").unwrap()
    }

    fn names(rfc822: &[&str], dns: &[&str]) -> ConstraintNames {
        let parse = |list: &[&str]| list.iter().map(|name| name.parse().unwrap()).collect();
        ConstraintNames { rfc822: parse(rfc822), dns: parse(dns) }
    }

    fn permit(rfc822: &[&str], dns: &[&str]) -> NameConstraintSection {
        NameConstraintSection { permitted: names(rfc822, dns), ..NameConstraintSection::default() }
    }

    #[test]
    fn nothing_changes_nothing_and_anything_narrows_what_was_free() {
        let free = issuing("");
        assert!(free.narrowed(&NameConstraintSection::default()).unwrap().name_constraints().is_none());
        let narrowed = free.narrowed(&permit(&["example.test", ".example.test"], &["example.test"])).unwrap();
        assert_eq!(narrowed.name_constraints().unwrap().permitted.rfc822.len(), 2);
        assert_eq!(narrowed.hash(), free.hash());
    }

    #[test]
    fn what_is_permitted_stays_within_the_templates() {
        let bound = issuing(
            "name_constraints: { permitted: { rfc822: [.example.test, a.test], dns: [example.test] }, excluded: { rfc822: [x.example.test] } }",
        );
        for good in ["b.example.test", ".b.example.test", ".example.test", "a.test"] {
            assert!(bound.narrowed(&permit(&[good], &[])).is_ok(), "{good}");
        }
        for bad in ["example.test", ".a.test", "badexample.test", ".test", "b.test"] {
            assert!(matches!(bound.narrowed(&permit(&[bad], &[])), Err(NarrowError::Beyond { .. })), "{bad}");
        }
        for (host, good) in [("example.test", true), ("mail.example.test", true), ("badexample.test", false)]
        {
            assert_eq!(bound.narrowed(&permit(&[], &[host])).is_ok(), good, "{host}");
        }
        let more = NameConstraintSection {
            excluded: names(&["y.example.test", "x.example.test"], &[]),
            ..Default::default()
        };
        let narrowed = bound.narrowed(&more).unwrap();
        let section = narrowed.name_constraints().unwrap();
        assert_eq!(section.excluded.rfc822.len(), 2);
        assert_eq!(section.permitted.rfc822.len(), 2);
    }

    #[test]
    fn other_kinds_and_dotted_hosts_are_refused() {
        let text = shipped().iter().find(|(name, _)| *name == "root-ca").unwrap().1;
        let root = Template::parse(text, "t").unwrap();
        assert!(matches!(root.narrowed(&permit(&["a.test"], &[])), Err(NarrowError::Kind(_))));
        assert!(matches!(issuing("").narrowed(&permit(&[], &[".a.test"])), Err(NarrowError::DottedHost(_))));
    }
}
