//! Keys for Microsoft Intune: PFX files of a person's whole history of encryption, and
//! what imports them.

mod connector;
mod table;

use std::path::{Path, PathBuf};

use ca_domain::microsoft::Upn;
use ca_domain::{SerialNumber, Timestamp};
use ca_files::{Mode, StagedFile, create_private_dir};
use ca_signing::Passphrase;
use ca_signing::pkcs12::{Identity, Pkcs12Profile, Rounds, export_many};
use serde_json::json;
use sha1::{Digest, Sha1};
use zeroize::Zeroizing;

pub use connector::ConnectorKey;
pub use table::{TableRow, read_table};

use super::archive::FromArchive;
use super::keys::{HeldKey, KeyFile, MissingKey, PersonKeys, person_keys};
use super::powershell;
use super::trust::{TrustSet, slug};
use crate::certify::base64;
use crate::error::{AuthorityError, Result};
use crate::escrow::Opening;
use crate::home::{Home, Wait};
use crate::inventory::Inventory;
use crate::issue::output::check_new;
use crate::password;
use crate::people::BadLine;
use crate::renew::candidate::windows_names;

const GRAPH_SCRIPT: &str = include_str!("intune/import-graph.ps1");
const MODULE_SCRIPT: &str = include_str!("intune/import-module.ps1");
/// What both do with each key; they say how one is looked for and imported.
const EACH_KEY: &str = include_str!("intune/import-each.ps1");
const PROFILE_VALUES: &str = include_str!("intune/profile-values.txt");

/// A person whose keys are exported.
#[derive(Debug)]
pub struct IntunePerson<'a> {
    /// The mailbox.
    pub mailbox: &'a str,
    /// The user principal name; none for that of the newest certificate, else the mailbox.
    pub upn: Option<&'a str>,
    /// The keys.
    pub files: Vec<KeyFile<'a>>,
    /// The line of the table that it comes from, for messages; none for a single person.
    pub line: Option<u64>,
}

/// What `ca export intune` is told.
pub struct IntuneRequest<'a> {
    /// Whose keys.
    pub people: &'a [IntunePerson<'a>],
    /// More keys, out of the archive.
    pub archive: Option<&'a Opening<'a>>,
    /// The table that they come from, for messages.
    pub table: &'a str,
    /// Where the files go: a directory of their own, mode 0700.
    pub dir: &'a Path,
    /// The key of the certificate connector; with it no password is in clear anywhere.
    pub connector: Option<&'a ConnectorKey>,
    /// Whether keys that only sign are exported as well.
    pub signing: bool,
    /// Whether archived keys may be missing.
    pub partial: bool,
    /// Which programs must read the PFX files.
    pub profile: Pkcs12Profile,
    /// Whether to replace files that are there.
    pub replace: bool,
    /// Who does it.
    pub actor: &'a str,
}

/// What was exported of a person.
#[derive(Clone, Debug)]
pub struct IntuneExported {
    /// The mailbox.
    pub mailbox: String,
    /// The user principal name.
    pub upn: String,
    /// The certificates whose keys were exported, the oldest first.
    pub keys: Vec<SerialNumber>,
    /// Encryption certificates whose keys were not.
    pub missing: Vec<MissingKey>,
}

/// Writes the directory, and records which keys are in it.
///
/// # Errors
/// Somebody's keys cannot be read, all faults of a table together; shares that do not
/// open the archive; a file that exists. Nothing was written or recorded then.
pub fn export_intune(
    home: &Home,
    request: &IntuneRequest<'_>,
    now: Timestamp,
    wait: &Wait<'_>,
) -> Result<(Vec<IntuneExported>, Vec<PathBuf>)> {
    let mut archive = FromArchive::open(home, request.archive, wait)?;
    let people = gather(home, request, &mut archive, wait)?;
    archive.check_taken()?;
    let mut names: Vec<String> = people
        .iter()
        .flat_map(|(person, _)| &person.keys)
        .map(|key| key.issuance.authority.clone())
        .collect();
    names.sort();
    names.dedup();
    let trust = TrustSet::of(home, &names)?;
    let mut directory = Directory { dir: request.dir, replace: request.replace, staged: Vec::new() };
    directory.prepare(request.connector.is_some())?;
    let (mut acts, mut exported) = (Vec::new(), Vec::new());
    let mut manifest = csv::Writer::from_writer(Vec::new());
    let mut passwords = csv::Writer::from_writer(Vec::new());
    row(&mut manifest, &MANIFEST)?;
    row(&mut passwords, &["PfxFile", "PfxPassword"])?;
    let total = people.len() as u64;
    for (count, (person, upn)) in (1..).zip(&people) {
        for key in &person.keys {
            let pfx = Pfx::make(key, person, upn, request.profile)?;
            acts.push(key.exported(&person.mailbox, "intune", &pfx.bytes, request.actor, now)?);
            directory.stage(&pfx.name, &pfx.bytes)?;
            match request.connector {
                Some(connector) => {
                    let body = pfx.graph_body(connector)?;
                    directory.stage(&format!("graph/{}.json", pfx.thumbprint), body.as_bytes())?;
                }
                None => row(&mut passwords, &[pfx.name.as_str(), pfx.password.expose()])?,
            }
            row(&mut manifest, &pfx.manifest_row())?;
        }
        exported.push(IntuneExported {
            mailbox: person.mailbox.to_string(),
            upn: upn.clone(),
            keys: person.keys.iter().map(|key| key.issuance.record.serial).collect(),
            missing: person.missing.clone(),
        });
        (wait.progress)(count, total);
    }
    directory.stage("manifest.csv", &finish(manifest)?)?;
    if request.connector.is_none() {
        directory.stage("passwords.csv", &Zeroizing::new(finish(passwords)?))?;
    }
    directory.stage("import.ps1", import_script(request.connector).as_bytes())?;
    for one in trust.all() {
        directory.stage(&format!("{}.cer", one.file_stem), &one.der)?;
    }
    directory.stage("profile-values.txt", profile_values(&trust, request.connector).as_bytes())?;
    let files = archive.commit(home, acts, directory.staged, request.actor, now, wait)?;
    Ok((exported, files))
}

/// Everybody's keys and user principal name; of a table, all faults together.
fn gather(
    home: &Home,
    request: &IntuneRequest<'_>,
    archive: &mut FromArchive,
    wait: &Wait<'_>,
) -> Result<Vec<(PersonKeys, String)>> {
    let mut inventory = Inventory::open(home, wait)?;
    let (mut people, mut bad) = (Vec::new(), Vec::new());
    for one in request.people {
        let more = archive.take(one.mailbox);
        match (one_person(home, &mut inventory, request, one, more, wait), one.line) {
            (Ok(found), _) => people.push(found),
            (Err(error), Some(line)) => bad.push(BadLine { line, what: error.to_string() }),
            (Err(error), None) => return Err(error),
        }
    }
    if !bad.is_empty() {
        return Err(AuthorityError::Lines { file: request.table.to_owned(), lines: bad });
    }
    Ok(people)
}

fn one_person(
    home: &Home,
    inventory: &mut Inventory,
    request: &IntuneRequest<'_>,
    one: &IntunePerson<'_>,
    more: Vec<HeldKey>,
    wait: &Wait<'_>,
) -> Result<(PersonKeys, String)> {
    let mut person = person_keys(home, inventory, one.mailbox, &one.files, more, wait)?;
    if !request.partial {
        person.check_complete()?;
    }
    let upn = match one.upn {
        Some(text) => {
            Upn::parse(text).map_err(|error| AuthorityError::Input(error.to_string()))?.as_str().to_owned()
        }
        None => {
            let newest =
                person.keys.last().map(|key| windows_names(&key.issuance.certificate)).transpose()?;
            let certified = newest.and_then(|(upn, _)| upn);
            certified.map_or_else(|| person.mailbox.to_string(), |upn| upn.as_str().to_owned())
        }
    };
    person.keys.retain(|key| key.encrypts || request.signing);
    if person.keys.is_empty() {
        return Err(AuthorityError::Input(format!(
            "the files of {} hold no encryption key; name those that do, or give --signing",
            person.mailbox
        )));
    }
    Ok((person, upn))
}

const MANIFEST: [&str; 9] = [
    "UserPrincipalName",
    "Email",
    "PfxFile",
    "Thumbprint",
    "Serial",
    "IntendedPurpose",
    "PaddingScheme",
    "StartDateTime",
    "ExpirationDateTime",
];

/// A PFX file with one key, and its password, which exists nowhere else.
struct Pfx<'a> {
    key: &'a HeldKey,
    upn: &'a str,
    email: &'a str,
    name: String,
    thumbprint: String,
    password: Passphrase,
    bytes: Zeroizing<Vec<u8>>,
}

impl<'a> Pfx<'a> {
    fn make(key: &'a HeldKey, person: &'a PersonKeys, upn: &'a str, profile: Pkcs12Profile) -> Result<Self> {
        let password = password::generate()?;
        let mailbox = person.mailbox.as_str();
        let friendly_name = format!("{mailbox} {}", key.label());
        let one = Identity { key: &key.key, certificate: &key.issuance.der, friendly_name: &friendly_name };
        let bytes = export_many(profile, Rounds::Few, &[one], &key.chain, &password)?;
        let thumbprint = hex::encode(Sha1::digest(&key.issuance.der));
        let name =
            format!("{}-{}-{}.pfx", slug(mailbox), key.label(), thumbprint.get(..8).unwrap_or_default());
        Ok(Self { key, upn, email: mailbox, name, thumbprint, password, bytes })
    }

    const fn purpose(&self) -> &'static str {
        if self.key.encrypts { "smimeEncryption" } else { "smimeSigning" }
    }

    fn manifest_row(&self) -> [String; 9] {
        let record = &self.key.issuance.record;
        [
            self.upn.to_owned(),
            self.email.to_owned(),
            self.name.clone(),
            self.thumbprint.clone(),
            record.serial.to_string(),
            self.purpose().to_owned(),
            "oaepSha512".to_owned(),
            record.not_before.to_string(),
            record.not_after.to_string(),
        ]
    }

    /// A userPFXCertificate of Microsoft Graph. The password is encrypted to the connector.
    fn graph_body(&self, connector: &ConnectorKey) -> Result<String> {
        let record = &self.key.issuance.record;
        let body = json!({
            "@odata.type": "#microsoft.graph.userPFXCertificate",
            "thumbprint": self.thumbprint,
            "intendedPurpose": self.purpose(),
            "userPrincipalName": self.upn,
            "startDateTime": record.not_before.to_string(),
            "expirationDateTime": record.not_after.to_string(),
            "providerName": connector.provider,
            "keyName": connector.name,
            "paddingScheme": "oaepSha512",
            "encryptedPfxBlob": base64(&self.bytes),
            "encryptedPfxPassword": base64(&connector.encrypt(self.password.expose().as_bytes())?),
        });
        serde_json::to_string_pretty(&body)
            .map_err(|error| AuthorityError::Input(format!("cannot write a body for Graph: {error}")))
    }
}

/// The directory of an export: everything is staged before anything is recorded.
struct Directory<'a> {
    dir: &'a Path,
    replace: bool,
    staged: Vec<StagedFile>,
}

impl Directory<'_> {
    fn prepare(&self, graph: bool) -> Result<()> {
        create_private_dir(self.dir)?;
        if graph {
            create_private_dir(&self.dir.join("graph"))?;
        }
        Ok(())
    }

    fn stage(&mut self, name: &str, bytes: &[u8]) -> Result<()> {
        let path = self.dir.join(name);
        if !self.replace {
            check_new([&path])?;
        }
        self.staged.push(StagedFile::write(&path, bytes, Mode::Private)?);
        Ok(())
    }
}

fn row(writer: &mut csv::Writer<Vec<u8>>, fields: &[impl AsRef<[u8]>]) -> Result<()> {
    writer
        .write_record(fields)
        .map_err(|error| AuthorityError::Input(format!("cannot write a table: {error}")))
}

fn finish(writer: csv::Writer<Vec<u8>>) -> Result<Vec<u8>> {
    writer.into_inner().map_err(|error| AuthorityError::Input(format!("cannot write a table: {error}")))
}

fn import_script(connector: Option<&ConnectorKey>) -> String {
    let each = EACH_KEY.trim_end();
    match connector {
        Some(_) => powershell::fill(GRAPH_SCRIPT, &[("@IMPORT@", each)]),
        // There it is in a block.
        None => powershell::fill(MODULE_SCRIPT, &[("@IMPORT@", &each.replace('\n', "\n    "))]),
    }
}

/// What an administrator types into the pages of Intune.
fn profile_values(trust: &TrustSet, connector: Option<&ConnectorKey>) -> String {
    let line = |store: &str, one: &super::trust::Trusted| {
        let sha1 = hex::encode_upper(Sha1::digest(&one.der));
        let label: String = one.label.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        format!(
            "  {label}\n    Certificate file      {}.cer\n    SHA-1 thumbprint      {sha1}\n    Destination store     {store}\n",
            one.file_stem
        )
    };
    let roots = trust.roots().iter().map(|one| line("Computer certificate store - Root", one));
    let others =
        trust.intermediates().iter().map(|one| line("Computer certificate store - Intermediate", one));
    let authorities: String = roots.chain(others).collect();
    let names = |list: &[super::trust::Trusted]| {
        list.iter().map(|one| format!("{}.cer", one.file_stem)).collect::<Vec<_>>().join(", ")
    };
    let (provider, key) = connector
        .map_or(("the provider of the connector's key", "the name of the connector's key"), |connector| {
            (&connector.provider, &connector.name)
        });
    let values = [
        ("@AUTHORITIES@", authorities.trim_end()),
        ("@ROOTS@", &names(trust.roots())),
        ("@PROVIDER@", provider),
        ("@KEY@", key),
    ];
    let filled = powershell::fill(PROFILE_VALUES, &values);
    filled.trim_start_matches('\u{feff}').to_owned()
}
