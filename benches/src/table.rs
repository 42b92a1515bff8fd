//! Markdown tables on standard output.

use std::io::{self, Write};

/// Writes a heading and a table.
///
/// # Errors
/// Standard output is closed.
pub fn print(title: &str, head: &[&str], rows: &[Vec<String>]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "\n### {title}\n")?;
    writeln!(out, "| {} |", head.join(" | "))?;
    writeln!(out, "|{}", "---|".repeat(head.len()))?;
    for row in rows {
        writeln!(out, "| {} |", row.join(" | "))?;
    }
    out.flush()
}

/// Says on standard error what is going on.
pub fn note(text: &str) {
    // Nobody reads it: then nobody misses it.
    let _ = writeln!(io::stderr(), "{text}");
}
