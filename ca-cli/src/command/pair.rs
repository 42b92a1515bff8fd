//! `ca issue --pair`, for one person and for many.

use std::path::Path;
use std::sync::Arc;

use ca_core::batch::{BatchKind, BatchReport, BatchRequest, check_batch, issue_batch};
use ca_core::domain::{KeyAlgorithm, Timestamp};
use ca_core::issue::{Issued, SubjectKey};
use ca_core::pair::{Escrow, PairFiles, PairRequest, issue_pair};
use ca_core::signing::pkcs12::Pkcs12Profile;
use ca_core::{AuthorityError, AuthorityKey, Home, people, templates};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::authority::unlock;
use crate::args::{IssueArgs, RunArgs};
use crate::context::Context;
use crate::error::{CliError, Result};
use crate::report::{done, show};

/// `ca issue --sample`.
pub(super) fn sample(context: &Context) -> Result<()> {
    let value = json!({"columns": people::columns(), "sample": people::SAMPLE});
    show(context, people::SAMPLE, &value)
}

/// `ca issue --pair`.
pub(super) fn run(args: &IssueArgs, authority: &str, context: &Context) -> Result<()> {
    let home = context.home()?;
    let names = &home.config().pair;
    let signing = templates::load(&home, args.pair.signing_template.as_ref().unwrap_or(&names.signing))?;
    let encryption =
        templates::load(&home, args.pair.encryption_template.as_ref().unwrap_or(&names.encryption))?;
    if let Some(table) = &args.batch.batch {
        let kind = BatchKind::Issue {
            signing: Arc::new(signing),
            encryption: Arc::new(encryption),
            again: args.batch.again,
        };
        let issuer = unlock(&home, authority, &args.passphrase)?;
        return Many {
            issuer: &issuer,
            kind,
            table: crate::input::read_limited(table, people::MAX_LEN)?,
            table_name: &table.display().to_string(),
            key: args.key,
            days: args.days,
            escrow: escrow(args.pair.no_escrow),
            profile: args.output.protection.p12_profile.into(),
            name: args.batch.name.as_deref(),
            out: args.output.out.as_deref().unwrap_or(Path::new(".")),
            run: &args.batch.run,
            dry_run: args.batch.dry_run,
        }
        .run(&home, context);
    }
    let subject = args.subject.input()?;
    let signing_key = match &args.csr {
        Some(path) => SubjectKey::Csr(Box::new(crate::input::csr(path)?)),
        None => SubjectKey::Generate(args.key),
    };
    let files = files(args)?;
    let issuer = unlock(&home, authority, &args.passphrase)?;
    let request = PairRequest {
        issuer: &issuer,
        signing: &signing,
        encryption: &encryption,
        subject: &subject,
        signing_key,
        encryption_key: args.key,
        days: args.days,
        escrow: escrow(args.pair.no_escrow),
        files: &files,
        actor: &context.actor(),
    };
    let now = context.now()?;
    let pair = context.waiting(|wait| issue_pair(&home, &request, now, wait))?;
    let value = json!({
        "signing": issued_value(&pair.signing),
        "encryption": issued_value(&pair.encryption),
        "files": pair.signing.files,
    });
    let text = format!(
        "Issued a pair.\n  signing     {}\n  encryption  {}\n  valid       {} to {}\n{}",
        pair.signing.serial,
        pair.encryption.serial,
        pair.signing.not_before,
        pair.signing.not_after,
        written(&pair.signing)
    );
    done(context, &text, &value)
}

pub(super) const fn escrow(declined: bool) -> Escrow {
    if declined { Escrow::None } else { Escrow::Agents }
}

pub(super) fn written(issued: &Issued) -> String {
    issued.files.iter().map(|path| format!("  wrote       {}\n", path.display())).collect()
}

pub(super) fn issued_value(issued: &Issued) -> Value {
    json!({
        "serial": issued.serial.to_string(),
        "position": issued.position,
        "notBefore": issued.not_before.to_string(),
        "notAfter": issued.not_after.to_string(),
        "certificate": issued.pem,
    })
}

fn files(args: &IssueArgs) -> Result<PairFiles> {
    let output = &args.output;
    let pkcs12 =
        [&output.p12, &args.pair.signing_p12, &args.pair.encryption_p12].into_iter().flatten().next();
    let source = output.protection.password.source();
    let password = pkcs12.map(|path| source.create(&path.display().to_string())).transpose()?;
    let shown = args.subject.name.common_name.as_ref().or(args.subject.email.first());
    Ok(PairFiles {
        both: output.p12.clone(),
        signing: args.pair.signing_p12.clone(),
        encryption: args.pair.encryption_p12.clone(),
        signing_certificate: output.out.clone(),
        encryption_certificate: args.pair.out_encryption.clone(),
        profile: output.protection.p12_profile.into(),
        password,
        friendly_name: output.friendly_name.as_ref().or(shown).cloned().unwrap_or_default(),
        replace: output.force,
    })
}

/// A batch, of new pairs or of renewals.
pub(super) struct Many<'a> {
    pub(super) issuer: &'a AuthorityKey,
    pub(super) kind: BatchKind,
    pub(super) table: Vec<u8>,
    pub(super) table_name: &'a str,
    pub(super) key: Option<KeyAlgorithm>,
    pub(super) days: Option<u32>,
    pub(super) escrow: Escrow,
    pub(super) profile: Pkcs12Profile,
    pub(super) name: Option<&'a str>,
    pub(super) out: &'a Path,
    pub(super) run: &'a RunArgs,
    pub(super) dry_run: bool,
}

impl Many<'_> {
    pub(super) fn run(self, home: &Home, context: &Context) -> Result<()> {
        let table = people::parse(&self.table, self.table_name)?;
        let actor = context.actor();
        let request = BatchRequest {
            issuer: self.issuer,
            kind: self.kind,
            table_hash: Sha256::digest(&self.table).into(),
            table_name: self.table_name,
            key: self.key,
            days: self.days,
            escrow: self.escrow,
            profile: self.profile,
            name: self.name,
            out: self.out,
            password_program: self.run.password_program.as_deref(),
            workers: self.run.workers(),
            actor: &actor,
        };
        if self.dry_run {
            let now = context.now()?;
            let count = context.waiting(|wait| check_batch(home, &request, table, now, wait))?;
            let text = format!("Every line is good; {count} people would get certificates.");
            return show(context, &text, &json!({"people": count}));
        }
        let clock = || -> ca_core::Result<Timestamp> {
            Timestamp::try_from(std::time::SystemTime::now())
                .map_err(|error| AuthorityError::Refused(format!("{error}; set the clock")))
        };
        let report = context.waiting(|wait| issue_batch(home, &request, table, &clock, wait))?;
        tell(&report, self.out, context)
    }
}

fn tell(report: &BatchReport, out: &Path, context: &Context) -> Result<()> {
    let missing: Vec<_> =
        report.missing.iter().map(|(line, path)| json!({"line": line, "file": path})).collect();
    let value = json!({
        "batch": report.id,
        "people": report.people,
        "issued": report.issued,
        "completed": report.completed,
        "directory": out,
        "passwords": report.passwords,
        "missing": missing,
    });
    let mut text = format!(
        "Batch {}: {} people, {} issued now, {} completed after an interruption.\n  files       {}\n",
        report.id,
        report.people,
        report.issued,
        report.completed,
        out.display()
    );
    if let Some(path) = &report.passwords {
        text.push_str(&format!("  passwords   {}\n", path.display()));
    }
    done(context, &text, &value)?;
    if report.missing.is_empty() {
        return Ok(());
    }
    let lines: Vec<_> =
        report.missing.iter().map(|(line, path)| format!("\n  line {line}: {}", path.display())).collect();
    Err(CliError::Failed(format!(
        "{} certificates were issued whose files are gone; if nobody moved the files, revoke and issue again{}",
        lines.len(),
        lines.concat()
    )))
}
