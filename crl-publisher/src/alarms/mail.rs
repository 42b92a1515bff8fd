//! Alarms as mail: all that wait in one message.

use std::fmt::Write;
use std::time::SystemTime;

use ca_mail::{Answer, Session, SmtpConfig};
use lettre::Message;
use lettre::message::header::{ContentTransferEncoding, ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, SinglePart};

use super::{Channel, Event, Occasion};

/// Alarms in one message at most.
const BATCH: usize = 50;

/// From whom to whom, and over which server.
#[derive(Clone, Debug)]
pub struct MailConfig {
    /// The mail server.
    pub smtp: SmtpConfig,
    /// The sender.
    pub from: Mailbox,
    /// The recipients.
    pub to: Vec<Mailbox>,
}

/// Mail to administrators.
pub struct Mail {
    config: MailConfig,
    host: String,
}

impl Mail {
    /// Mail as `config` says; nothing is sent yet. `host` is where this runs.
    #[must_use]
    pub fn new(config: MailConfig, host: &str) -> Self {
        Self { config, host: host.to_owned() }
    }

    fn message(&self, events: &[Event]) -> Result<Message, String> {
        let subject = match events {
            [one] => format!("{} on {}: {}", word(one.event), self.host, line(one)),
            several => format!("{} alarms on {}", several.len(), self.host),
        };
        let mut text = format!("crl-publisher on {}\n", self.host);
        for event in events {
            // Writing to a string does not fail.
            let _ = write!(text, "\n{}: {}\n", word(event.event), line(event));
            if !event.detail.is_empty() {
                let _ = writeln!(text, "  {}", event.detail);
            }
            let _ = writeln!(text, "  since {}, told at {}", event.since, event.at);
        }
        let id = events.first().map_or("", |event| &event.id);
        let part = SinglePart::builder()
            .header(ContentType::TEXT_PLAIN)
            .header(ContentTransferEncoding::QuotedPrintable)
            .body(text);
        let mut builder = Message::builder()
            .from(self.config.from.clone())
            .subject(subject)
            .message_id(Some(format!("<{id}@{}>", self.config.from.email.domain())))
            // Nobody's out-of-office note shall answer (RFC 3834, section 5).
            .raw_header(HeaderValue::new(
                HeaderName::new_from_ascii_str("Auto-Submitted"),
                "auto-generated".to_owned(),
            ));
        if let Some(last) = events.last() {
            builder = builder.date(SystemTime::from(last.at));
        }
        for to in &self.config.to {
            builder = builder.to(to.clone());
        }
        builder.singlepart(part).map_err(|error| error.to_string())
    }
}

impl Channel for Mail {
    fn ready(&mut self) -> Result<(), String> {
        ca_mail::check_files(&self.config.smtp).map_err(|error| error.to_string())
    }

    fn batch(&self) -> usize {
        BATCH
    }

    fn send(&mut self, events: &[Event]) -> Result<(), String> {
        let message = self.message(events)?;
        let mut session = Session::open(&self.config.smtp).map_err(|error| error.to_string())?;
        session.offer(&message)?;
        let answer = session.deliver(&message);
        if !session.is_broken() {
            session.close();
        }
        match answer {
            Answer::Taken => Ok(()),
            Answer::Refused(why) => Err(why),
            // Twice is better than never: the second has the same Message-ID.
            Answer::Unknown(why) => Err(format!("{why}; it may have been taken, and is sent again")),
        }
    }
}

const fn word(occasion: Occasion) -> &'static str {
    match occasion {
        Occasion::Cleared => "Over",
        Occasion::Raised => "Alarm",
        Occasion::Repeated => "Alarm lasts",
    }
}

fn line(event: &Event) -> String {
    format!("{}: {}", event.topic, event.summary)
}
