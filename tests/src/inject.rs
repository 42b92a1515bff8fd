//! Faults at chosen system calls, by strace.

use crate::tool::Tool;

/// Every call with which a process changes files or makes them durable.
pub const CALLS: [&str; 21] = [
    "write",
    "writev",
    "pwrite64",
    "pwritev",
    "pwritev2",
    "fsync",
    "fdatasync",
    "sync_file_range",
    "msync",
    "syncfs",
    "rename",
    "renameat",
    "renameat2",
    "link",
    "linkat",
    "ftruncate",
    "fallocate",
    "mkdir",
    "mkdirat",
    "unlink",
    "unlinkat",
];

/// What happens at the chosen call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The disk fails once (EIO).
    InputOutputError,
    /// The process is killed before the call does anything (SIGKILL).
    Kill,
    /// The disk is full, at this call and for all later ones of its kind
    /// (ENOSPC); for `write`, which also carries messages to people, only at
    /// this call.
    NoSpace,
}

impl Fault {
    fn injection(self, call: &str, nth: usize) -> String {
        match self {
            Self::InputOutputError => format!("inject={call}:error=EIO:when={nth}"),
            Self::Kill => format!("inject={call}:signal=SIGKILL:error=EINTR:when={nth}"),
            Self::NoSpace if call == "write" => format!("inject={call}:error=ENOSPC:when={nth}"),
            Self::NoSpace => format!("inject={call}:error=ENOSPC:when={nth}+"),
        }
    }
}

/// strace that makes the `nth` call of this name (counted for each thread,
/// from 1) fail, and writes each call that it touched to `trace`.
pub fn strace(call: &str, nth: usize, fault: Fault, trace: &str) -> Tool {
    Tool::new("strace")
        .words("-f -qq")
        .args(["-o", trace, "-e", &format!("trace={call}"), "-e", "signal=none"])
        .args(["-e", &fault.injection(call, nth)])
}

/// Whether the fault of a finished run met a stream to the user (standard
/// output or error) and not a file.
pub fn met_a_stream(trace: &std::path::Path) -> bool {
    let text = std::fs::read_to_string(trace).unwrap_or_default();
    let first = text.lines().find(|line| line.contains("(INJECTED)"));
    first.is_some_and(|line| {
        line.contains("write(1,") || line.contains("write(2,") || line.contains("writev(1,")
    })
}

/// Whether the fault happened at all.
pub fn happened(trace: &std::path::Path) -> bool {
    std::fs::read_to_string(trace).is_ok_and(|text| text.contains("(INJECTED)"))
}

/// How often a traced program makes each call in [`CALLS`] (the most of any
/// one thread, since strace counts threads apart).
pub fn count_calls(tool: Tool, trace: &std::path::Path) -> Vec<(&'static str, usize)> {
    let wrapper = Tool::new("strace")
        .words("-f -qq -e signal=none -o")
        .arg(trace)
        .args(["-e", &format!("trace={}", CALLS.join(","))]);
    tool.under(wrapper).ok();
    let text = std::fs::read_to_string(trace).expect("read the trace");
    let mut most = std::collections::BTreeMap::<(&str, &str), usize>::new();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let (Some(thread), Some(rest)) = (words.next(), words.next()) else { continue };
        if let Some((name, _)) = rest.split_once('(') {
            *most.entry((name, thread)).or_default() += 1;
        }
    }
    CALLS
        .iter()
        .filter_map(|call| {
            let of_threads = most.iter().filter(|((name, _), _)| name == call).map(|(_, count)| *count);
            of_threads.max().map(|count| (*call, count))
        })
        .collect()
}
