//! A file's bytes as memory. Owns all that is `unsafe` in this repository, and is small so that it can be read whole.
//!
//! A load or store in a mapping is a signal (SIGBUS) where there is no page to be had for it. [`Map::of`] leaves three
//! ways to that, and all of them end the process as a `kill -9` would, which takes nothing with it that was appended:
//! someone of our own user cuts the file short, memory itself fails, or the disk is dead and the kernel has to read the
//! page or its place from there again. A full disk is none of them: the file's blocks are its own before it is mapped
//! (see [`is_apt`]).
//!
//! Invariant: nobody but the one owner of a [`Map`] writes to its bytes; other processes read them through the file.

#![expect(
    unsafe_code,
    reason = "memory that outlives its process is had from the kernel alone"
)]

use std::fs::File;
use std::io;
use std::ops::Range;
use std::ptr::{self, NonNull};
use std::sync::atomic::AtomicU64;

use rustix::mm::{MapFlags, ProtFlags};

/// `EXT4_SUPER_MAGIC`, which ext2 and ext3 have too.
#[cfg(target_os = "linux")]
const EXT4: u64 = 0xef53;
#[cfg(target_os = "linux")]
const TMPFS: u64 = 0x0102_1994;

/// Of file systems that write a block where it lies. Others (btrfs, ZFS, and XFS once a tool has shared the file's blocks)
/// look for room for it anew, and where there is none a store fails; and who knows what a network's does.
#[cfg(target_os = "linux")]
pub(super) fn is_apt(file: &File) -> io::Result<bool> {
    let kind = rustix::fs::fstatfs(file)?.f_type;
    Ok([EXT4, TMPFS].contains(&(kind as u64 & 0xffff_ffff)))
}

/// Of other systems it is not known.
#[cfg(not(target_os = "linux"))]
pub(super) fn is_apt(_file: &File) -> io::Result<bool> {
    Ok(false)
}

pub(super) struct Map {
    start: NonNull<u8>,
    words: usize,
    bytes: usize,
}

// SAFETY: the mapping is bound to no thread, and `&Map` gives out nothing that could be written to but atomics.
unsafe impl Send for Map {}
// SAFETY: as above.
unsafe impl Sync for Map {}

impl Map {
    /// Maps `bytes` of a file that has as many, each written before. The first `words` are [`Map::word`]'s.
    pub(super) fn of(file: &File, words: usize, bytes: usize) -> io::Result<Self> {
        assert!(words <= bytes && file.metadata()?.len() >= bytes as u64);
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new mapping at a place of the kernel's choice touches no memory that is in use.
        let start = unsafe { rustix::mm::mmap(ptr::null_mut(), bytes, access, MapFlags::SHARED, file, 0) }?;
        // SAFETY: it is the mapping from above. Where it is not allowed to be locked it may have to be read again: see above.
        let _as_far_as_allowed = unsafe { rustix::mm::mlock(start, bytes) };
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { start, words, bytes })
    }

    /// The word at `at`, which other processes may be reading.
    pub(super) fn word(&self, at: usize) -> &AtomicU64 {
        assert!(at.is_multiple_of(8) && at + 8 <= self.words);
        // SAFETY: inside the mapping, which is aligned to a page and lives as long as `self`; the words are only ever
        // given out as atomics.
        unsafe { AtomicU64::from_ptr(self.start.as_ptr().add(at).cast()) }
    }

    pub(super) fn bytes(&self, range: Range<usize>) -> &[u8] {
        let range = self.checked(range);
        // SAFETY: inside the mapping, beyond the words; who could change it needs `&mut self`.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr().add(range.start), range.len()) }
    }

    pub(super) fn bytes_mut(&mut self, range: Range<usize>) -> &mut [u8] {
        let range = self.checked(range);
        // SAFETY: as above, and `self` is borrowed by nobody else.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr().add(range.start), range.len()) }
    }

    fn checked(&self, range: Range<usize>) -> Range<usize> {
        assert!(self.words <= range.start && range.start <= range.end && range.end <= self.bytes);
        range
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and nothing borrowed from it outlives `self`.
        let _nothing_to_be_done = unsafe { rustix::mm::munmap(self.start.as_ptr().cast(), self.bytes) };
    }
}
