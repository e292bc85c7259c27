//! Varints and tagged fields: how payloads are laid out. Invariant: whatever bytes are read, reading ends, and takes
//! nothing that is not there.

/// The longest text that is written; a path or a name beyond it is cut. With a dozen texts a payload fits one frame.
pub(crate) const TEXT_BYTES_MAX: usize = 2048;

/// The payload is not what its kind says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

pub(crate) fn take_varint(bytes: &mut &[u8]) -> Result<u64, Malformed> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first().ok_or(Malformed)?;
        *bytes = rest;
        let bits = u64::from(byte & 0x7f);
        if bits << shift >> shift != bits {
            return Err(Malformed);
        }
        value |= bits << shift;
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err(Malformed)
}

/// Puts fields one after the other. Tags are below 128.
pub(crate) struct Writer<'a>(pub(crate) &'a mut Vec<u8>);

impl Writer<'_> {
    pub(crate) fn number(&mut self, tag: u8, value: u64) {
        self.0.push(tag << 1);
        put_varint(self.0, value);
    }

    pub(crate) fn bytes(&mut self, tag: u8, value: &[u8]) {
        self.0.push(tag << 1 | 1);
        put_varint(self.0, value.len() as u64);
        self.0.extend_from_slice(value);
    }

    /// Cut at [`TEXT_BYTES_MAX`], between two characters.
    pub(crate) fn text(&mut self, tag: u8, value: &str) {
        let end = value.floor_char_boundary(TEXT_BYTES_MAX);
        self.bytes(tag, &value.as_bytes()[..end]);
    }

    pub(crate) fn text_if(&mut self, tag: u8, value: Option<&str>) {
        if let Some(value) = value {
            self.text(tag, value);
        }
    }

    pub(crate) fn flag(&mut self, tag: u8, value: bool) {
        if value {
            self.number(tag, 1);
        }
    }
}

/// Gives fields one after the other, until the bytes end or one is malformed.
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    fn field(&mut self) -> Result<(u8, Value<'a>), Malformed> {
        let (&head, rest) = self.0.split_first().ok_or(Malformed)?;
        self.0 = rest;
        let number = take_varint(&mut self.0)?;
        if head & 1 == 0 {
            return Ok((head >> 1, Value::Number(number)));
        }
        let length = usize::try_from(number).map_err(|_| Malformed)?;
        let (bytes, rest) = self.0.split_at_checked(length).ok_or(Malformed)?;
        self.0 = rest;
        Ok((head >> 1, Value::Bytes(bytes)))
    }
}

impl<'a> Iterator for Reader<'a> {
    type Item = Result<(u8, Value<'a>), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.0 = &[];
        }
        Some(field)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_come_back_and_what_is_too_long_is_malformed() {
        for value in [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX - 1, u64::MAX] {
            let mut out = Vec::new();
            put_varint(&mut out, value);
            let mut bytes = &out[..];
            assert_eq!((take_varint(&mut bytes), bytes.len()), (Ok(value), 0));
            assert_eq!(
                take_varint(&mut &out[..out.len() - 1]),
                Err(Malformed),
                "{value} cut short"
            );
        }
        for bad in [
            &[0xff; 10][..],
            &[0x80; 11],
            &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2],
        ] {
            assert_eq!(take_varint(&mut { bad }), Err(Malformed), "{bad:?}");
        }
    }

    #[test]
    fn texts_are_cut_between_characters() {
        let mut out = Vec::new();
        Writer(&mut out).text(3, &"ä".repeat(TEXT_BYTES_MAX));
        let Some(Ok((3, Value::Bytes(bytes)))) = Reader(&out).next() else {
            panic!("a field");
        };
        assert_eq!(bytes.len(), TEXT_BYTES_MAX);
        assert!(std::str::from_utf8(bytes).is_ok());
    }
}
