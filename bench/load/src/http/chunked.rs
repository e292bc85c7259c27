//! The chunked coding, from pieces of any size. Extensions and trailers are passed over.

use anyhow::bail;

#[derive(Default)]
pub(crate) struct Chunked {
    at: At,
    /// Of the size being read, or of the chunk's bytes still to come.
    left: u64,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum At {
    #[default]
    Size,
    Extension,
    Bytes,
    AfterBytes,
    TrailerStart,
    Trailer,
}

impl Chunked {
    /// Takes what belongs to this body off `bytes`; whether the body has ended.
    pub(crate) fn take(&mut self, bytes: &mut &[u8], on_body: &mut impl FnMut(&[u8])) -> anyhow::Result<bool> {
        while let Some(&byte) = bytes.first() {
            if self.at == At::Bytes {
                let here = bytes.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
                on_body(&bytes[..here]);
                *bytes = &bytes[here..];
                self.left -= here as u64;
                if self.left == 0 {
                    self.at = At::AfterBytes;
                }
                continue;
            }
            *bytes = &bytes[1..];
            self.at = match (self.at, byte) {
                (At::Size, b'\r') | (At::Extension | At::AfterBytes | At::Trailer, b'\r') => self.at,
                (At::Size | At::Extension, b'\n') if self.left == 0 => At::TrailerStart,
                (At::Size | At::Extension, b'\n') => At::Bytes,
                (At::Size, b';') => At::Extension,
                (At::Size, digit) => {
                    let Some(value) = char::from(digit).to_digit(16) else {
                        bail!("a chunk size with the byte {digit:#04x} in it");
                    };
                    self.left = self.left << 4 | u64::from(value);
                    At::Size
                }
                (At::AfterBytes, b'\n') => At::Size,
                (At::AfterBytes, other) => bail!("the byte {other:#04x} after a chunk"),
                (At::TrailerStart, b'\r') => At::TrailerStart,
                (At::TrailerStart, b'\n') => return Ok(true),
                (At::Trailer, b'\n') => At::TrailerStart,
                (At::Extension, _) => At::Extension,
                (At::TrailerStart | At::Trailer, _) => At::Trailer,
                (At::Bytes, _) => unreachable!("taken above"),
            };
        }
        Ok(false)
    }
}
