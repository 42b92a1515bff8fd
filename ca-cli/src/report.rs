//! Results as a person and as a program read them.

use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::Path;

use base64::Engine;
use ca_core::files::{Mode, write_atomic};
use serde_json::{Value, json};

use crate::context::Context;
use crate::error::{CliError, Result};

/// Prints what was asked for: `value` with `--json`, else `text`.
pub(crate) fn show(context: &Context, text: &str, value: &Value) -> Result<()> {
    let mut out = io::stdout().lock();
    if context.json {
        serde_json::to_writer(&mut out, value).map_err(io::Error::from)?;
        writeln!(out)?;
    } else {
        writeln!(out, "{}", text.trim_end())?;
    }
    out.flush()?;
    Ok(())
}

/// Says that something is done, unless `--quiet`; `--json` prints `value` always.
pub(crate) fn done(context: &Context, text: &str, value: &Value) -> Result<()> {
    if context.quiet && !context.json { Ok(()) } else { show(context, text, value) }
}

/// A line on standard error. That nobody reads it is no reason to stop an act halfway.
pub(crate) fn say(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// Standard output for many lines.
pub(crate) fn lines() -> BufWriter<io::StdoutLock<'static>> {
    BufWriter::new(io::stdout().lock())
}

/// A name for a file that may be written.
pub(crate) fn check_out(path: &Path, replace: bool) -> Result<()> {
    if path.symlink_metadata().is_ok() && !replace {
        return Err(CliError::Refused(format!(
            "{} exists already; choose another file, or give --force to replace it",
            path.display()
        )));
    }
    Ok(())
}

/// Writes `bytes` to a file, or to standard output without one or for `-`; with
/// `--json`, the name of the file or the content. Binary output to a terminal is
/// refused.
pub(crate) fn deliver(context: &Context, out: Option<&Path>, bytes: &[u8], replace: bool) -> Result<()> {
    if let Some(path) = out.filter(|path| *path != Path::new("-")) {
        check_out(path, replace)?;
        write_atomic(path, bytes, Mode::Public)?;
        return done(context, &format!("Wrote {}.", path.display()), &json!({"files": [path]}));
    }
    let text = std::str::from_utf8(bytes).ok();
    if context.json {
        let value = match text {
            Some(text) => json!({"text": text}),
            None => json!({"base64": base64::engine::general_purpose::STANDARD.encode(bytes)}),
        };
        return show(context, "", &value);
    }
    if text.is_none() && out.is_none() {
        refuse_terminal()?;
    }
    let mut stdout = io::stdout().lock();
    stdout.write_all(bytes)?;
    stdout.flush()?;
    Ok(())
}

/// Refuses binary output to a terminal.
pub(crate) fn refuse_terminal() -> Result<()> {
    if io::stdout().is_terminal() {
        return Err(CliError::Usage(
            "binary output would garble the terminal; name a file with --out".into(),
        ));
    }
    Ok(())
}
