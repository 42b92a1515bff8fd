//! Several `ca` at once: they take turns.

use chancery_tests::home::{snapshot, text};
use chancery_tests::{Home, Outcome, Tool, openssl};
use std::collections::BTreeSet;
use std::thread;
use std::time::Duration;

fn all_at_once(commands: Vec<Tool>) -> Vec<Outcome> {
    let running: Vec<_> = commands.into_iter().map(|command| thread::spawn(move || command.run())).collect();
    running.into_iter().map(|thread| thread.join().expect("a command's thread")).collect()
}

fn issue_at_once(many: usize) {
    let home = Home::prepared();
    let before = home.serials().len();
    let commands = (0..many)
        .map(|number| {
            let name = format!("p{number}");
            let csr = openssl::csr(&home, &name, openssl::Key::P256);
            home.issue_csr("smime-signing", &format!("{name}@example.test"), &csr, &name)
        })
        .collect();
    let results: Vec<_> = all_at_once(commands).into_iter().map(|outcome| outcome.ok().json()).collect();

    let serials: BTreeSet<String> = results.iter().map(|issued| text(issued, "serial")).collect();
    assert_eq!(serials.len(), many, "a serial number for each");
    let mut positions: Vec<u64> = results.iter().filter_map(|issued| issued["position"].as_u64()).collect();
    positions.sort_unstable();
    let first = positions[0];
    assert_eq!(positions, (first..first + many as u64).collect::<Vec<_>>(), "no gap in the ledger");
    assert_eq!(home.serials().len(), before + many);
    home.verify_ledger();
}

#[test]
fn two_issue_at_once() {
    issue_at_once(2);
}

#[test]
fn eight_issue_at_once() {
    issue_at_once(8);
}

#[test]
fn issue_revoke_and_read_at_once() {
    let home = Home::prepared();
    let csr = openssl::csr(&home, "carol", openssl::Key::P256);
    let mut commands = vec![
        home.issue_csr("smime-signing", "carol@example.test", &csr, "carol"),
        home.ca("revoke --email alice@example.test --reason superseded --yes"),
        home.ca("hold --email bob@example.test --yes"),
    ];
    commands.extend((0..4).map(|_| home.ca("--json cert list")));
    commands.extend((0..2).map(|_| home.ca("ledger verify")));
    for outcome in all_at_once(commands) {
        outcome.ok();
    }
    home.verify_ledger();
}

/// Stops a `ca` while it holds the lock, and returns it with its process id.
fn stopped_in_the_middle(home: &Home) -> (std::process::Child, u32) {
    let tool = home.ca("revoke --email alice@example.test --reason superseded --yes");
    let trace = home.path("trace");
    let strace = Tool::new("strace").words(
        "-f -qq -o trace -e trace=rename,renameat,renameat2 \
         -e inject=rename,renameat,renameat2:signal=SIGSTOP:when=1",
    );
    let child = tool.under(strace).start();
    let pid = chancery_tests::daemon::wait_for("ca to stop", Duration::from_secs(20), || {
        let trace =
            std::fs::read_to_string(&trace).ok().filter(|trace| trace.contains("stopped by SIGSTOP"))?;
        // It may be a thread that stopped: its process is meant.
        let thread = trace
            .lines()
            .find(|line| line.contains("stopped by SIGSTOP"))?
            .split_whitespace()
            .next()?
            .to_owned();
        let status = std::fs::read_to_string(format!("/proc/{thread}/status")).ok()?;
        status.lines().find_map(|line| line.strip_prefix("Tgid:"))?.trim().parse().ok()
    });
    (child, pid)
}

#[test]
fn the_second_waits_and_says_who_holds_the_lock() {
    let home = Home::prepared();
    let before = snapshot(&home.dir().join("ledger"));
    let (mut first, pid) = stopped_in_the_middle(&home);

    let busy = home.ca("--lock-timeout 1 revoke --email bob@example.test --reason superseded --yes").run();
    let busy = busy.fails(5, &[&pid.to_string()]);
    assert!(busy.took >= Duration::from_secs(1), "it waited");
    assert!(busy.took < Duration::from_secs(10), "and not too long: {:?}", busy.took);
    let checkpoint = home.dir().join("ledger/checkpoint");
    assert_eq!(before.get(&checkpoint), snapshot(&home.dir().join("ledger")).get(&checkpoint));

    // Readers of the index wait as well, since sled serves one process.
    home.ca("--lock-timeout 1 cert list").run().fails(5, &[&pid.to_string()]);

    Tool::new("kill").args(["-KILL", &pid.to_string()]).ok();
    first.wait().expect("strace ends");
    home.ca("revoke --email bob@example.test --reason superseded --yes").ok();
    home.verify_ledger();
}
