//! What a server sends is looked at before the library decodes it: that follows the nesting of an
//! answer by recursion, without a limit, and takes memory for every element.

/// The deepest nesting. An entry with its controls needs six.
const DEPTH: usize = 16;
/// Octets of one message.
const MESSAGE: usize = 16 * 1024 * 1024;
/// Elements of one message.
const ELEMENTS: usize = 65_536;
/// The longest head of an element: tag, number of octets of the length, length.
const HEAD: usize = 10;

/// Follows messages (RFC 4511, section 5.1) octet by octet, in whatever pieces they come.
#[derive(Debug, Default)]
pub(crate) struct Guard {
    /// Octets that are left of each constructed element that is open, the outermost first.
    open: Vec<usize>,
    /// Octets that are left of a primitive element.
    value: usize,
    head: [u8; HEAD],
    head_len: usize,
    elements: usize,
}

impl Guard {
    /// Takes the next octets; the error says what is wrong with them.
    pub(crate) fn take(&mut self, mut bytes: &[u8]) -> Result<(), &'static str> {
        while let Some((&first, rest)) = bytes.split_first() {
            if self.value > 0 {
                let passed = self.value.min(bytes.len());
                self.value -= passed;
                bytes = bytes.get(passed..).unwrap_or_default();
                self.close();
                continue;
            }
            bytes = rest;
            self.octet_of_head(first)?;
        }
        Ok(())
    }

    /// Whether everything so far was whole messages.
    pub(crate) fn between_messages(&self) -> bool {
        self.open.is_empty() && self.value == 0 && self.head_len == 0
    }

    fn octet_of_head(&mut self, octet: u8) -> Result<(), &'static str> {
        if self.between_messages() && octet != 0x30 {
            return Err("what is no LDAP");
        }
        let Some(place) = self.head.get_mut(self.head_len) else { return Err("a length of too many octets") };
        *place = octet;
        self.head_len += 1;
        let (tag, length) = match *self.head.get(..self.head_len).unwrap_or_default() {
            [tag] if tag & 0x1f == 0x1f => return Err("a tag that LDAP does not have"),
            [_, 0x80] => return Err("a length that LDAP does not have"),
            [tag, short] if short < 0x80 => (tag, usize::from(short)),
            [tag, long, ref length @ ..]
                if !length.is_empty() && length.len() == usize::from(long & 0x7f) =>
            {
                let number = length.iter().fold(0_u64, |number, &octet| (number << 8) | u64::from(octet));
                (tag, usize::try_from(number).unwrap_or(usize::MAX))
            }
            _ => return Ok(()),
        };
        let whole = length.saturating_add(self.head_len);
        self.head_len = 0;
        self.elements += 1;
        if self.elements > ELEMENTS {
            return Err("a message of more than 65,536 elements");
        }
        match self.open.last_mut() {
            Some(around) if whole > *around => return Err("an element that is longer than the one it is in"),
            Some(around) => *around -= whole,
            None if whole > MESSAGE => return Err("a message of more than 16 MiB"),
            None => {}
        }
        if tag & 0x20 == 0 {
            self.value = length;
        } else if self.open.len() == DEPTH {
            return Err("elements that are nested more than 16 deep");
        } else {
            self.open.push(length);
        }
        self.close();
        Ok(())
    }

    /// Closes the elements that nothing is left of.
    fn close(&mut self) {
        if self.value > 0 {
            return;
        }
        while self.open.pop_if(|left| *left == 0).is_some() {}
        if self.open.is_empty() {
            self.elements = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The verdict is the same however the octets come.
    fn verdict(bytes: &[u8]) -> Result<bool, &'static str> {
        let (mut whole, mut single) = (Guard::default(), Guard::default());
        let at_once = whole.take(bytes).map(|()| whole.between_messages());
        let one_by_one =
            bytes.chunks(1).try_for_each(|one| single.take(one)).map(|()| single.between_messages());
        assert_eq!(at_once, one_by_one);
        at_once
    }

    fn around(depth: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        for _ in 0..depth {
            let length = u32::try_from(bytes.len()).unwrap().to_be_bytes();
            bytes.splice(0..0, [&[0x30, 0x84][..], &length].concat());
        }
        bytes
    }

    #[test]
    fn messages_pass_in_any_pieces() {
        let bind = [0x30, 0x0c, 0x02, 0x01, 0x01, 0x61, 0x07, 0x0a, 0x01, 0x00, 0x04, 0x00, 0x04, 0x00];
        assert_eq!(verdict(&bind), Ok(true));
        assert_eq!(verdict(&[&bind[..], &bind, &[0x30]].concat()), Ok(false));
        assert_eq!(verdict(&bind[..9]), Ok(false));
        assert_eq!(verdict(&[0x30, 0x00]), Ok(true));
        let long =
            [&[0x30, 0x83, 0x01, 0x00, 0x05, 0x04, 0x83, 0x01, 0x00, 0x00][..], &[0xff; 65_536]].concat();
        assert_eq!(verdict(&long), Ok(true));
        assert_eq!(verdict(&around(16)), Ok(true));
        // As Active Directory writes lengths, and with zeros before them.
        assert_eq!(verdict(&[0x30, 0x84, 0, 0, 0, 2, 0x05, 0x00]), Ok(true));
        assert_eq!(verdict(&[0x30, 0x88, 0, 0, 0, 0, 0, 0, 0, 2, 0x05, 0x00]), Ok(true));
    }

    #[test]
    fn what_would_do_harm_does_not() {
        for (bytes, says) in [
            (&b"HTTP/1.1 400"[..], "no LDAP"),
            (&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff], "16 MiB"),
            (&[0x30, 0x88, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], "16 MiB"),
            (&[0x30, 0x89, 0, 0, 0, 0, 0, 0, 0, 0, 2], "too many octets"),
            (&[0x30, 0x80], "length that LDAP"),
            (&[0x30, 0x03, 0x1f, 0x81, 0x00], "tag that LDAP"),
            (&[0x30, 0x02, 0x04, 0x01], "longer than the one"),
            (&[0x30, 0x01, 0x04, 0x00], "longer than the one"),
            (&around(17), "nested"),
            (&around(200_000), "nested"),
        ] {
            let error = verdict(bytes).unwrap_err();
            assert!(error.contains(says), "{error}: {:x?}", &bytes[..bytes.len().min(16)]);
        }
        let mut many = vec![0x30, 0x83, 0x02, 0x00, 0x00];
        many.extend([0x05, 0x00].repeat(65_536));
        assert!(verdict(&many).unwrap_err().contains("65,536 elements"));
    }
}
