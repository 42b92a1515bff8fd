//! Notices about what expires: mailed to people and administrators, each once.
//!
//! A reason for a notice is a thing that expires, the threshold that was crossed
//! and a recipient. The mail server's acknowledgement and our record of it cannot
//! be one act; whatever happens in between, a notice is sent at most once
//! (see [`NotifyReport::doubtful`]). What the server did not take is tried again
//! by the next run.

pub mod config;
mod due;
mod journal;
mod mail;
mod plan;
mod record;
mod sign;
mod text;

use ca_domain::Timestamp;
use ca_files::WriteLock;
use ca_mail::{Answer, Session};
use lettre::Message;

use crate::error::{AuthorityError, Result};
use crate::home::{Home, Wait};
use config::NotifyConfig;
use journal::Journal;
use plan::Planned;
use sign::Signer;

/// What `ca notify` is told.
#[derive(Clone, Debug)]
pub struct Notify<'a> {
    /// Seconds before an expiry at which there is a notice; empty for those of
    /// the configuration.
    pub thresholds: Vec<u64>,
    /// Who is told.
    pub audience: Audience,
    /// Whether to send nothing.
    pub dry_run: bool,
    /// Whether to send again what may or may not have been sent.
    pub repeat_doubtful: bool,
    /// Who does it.
    pub actor: &'a str,
}

/// Who is told.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Audience {
    /// The administrators alone.
    Administrators,
    /// People and administrators.
    Everyone,
    /// The people whose certificates expire alone.
    People,
}

/// A notice to one recipient.
#[derive(Clone, Debug)]
pub struct Notice {
    /// Names it; the Message-ID begins with it.
    pub id: String,
    /// The recipient's address.
    pub to: String,
    /// The subject.
    pub subject: String,
    /// The text.
    pub body: String,
    /// What it is about.
    pub reasons: Vec<String>,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct NotifyReport {
    /// Taken by the mail server, or what would be sent in a dry run.
    pub sent: Vec<Notice>,
    /// Not sent, and why; the next run tries again.
    pub failed: Vec<(Notice, String)>,
    /// Possibly sent: a run ended, or the connection did, between the text and the
    /// server's answer. They are not sent again by themselves.
    pub doubtful: Vec<String>,
    /// What could not be looked at.
    pub problems: Vec<String>,
}

/// Finds what expires, and mails those who are concerned and do not know yet.
///
/// # Errors
/// A malformed configuration or text, an unsafe file, a damaged ledger or log, or
/// another run that goes on. A mail server that cannot be reached is no error here
/// but in [`NotifyReport::failed`].
pub fn notify(
    home: &Home,
    config: &NotifyConfig,
    request: &Notify<'_>,
    now: Timestamp,
    wait: &Wait<'_>,
) -> Result<NotifyReport> {
    let _one_run = WriteLock::acquire(&home.root().join("notices.lock"), wait.timeout, wait.purpose)?;
    let mut journal = Journal::open(home)?;
    let mut thresholds = request.thresholds.clone();
    if thresholds.is_empty() {
        thresholds = config.thresholds().map_err(AuthorityError::Input)?;
    }
    thresholds.sort_unstable();
    let from = config.sender()?;
    let sign = config.sign_with.as_ref();
    let signer = sign.map(|sign| Signer::load(sign, from.email.as_ref(), now)).transpose()?;
    let found = due::find(home, &config.crls, &thresholds, now, wait)?;
    let settled = journal.settled(request.repeat_doubtful);
    let admins = config.administrators()?;
    let planned = plan::plan(home, &found.due, &admins, request.audience, &settled, now)?;
    let mut report = NotifyReport { problems: found.problems, ..NotifyReport::default() };
    if request.dry_run {
        report.sent = planned.into_iter().map(|planned| planned.notice).collect();
    } else {
        let messages = planned
            .into_iter()
            .map(|planned| Ok((message(&planned, &from, signer.as_ref(), now)?, planned.notice)))
            .collect::<Result<Vec<_>>>()?;
        send(messages, config, &mut journal, now, &mut report)?;
        record::record(home, &mut journal, request.actor, now, wait)?;
    }
    report.doubtful = journal.doubtful().map(journal::Sent::record).collect();
    Ok(report)
}

fn message(
    planned: &Planned,
    from: &lettre::message::Mailbox,
    signer: Option<&Signer>,
    now: Timestamp,
) -> Result<Message> {
    let notice = &planned.notice;
    let parts =
        mail::Parts { id: &notice.id, from, to: &planned.to, subject: &notice.subject, body: &notice.body };
    mail::build(&parts, signer, now)
}

fn send(
    messages: Vec<(Message, Notice)>,
    config: &NotifyConfig,
    journal: &mut Journal,
    now: Timestamp,
    report: &mut NotifyReport,
) -> Result<()> {
    let mut session: Option<Session> = None;
    let mut messages = messages.into_iter();
    for (message, notice) in messages.by_ref() {
        let mut open = match session.take().filter(|session| !session.is_broken()) {
            Some(open) => open,
            None => match Session::open(&config.smtp) {
                Ok(open) => open,
                Err(error) => {
                    report.failed.push((notice, format!("{error}; the next run tries again")));
                    break;
                }
            },
        };
        if let Err(why) = open.offer(&message) {
            report.failed.push((notice, why));
            session = Some(open);
            continue;
        }
        journal.begin(&notice.id, &notice.to, &notice.reasons, now)?;
        match open.deliver(&message) {
            Answer::Taken => {
                journal.sent(&notice.id, now)?;
                report.sent.push(notice);
            }
            Answer::Refused(why) => {
                journal.refused(&notice.id, now)?;
                report.failed.push((notice, why));
            }
            Answer::Unknown(why) => {
                let why = format!("{why}; the server may have it, so it is not sent again by itself");
                report.failed.push((notice, why));
            }
        }
        session = Some(open);
    }
    // Without a server nothing of the rest was tried.
    let rest = messages.map(|(_, notice)| (notice, "not tried".to_owned()));
    report.failed.extend(rest);
    if let Some(open) = session.filter(|session| !session.is_broken()) {
        open.close();
    }
    Ok(())
}
