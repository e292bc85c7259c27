//! A place in a journal that outlives processes: what a consumer commits together with what it made of the records.

use std::fmt;
use std::str::FromStr;

use crate::error::CursorError;

/// Between two frames: everything before is done, everything from here on is not. Cursors of one journal are ordered as
/// the records are. [`Cursor::BEGINNING`] is before all that the folder holds.
///
/// As text it is `segment:offset` in decimal; as bytes, two big-endian numbers, which sort as the cursors do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cursor {
    pub segment: u64,
    pub offset: u64,
}

impl Cursor {
    pub const BEGINNING: Self = Self { segment: 0, offset: 0 };

    pub fn to_bytes(self) -> [u8; 16] {
        (u128::from(self.segment) << 64 | u128::from(self.offset)).to_be_bytes()
    }

    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        let both = u128::from_be_bytes(bytes);
        Self {
            segment: (both >> 64) as u64,
            offset: both as u64,
        }
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.segment, self.offset)
    }
}

impl FromStr for Cursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        let number = |part: &str| {
            part.bytes()
                .all(|b| b.is_ascii_digit())
                .then(|| part.parse().ok())
                .flatten()
        };
        text.split_once(':')
            .and_then(|(segment, offset)| {
                Some(Self {
                    segment: number(segment)?,
                    offset: number(offset)?,
                })
            })
            .ok_or_else(|| CursorError::new(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_bytes_bring_the_same_cursor_back_and_bytes_sort() {
        let cursors = [(0, 0), (0, 1), (1, 0), (7, 256), (8, 255), (u64::MAX, u64::MAX)];
        let cursors = cursors.map(|(segment, offset)| Cursor { segment, offset });
        for cursor in cursors {
            assert_eq!(cursor.to_string().parse(), Ok(cursor));
            assert_eq!(Cursor::from_bytes(cursor.to_bytes()), cursor);
        }
        assert!(cursors.map(Cursor::to_bytes).is_sorted());
        assert!(cursors.is_sorted());
    }

    #[test]
    fn what_is_not_a_cursor_is_refused_with_what_it_was() {
        for text in [
            "",
            "1",
            "1:",
            ":1",
            "1:2:3",
            "+1:2",
            "-1:2",
            "a:b",
            "18446744073709551616:0",
        ] {
            let error = text.parse::<Cursor>().expect_err(text);
            assert!(error.to_string().contains(&format!("{text:?}")), "{error}");
        }
    }
}
