//! One fact as bytes.
//!
//! ```text
//!  u32 payload's length │ u32 CRC-32C of the payload │ payload
//!  payload: u8 kind │ u64 word │ u64 unit │ u16 length, router │ u16 length, middleware      (little-endian)
//! ```

use std::sync::Arc;

use crate::limits::registry::{Fact, Kind, Name};

const HEAD_BYTES: usize = 8;

/// Two names of 64 KiB and the numbers. Longer is damage.
const PAYLOAD_BYTES_MAX: usize = 17 + 2 * (2 + u16::MAX as usize);

const RATE: u8 = 1;
const BUDGET: u8 = 2;
const USED: u8 = 3;

/// What stands at the beginning of some bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next<'a> {
    Fact(Fact, &'a [u8]),
    /// Written half when the process was killed, or nothing.
    End,
    Damaged,
}

/// Appends a fact. One whose names are too long to be written is left out.
pub(super) fn write(fact: &Fact, out: &mut Vec<u8>) {
    let begin = out.len();
    out.extend_from_slice(&[0; HEAD_BYTES]);
    let written = match fact {
        Fact::Limit { name, word, unit } => {
            let kind = match name.kind {
                Kind::Rate => RATE,
                Kind::Budget => BUDGET,
                Kind::Slots => return out.truncate(begin),
            };
            payload((kind, *word, *unit), &name.router, &name.middleware, out)
        }
        Fact::Used { router, at_unix_s } => payload((USED, *at_unix_s, 0), router, "", out),
    };
    if written.is_none() {
        return out.truncate(begin);
    }
    let payload = &out[begin + HEAD_BYTES..];
    let (length, checksum) = (payload.len() as u32, crc32c::crc32c(payload));
    out[begin..begin + 4].copy_from_slice(&length.to_le_bytes());
    out[begin + 4..begin + 8].copy_from_slice(&checksum.to_le_bytes());
}

fn payload((kind, word, unit): (u8, u64, u64), router: &str, middleware: &str, out: &mut Vec<u8>) -> Option<()> {
    out.push(kind);
    out.extend_from_slice(&word.to_le_bytes());
    out.extend_from_slice(&unit.to_le_bytes());
    for name in [router, middleware] {
        let length = u16::try_from(name.len()).ok()?;
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(name.as_bytes());
    }
    Some(())
}

pub(super) fn read(bytes: &[u8]) -> Next<'_> {
    let Some((length, rest)) = number::<4>(bytes).map(|(length, rest)| (u32::from_le_bytes(length) as usize, rest))
    else {
        return Next::End;
    };
    if length > PAYLOAD_BYTES_MAX {
        return Next::Damaged;
    }
    let Some((checksum, rest)) = number::<4>(rest) else {
        return Next::End;
    };
    let Some((payload, rest)) = rest.split_at_checked(length) else {
        return Next::End;
    };
    if crc32c::crc32c(payload) != u32::from_le_bytes(checksum) {
        return Next::Damaged;
    }
    fact(payload).map_or(Next::Damaged, |fact| Next::Fact(fact, rest))
}

fn fact(payload: &[u8]) -> Option<Fact> {
    let ([kind], rest) = number::<1>(payload)?;
    let (word, rest) = number::<8>(rest)?;
    let (unit, rest) = number::<8>(rest)?;
    let (word, unit) = (u64::from_le_bytes(word), u64::from_le_bytes(unit));
    let (router, rest) = name(rest)?;
    let (middleware, rest) = name(rest)?;
    let kind = match kind {
        RATE => Kind::Rate,
        BUDGET => Kind::Budget,
        USED => {
            return Some(Fact::Used {
                router,
                at_unix_s: word,
            });
        }
        _ => return None,
    };
    let name = Name {
        router,
        middleware,
        kind,
    };
    rest.is_empty().then_some(Fact::Limit { name, word, unit })
}

fn name(bytes: &[u8]) -> Option<(Arc<str>, &[u8])> {
    let (length, rest) = number::<2>(bytes)?;
    let (name, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes(length)))?;
    Some((std::str::from_utf8(name).ok()?.into(), rest))
}

fn number<const BYTES: usize>(bytes: &[u8]) -> Option<([u8; BYTES], &[u8])> {
    bytes.split_first_chunk().map(|(number, rest)| (*number, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(kind: Kind) -> Fact {
        let name = Name {
            router: "alice".into(),
            middleware: "größe".into(),
            kind,
        };
        Fact::Limit {
            name,
            word: u64::MAX - 1,
            unit: 7,
        }
    }

    #[test]
    fn what_is_written_is_read_and_every_tear_and_flip_is_seen() {
        let used = Fact::Used {
            router: "bob".into(),
            at_unix_s: 9,
        };
        for fact in [limit(Kind::Rate), limit(Kind::Budget), used] {
            let mut bytes = Vec::new();
            write(&fact, &mut bytes);
            assert_eq!(read(&bytes), Next::Fact(fact.clone(), &[]));
            for end in 0..bytes.len() {
                assert_eq!(read(&bytes[..end]), Next::End, "torn at {end}");
            }
            for at in 0..bytes.len() * 8 {
                let mut flipped = bytes.clone();
                flipped[at / 8] ^= 1 << (at % 8);
                assert!(!matches!(read(&flipped), Next::Fact(..)), "bit {at}");
            }
        }
    }

    #[test]
    fn slots_and_endless_names_are_not_written() {
        let mut bytes = vec![1];
        write(&limit(Kind::Slots), &mut bytes);
        let router = "x".repeat(70_000).into();
        write(&Fact::Used { router, at_unix_s: 1 }, &mut bytes);
        assert_eq!(bytes, [1]);
    }
}
