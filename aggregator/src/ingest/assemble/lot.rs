//! Where open exchanges are parked that are too old or too much to hold: a file for each, beside the journal.
//!
//! ```text
//!   parked/0198…3f.parked      0600, its folder 0700
//!   ┌──────┬──────┬──╌╌   a part: ┌────────┬────────┬───────────────┬─────────┬───────┬──────────────────────╌╌
//!   │ part │ part │             │ CRC  4 │ size 8 │ next sequence 4 │ last_us 8 │ lossy 1 │ items: tag 1, µs 8, size 4, bytes
//!   └──────┴──────┴──╌╌          └────────┴────────┴───────────────┴─────────┴───────┴──────────────────────╌╌
//! ```
//! A part holds what came since the one before, so that parking a stream of hours writes each byte once. It is synced
//! before a cursor is committed that lies behind what it holds. A file that outlived its row does no harm: its exchange is
//! in the store already, and nothing is stored twice. A part that a crash cut is left out, for then the cursor did not move.

use std::collections::HashSet;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use journal::ExchangeId;

use super::open::{Open, Part};
use crate::ingest::parse::Body;

const SUFFIX: &str = "parked";
/// CRC and size.
const FRAME_BYTES: usize = 12;
const HEAD_BYTES: usize = 13;

const BEGUN: u8 = 1;
const REQUEST: u8 = 2;
const RESPONSE_HEAD: u8 = 3;
const RESPONSE: u8 = 4;
const REQUEST_HOLE: u8 = 5;
const RESPONSE_HOLE: u8 = 6;
const REQUEST_CUT: u8 = 7;
const RESPONSE_CUT: u8 = 8;

pub(super) struct Lot {
    folder: PathBuf,
    parked: HashSet<ExchangeId>,
    body_bytes_max: usize,
}

impl Lot {
    /// The lot, and the exchanges that are in it.
    pub(super) fn open(folder: PathBuf, body_bytes_max: usize) -> io::Result<(Self, Vec<(ExchangeId, Open)>)> {
        let mut lot = Self {
            folder,
            parked: HashSet::new(),
            body_bytes_max,
        };
        let entries = match fs::read_dir(&lot.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((lot, Vec::new())),
            entries => entries?,
        };
        let mut open = Vec::new();
        for entry in entries {
            let path = entry?.path();
            let Some(id) = id_of(&path) else { continue };
            let parts = parts(&fs::read(&path)?, body_bytes_max);
            let sum = |body: fn(&Part) -> &Body| parts.iter().map(|part| body(part).bytes().len()).sum();
            let body_bytes = [sum(|part| &part.request), sum(|part| &part.response)];
            if let Some(last) = parts.into_iter().next_back() {
                lot.parked.insert(id);
                open.push((id, Open::parked(last, body_bytes)));
            }
        }
        Ok((lot, open))
    }

    pub(super) fn len(&self) -> usize {
        self.parked.len()
    }

    /// Appends what the exchange holds in memory; it is on the disk when this returns.
    pub(super) fn park(&mut self, id: ExchangeId, open: &Open) -> io::Result<()> {
        let path = self.path_of(id);
        if self.parked.is_empty() {
            DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
        }
        let mut options = OpenOptions::new();
        let mut file = options.append(true).create(true).mode(0o600).open(&path)?;
        let length = file.metadata()?.len();
        let written = file.write_all(&encoded(open.part())).and_then(|()| file.sync_data());
        if let Err(error) = written {
            // Half a part would hide the next.
            file.set_len(length)?;
            return Err(error);
        }
        if self.parked.insert(id) {
            File::open(&self.folder)?.sync_all()?;
        }
        Ok(())
    }

    /// All parts of an exchange; what cannot be read is left out, and their bytes tell that it is missing.
    pub(super) fn load(&self, id: ExchangeId) -> Vec<Part> {
        match fs::read(self.path_of(id)) {
            Ok(bytes) => parts(&bytes, self.body_bytes_max),
            Err(error) => {
                tracing::error!(%error, file = %self.path_of(id).display(), "a parked exchange cannot be read");
                Vec::new()
            }
        }
    }

    pub(super) fn remove(&mut self, id: ExchangeId) {
        if !self.parked.remove(&id) {
            return;
        }
        if let Err(error) = fs::remove_file(self.path_of(id)) {
            tracing::warn!(%error, file = %self.path_of(id).display(), "a parked exchange's file cannot be removed");
        }
    }

    fn path_of(&self, id: ExchangeId) -> PathBuf {
        let name: String = id.0.iter().map(|byte| format!("{byte:02x}")).collect();
        self.folder.join(name).with_extension(SUFFIX)
    }
}

fn id_of(path: &Path) -> Option<ExchangeId> {
    let name = path.file_stem()?.to_str()?;
    if path.extension()? != SUFFIX || name.len() != 32 || !name.is_ascii() {
        return None;
    }
    let mut id = [0; 16];
    for (byte, digits) in id.iter_mut().zip(name.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(ExchangeId(id))
}

fn encoded(part: &Part) -> Vec<u8> {
    let mut out = vec![0; FRAME_BYTES];
    out.extend_from_slice(&part.next_sequence.to_le_bytes());
    out.extend_from_slice(&part.last_us.to_le_bytes());
    out.push(u8::from(part.is_lossy));
    for (tag, payload) in [(BEGUN, &part.begun), (RESPONSE_HEAD, &part.head)] {
        if let Some(payload) = payload {
            put(&mut out, tag, 0, payload);
        }
    }
    put_body(&mut out, [REQUEST, REQUEST_HOLE, REQUEST_CUT], &part.request);
    put_body(&mut out, [RESPONSE, RESPONSE_HOLE, RESPONSE_CUT], &part.response);
    let size = (out.len() - FRAME_BYTES) as u64;
    out[4..FRAME_BYTES].copy_from_slice(&size.to_le_bytes());
    let checksum = crc32c::crc32c(&out[4..]);
    out[..4].copy_from_slice(&checksum.to_le_bytes());
    out
}

fn put_body(out: &mut Vec<u8>, [tag, hole, cut]: [u8; 3], body: &Body) {
    for piece in body.pieces() {
        if piece.after_hole {
            put(out, hole, 0, &[]);
        }
        put(out, tag, piece.elapsed_us, piece.bytes);
    }
    if body.ends_in_hole() {
        put(out, hole, 0, &[]);
    }
    if body.is_cut() {
        put(out, cut, 0, &[]);
    }
}

fn put(out: &mut Vec<u8>, tag: u8, elapsed_us: u64, bytes: &[u8]) {
    out.push(tag);
    out.extend_from_slice(&elapsed_us.to_le_bytes());
    // A piece is a record's payload: far below 4 GiB.
    out.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    out.extend_from_slice(bytes);
}

/// The parts that are whole, up to the first that is not.
fn parts(mut bytes: &[u8], body_bytes_max: usize) -> Vec<Part> {
    let mut parts = Vec::new();
    while let Some((frame, rest)) = bytes.split_first_chunk::<FRAME_BYTES>() {
        let [c0, c1, c2, c3, size @ ..] = *frame;
        let size = usize::try_from(u64::from_le_bytes(size)).unwrap_or(usize::MAX);
        let Some((inside, rest)) = rest.split_at_checked(size) else {
            break;
        };
        let checksum = crc32c::crc32c_append(crc32c::crc32c(&size_bytes(frame)), inside);
        if checksum != u32::from_le_bytes([c0, c1, c2, c3]) {
            break;
        }
        let Some(part) = part(inside, body_bytes_max) else {
            break;
        };
        parts.push(part);
        bytes = rest;
    }
    parts
}

fn size_bytes(frame: &[u8; FRAME_BYTES]) -> [u8; 8] {
    let [_, _, _, _, size @ ..] = *frame;
    size
}

fn part(bytes: &[u8], body_bytes_max: usize) -> Option<Part> {
    let (head, mut bytes) = bytes.split_first_chunk::<HEAD_BYTES>()?;
    let (sequence, rest) = head.split_first_chunk::<4>()?;
    let (last_us, lossy) = rest.split_first_chunk::<8>()?;
    let mut part = Part {
        next_sequence: u32::from_le_bytes(*sequence),
        last_us: u64::from_le_bytes(*last_us),
        is_lossy: lossy != [0],
        ..Part::default()
    };
    while let Some((&tag, rest)) = bytes.split_first() {
        let (elapsed_us, rest) = rest.split_first_chunk::<8>()?;
        let (size, rest) = rest.split_first_chunk::<4>()?;
        let (inside, rest) = rest.split_at_checked(usize::try_from(u32::from_le_bytes(*size)).ok()?)?;
        bytes = rest;
        let elapsed_us = u64::from_le_bytes(*elapsed_us);
        match tag {
            BEGUN => part.begun = Some(inside.into()),
            RESPONSE_HEAD => part.head = Some(inside.into()),
            REQUEST => part.request.push(elapsed_us, inside, body_bytes_max),
            RESPONSE => part.response.push(elapsed_us, inside, body_bytes_max),
            REQUEST_HOLE => part.request.hole(),
            RESPONSE_HOLE => part.response.hole(),
            REQUEST_CUT => part.request.mark_cut(),
            RESPONSE_CUT => part.response.mark_cut(),
            _ => return None,
        }
    }
    Some(part)
}
