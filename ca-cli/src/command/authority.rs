//! `ca authority`.

use ca_core::authority::Authority;
use ca_core::create_authority::{CreateAuthority, create_authority};
use ca_core::domain::SpkiHash;
use ca_core::domain::csr::VerifiedRequest;
use ca_core::domain::profile::SubjectInput;
use ca_core::domain::template::Template;
use ca_core::export::{Format, export};
use ca_core::files::{Mode, write_atomic};
use ca_core::import_authority::{import_authority, read_certificates};
use ca_core::issue::Output;
use ca_core::offline_root::{self, RequestAuthority, SignAuthority};
use ca_core::signing::KdfCost;
use ca_core::{AuthorityKey, Home, templates};
use comfy_table::{Table, presets};
use serde_json::{Value, json};

use crate::args::{
    AuthorityCommand, ConstraintArgs, CreateArgs, CsrArgs, ImportArgs, NameArgs, PassphraseArgs, SignArgs,
    SubjectArgs,
};
use crate::context::Context;
use crate::error::{CliError, Result};
use crate::passphrase::Source;
use crate::plan::confirm;
use crate::report::{check_out, deliver, done, say, show};

pub(super) fn run(command: AuthorityCommand, context: &Context) -> Result<()> {
    match command {
        AuthorityCommand::Create(args) => create(&args, context),
        AuthorityCommand::Csr(args) => csr(&args, context),
        AuthorityCommand::Sign(args) => sign(&args, context),
        AuthorityCommand::Import(args) => import(&args, context),
        AuthorityCommand::List => list(context),
        AuthorityCommand::Show { name } => {
            let authority = Authority::load(&context.home()?, &name)?;
            show(context, &describe(&authority)?, &value(&authority)?)
        }
        AuthorityCommand::Export { name, form } => {
            let authority = Authority::load(&context.home()?, &name)?;
            let bytes = export(Format::from(form.format), authority.der(), authority.chain())?;
            deliver(context, form.out.as_deref(), &bytes, form.force)
        }
    }
}

/// Loads an authority and opens its key.
pub(super) fn unlock(home: &Home, name: &str, passphrase: &PassphraseArgs) -> Result<AuthorityKey> {
    let authority = Authority::load(home, name)?;
    if !authority.has_key() {
        return Err(ca_core::AuthorityError::AuthorityWithoutKey(name.to_owned()).into());
    }
    let passphrase = source(passphrase).read(&format!("authority {name}"))?;
    Ok(authority.unlock(&passphrase)?)
}

pub(super) fn source(args: &PassphraseArgs) -> Source<'_> {
    Source {
        file: args.passphrase_file.as_ref(),
        fd: args.passphrase_fd,
        flag: "--passphrase-file or --passphrase-fd",
    }
}

fn subject(name: &NameArgs) -> Result<SubjectInput> {
    SubjectArgs { name: name.clone(), ..SubjectArgs::default() }.input()
}

/// The template with the name constraints asked for.
fn narrowed(home: &Home, name: &str, constraints: &ConstraintArgs) -> Result<Template> {
    let template = templates::load(home, name)?;
    Ok(template.narrowed(&constraints.section()).map_err(ca_core::AuthorityError::from)?)
}

fn create(args: &CreateArgs, context: &Context) -> Result<()> {
    let home = context.home()?;
    ca_core::authority::check_name(&args.name)?;
    let template = narrowed(&home, &args.template, &args.constraints)?;
    let subject = subject(&args.subject)?;
    let parent = match &args.parent {
        Some(parent) => {
            let authority = Authority::load(&home, parent)?;
            let source = Source {
                file: args.parent_passphrase_file.as_ref(),
                fd: args.parent_passphrase_fd,
                flag: "--parent-passphrase-file or --parent-passphrase-fd",
            };
            let passphrase = source.read(&format!("authority {parent}"))?;
            Some(authority.unlock(&passphrase)?)
        }
        None => None,
    };
    let passphrase = source(&args.passphrase).create(&format!("authority {}", args.name))?;
    let request = CreateAuthority {
        name: &args.name,
        template: &template,
        parent: parent.as_ref(),
        key: args.key,
        subject: &subject,
        days: args.days,
        passphrase: &passphrase,
        cost: KdfCost::Interactive,
        actor: &context.actor(),
    };
    let now = context.now()?;
    let authority = context.waiting(|wait| create_authority(&home, &request, now, wait))?;
    done(
        context,
        &format!("Created authority {}.\n{}", args.name, describe(&authority)?),
        &value(&authority)?,
    )
}

fn csr(args: &CsrArgs, context: &Context) -> Result<()> {
    let home = context.home()?;
    let template = templates::load(&home, &args.template)?;
    if let Some(out) = &args.out {
        check_out(out, false)?;
    }
    let passphrase = source(&args.passphrase).create(&format!("authority {}", args.name))?;
    let request = RequestAuthority {
        name: &args.name,
        template: &template,
        key: args.key,
        subject: &subject(&args.subject)?,
        passphrase: &passphrase,
        cost: KdfCost::Interactive,
    };
    let pem = context.waiting(|wait| offline_root::request_authority(&home, &request, wait))?;
    let csr = VerifiedRequest::from_pem(pem.as_bytes(), &ca_core::verify_callback)?;
    let key = SpkiHash::of_der(csr.public_key_der());
    let name = &args.name;
    let Some(out) = &args.out else {
        if !context.json && !context.quiet {
            say(&format!("Made the key of {name}, SHA-256 {key}."));
        }
        return show(context, &pem, &json!({"name": name, "spkiSha256": key.to_string(), "request": pem}));
    };
    write_atomic(out, pem.as_bytes(), Mode::Public)?;
    let text = format!(
        "Made the key of {name} and its request {}.\n  key hash    SHA-256 {key}\nNext: sign it with `ca authority sign` where the root is, then `ca authority import {name} --certificate FILE`.",
        out.display(),
    );
    done(context, &text, &json!({"name": name, "spkiSha256": key.to_string(), "files": [out]}))
}

fn sign(args: &SignArgs, context: &Context) -> Result<()> {
    let home = context.home()?;
    let template = narrowed(&home, &args.template, &args.constraints)?;
    let csr = crate::input::csr(&args.csr)?;
    let mut subject = subject(&args.subject)?;
    let named_here = !subject.attributes.is_empty();
    if !named_here {
        subject = offline_root::requested_names(&csr)?;
    }
    let key = SpkiHash::of_der(csr.public_key_der());
    let name =
        ca_core::domain::profile::subject_name(&template, &subject).map_err(ca_core::AuthorityError::from)?;
    // Whoever is asked must see what it is about.
    if !args.yes || !(context.quiet || context.json) {
        let from = if named_here { "given here" } else { "taken from the request" };
        say(&format!(
            "Authority to certify ({from}):\n  subject  {name}\n  key      SHA-256 {key}\n  template {}\n  issuer   {}",
            args.template, args.parent
        ));
    }
    confirm("Compare the key's hash with the one shown where it was made. Sign it?", args.yes)?;
    let parent = unlock(&home, &args.parent, &args.passphrase)?;
    let output = Output::Chain { path: args.out.clone(), replace: args.force };
    let request = SignAuthority {
        parent: &parent,
        template: &template,
        csr: &csr,
        subject: &subject,
        days: args.days,
        output: &output,
        actor: &context.actor(),
    };
    let now = context.now()?;
    let (serial, not_after) =
        context.waiting(|wait| offline_root::sign_authority(&home, &request, now, wait))?;
    let text = format!("Signed {name}, serial {serial}, valid until {not_after}: {}", args.out.display());
    done(
        context,
        &text,
        &json!({"serial": serial.to_string(), "notAfter": not_after.to_string(), "files": [args.out]}),
    )
}

fn import(args: &ImportArgs, context: &Context) -> Result<()> {
    let home = context.home()?;
    let mut paths = vec![args.certificate.as_path()];
    paths.extend(args.chain.as_deref());
    let certificates = read_certificates(&paths)?;
    let now = context.now()?;
    let actor = context.actor();
    let authority =
        context.waiting(|wait| import_authority(&home, &args.name, &certificates, &actor, now, wait))?;
    done(
        context,
        &format!("Imported authority {}.\n{}", args.name, describe(&authority)?),
        &value(&authority)?,
    )
}

fn list(context: &Context) -> Result<()> {
    let home = context.home()?;
    let authorities = Authority::all(&home)?;
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(["NAME", "SUBJECT", "KEY", "NOT AFTER", "PRIVATE KEY"]);
    let mut values = Vec::new();
    for authority in &authorities {
        table.add_row([
            authority.name().to_owned(),
            authority.certificate().tbs_certificate.subject.to_string(),
            key_name(authority),
            authority.validity().1.to_string(),
            if authority.has_key() { "here".into() } else { "elsewhere".into() },
        ]);
        values.push(value(authority)?);
    }
    let waiting = Authority::waiting(&home)?;
    for name in &waiting {
        table.add_row([
            name.as_str(),
            "waits for its certificate, see `ca authority import`",
            "",
            "",
            "here",
        ]);
    }
    let text = if authorities.is_empty() && waiting.is_empty() {
        "No authority yet; make one with `ca authority create`.".to_owned()
    } else {
        table.trim_fmt()
    };
    show(context, &text, &json!({"authorities": values, "waiting": waiting}))
}

fn key_name(authority: &Authority) -> String {
    authority.key_algorithm().map(|algorithm| algorithm.to_string()).unwrap_or_else(|| "unknown".into())
}

fn describe(authority: &Authority) -> Result<String> {
    let tbs = &authority.certificate().tbs_certificate;
    let (from, until) = authority.validity();
    Ok(format!(
        "  name        {}\n  subject     {}\n  issuer      {}\n  serial      {}\n  key         {} (identifier {})\n  key hash    SHA-256 {}\n  valid       {from} to {until}\n  private key {}",
        authority.name(),
        tbs.subject,
        tbs.issuer,
        authority.serial()?,
        key_name(authority),
        authority.key_id()?,
        authority.spki_hash()?,
        if authority.has_key() { "in this home, encrypted" } else { "elsewhere" },
    ))
}

fn value(authority: &Authority) -> Result<Value> {
    let tbs = &authority.certificate().tbs_certificate;
    let (from, until) = authority.validity();
    let pem = export(Format::Pem, authority.der(), &[])?;
    Ok(json!({
        "name": authority.name(),
        "subject": tbs.subject.to_string(),
        "issuer": tbs.issuer.to_string(),
        "serial": authority.serial()?.to_string(),
        "key": key_name(authority),
        "keyIdentifier": authority.key_id()?.to_string(),
        "spkiSha256": authority.spki_hash()?.to_string(),
        "notBefore": from.to_string(),
        "notAfter": until.to_string(),
        "hasKey": authority.has_key(),
        "certificate": String::from_utf8(pem).map_err(|error| CliError::Failed(error.to_string()))?,
    }))
}
