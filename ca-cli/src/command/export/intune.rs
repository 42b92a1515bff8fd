//! `ca export intune`.

use std::path::Path;

use ca_core::export::intune::{
    ConnectorKey, IntunePerson, IntuneRequest, TableRow, export_intune, read_table,
};
use ca_core::export::keys::KeyFile;
use ca_core::files::read_private;
use ca_core::index::lookup_key;
use serde_json::json;
use zeroize::Zeroizing;

use super::keys::{Shares, missing_value, password, tell_missing};
use crate::args::IntuneArgs;
use crate::context::Context;
use crate::error::{CliError, Result};
use crate::input::read_limited;
use crate::report::done;

/// Bytes of a public key file at most.
const MAX_KEY: u64 = 64 << 10;

pub(super) fn intune(args: &IntuneArgs, context: &Context) -> Result<()> {
    let home = context.home()?;
    let connector = args
        .connector_key
        .as_ref()
        .map(|path| {
            let name = path.display().to_string();
            let bytes = read_limited(path, MAX_KEY)?;
            Ok::<_, CliError>(ConnectorKey::read(&bytes, &name, &args.provider, &args.key_name)?)
        })
        .transpose()?;
    let shares = Shares::read(&args.keys)?;
    let opening = shares.as_ref().map(Shares::opening);
    let (rows, single);
    let people = match (&args.batch, &args.email) {
        (Some(table), _) => {
            let bytes = Zeroizing::new(read_private(table)?);
            let dir = table.parent().unwrap_or_else(|| Path::new(""));
            rows = read_table(&bytes, dir, &table.display().to_string(), shares.is_some())?;
            people(&rows)
        }
        (None, Some(email)) => {
            // With shares alone, there is no file to open: PFX files get passwords of their own.
            single =
                if args.keys.p12.is_empty() && shares.is_some() { None } else { Some(password(&args.keys)?) };
            let password = single.as_ref();
            let paths = args.keys.p12.iter();
            let files =
                paths.filter_map(|path| password.map(|password| KeyFile { path, password })).collect();
            vec![IntunePerson { mailbox: email, upn: args.upn.as_deref(), files, line: None }]
        }
        (None, None) => return Err(CliError::Usage("nobody was named; give --email or --batch".into())),
    };
    let actor = context.actor();
    let table = args.batch.as_ref().map(|path| path.display().to_string()).unwrap_or_default();
    let request = IntuneRequest {
        people: &people,
        archive: opening.as_ref(),
        table: &table,
        dir: &args.out,
        connector: connector.as_ref(),
        signing: args.signing,
        partial: args.keys.partial,
        profile: args.p12_profile.into(),
        replace: args.force,
        actor: &actor,
    };
    let now = context.now()?;
    let (exported, files) = context.waiting(|wait| export_intune(&home, &request, now, wait))?;
    for person in &exported {
        tell_missing(context, &person.mailbox, &person.missing);
    }
    let keys: usize = exported.iter().map(|person| person.keys.len()).sum();
    let passwords = match &connector {
        Some(connector) => format!("encrypted to {:?} of the connector", connector.name),
        None => "in clear in passwords.csv; import on the connector's machine, then delete it".to_owned(),
    };
    let text = format!(
        "Exported {keys} keys of {} people to {}.\n  passwords    {passwords}\n  next         import.ps1, profile-values.txt",
        exported.len(),
        args.out.display(),
    );
    let person = |person: &ca_core::export::intune::IntuneExported| {
        json!({
            "email": person.mailbox,
            "upn": person.upn,
            "keys": person.keys.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "missing": missing_value(&person.missing),
        })
    };
    done(context, &text, &json!({"people": exported.iter().map(person).collect::<Vec<_>>(), "files": files}))
}

/// The rows of one person together, in the order of the table.
fn people(rows: &[TableRow]) -> Vec<IntunePerson<'_>> {
    let mut found: Vec<IntunePerson<'_>> = Vec::new();
    let mut known = std::collections::HashMap::new();
    for row in rows {
        let at = *known.entry(lookup_key(&row.email)).or_insert_with(|| {
            let (mailbox, line) = (row.email.as_str(), Some(row.line));
            found.push(IntunePerson { mailbox, upn: None, files: Vec::new(), line });
            found.len() - 1
        });
        if let Some(person) = found.get_mut(at) {
            person.files.extend(row.keys.as_ref().map(|(path, password)| KeyFile { path, password }));
            person.upn = person.upn.or(row.upn.as_deref());
        }
    }
    found
}
