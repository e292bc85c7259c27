//! How a body is written: one tag byte, then the bytes as they are, compressed, or sealed.
//!
//! ```text
//!   tag  0 raw · 1 zlib · 2 zstd (read, never written)    + 16 sealed: nonce (24), ciphertext and authenticator
//! ```
//!
//! The tag stands with each value, so that a file may hold values written under different settings. Reading is bounded:
//! no compressed value becomes larger than any body that is ever stored.

use std::io::{Read, Write as _};

use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;
use uuid::Uuid;

use super::error::StoreError;
use super::seal::{BodyKey, Sealer};

const RAW: u8 = 0;
const ZLIB: u8 = 1;
const ZSTD: u8 = 2;
const SEALED: u8 = 16;

/// zlib's own middle is 6; 3 is most of its gain at a third of its time.
const LEVEL: u32 = 3;
/// Shorter ones only grow.
const COMPRESSED_BYTES_MIN: usize = 48;
/// The edge forwards bodies of 256 MiB; SQLite holds values below 1,000,000,000 bytes.
pub(super) const BODY_BYTES_MAX: usize = 512 << 20;

#[derive(Clone)]
pub(super) struct Codec {
    compresses: bool,
    sealer: Option<Sealer>,
}

impl Codec {
    pub(super) fn new(compresses: bool, key: Option<&BodyKey>) -> Self {
        Self {
            compresses,
            sealer: key.map(Sealer::new),
        }
    }

    pub(super) fn encode(&self, id: &Uuid, column: &str, plain: &[u8]) -> Result<Vec<u8>, StoreError> {
        let plain = &plain[..plain.len().min(BODY_BYTES_MAX)];
        let (codec, bytes) = match self.compresses.then(|| compressed(plain)).flatten() {
            Some(smaller) => (ZLIB, smaller),
            None => (RAW, plain.to_vec()),
        };
        match &self.sealer {
            None => Ok([&[codec], &*bytes].concat()),
            Some(sealer) => {
                let tag = codec | SEALED;
                Ok([&[tag], &*sealer.seal(&place(id, column, tag), &bytes)?].concat())
            }
        }
    }

    pub(super) fn decode(&self, id: &Uuid, column: &'static str, stored: &[u8]) -> Result<Vec<u8>, StoreError> {
        let damaged = || StoreError::Damaged(column);
        let (&tag, bytes) = stored.split_first().ok_or_else(damaged)?;
        if tag & SEALED == 0 {
            return plain(tag, bytes).ok_or_else(damaged);
        }
        let sealer = self.sealer.as_ref().ok_or_else(damaged)?;
        let opened = sealer.open(&place(id, column, tag), bytes).ok_or_else(damaged)?;
        plain(tag & !SEALED, &opened).ok_or_else(damaged)
    }
}

/// Where a value belongs; sealed with it.
fn place(id: &Uuid, column: &str, tag: u8) -> Vec<u8> {
    [id.as_bytes(), &[tag][..], column.as_bytes()].concat()
}

/// `None` where that would not make it smaller.
fn compressed(plain: &[u8]) -> Option<Vec<u8>> {
    if plain.len() < COMPRESSED_BYTES_MIN {
        return None;
    }
    let mut encoder = ZlibEncoder::new(Vec::with_capacity(plain.len() / 2), Compression::new(LEVEL));
    encoder.write_all(plain).ok()?;
    encoder.finish().ok().filter(|smaller| smaller.len() < plain.len())
}

fn plain(codec: u8, bytes: &[u8]) -> Option<Vec<u8>> {
    match codec {
        RAW => Some(bytes.to_vec()),
        ZLIB => bounded(ZlibDecoder::new(bytes)),
        ZSTD => bounded(zstd::Decoder::new(bytes).ok()?),
        _ => None,
    }
}

fn bounded(decoder: impl Read) -> Option<Vec<u8>> {
    let mut plain = Vec::new();
    decoder.take(BODY_BYTES_MAX as u64 + 1).read_to_end(&mut plain).ok()?;
    (plain.len() <= BODY_BYTES_MAX).then_some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: Uuid = Uuid::from_u128(7);

    fn key() -> BodyKey {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        std::fs::write(&path, "0f".repeat(31) + "aa").unwrap();
        BodyKey::load(&path).unwrap()
    }

    /// What no compressor makes smaller (splitmix64).
    fn noisy(number: u64) -> [u8; 8] {
        let mut bits = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (bits ^ (bits >> 31)).to_le_bytes()
    }

    #[test]
    fn every_body_comes_back_under_every_setting() {
        let long = "the same words again and again, ".repeat(200);
        let noise: Vec<u8> = (0u64..512).flat_map(noisy).collect();
        for (body, shrinks) in [
            (&b""[..], false),
            (b"short", false),
            (long.as_bytes(), true),
            (&noise, false),
        ] {
            for (compresses, key, tag) in [
                (true, None, ZLIB),
                (false, None, RAW),
                (true, Some(key()), ZLIB | SEALED),
                (false, Some(key()), RAW | SEALED),
            ] {
                let codec = Codec::new(compresses, key.as_ref());
                let stored = codec.encode(&ID, "text", body).unwrap();
                let expected = if shrinks { tag } else { tag & SEALED };
                assert_eq!(stored[0], expected);
                assert!(!shrinks || !compresses || stored.len() < body.len() / 4);
                assert_eq!(codec.decode(&ID, "text", &stored).unwrap(), body);
                let sealed = tag & SEALED != 0;
                assert_eq!(
                    codec.decode(&ID, "thinking", &stored).is_err(),
                    sealed,
                    "sealed to its column"
                );
                assert_eq!(
                    codec.decode(&Uuid::nil(), "text", &stored).is_err(),
                    sealed,
                    "sealed to its row"
                );
                assert_eq!(Codec::new(true, None).decode(&ID, "text", &stored).is_err(), sealed);
            }
        }
    }

    #[test]
    fn zstd_is_read() {
        let stored = [&[ZSTD][..], &zstd::encode_all(&b"from elsewhere"[..], 3).unwrap()].concat();
        let codec = Codec::new(true, None);
        assert_eq!(codec.decode(&ID, "text", &stored).unwrap(), b"from elsewhere");
    }

    #[test]
    fn what_is_damaged_is_an_error() {
        let codec = Codec::new(true, None);
        let mut stored = codec.encode(&ID, "text", "words ".repeat(100).as_bytes()).unwrap();
        let middle = stored.len() / 2;
        stored[middle] ^= 0x55;
        for wrong in [&[][..], &[3], &[ZLIB], &[ZLIB, 1, 2, 3], &[ZSTD, 9], &stored] {
            assert!(matches!(
                codec.decode(&ID, "text", wrong),
                Err(StoreError::Damaged("text"))
            ));
        }
    }
}
