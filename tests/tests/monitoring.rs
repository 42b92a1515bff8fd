//! What the daemons measure, and the dashboard and alert rules that read it.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use chancery_tests::daemon::wait_for;
use chancery_tests::tool::source_root;
use chancery_tests::{Daemon, Pki, Tool};
use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(20);
const METRICS: &str = "metrics_listen: 127.0.0.1:0\n";

/// What `/metrics` of a daemon says.
fn scrape(daemon: &Daemon) -> String {
    let address = wait_for("the address of the metrics", LIMIT, || {
        daemon.log().lines().find_map(|line| line.strip_prefix("metrics at ").map(str::to_owned))
    });
    Tool::new("curl").words("-sS --fail").arg(format!("http://{address}/metrics")).ok().text()
}

/// Has the daemon refuse a configuration, so that it has an alarm to show.
fn with_an_alarm(daemon: &Daemon) -> String {
    let config = fs::read_to_string(daemon.config()).unwrap();
    fs::write(daemon.config(), format!("{config}nonsense: 1\n")).unwrap();
    Tool::new("kill").arg("-HUP").arg(daemon.pid().to_string()).ok();
    wait_for("the alarm", LIMIT, || {
        Some(scrape(daemon)).filter(|text| text.contains("\nchancery_alarm{topic=\"configuration\"} 1\n"))
    })
}

fn names_shown(text: &str) -> BTreeSet<String> {
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    samples.filter_map(|line| line.split(['{', ' ']).next()).map(str::to_owned).collect()
}

/// The names of our metrics in expressions.
fn names_used(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    words
        .filter(|word| word.starts_with("chancery_") || word.starts_with("process_"))
        .map(str::to_owned)
        .collect()
}

fn expressions(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            found.extend(fields.get("expr").and_then(Value::as_str).map(str::to_owned));
            fields.values().for_each(|value| expressions(value, found));
        }
        Value::Array(items) => items.iter().for_each(|value| expressions(value, found)),
        _ => {}
    }
}

#[test]
fn dashboard_and_alerts_use_what_there_is() {
    let mut pki = Pki::without_daemons("p256");
    pki.person_by_request("alice", "smime-signing", chancery_tests::openssl::Key::P256);
    pki.start_responder(METRICS);
    // With all that it can measure: somewhere to take files to, and somebody to tell.
    let (state, web) = (pki.home.path("publisher-state"), pki.home.path("web"));
    for dir in [&state, &web] {
        fs::create_dir(dir).unwrap();
        fs::set_permissions(dir, fs::Permissions::from_mode(0o700)).unwrap();
    }
    let more = format!(
        "{METRICS}state_dir: {}\ntargets: [{{name: web, directory: {}}}]\n\
         alarms: {{webhook: {{url: \"http://127.0.0.1:9/\"}}}}\n",
        state.display(),
        web.display()
    );
    let config = pki.home.write_private("watched.yaml", format!("{more}{}", pki.publisher_config()));
    let publisher = Daemon::start("crl-publisher", &config);
    let good = pki.ocsp("alice").text();
    assert!(good.contains("alice.crt: good"), "{good}");

    let responder = pki.responder.take().expect("it runs");
    let counted = "chancery_ocsp_requests_total{authority=\"Example issuing CA\",method=\"post\",result=\"good\",source=\"";
    let text = scrape(&responder);
    let lines: Vec<&str> = text.lines().filter(|line| line.starts_with(counted)).collect();
    assert!(lines.iter().any(|line| line.ends_with(" 1")), "{text}");
    with_an_alarm(&publisher);
    let delivered = wait_for("a delivery", LIMIT, || {
        Some(scrape(&publisher))
            .filter(|text| text.contains("\nchancery_target_last_success_timestamp_seconds{"))
    });
    let shown = [with_an_alarm(&responder), delivered];
    for text in &shown {
        Tool::new("promtool").words("check metrics").input(text.as_str()).ok();
    }
    let there: BTreeSet<String> = shown.iter().flat_map(|text| names_shown(text)).collect();

    let docs = source_root().join("docs/monitoring");
    let rules = docs.join("alerts.yaml");
    Tool::new("promtool").words("check rules").arg(&rules).ok();
    Tool::new("promtool").words("test rules").arg(docs.join("alerts.test.yaml")).ok();
    let alerts = names_used(&fs::read_to_string(&rules).unwrap());
    let dashboard: Value = serde_json::from_slice(&fs::read(docs.join("dashboard.json")).unwrap()).unwrap();
    let mut panels = Vec::new();
    expressions(&dashboard, &mut panels);
    let panels: BTreeSet<String> = panels.iter().flat_map(|expression| names_used(expression)).collect();
    let page = names_used(&fs::read_to_string(source_root().join("docs/monitoring.md")).unwrap());
    assert!(alerts.len() > 8 && panels.len() > 15 && page.len() > 20, "{alerts:?} {panels:?} {page:?}");
    for (what, used) in [("alerts.yaml", alerts), ("dashboard.json", panels), ("monitoring.md", page.clone())]
    {
        let missing: Vec<_> = used.difference(&there).collect();
        assert!(missing.is_empty(), "{what} names metrics that there are not: {missing:?}\n{there:?}");
    }
    // And the page has them all.
    let undocumented: Vec<_> = there
        .iter()
        .filter(|name| !page.contains(*name) && !name.ends_with("_sum") && !name.ends_with("_count"))
        .collect();
    assert!(undocumented.is_empty(), "{undocumented:?}");
    assert_eq!(responder.terminate(), Some(0));
    assert_eq!(publisher.terminate(), Some(0));
}
