//! A directory: CRLs and certificates as attributes of entries (RFC 4523), in OpenLDAP or
//! Active Directory.

use std::collections::BTreeMap;
use std::io::Read;

use ca_ldap::{Attribute, Change, Connection, Dialect, DirectoryConfig, LdapError};

use super::item::Kind;
use super::spool::Spool;
use super::{Before, Item, Standing, Target, TargetError};

/// A directory holds a value in memory, and so do we.
const MAX_VALUE: u64 = 64 << 20;
/// LDAP's noSuchObject (RFC 4511, section 4.1.9).
const NO_SUCH_OBJECT: u32 = 32;
/// LDAP's objectClassViolation.
const OBJECT_CLASS_VIOLATION: u32 = 65;
/// What stands in mandatory attributes of Active Directory that have no value yet.
const NO_VALUE: [u8; 1] = [0];

/// Where a file goes in a directory.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EntryConfig {
    /// The name of the entry.
    pub dn: String,
    /// The attributes that get the file; none for the one that fits it.
    pub attributes: Vec<Attribute>,
    /// Whether to make the entry if it is not there.
    pub create: bool,
}

/// Entries of a directory.
pub struct LdapTarget {
    directory: DirectoryConfig,
    /// By the path of the published file.
    entries: BTreeMap<String, EntryConfig>,
    spool: Spool,
}

impl LdapTarget {
    /// The directory, and where in it each file goes. Nothing is asked for yet.
    #[must_use]
    pub fn new(directory: DirectoryConfig, entries: BTreeMap<String, EntryConfig>, spool: Spool) -> Self {
        Self { directory, entries, spool }
    }

    fn entry(&self, item: &Item) -> Result<(&EntryConfig, Vec<Attribute>), TargetError> {
        let entry = self.entries.get(&item.path);
        let entry =
            entry.ok_or_else(|| TargetError::Failed(format!("no entry is named for {}", item.path)))?;
        let fitting = match &item.look.kind {
            Kind::Crl(facts) if facts.base.is_some() => Attribute::DeltaRevocationList,
            Kind::Crl(_) => Attribute::CertificateRevocationList,
            Kind::Certificate | Kind::Faulty(_) => Attribute::CaCertificate,
        };
        let chosen = if entry.attributes.is_empty() { vec![fitting] } else { entry.attributes.clone() };
        Ok((entry, chosen))
    }

    fn name(&self, attribute: Attribute) -> &'static str {
        self.directory.dialect.attribute(attribute)
    }
}

fn content(item: &Item) -> Result<Vec<u8>, TargetError> {
    let unreadable =
        |error: std::io::Error| TargetError::Failed(format!("{} cannot be read: {error}", item.path));
    if item.length > MAX_VALUE {
        return Err(TargetError::Refused(format!(
            "{} bytes are more than a directory takes; publish shards, or another target",
            item.length
        )));
    }
    let mut bytes = Vec::new();
    item.reader().and_then(|mut file| file.read_to_end(&mut bytes)).map_err(unreadable)?;
    Ok(bytes)
}

fn failed(error: &LdapError) -> TargetError {
    TargetError::Failed(error.to_string())
}

impl Target for LdapTarget {
    fn ready(&mut self) -> Result<(), String> {
        ca_ldap::check_files(&self.directory).map_err(|error| error.to_string())
    }

    fn read(&mut self, item: &Item, _: Option<&str>) -> Result<Standing, TargetError> {
        let wanted = content(item)?;
        let (entry, attributes) = self.entry(item)?;
        let names: Vec<&str> = attributes.iter().map(|attribute| self.name(*attribute)).collect();
        let mut connection = Connection::open(&self.directory).map_err(|error| failed(&error))?;
        let found = connection.read(&entry.dn, &names);
        connection.close();
        let Some(found) = found.map_err(|error| failed(&error))? else { return Ok(Standing::Absent) };
        let mut is_whole = true;
        for attribute in attributes {
            let values = found.values(attribute.name());
            if values.contains(&wanted.as_slice()) && (values.len() == 1 || keeps_others(attribute)) {
                continue;
            }
            is_whole = false;
            match values.as_slice() {
                // Certificates of the same authority stand side by side.
                _ if keeps_others(attribute) => {}
                [] => {}
                [one] => return Ok(Standing::Found(self.spool.take(*one)?, None)),
                several => {
                    return Err(TargetError::Refused(format!(
                        "{} of {} has {} values; give each CRL an entry of its own, or remove them",
                        attribute.name(),
                        entry.dn,
                        several.len()
                    )));
                }
            }
        }
        if is_whole {
            Ok(Standing::Found(self.spool.take(wanted.as_slice())?, None))
        } else {
            Ok(Standing::Absent)
        }
    }

    fn put(&mut self, item: &Item, _: &Before) -> Result<Option<String>, TargetError> {
        let value = content(item)?;
        let (entry, attributes) = self.entry(item)?;
        let mut connection = Connection::open(&self.directory).map_err(|error| failed(&error))?;
        let names: Vec<&str> = attributes.iter().map(|attribute| self.name(*attribute)).collect();
        let standing = connection.read(&entry.dn, &names).map_err(|error| failed(&error))?;
        let result = match standing {
            None if entry.create => {
                let mut made = object(self.directory.dialect, &attributes);
                for attribute in &attributes {
                    let name = self.name(*attribute);
                    made.retain(|(other, _)| *other != name);
                    made.push((name, vec![value.clone()]));
                }
                connection.add(&entry.dn, &made)
            }
            Some(found) => {
                let change = |attribute: &Attribute| {
                    let (name, values) = (self.name(*attribute).to_owned(), vec![value.clone()]);
                    let standing = found.values(attribute.name());
                    if !keeps_others(*attribute) {
                        Some(Change::Replace(name, values))
                    } else if standing.contains(&value.as_slice()) {
                        None
                    } else if standing == [NO_VALUE.as_slice()] {
                        Some(Change::Replace(name, values))
                    } else {
                        Some(Change::Add(name, values))
                    }
                };
                let changes: Vec<Change> = attributes.iter().filter_map(change).collect();
                connection.modify(&entry.dn, &changes)
            }
            None => {
                return Err(TargetError::Failed(format!(
                    "{} has no entry {}; make it, or set `create: true`",
                    self.directory.url, entry.dn
                )));
            }
        };
        connection.close();
        result.map(|()| None).map_err(|error| match error.code() {
            Some(NO_SUCH_OBJECT) => TargetError::Failed(format!("{error}; the entry above it is missing")),
            Some(OBJECT_CLASS_VIOLATION) => {
                let classes = classes(self.directory.dialect, &attributes);
                TargetError::Failed(format!("{error}; it needs objectClass: {classes}"))
            }
            _ => failed(&error),
        })
    }
}

/// Whether values of others stay beside ours.
fn keeps_others(attribute: Attribute) -> bool {
    attribute == Attribute::CaCertificate
}

/// The class that an entry needs for these attributes.
fn classes(dialect: Dialect, attributes: &[Attribute]) -> &'static str {
    match dialect {
        Dialect::OpenLdap if attributes.contains(&Attribute::DeltaRevocationList) => "deltaCRL",
        Dialect::OpenLdap => "pkiCA",
        Dialect::Ad if attributes.contains(&Attribute::CaCertificate) => "certificationAuthority",
        Dialect::Ad => "cRLDistributionPoint",
    }
}

/// The classes of a new entry, and what they demand.
fn object(dialect: Dialect, attributes: &[Attribute]) -> Vec<(&'static str, Vec<Vec<u8>>)> {
    let classes =
        |names: &[&str]| ("objectClass", names.iter().map(|name| name.as_bytes().to_vec()).collect());
    match dialect {
        // RFC 4523: any entry may be a certification authority. A role is one that needs a name only.
        Dialect::OpenLdap => vec![classes(&["top", "organizationalRole", "pkiCA", "deltaCRL"])],
        Dialect::Ad if attributes.contains(&Attribute::CaCertificate) => vec![
            classes(&["top", "certificationAuthority"]),
            ("authorityRevocationList", vec![NO_VALUE.to_vec()]),
            ("certificateRevocationList", vec![NO_VALUE.to_vec()]),
        ],
        Dialect::Ad => vec![classes(&["top", "cRLDistributionPoint"])],
    }
}
