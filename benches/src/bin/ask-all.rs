//! Asks an OCSP responder about every certificate, once.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Mutex;
use std::thread;
use std::time::Instant;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chancery_benches::question::{Asker, Indexed, index, post};
use chancery_benches::responder::Connection;
use chancery_benches::table::note;
use chancery_benches::{Result, fail};
use clap::Parser;

/// Asks for every certificate of DIR/index.txt, on two connections, with many
/// requests under way on each; prints the seconds that it took.
#[derive(Debug, Parser)]
struct Cli {
    /// The responder's port on this machine.
    #[arg(long)]
    port: u16,
    /// Where to keep the answers, a line of base64 each.
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    /// The authority's directory.
    dir: PathBuf,
}

const CONNECTIONS: usize = 2;
/// Requests under way on a connection.
const AHEAD: usize = 64;
/// The shortest answer with a status in it; tryLater and its like have five bytes.
const SHORTEST: usize = 100;

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            note(&format!("ask-all: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> Result<()> {
    let asker = Asker::of_dir(&cli.dir)?;
    let all = index(&cli.dir)?.collect::<Result<Vec<_>>>()?;
    let save = match &cli.save {
        Some(path) => Some(Mutex::new(BufWriter::new(File::create(path)?))),
        None => None,
    };
    let began = Instant::now();
    thread::scope(|scope| {
        let parts = all.chunks(all.len().div_ceil(CONNECTIONS).max(1));
        let threads: Vec<_> =
            parts.map(|part| scope.spawn(|| ask(cli.port, &asker, part, save.as_ref()))).collect();
        threads.into_iter().try_for_each(|thread| thread.join().map_err(|_| fail("a thread panicked"))?)
    })?;
    let took = began.elapsed();
    if let Some(file) = save {
        file.into_inner()?.flush()?;
    }
    writeln!(std::io::stdout(), "{:.3}", took.as_secs_f64())?;
    Ok(())
}

fn ask(port: u16, asker: &Asker, part: &[Indexed], save: Option<&Mutex<BufWriter<File>>>) -> Result<()> {
    let mut connection = Connection::open(port)?;
    for some in part.chunks(AHEAD) {
        let mut messages = Vec::new();
        for line in some {
            messages.extend(post(&asker.request(&line.serial, None)?));
        }
        connection.send(&messages)?;
        let mut lines = String::new();
        for line in some {
            let answer = connection.receive()?;
            if answer.len() < SHORTEST {
                return Err(fail(format!("no status for {}: {answer:02x?}", line.serial)));
            }
            if save.is_some() {
                STANDARD.encode_string(&answer, &mut lines);
                lines.push('\n');
            }
        }
        if let Some(file) = save {
            file.lock().map_err(|_| fail("a thread panicked"))?.write_all(lines.as_bytes())?;
        }
    }
    Ok(())
}
