//! Results as a person and as a program read them.

use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::Path;

use ca_core::files::{Mode, write_atomic};
use serde_json::Value;

use crate::context::Context;
use crate::error::{CliError, Result};

/// Prints the result: `value` with `--json`, else `text`.
pub(crate) fn show(context: &Context, text: &str, value: &Value) -> Result<()> {
    let mut out = io::stdout().lock();
    if context.json {
        serde_json::to_writer(&mut out, value).map_err(io::Error::from)?;
        writeln!(out)?;
    } else if !context.quiet {
        writeln!(out, "{}", text.trim_end())?;
    }
    out.flush()?;
    Ok(())
}

/// Standard output for many lines.
pub(crate) fn lines() -> BufWriter<io::StdoutLock<'static>> {
    BufWriter::new(io::stdout().lock())
}

/// Writes `bytes` to a file, or to standard output without one or for `-`.
/// Binary output to a terminal is refused.
pub(crate) fn deliver(out: Option<&Path>, bytes: &[u8], replace: bool) -> Result<()> {
    match out.filter(|path| *path != Path::new("-")) {
        Some(path) => {
            if path.exists() && !replace {
                return Err(CliError::Refused(format!(
                    "{} exists already; choose another file, or give --force to replace it",
                    path.display()
                )));
            }
            Ok(write_atomic(path, bytes, Mode::Public)?)
        }
        None => {
            let binary = std::str::from_utf8(bytes).is_err();
            if binary && out.is_none() && io::stdout().is_terminal() {
                return Err(CliError::Refused(
                    "binary output would garble the terminal; name a file with --out, or `--out -`".into(),
                ));
            }
            let mut stdout = io::stdout().lock();
            stdout.write_all(bytes)?;
            stdout.flush()?;
            Ok(())
        }
    }
}
