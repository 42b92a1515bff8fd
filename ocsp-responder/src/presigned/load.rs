//! Reading a directory of pre-signed answers. All of them are good, or none is used.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use ca_domain::Timestamp;
use ca_service::Authority;
use ca_status::ocsp::presigned::{MANIFEST, Manifest, check};
use ca_status::ocsp::{AnswerClass, CacheInfo, IssuerIds, ViewState};
use sha2::{Digest, Sha256};

use super::{PresignedAnswer, Shelf};
use crate::kept::{Parts, Signed};
use crate::signer::Life;

/// Octets of the list at most.
const MAX_MANIFEST: u64 = 64 << 20;
/// Octets of an answer at most.
const MAX_ANSWER: u64 = 64 << 10;
/// Answers at most.
const MOST: usize = 200_000;

/// Reads the answers of `authority` and checks each; they must not be older than
/// those `in_use`. `index` is the authority's in the recorder.
pub(super) fn load(
    directory: &Path,
    authority: &Authority,
    index: Option<usize>,
    in_use: Option<Life>,
    now: Timestamp,
) -> Result<Shelf, String> {
    let path = directory.join(MANIFEST);
    let manifest: Manifest = serde_json::from_slice(&read(&path, MAX_MANIFEST)?)
        .map_err(|error| format!("{} is no list of answers: {error}", path.display()))?;
    if manifest.version != 1 {
        return Err(format!("{}: version {} is not known", path.display(), manifest.version));
    }
    if manifest.authority != authority.key_id.to_string() {
        return Err(format!("{} lists the answers of another authority", path.display()));
    }
    if manifest.responses.is_empty() || manifest.responses.len() > MOST {
        return Err(format!("{} lists {} answers", path.display(), manifest.responses.len()));
    }
    let ids = IssuerIds::of(&authority.certificate).map_err(|error| error.to_string())?;
    let mut answers = HashMap::with_capacity(manifest.responses.len());
    let mut life: Option<Life> = None;
    for entry in &manifest.responses {
        if Path::new(&entry.file).file_name() != Some(entry.file.as_ref()) {
            return Err(format!("{}: {:?} is no name of a file beside it", path.display(), entry.file));
        }
        let file = directory.join(&entry.file);
        let der = read(&file, MAX_ANSWER)?;
        if hex::encode(Sha256::digest(&der)) != entry.sha256 {
            return Err(format!("{} is not what the list says; copy the directory again", file.display()));
        }
        let checked = check(&der, &authority.certificate, &ids, now)
            .map_err(|error| format!("{}: {error}", file.display()))?;
        let (from, to) = (checked.this_update, checked.next_update);
        life =
            Some(life.map_or(Life { from, to }, |all| Life { from: all.from.min(from), to: all.to.min(to) }));
        let is_good = checked.state == ViewState::Good;
        let parts = Parts {
            der,
            class: if is_good { AnswerClass::Good } else { AnswerClass::Revoked },
            info: CacheInfo { this_update: from, next_update: to, max_age: to.seconds_since(from) },
            authority: index,
            signer: None,
            state: None,
        };
        let answer = PresignedAnswer { signed: Signed::new(parts), is_good };
        if answers.insert((checked.hash, checked.serial), answer).is_some() {
            return Err(format!("{} answers what another file answers", file.display()));
        }
    }
    if let (Some(new), Some(old)) = (life, in_use)
        && new.from < old.from
    {
        return Err(format!(
            "{}: the answers are of {}, those in use of {}: they are older",
            path.display(),
            new.from,
            old.from
        ));
    }
    Ok(Shelf { ids, answers, life })
}

/// The bytes of a file that nobody else may change.
fn read(path: &Path, most: u64) -> Result<Vec<u8>, String> {
    ca_files::check_trusted(path).map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| format!("{}: {error}", path.display()))?;
    file.take(most + 1).read_to_end(&mut bytes).map_err(|error| format!("{}: {error}", path.display()))?;
    if bytes.len() as u64 > most {
        return Err(format!("{} is too long", path.display()));
    }
    Ok(bytes)
}
