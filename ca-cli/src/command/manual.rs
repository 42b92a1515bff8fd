//! `ca completions` and `ca man`, made from the definition of the command line.

use std::path::Path;

use ca_core::files::{Mode, create_dir_all, write_atomic};
use clap::CommandFactory;
use serde_json::json;

use crate::args::Cli;
use crate::context::Context;
use crate::error::Result;
use crate::report::{deliver, done};

pub(super) fn completions(shell: clap_complete::Shell, context: &Context) -> Result<()> {
    let mut bytes = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "ca", &mut bytes);
    deliver(context, None, &bytes, false)
}

pub(super) fn pages(out: Option<&Path>, context: &Context) -> Result<()> {
    let mut command = Cli::command();
    command.build();
    let Some(dir) = out else {
        let mut bytes = Vec::new();
        clap_mangen::Man::new(command).render(&mut bytes)?;
        return deliver(context, None, &bytes, false);
    };
    create_dir_all(dir, Mode::Public)?;
    let mut files = Vec::new();
    write_pages(&command, "ca", dir, &mut files)?;
    done(context, &format!("Wrote {} pages to {}.", files.len(), dir.display()), &json!({"files": files}))
}

fn write_pages(command: &clap::Command, name: &str, dir: &Path, files: &mut Vec<String>) -> Result<()> {
    let mut bytes = Vec::new();
    clap_mangen::Man::new(command.clone()).render(&mut bytes)?;
    let path = dir.join(format!("{name}.1"));
    write_atomic(&path, &bytes, Mode::Public)?;
    files.push(path.display().to_string());
    for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
        write_pages(sub, &format!("{name}-{}", sub.get_name()), dir, files)?;
    }
    Ok(())
}
