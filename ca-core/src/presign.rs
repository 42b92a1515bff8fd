//! Answers signed ahead, for an authority whose key goes back into the safe.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ca_domain::template::Template;
use ca_domain::{Detail, KeyIdentifier, RevocationState, SerialNumber, Timestamp};
use ca_files::{Mode, StagedFile, create_dir_all, sync_dir};
use ca_ledger::{EntryKind, LedgerReader, NewEntry};
use ca_signing::{SigningKey, SoftwareKey};
use ca_status::ocsp::presigned::{self, MANIFEST, Manifest, ManifestEntry};
use ca_status::ocsp::{CertHash, IssuerIds, ResponseSigner, SingleStatus, respond};
use ca_status::{StatusError, StatusTable};
use sha2::{Digest, Sha256};

use crate::authority::AuthorityKey;
use crate::certify::detail_bytes;
use crate::error::{AuthorityError, Result};
use crate::home::{Home, Wait};
use crate::init::io;
use crate::issue::{IssueRequest, Prepared, SubjectKey, commit_with, prepare};
use crate::issue_crl::MAX_DAYS;
use crate::ocsp_signer;

/// What `ca ocsp presign` is told.
pub struct Presign<'a> {
    /// Whose certificates are answered for.
    pub issuer: &'a AuthorityKey,
    /// Days from thisUpdate to nextUpdate.
    pub days: u32,
    /// A template of kind ocsp-signer for a delegate whose key lives for this act
    /// alone; none to sign with the authority's own key.
    pub delegate: Option<&'a Template>,
    /// The directory for the answers and their list.
    pub out: &'a Path,
    /// Who does it.
    pub actor: &'a str,
}

/// Answers that were signed.
#[derive(Clone, Debug)]
pub struct Presigned {
    /// Certificates answered for.
    pub certificates: usize,
    /// Of these, revoked or held.
    pub revoked: usize,
    /// thisUpdate.
    pub this_update: Timestamp,
    /// nextUpdate.
    pub next_update: Timestamp,
    /// The serial number of the delegate's certificate.
    pub delegate: Option<SerialNumber>,
    /// The list of the files.
    pub manifest: PathBuf,
}

/// Signs an answer for every certificate of the authority that has not expired,
/// with SHA-1 and SHA-256 CertIDs.
///
/// The list is replaced last: until then the files of an earlier call count.
///
/// # Errors
/// A validity beyond the rules or the template, a key that fails, a directory of
/// another authority, or a failing disk.
pub fn presign(home: &Home, request: &Presign<'_>, now: Timestamp, wait: &Wait<'_>) -> Result<Presigned> {
    let authority = &request.issuer.authority;
    let name = authority.name();
    let most = if authority.is_root() { MAX_DAYS.1 } else { MAX_DAYS.0 };
    if request.days == 0 || request.days > most {
        return Err(AuthorityError::Refused(format!(
            "answers for {name:?} are valid for 1 to {most} days, not {} (S/MIME BR, section 4.9.10)",
            request.days
        )));
    }
    let key_id = authority.key_id()?;
    let before = read_manifest(request.out)?;
    if before.as_ref().is_some_and(|before| before.authority != key_id.to_string()) {
        return Err(AuthorityError::Refused(format!(
            "{} holds answers of another authority; choose another directory",
            request.out.display()
        )));
    }
    let (signer, delegate) = signer(home, request, now)?;
    let bad = |error: StatusError| AuthorityError::Refused(format!("answers for {name:?}: {error}"));
    let ids = IssuerIds::of(authority.certificate()).map_err(bad)?;
    let next_update = signer.next_update(now, u64::from(request.days) * 86_400).map_err(bad)?;

    let mut writer = home.writer(wait)?;
    let states = states(writer.ledger.reader(), key_id, now)?;
    create_dir_all(request.out, Mode::Public)?;
    let mark = hex::encode(ca_signing::random::<8>()?);
    let (mut staged, mut responses) = (Vec::new(), Vec::new());
    for (serial, state) in &states {
        for hash in [CertHash::Sha1, CertHash::Sha256] {
            let cert_id = ids.cert_id(hash, serial).map_err(bad)?;
            let single = SingleStatus { cert_id, state: (*state).into(), this_update: now, next_update };
            let der = respond::build(&[single], &signer, now, None).map_err(bad)?;
            // What leaves is what the responder accepts.
            presigned::check(&der, authority.certificate(), &ids, now).map_err(bad)?;
            // The files of an earlier call keep their names until the list is another.
            let file = format!("{serial}-{}-{mark}.der", hash.name());
            staged.push(StagedFile::write(&request.out.join(&file), &der, Mode::Public)?);
            responses.push(ManifestEntry {
                file,
                serial: serial.to_string(),
                hash: hash.name().to_owned(),
                status: if *state == RevocationState::Good { "good" } else { "revoked" }.to_owned(),
                sha256: hex::encode(Sha256::digest(&der)),
            });
        }
    }
    let manifest = Manifest {
        version: 1,
        authority: key_id.to_string(),
        this_update: now.to_string(),
        next_update: next_update.to_string(),
        responses,
    };
    let path = request.out.join(MANIFEST);
    let text = serde_json::to_vec_pretty(&manifest)
        .map_err(|error| AuthorityError::Input(format!("cannot write the list: {error}")))?;
    let list = StagedFile::write_apart(&path, &text, Mode::Public, &mark)?;
    let record = record(request, &manifest, states.len(), &text, now)?;
    let serial = delegate.as_ref().map(Prepared::serial);
    // Its certificate first: the answers are of its key.
    commit_with(&mut writer, Vec::new(), delegate.into_iter().collect(), vec![record], now, wait)?;
    for file in staged {
        file.rename()?;
    }
    sync_dir(request.out)?;
    list.publish()?;
    remove_old(request.out, before.as_ref(), &manifest)?;
    Ok(Presigned {
        certificates: states.len(),
        revoked: states.values().filter(|state| **state != RevocationState::Good).count(),
        this_update: now,
        next_update,
        delegate: serial,
        manifest: path,
    })
}

/// What the ledger keeps of the act.
fn record(
    request: &Presign<'_>,
    manifest: &Manifest,
    certificates: usize,
    list: &[u8],
    now: Timestamp,
) -> Result<(NewEntry, Detail)> {
    let authority = &request.issuer.authority;
    let detail = Detail::OcspPresigned {
        authority: authority.name().to_owned(),
        certificates,
        next_update: manifest.next_update.clone(),
        sha256: hex::encode(Sha256::digest(list)),
        actor: request.actor.to_owned(),
    };
    let entry = NewEntry {
        kind: EntryKind::OcspPresigned,
        time: now,
        authority: authority.key_id()?,
        serial: None,
        not_after: None,
        reason: None,
        invalidity_date: None,
        detail: detail_bytes(&detail)?,
    };
    Ok((entry, detail))
}

/// The signer: the authority itself, or a delegate that is certified for this act.
fn signer(home: &Home, request: &Presign<'_>, now: Timestamp) -> Result<(ResponseSigner, Option<Prepared>)> {
    let issuer = request.issuer;
    let authority = issuer.authority.certificate();
    let unfit = |error: StatusError| {
        AuthorityError::Refused(format!("{error}; leave --ca-signed out, so that a delegate signs"))
    };
    let Some(template) = request.delegate else {
        let key = SoftwareKey::from_pkcs8_der(issuer.key.pkcs8_der())?;
        return Ok((ResponseSigner::new(Arc::new(key), authority, authority).map_err(unfit)?, None));
    };
    ocsp_signer::check_template(template)?;
    let like = ocsp_signer::like_issuer(template, issuer.authority.key_algorithm());
    let key = Arc::new(SoftwareKey::generate(template.choose_key(like)?)?);
    let subject = ocsp_signer::subject(issuer.authority.name(), now);
    let issue_request = IssueRequest {
        issuer,
        template,
        subject: &subject,
        key: SubjectKey::Made(Arc::clone(&key)),
        days: Some(request.days),
        outputs: &[],
        actor: request.actor,
    };
    let prepared = prepare(home, &issue_request, now)?;
    let key: Arc<dyn SigningKey> = key;
    let signer = ResponseSigner::new(key, &prepared.certified.certificate, authority).map_err(unfit)?;
    Ok((signer, Some(prepared)))
}

/// The certificates of an authority that have not expired, and their states.
fn states(
    reader: &LedgerReader,
    authority: KeyIdentifier,
    now: Timestamp,
) -> Result<BTreeMap<SerialNumber, RevocationState>> {
    let damaged = |error: StatusError| AuthorityError::Damaged(error.to_string());
    let mut table = StatusTable::new();
    let mut serials = BTreeSet::new();
    for item in reader.entries(0..reader.checkpoint().size) {
        let (position, entry) = item?;
        table.apply(position, &entry).map_err(damaged)?;
        let unexpired = entry.not_after.is_some_and(|end| end >= now);
        if entry.kind.is_issuance() && entry.authority == authority && unexpired {
            serials.extend(entry.serial);
        }
    }
    let state = |serial: &SerialNumber| table.status(&authority, serial).map(|status| status.state);
    Ok(serials.into_iter().filter_map(|serial| Some((serial, state(&serial)?))).collect())
}

/// The list that is in a directory.
fn read_manifest(out: &Path) -> Result<Option<Manifest>> {
    let path = out.join(MANIFEST);
    match std::fs::read(&path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|error| {
            AuthorityError::Refused(format!(
                "{} is no list of answers: {error}; choose another directory",
                path.display()
            ))
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(io("read", &path)(error)),
    }
}

/// Removes the answers of an earlier call that no list names any more.
fn remove_old(out: &Path, before: Option<&Manifest>, now: &Manifest) -> Result<()> {
    let kept: BTreeSet<&str> = now.responses.iter().map(|entry| entry.file.as_str()).collect();
    for entry in before.iter().flat_map(|before| &before.responses) {
        let plain = Path::new(&entry.file).file_name() == Some(entry.file.as_ref());
        if plain && entry.file.ends_with(".der") && !kept.contains(entry.file.as_str()) {
            let path = out.join(&entry.file);
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(io("remove", &path)(error));
                }
                _ => {}
            }
        }
    }
    Ok(())
}
