//! Certificates for OCSP servers to answer for, and requests about them.

use std::collections::HashSet;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ca_core::domain::SerialNumber;
use ca_core::signing;
use chancery_benches::question::{Asker, Indexed};
use chancery_benches::table::note;
use chancery_benches::{Result, fail};
use clap::Parser;

/// Writes DIR/index.txt, as `openssl ca` would for certificates of DIR/ca.pem of
/// which every tenth is revoked, and requests about some of them: plain.* and,
/// with a nonce each, nonced.*:
///
/// .tsv a line each: the serial number and the status;
/// .get a line each: the path of a GET;
/// .post the body of a POST, after its length in two bytes.
#[derive(Debug, Parser)]
struct Cli {
    /// Certificates.
    #[arg(long)]
    count: usize,
    /// Requests, at most.
    #[arg(long, default_value_t = 20_000)]
    requests: usize,
    /// The authority's directory.
    dir: PathBuf,
}

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            note(&format!("make-index: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> Result<()> {
    // Every nth certificate is asked about; n is odd, so that revoked ones are among them.
    let every = (cli.count.div_ceil(cli.requests.max(1))) | 1;
    let mut index = BufWriter::new(File::create(cli.dir.join("index.txt"))?);
    let mut asked = Vec::new();
    for number in 0..cli.count {
        let line =
            Indexed { serial: SerialNumber::from_random(signing::random()?), revoked: number % 10 == 3 };
        let (flag, since) = if line.revoked { ("R", "200101000000Z,superseded") } else { ("V", "") };
        let serial = line.serial.to_string().to_uppercase();
        writeln!(index, "{flag}\t491231235959Z\t{since}\t{serial}\tunknown\t/CN=person{number}")?;
        if number % every == 0 {
            asked.push(line);
        }
    }
    index.flush()?;
    let distinct: HashSet<_> = asked.iter().map(|line| line.serial).collect();
    if distinct.len() < asked.len() {
        return Err(fail("two certificates have the same serial number"));
    }
    let asker = Asker::of_dir(&cli.dir)?;
    write(&cli.dir, "plain", &asked, |serial| asker.request(serial, None))?;
    write(&cli.dir, "nonced", &asked, |serial| asker.request(serial, Some(&signing::random::<32>()?)))
}

fn write(
    dir: &Path,
    name: &str,
    asked: &[Indexed],
    request: impl Fn(&SerialNumber) -> Result<Vec<u8>>,
) -> Result<()> {
    let create =
        |end: &str| Ok::<_, std::io::Error>(BufWriter::new(File::create(dir.join(format!("{name}.{end}")))?));
    let (mut statuses, mut paths, mut bodies) = (create("tsv")?, create("get")?, create("post")?);
    for line in asked {
        let request = request(&line.serial)?;
        writeln!(statuses, "{}\t{}", line.serial, if line.revoked { "revoked" } else { "good" })?;
        let text = STANDARD.encode(&request);
        writeln!(paths, "/{}", text.replace('/', "%2F").replace('+', "%2B").replace('=', "%3D"))?;
        bodies.write_all(&u16::try_from(request.len())?.to_be_bytes())?;
        bodies.write_all(&request)?;
    }
    statuses.flush()?;
    paths.flush()?;
    Ok(bodies.flush()?)
}
