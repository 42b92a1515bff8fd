//! Which CRLs an authority has: one of everything, those of parts, by kind of
//! certificate, by reason, and the delta CRL of each.

use std::collections::{BTreeMap, BTreeSet};

use ca_domain::{ReasonCode, Shard};
use ca_status::crl::CrlScope;

use crate::schedule::Schedule;

/// One CRL, and its delta CRL if it has one.
#[derive(Clone, Debug)]
pub struct ListPlan {
    /// The NAME of `crl/NAME.crl`.
    pub name: String,
    /// What it covers.
    pub scope: CrlScope,
    /// Where it is published, as the certificates name it.
    pub url: Option<String>,
    /// When it is signed.
    pub schedule: Schedule,
    /// Its delta CRL.
    pub delta: Option<DeltaPlan>,
}

/// The delta CRL of a CRL.
#[derive(Clone, Debug)]
pub struct DeltaPlan {
    /// The NAME of `crl/NAME.crl`: that of its base with `-delta`.
    pub name: String,
    /// Where it is published, as its base names it.
    pub url: String,
    /// When it is signed.
    pub schedule: Schedule,
}

/// The CRLs of an authority, as they are configured.
#[derive(Clone, Debug)]
pub struct Lists {
    /// The authority's NAME.
    pub name: String,
    /// The URLs, with `{name}` for the name of the CRL.
    pub url: Option<String>,
    /// When full CRLs are signed, those of parts among them.
    pub schedule: Schedule,
    /// When delta CRLs are; without it there are none.
    pub delta: Option<Schedule>,
    /// Whether there is a CRL of everything.
    pub whole: bool,
    /// Into how many parts the certificates fall; more than one number after a change.
    pub shards: Vec<u16>,
    /// Whether there are CRLs of users and of authorities.
    pub kinds: bool,
    /// CRLs by reason, by the end of their names.
    pub reasons: BTreeMap<String, BTreeSet<ReasonCode>>,
}

/// What ends the name of a delta CRL; before it is that of its full CRL.
pub const DELTA_SUFFIX: &str = "-delta";

/// What stands for the name of a CRL in a URL.
const NAME: &str = "{name}";

impl Lists {
    /// All CRLs.
    ///
    /// # Errors
    /// What does not fit.
    pub fn plan(&self) -> Result<Vec<ListPlan>, String> {
        let mut plans = Vec::new();
        if self.whole {
            plans.push(self.list(self.name.clone(), CrlScope::All)?);
        }
        for count in &self.shards {
            if !(2..=Shard::MOST).contains(count) {
                return Err(format!("shards: {count} parts; use a number from 2 to {}", Shard::MOST));
            }
            for shard in Shard::all(*count) {
                let scope = CrlScope::Shard(shard);
                plans.push(self.list(format!("{}{}", self.name, scope.suffix()), scope)?);
            }
        }
        if self.kinds {
            for scope in [CrlScope::Users, CrlScope::Authorities] {
                plans.push(self.list(format!("{}{}", self.name, scope.suffix()), scope)?);
            }
        }
        for (end, reasons) in &self.reasons {
            let scope = CrlScope::Reasons(reasons.clone());
            scope.point(None).map_err(|error| format!("reasons: {end}: {error}"))?;
            plans.push(self.list(format!("{}-{end}", self.name), scope)?);
        }
        match plans.is_empty() {
            true => Err("whole: with no other CRL this one is needed".into()),
            false => Ok(plans),
        }
    }

    fn list(&self, name: String, scope: CrlScope) -> Result<ListPlan, String> {
        let of_reasons = matches!(scope, CrlScope::Reasons(_));
        let url = self.url_of(&name)?;
        if matches!(scope, CrlScope::Shard(_)) && url.is_none() {
            return Err(format!("url: needed with shards, such as http://pki.example.test/crl/{NAME}.crl"));
        }
        let delta = match &self.delta {
            // A certificate may come to a list by reason, or leave it, without a change of status.
            Some(schedule) if !of_reasons => {
                let name = format!("{name}{DELTA_SUFFIX}");
                let url = self.url_of(&name)?;
                let url = url.ok_or_else(|| {
                    format!("url: needed with delta, such as http://pki.example.test/crl/{NAME}.crl")
                })?;
                let schedule = schedule.for_list(&name);
                Some(DeltaPlan { name, url, schedule })
            }
            _ => None,
        };
        let schedule = self.schedule.for_list(&name);
        Ok(ListPlan { name, scope, url, schedule, delta })
    }

    fn url_of(&self, name: &str) -> Result<Option<String>, String> {
        let Some(url) = &self.url else { return Ok(None) };
        let plain = url.starts_with("http://") && url.bytes().all(|byte| byte.is_ascii_graphic());
        if !plain || !url.contains(NAME) {
            return Err(format!(
                "url: {url:?} is not plain http with {NAME} in it, such as http://pki.example.test/crl/{NAME}.crl"
            ));
        }
        Ok(Some(url.replace(NAME, name)))
    }
}

#[cfg(test)]
mod tests {
    use ca_service::Span;

    use super::*;
    use crate::schedule::{ScheduleFile, Usual};

    fn lists() -> Lists {
        let schedule = |hours| {
            let usual = Usual {
                validity: Span::hours(hours),
                interval: Span::hours(hours / 3),
                after_revocation: Some(Span::seconds(5)),
            };
            ScheduleFile::default().check(usual).unwrap()
        };
        Lists {
            name: "issuing".into(),
            url: Some("http://a.test/crl/{name}.crl".into()),
            schedule: schedule(72),
            delta: Some(schedule(6)),
            whole: true,
            shards: vec![2, 3],
            kinds: true,
            reasons: [("lost".to_owned(), [ReasonCode::KeyCompromise].into())].into(),
        }
    }

    #[test]
    fn names_and_urls() {
        let plans = lists().plan().unwrap();
        let names: Vec<&str> = plans.iter().map(|plan| plan.name.as_str()).collect();
        let wanted = [
            "issuing",
            "issuing-0-of-2",
            "issuing-1-of-2",
            "issuing-0-of-3",
            "issuing-1-of-3",
            "issuing-2-of-3",
            "issuing-users",
            "issuing-authorities",
            "issuing-lost",
        ];
        assert_eq!(names, wanted);
        for plan in plans {
            assert_eq!(plan.url, Some(format!("http://a.test/crl/{}.crl", plan.name)));
            let delta = plan.delta.map(|delta| (delta.name, delta.url));
            let name = format!("{}-delta", plan.name);
            let url = format!("http://a.test/crl/{name}.crl");
            assert_eq!(delta, (plan.name != "issuing-lost").then_some((name, url)));
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let refused = |change: fn(&mut Lists), what: &str| {
            let mut lists = lists();
            change(&mut lists);
            let error = lists.plan().unwrap_err();
            assert!(error.contains(what), "{error}");
        };
        refused(|lists| lists.url = None, "url: needed with delta");
        refused(|lists| (lists.url, lists.delta) = (None, None), "url: needed with shards");
        refused(|lists| lists.url = Some("http://a.test/crl".into()), "{name}");
        refused(|lists| lists.url = Some("https://a.test/{name}".into()), "plain http");
        refused(|lists| lists.shards = vec![1], "2 to 4096");
        refused(|lists| lists.shards = vec![5000], "2 to 4096");
        refused(|lists| lists.reasons = [("x".into(), [ReasonCode::Unspecified].into())].into(), "no flag");
        refused(
            |lists| {
                (lists.whole, lists.kinds) = (false, false);
                lists.shards.clear();
                lists.reasons.clear();
            },
            "whole",
        );
    }
}
