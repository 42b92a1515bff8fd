//! `ca export`.

mod apple;
mod intune;
mod keys;

use std::fs::{Permissions, set_permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use ca_core::export::bundle::{Bundle, Exported, ExportedFile, bundle};
use ca_core::export::exchange::{OwaSettings, exchange};
use ca_core::export::mailserver::{MailServer, MailServerRequest, mailserver};
use ca_core::export::sst;
use ca_core::export::trust::TrustSet;
use ca_core::files::{Mode, create_dir_all, write_atomic};
use serde_json::json;

use crate::args::{
    BundleArgs, BundleFormat, ExchangeArgs, ExportCommand, MailServerKind, MailserverArgs, SstArgs, TrustArgs,
};
use crate::context::Context;
use crate::error::{CliError, Result};
use crate::report::{check_out, deliver, done};

pub(super) fn run(command: ExportCommand, context: &Context) -> Result<()> {
    match command {
        ExportCommand::Bundle(args) => export_bundle(&args, context),
        ExportCommand::Exchange(args) => export_exchange(&args, context),
        ExportCommand::Intune(args) => intune::intune(&args, context),
        ExportCommand::Mailserver(args) => export_mailserver(&args, context),
        ExportCommand::Mobileconfig(args) => apple::mobileconfig(&args, context),
        ExportCommand::Sst(args) => export_sst(&args, context),
    }
}

fn trust(args: &TrustArgs, context: &Context) -> Result<TrustSet> {
    Ok(TrustSet::of(&context.home()?, &args.authority)?)
}

fn export_bundle(args: &BundleArgs, context: &Context) -> Result<()> {
    let mut trust = trust(&args.trust, context)?;
    if args.roots_only {
        trust = trust.roots_only();
    }
    let passphrase;
    let form = match args.format {
        BundleFormat::Debian => Bundle::Debian {
            package: args.package.as_deref(),
            maintainer: &args.maintainer,
            now: context.now()?,
        },
        BundleFormat::Der => Bundle::Der,
        BundleFormat::Firefox => Bundle::Mozilla { directory: args.installed_in.as_deref() },
        BundleFormat::P12 => {
            let source = args.protection.password.source();
            passphrase = source.create("the trust store")?;
            Bundle::Pkcs12 { profile: args.protection.p12_profile.into(), passphrase: &passphrase }
        }
        BundleFormat::P7b => Bundle::P7b,
        BundleFormat::Pem => Bundle::Pem,
        BundleFormat::Windows => Bundle::Windows,
    };
    match bundle(&form, &trust)? {
        Exported::File(bytes) => deliver(context, args.out.as_deref(), &bytes, args.force),
        Exported::Directory(files) => {
            let out = args.out.as_deref().ok_or_else(|| {
                CliError::Usage("this form has several files; name a directory for them with --out".into())
            })?;
            let written = write_directory(out, &files, args.force)?;
            done(
                context,
                &format!("Wrote {} files to {}.", files.len(), out.display()),
                &json!({"files": written}),
            )
        }
    }
}

fn export_mailserver(args: &MailserverArgs, context: &Context) -> Result<()> {
    let server = match args.server {
        MailServerKind::Dovecot => MailServer::Dovecot,
        MailServerKind::Exim => MailServer::Exim,
        MailServerKind::Haproxy => MailServer::Haproxy,
        MailServerKind::Nginx => MailServer::Nginx,
        MailServerKind::Postfix => MailServer::Postfix,
    };
    let request = MailServerRequest { server, dir: &args.dir, clients: &args.clients };
    let (home, now) = (context.home()?, context.now()?);
    let files = context.waiting(|wait| mailserver(&home, &request, now, wait))?;
    let Some(out) = &args.out else {
        let settings = files.first().map(|file| file.bytes.as_slice()).unwrap_or_default();
        return deliver(context, None, settings, false);
    };
    let written = write_directory(out, &files, args.force)?;
    done(context, &format!("Wrote {} files to {}.", files.len(), out.display()), &json!({"files": written}))
}

/// Writes all files, or none if one of them exists and must not be replaced.
fn write_directory(dir: &Path, files: &[ExportedFile], replace: bool) -> Result<Vec<PathBuf>> {
    let paths: Vec<_> = files.iter().map(|file| dir.join(&file.name)).collect();
    for path in &paths {
        check_out(path, replace)?;
    }
    for (file, path) in files.iter().zip(&paths) {
        if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            create_dir_all(parent, Mode::Public)?;
        }
        write_atomic(path, &file.bytes, Mode::Public)?;
        if file.executable {
            set_permissions(path, Permissions::from_mode(0o755)).map_err(|error| {
                CliError::Failed(format!("cannot make {} a program: {error}", path.display()))
            })?;
        }
    }
    Ok(paths)
}

/// What Exchange takes: no certificate that has expired.
fn valid_trust(args: &TrustArgs, context: &Context) -> Result<TrustSet> {
    let mut trust = trust(args, context)?;
    for label in trust.remove_expired(context.now()?)? {
        context.note(&format!("{label:?} has expired and is left out: Exchange would refuse the store"));
    }
    Ok(trust)
}

fn export_exchange(args: &ExchangeArgs, context: &Context) -> Result<()> {
    let trust = valid_trust(&args.trust, context)?;
    let settings = OwaSettings {
        always_sign: args.always_sign,
        always_encrypt: args.always_encrypt,
        strict_crl: args.strict_crl,
        crl_timeout: args.crl_timeout,
    };
    let written = write_directory(&args.out, &exchange(&trust, settings)?, args.force)?;
    let (roots, intermediates) = (trust.roots().len(), trust.intermediates().len());
    let text = format!(
        "Wrote {}: exchange.sst ({roots} roots, {intermediates} intermediates), collection.ps1, owa.ps1.",
        args.out.display()
    );
    done(context, &text, &json!({"files": written, "roots": roots, "intermediates": intermediates}))
}

fn export_sst(args: &SstArgs, context: &Context) -> Result<()> {
    let trust = valid_trust(&args.trust, context)?;
    let script = args.out.with_extension("ps1");
    let name = args.out.file_name().map(|name| name.to_string_lossy().into_owned());
    let Some(name) = name.filter(|_| script != args.out) else {
        return Err(CliError::Usage(format!(
            "{} cannot be the store, whose script gets the same name with .ps1; name a file like exchange.sst",
            args.out.display()
        )));
    };
    check_out(&args.out, args.force)?;
    check_out(&script, args.force)?;
    let store = sst::sst(&trust)?;
    write_atomic(&args.out, &store, Mode::Public)?;
    write_atomic(&script, sst::upload_script(&name, &store, &trust).as_bytes(), Mode::Public)?;
    let (roots, intermediates) = (trust.roots().len(), trust.intermediates().len());
    done(
        context,
        &format!(
            "Wrote {} ({roots} roots, {intermediates} intermediates) and {}.",
            args.out.display(),
            script.display()
        ),
        &json!({"files": [&args.out, &script], "roots": roots, "intermediates": intermediates}),
    )
}
