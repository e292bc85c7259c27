//! Undoes an answer's `Content-Encoding`, piece by piece, so that each piece keeps its time. Owns the bound on what may
//! come out; knows gzip and deflate, and says of all others that it does not.

use std::io::{self, Write};

use flate2::write::{DeflateDecoder, GzDecoder, ZlibDecoder};

use super::body::Body;

/// What became of it.
pub(super) enum Inflated {
    /// It was not encoded.
    Plain,
    Decoded(Body),
    /// An encoding that is not known here, or bytes that are not of it.
    Opaque,
}

pub(super) fn inflate(body: &Body, encoding: &str, bytes_max: usize) -> Inflated {
    let encoding = encoding.trim().to_ascii_lowercase();
    let out = || Bounded {
        bytes: Vec::new(),
        bytes_max,
    };
    match encoding.as_str() {
        "" | "identity" => Inflated::Plain,
        "gzip" | "x-gzip" => decode(body, GzDecoder::new(out())),
        "deflate" if has_zlib_head(body.bytes()) => decode(body, ZlibDecoder::new(out())),
        // What HTTP calls deflate has a head; some servers leave it out.
        "deflate" => decode(body, DeflateDecoder::new(out())),
        _ => Inflated::Opaque,
    }
}

trait Decoder: Write {
    fn out(&mut self) -> &mut Bounded;
}

impl Decoder for GzDecoder<Bounded> {
    fn out(&mut self) -> &mut Bounded {
        self.get_mut()
    }
}

impl Decoder for ZlibDecoder<Bounded> {
    fn out(&mut self) -> &mut Bounded {
        self.get_mut()
    }
}

impl Decoder for DeflateDecoder<Bounded> {
    fn out(&mut self) -> &mut Bounded {
        self.get_mut()
    }
}

fn decode(body: &Body, mut decoder: impl Decoder) -> Inflated {
    let bytes_max = decoder.out().bytes_max;
    let mut decoded = Body::default();
    for piece in body.pieces() {
        // Behind a hole the rest cannot be decoded.
        if piece.after_hole {
            decoded.hole();
            break;
        }
        let outcome = decoder.write_all(piece.bytes).and_then(|()| decoder.flush());
        let out = decoder.out();
        decoded.push(piece.elapsed_us, &out.bytes, bytes_max);
        out.bytes_max -= out.bytes.len();
        out.bytes.clear();
        if outcome.is_err() {
            decoded.mark_cut();
            break;
        }
    }
    if decoded.bytes().is_empty() && !body.bytes().is_empty() {
        return Inflated::Opaque;
    }
    if body.is_cut() {
        decoded.mark_cut();
    }
    Inflated::Decoded(decoded)
}

fn has_zlib_head(bytes: &[u8]) -> bool {
    matches!(bytes, [first, second, ..]
        if first & 0x0f == 8 && u16::from_be_bytes([*first, *second]).is_multiple_of(31))
}

/// A thousandth of an answer may be what comes over the wire.
struct Bounded {
    bytes: Vec<u8>,
    bytes_max: usize,
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = self.bytes_max - self.bytes.len();
        if room == 0 && !bytes.is_empty() {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let taken = &bytes[..bytes.len().min(room)];
        self.bytes.extend_from_slice(taken);
        Ok(taken.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
