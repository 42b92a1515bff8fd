//! A notice as a message (RFC 5322).

use std::time::SystemTime;

use ca_domain::Timestamp;
use lettre::Message;
use lettre::message::header::{
    ContentDisposition, ContentTransferEncoding, ContentType, HeaderName, HeaderValue,
};
use lettre::message::{Mailbox, MultiPart, SinglePart};

use super::sign::Signer;
use crate::error::{AuthorityError, Result};

/// What a message is made of.
pub(super) struct Parts<'a> {
    /// Names the notice: the same notice has the same Message-ID, always.
    pub(super) id: &'a str,
    pub(super) from: &'a Mailbox,
    pub(super) to: &'a Mailbox,
    pub(super) subject: &'a str,
    pub(super) body: &'a str,
}

/// Builds the message, signed if there is a signer.
///
/// # Errors
/// The key refuses to sign, or an address does not fit into a message.
pub(super) fn build(parts: &Parts<'_>, signer: Option<&Signer>, now: Timestamp) -> Result<Message> {
    let text = SinglePart::builder()
        .header(ContentType::TEXT_PLAIN)
        .header(ContentTransferEncoding::QuotedPrintable)
        .body(parts.body.to_owned());
    let builder = Message::builder()
        .from(parts.from.clone())
        .to(parts.to.clone())
        .subject(parts.subject)
        .date(SystemTime::from(now))
        .message_id(Some(format!("<{}@{}>", parts.id, parts.from.email.domain())))
        // Nobody's out-of-office note shall answer (RFC 3834, section 5).
        .raw_header(HeaderValue::new(
            HeaderName::new_from_ascii_str("Auto-Submitted"),
            "auto-generated".to_owned(),
        ));
    let built = match signer {
        None => builder.singlepart(text),
        Some(signer) => builder.multipart(signed(text, signer, now)?),
    };
    built.map_err(|error| AuthorityError::Input(format!("cannot write to {}: {error}", parts.to)))
}

fn signed(text: SinglePart, signer: &Signer, now: Timestamp) -> Result<MultiPart> {
    let formatted = text.formatted();
    // The line end before a boundary belongs to the boundary (RFC 2046, section 5.1.1).
    let entity = formatted.strip_suffix(b"\r\n").unwrap_or(&formatted);
    let signature = signer.sign(entity, now)?;
    let content_type = ContentType::parse("application/pkcs7-signature; name=\"smime.p7s\"")
        .map_err(|error| AuthorityError::Input(format!("cannot sign a notice: {error}")))?;
    let attachment = SinglePart::builder()
        .header(content_type)
        .header(ContentTransferEncoding::Base64)
        .header(ContentDisposition::attachment("smime.p7s"))
        .body(signature);
    let kind = MultiPart::signed("application/pkcs7-signature".into(), signer.micalg().into());
    Ok(kind.singlepart(text).singlepart(attachment))
}
