//! `ca request`.

use ca_core::request::{self, Approve, Document, Operator, Request, RequestState, Submit};
use ca_core::{Authority, templates};
use comfy_table::{Table, presets};
use serde_json::{Value, json};

use super::authority::unlock;
use super::issue;
use crate::args::{ApproveArgs, RequestCommand, SubmitArgs};
use crate::context::Context;
use crate::error::{CliError, Result};
use crate::report::show;

pub(super) fn run(command: RequestCommand, context: &Context) -> Result<()> {
    match command {
        RequestCommand::Approve(args) => approve(&args, context),
        RequestCommand::List { state } => {
            let mut requests = request::list(&context.home()?)?;
            requests.retain(|request| state.is_none_or(|state| state.name() == request.state.name()));
            list(&requests, context)
        }
        RequestCommand::Reject { id, reason } => reject(&id, &reason, context),
        RequestCommand::Show { id } => {
            let request = request::load(&context.home()?, &id)?;
            show(context, &text(&request), &value(&request))
        }
        RequestCommand::Submit(args) => submit(&args, context),
    }
}

fn submit(args: &SubmitArgs, context: &Context) -> Result<()> {
    let home = context.home()?;
    let template = templates::load(&home, &args.template)?;
    let authority = Authority::load(&home, &args.authority)?;
    let csr = args.csr.as_ref().map(|path| crate::input::csr(path)).transpose()?;
    let actor = context.actor();
    let submission = Submit {
        authority: &authority,
        template: &template,
        subject: &args.subject.input()?,
        csr: csr.as_ref(),
        key: args.key,
        escrow: args.escrow,
        days: args.days,
        operator: operator(&actor),
    };
    let now = context.now()?;
    let request = context.waiting(|wait| request::submit(&home, &submission, now, wait))?;
    let id = &request.document.id;
    let text = format!("Submitted request {id}.\nAnother person approves it with `ca request approve {id}`.");
    show(context, &text, &value(&request))
}

fn approve(args: &ApproveArgs, context: &Context) -> Result<()> {
    let home = context.home()?;
    let request = request::load(&home, &args.id)?;
    let actor = context.actor();
    let operator = operator(&actor);
    // Before anybody is asked for a passphrase.
    request.check_approvable(&home, operator)?;
    let document = &request.document;
    if document.csr.is_none() && args.output.p12.is_none() && args.output.out_key.is_none() {
        return Err(CliError::Usage(
            "the key of this request is made now and nobody would get it; give --p12 FILE (or --out-key FILE)".into(),
        ));
    }
    let outputs = issue::outputs(&args.output, Some(shown_name(document)))?;
    let issuer = unlock(&home, &document.authority, &args.passphrase)?;
    let act = Approve { id: &args.id, issuer: &issuer, outputs: &outputs, operator };
    let now = context.now()?;
    let issued = context.waiting(|wait| request::approve(&home, &act, now, wait))?;
    issue::report(&issued, context)
}

fn reject(id: &str, reason: &str, context: &Context) -> Result<()> {
    if reason.trim().is_empty() {
        return Err(CliError::Usage("a rejection needs a reason; say it with --reason".into()));
    }
    let home = context.home()?;
    let actor = context.actor();
    let now = context.now()?;
    let request = context.waiting(|wait| request::reject(&home, id, reason, operator(&actor), now, wait))?;
    show(context, &format!("Rejected request {id}."), &value(&request))
}

fn operator(actor: &str) -> Operator<'_> {
    Operator { uid: crate::operator::uid(), actor }
}

/// The name that clients show for the key: the common name, else the person.
fn shown_name(document: &Document) -> &String {
    use ca_core::domain::template::SubjectAttribute::CommonName;
    document.attributes.get(&CommonName).unwrap_or(&document.person)
}

fn list(requests: &[Request], context: &Context) -> Result<()> {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(["ID", "STATE", "SUBMITTED", "TEMPLATE", "PERSON", "BY"]);
    for request in requests {
        let document = &request.document;
        table.add_row([
            document.id.clone(),
            request.state.name().to_owned(),
            document.submitted.to_string(),
            document.template.clone(),
            document.person.clone(),
            document.actor.clone(),
        ]);
    }
    let values: Vec<Value> = requests.iter().map(value).collect();
    show(context, &table.trim_fmt(), &json!({"requests": values}))
}

fn text(request: &Request) -> String {
    let document = &request.document;
    let mut lines = vec![
        ("request", document.id.clone()),
        ("state", request.state.name().to_owned()),
        ("authority", document.authority.clone()),
        ("template", format!("{} (sha256 {})", document.template, document.template_hash)),
        ("person", document.person.clone()),
    ];
    lines.extend(document.mailboxes.iter().map(|mailbox| ("mailbox", mailbox.clone())));
    lines.extend(document.dns_names.iter().map(|name| ("host name", name.clone())));
    lines.extend(document.attributes.iter().map(|(attribute, value)| (attribute.name(), value.clone())));
    let key = match (&document.csr, document.key) {
        (Some(_), _) => "of the requester".to_owned(),
        (None, Some(algorithm)) => format!("{algorithm}, made at the approval"),
        (None, None) => "the template's default, made at the approval".to_owned(),
    };
    let archived = if document.escrow { ", archived" } else { "" };
    lines.push(("key", key + archived));
    lines.extend(document.days.map(|days| ("days", days.to_string())));
    lines.push((
        "submitted",
        format!("{} by {} (uid {})", document.submitted, document.actor, document.requester),
    ));
    lines.push(("ledger", format!("entry {}, file sha256 {}", document.position, request.sha256)));
    match &request.state {
        RequestState::Open => {}
        RequestState::Approved { at, by, actor, serial } => {
            lines.push(("approved", format!("{at} by {actor} (uid {by})")));
            lines.push(("serial", serial.to_string()));
        }
        RequestState::Rejected { at, by, actor, reason } => {
            lines.push(("rejected", format!("{at} by {actor} (uid {by})")));
            lines.push(("reason", reason.clone()));
        }
    }
    lines.iter().map(|(name, value)| format!("{name:<12}{value}\n")).collect()
}

fn value(request: &Request) -> Value {
    let document = &request.document;
    let mut value = json!({
        "id": document.id,
        "state": request.state.name(),
        "position": document.position,
        "sha256": request.sha256,
        "authority": document.authority,
        "template": document.template,
        "templateHash": document.template_hash,
        "person": document.person,
        "mailboxes": document.mailboxes,
        "dnsNames": document.dns_names,
        "attributes": document.attributes,
        "key": document.key,
        "escrow": document.escrow,
        "days": document.days,
        "csr": document.csr,
        "requester": document.requester,
        "actor": document.actor,
        "submitted": document.submitted.to_string(),
    });
    match &request.state {
        RequestState::Open => {}
        RequestState::Approved { at, by, actor, serial } => {
            value["approved"] =
                json!({"at": at.to_string(), "by": by, "actor": actor, "serial": serial.to_string()});
        }
        RequestState::Rejected { at, by, actor, reason } => {
            value["rejected"] = json!({"at": at.to_string(), "by": by, "actor": actor, "reason": reason});
        }
    }
    value
}
