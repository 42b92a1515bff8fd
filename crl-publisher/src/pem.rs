//! PEM, of a CRL of any length too (RFC 7468, section 6).

use std::io::{self, Read, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ca_status::StatusError;
use der::pem::LineEnding;

/// Octets of a line.
const LINE: u64 = 48;

/// Writes the octets of a CRL as PEM, with line ends as Unix has them.
///
/// # Errors
/// Those of reading and writing.
pub fn write_pem(der: &mut impl Read, out: &mut (impl Write + ?Sized)) -> io::Result<()> {
    out.write_all(b"-----BEGIN X509 CRL-----\n")?;
    let (mut octets, mut text) = (Vec::new(), String::new());
    loop {
        octets.clear();
        text.clear();
        if der.take(LINE).read_to_end(&mut octets)? == 0 {
            return out.write_all(b"-----END X509 CRL-----\n");
        }
        STANDARD.encode_string(&octets, &mut text);
        text.push('\n');
        out.write_all(text.as_bytes())?;
    }
}

/// PEM with line ends as Unix has them.
///
/// # Errors
/// None for our labels; the encoder's signature asks for it.
pub fn to_pem(label: &'static str, der: &[u8]) -> Result<String, StatusError> {
    der::pem::encode_string(label, LineEnding::LF, der).map_err(|error| StatusError::Der(error.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_as_the_library_writes() {
        for length in [1, 47, 48, 49, 5000] {
            let der: Vec<u8> = (0..length).map(|n: u32| n as u8).collect();
            let mut text = Vec::new();
            write_pem(&mut der.as_slice(), &mut text).unwrap();
            let wanted = to_pem("X509 CRL", &der).unwrap();
            assert_eq!(String::from_utf8(text).unwrap(), wanted);
        }
    }
}
