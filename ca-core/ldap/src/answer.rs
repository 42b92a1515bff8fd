//! Answers that are read before the library has the connection.

use std::io::{Error, ErrorKind, Result};

use ldap3::asn1::{PL, StructureTag, TagClass, parse_tag};
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::guard::Guard;
use crate::transport::Fault;

/// The longest of these answers. A Kerberos ticket of somebody in many groups is in no answer.
const LONGEST: usize = 64 * 1024;

/// The result that a response carries (RFC 4511, section 4.1.9).
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Answer {
    /// The result code (appendix A).
    pub(crate) code: u32,
    /// What the server says besides.
    pub(crate) text: String,
}

impl Answer {
    /// The response to message `id`, if `message` is one of this kind: the number of the tag in
    /// the class of the application; and what stands behind the result there.
    pub(crate) fn read(message: &[u8], id: u8, kind: u64) -> Option<(Self, Vec<StructureTag>)> {
        let (rest, message) = parse_tag(message).ok()?;
        let [message_id, response, ..] = parts(&message)? else { return None };
        if !rest.is_empty()
            || value(message_id)? != [id]
            || (response.class, response.id) != (TagClass::Application, kind)
        {
            return None;
        }
        let [code, _matched, text, more @ ..] = parts(response)? else { return None };
        let (code @ [_, ..], text) = (value(code)?, value(text)?) else { return None };
        if code.len() > 4 {
            return None;
        }
        let code = code.iter().fold(0, |number, &octet| (number << 8) | u32::from(octet));
        let text = String::from_utf8_lossy(text).into_owned();
        Some((Self { code, text }, more.to_vec()))
    }
}

/// Reads exactly one message: what comes behind it is for whoever reads next.
pub(crate) async fn read_message<S: AsyncRead + Unpin>(stream: &mut S, fault: &Fault) -> Result<Vec<u8>> {
    let (mut guard, mut message) = (Guard::default(), Vec::new());
    loop {
        let octet = stream.read_u8().await?;
        message.push(octet);
        guard.take(&[octet]).map_err(|what| refuse(fault, what))?;
        if guard.between_messages() {
            return Ok(message);
        }
        if message.len() == LONGEST {
            return Err(refuse(fault, "an answer that is too long"));
        }
    }
}

/// An error that blames the server.
pub(crate) fn refuse(fault: &Fault, what: &'static str) -> Error {
    let _ = fault.set(what);
    Error::new(ErrorKind::InvalidData, what)
}

fn parts(tag: &StructureTag) -> Option<&[StructureTag]> {
    match &tag.payload {
        PL::C(parts) => Some(parts),
        PL::P(_) => None,
    }
}

/// The octets of a primitive value.
pub(crate) fn value(tag: &StructureTag) -> Option<&[u8]> {
    match &tag.payload {
        PL::P(value) => Some(value),
        PL::C(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_read_and_nothing_else() {
        // Bind in progress, with credentials.
        let bind = b"\x30\x10\x02\x01\x02\x61\x0b\x0a\x01\x0e\x04\x00\x04\x00\x87\x02ab";
        let (answer, more) = Answer::read(bind, 2, 1).unwrap();
        assert_eq!(answer, Answer { code: 14, text: String::new() });
        let [credentials] = &more[..] else { panic!("{more:?}") };
        assert_eq!((credentials.class, credentials.id), (TagClass::Context, 7));
        assert_eq!(value(credentials), Some(&b"ab"[..]));
        // Refused, without.
        let refused = b"\x30\x0e\x02\x01\x01\x61\x09\x0a\x01\x31\x04\x00\x04\x02no";
        let answer = Answer { code: 49, text: "no".to_owned() };
        assert_eq!(Answer::read(refused, 1, 1), Some((answer, Vec::new())));
        for (id, kind) in [(1, 1), (2, 24)] {
            assert_eq!(Answer::read(bind, id, kind), None);
        }
        // Pieces missing, something behind it, a result code without octets.
        for length in 0..bind.len() {
            assert_eq!(Answer::read(&bind[..length], 2, 1), None);
        }
        assert_eq!(Answer::read(&[&bind[..], b"\x05\x00"].concat(), 2, 1), None);
        assert_eq!(Answer::read(b"\x30\x0b\x02\x01\x02\x61\x06\x0a\x00\x04\x00\x04\x00", 2, 1), None);
    }
}
