//! The capture log: what passed, in the order in which it passed, kept before it is passed on.
//!
//! One process writes a folder of segments, another follows them. The crate knows neither HTTP nor SQLite nor an async
//! runtime: threads, files, bytes.
//!
//! ```text
//!   Writer ─ append ─▶ journal/                                Reader ─ next_step ─▶ Record · Gap · Idle
//!   (the edge)           lock                     0600, flock  (the aggregator)  │
//!                        00000001753791211406.segment          ▲                 ▼
//!                        00000001753791398110.segment ─────────┘        rows + cursor, one transaction
//!                        (numbered by ms of birth, ascending)                    │
//!                        removed ◀──────────────────────── remove_ingested ──────┘
//!                        tray: the newest segment's last bytes, where the file system is apt for one (`tray.rs`)
//!
//!   a segment                                       all numbers little-endian
//!   ┌────────────┬───────┬───────┬───────┬──────╌╌
//!   │ head (144) │ frame │ frame │ frame │
//!   └────────────┴───────┴───────┴───────┴──────╌╌
//!
//!   its head: this, three times (one that agrees is enough, or else the majority of each bit)
//!   ┌────────────┬───────────┬──────────┬────────┬──────────┬────────────┬──────────────────┬──────────┐
//!   │ "CNCLVJNL" │ version 4 │ marker 4 │ salt 4 │ number 8 │ previous 8 │ previous_bytes 8 │ CRC-32C 4│
//!   └────────────┴───────────┴──────────┴────────┴──────────┴────────────┴──────────────────┴──────────┘
//!                 version, magic and CRC stay where they are in all versions
//!
//!   a frame
//!   0        4        8      9      12         16           32            36         40
//!   ┌────────┬────────┬──────┬──────┬──────────┬────────────┬─────────────┬──────────┬───────────────────┐
//!   │ marker │ length │ kind │ zero │ sequence │ exchange   │ CRC-32C of  │ CRC-32C  │ payload           │
//!   │        │ of the │      │      │ in its   │ (UUIDv7)   │ the payload │ of 0..36 │ up to 64 KiB      │
//!   │        │ payload│      │      │ exchange │            │             │          │                   │
//!   └────────┴────────┴──────┴──────┴──────────┴────────────┴─────────────┴──────────┴───────────────────┘
//!   kinds: 1 begun · 2 request bytes · 3 response head · 4 response bytes · 5 ended · 240 mark (a loss the writer
//!   knows of) · any other: skipped and counted.     Both CRCs begin from the segment's salt.
//! ```
//!
//! **What is kept.** [`Writer::append`] returns when the bytes are with the kernel: no end of the process loses them. A
//! thread of the writer's makes them durable ([`SyncPolicy`]) and no append waits for that unless asked to. Loss of power
//! may lose what was not synced, from a segment's end; what remains of it is read. [`Writer::hand_in`] leaves bytes to the next
//! write instead, and [`Writer::settle`] makes the same promise for them. A tray ([`io::Trayed`]) keeps the promise without a
//! system call for each append; readers see no difference.
//!
//! **What is never done.** A written byte is never changed. A torn tail is not cut from the file; it is cut off by what
//! follows: a writer that opens a folder begins a new segment and records how long the last one was, and whoever reads
//! reports the torn rest as a [`Gap`]. So there is no repair that could itself go wrong or die half-way.
//!
//! **What is lost is told.** A [`Gap`] has its place and its cause. Apart from that an exchange's frames are numbered, so
//! that its reader knows it is whole or knows it is not ([`Exchange`]).
//!
//! **Bounds.** The writer buffers nothing but what was handed in; a tray has 256 KiB, a reader's memory as much. Segments
//! and folder have their size ([`Options`]); an append has its time, also while the disk stalls.
//!
//! ```
//! use journal::{Appended, Cursor, Exchange, ExchangeId, Kind, Options, Reader, Step, Writer};
//!
//! # let folder = tempfile::tempdir()?;
//! let writer = Writer::open(folder.path(), Options::default())?;
//! let mut exchange = Exchange::new(ExchangeId([7; 16]));
//! let mut batch = writer.batch();
//! batch.push(&mut exchange, Kind::Begun, b"POST /v1/chat/completions");
//! batch.push(&mut exchange, Kind::RequestBytes, b"{}");
//! assert!(matches!(writer.append(&batch)?, Appended::Written(_)));
//!
//! let mut reader = Reader::open(folder.path(), Cursor::BEGINNING);
//! let mut kinds = Vec::new();
//! while let Step::Record(record) = reader.next_step()? {
//!     kinds.push(record.kind);
//! }
//! assert_eq!(kinds, [Kind::Begun, Kind::RequestBytes]);
//! let committed: Cursor = reader.cursor().to_string().parse()?;
//! reader.remove_ingested(committed)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod batch;
mod cursor;
mod error;
mod frame;
pub mod io;
mod mark;
mod reader;
mod record;
mod segment;
mod tray;
mod writer;

pub use batch::Batch;
pub use cursor::Cursor;
pub use error::{CursorError, Error};
pub use frame::{FRAME_HEAD_BYTES, PAYLOAD_BYTES_MAX};
pub use io::is_written;
pub use reader::{Cause, Gap, Reader, Removed, Step, WriterMark};
pub use record::{Exchange, ExchangeId, Kind, Record};
pub use segment::{SEGMENT_HEAD_BYTES, VERSION};
pub use writer::{Appended, Fate, LossPolicy, Options, Reason, Refused, Statistics, SyncPolicy, Ticket, Writer};
