//! A folder that fails as disks do, when told to.

use std::io;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};

use journal::io::{Disk, Folder, Listed, SegmentFile};

#[derive(Default)]
pub(crate) struct Faults {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Bytes that still fit; `None` is no end of them.
    room: Option<u64>,
    /// The most that one write takes; 0 is no bound.
    short: usize,
    syncs_fail: bool,
    stalled: bool,
    waiting: usize,
    /// The byte at this place of a file is wrong the next time that a reader sees it.
    misread: Option<u64>,
    /// So many calls are interrupted by a signal.
    interrupted: usize,
    /// Each sync of a segment: its file's number among all that were opened, and whether it was let through.
    syncs: Vec<(usize, bool)>,
    folder_syncs: usize,
    files: usize,
}

impl Faults {
    pub(crate) fn room(&self, bytes: Option<u64>) {
        self.state.lock().unwrap().room = bytes;
    }

    pub(crate) fn short_writes(&self, bytes: usize) {
        self.state.lock().unwrap().short = bytes;
    }

    pub(crate) fn syncs_fail(&self, fail: bool) {
        self.state.lock().unwrap().syncs_fail = fail;
    }

    pub(crate) fn stall(&self, stalled: bool) {
        self.state.lock().unwrap().stalled = stalled;
        self.changed.notify_all();
    }

    pub(crate) fn interrupt(&self, calls: usize) {
        self.state.lock().unwrap().interrupted = calls;
    }

    pub(crate) fn interruptions_left(&self) -> usize {
        self.state.lock().unwrap().interrupted
    }

    pub(crate) fn misread(&self, at: u64) {
        self.state.lock().unwrap().misread = Some(at);
    }

    /// Returns once so many writes hang.
    pub(crate) fn wait_for_stalled(&self, count: usize) {
        let state = self.state.lock().unwrap();
        drop(self.changed.wait_while(state, |state| state.waiting < count).unwrap());
    }

    /// Returns once a sync was attempted that `wanted` accepts, given all there were.
    pub(crate) fn wait_for_syncs(&self, mut wanted: impl FnMut(&[(usize, bool)]) -> bool) -> Vec<(usize, bool)> {
        let state = self.state.lock().unwrap();
        let state = self.changed.wait_while(state, |state| !wanted(&state.syncs)).unwrap();
        state.syncs.clone()
    }

    pub(crate) fn folder_syncs(&self) -> usize {
        self.state.lock().unwrap().folder_syncs
    }
}

pub(crate) struct Faulty {
    disk: Disk,
    faults: Arc<Faults>,
}

impl State {
    fn interrupt(&mut self) -> io::Result<()> {
        match self.interrupted.checked_sub(1) {
            None => Ok(()),
            Some(left) => {
                self.interrupted = left;
                Err(io::ErrorKind::Interrupted.into())
            }
        }
    }
}

impl Faulty {
    pub(crate) fn new(path: &Path) -> (Arc<Self>, Arc<Faults>) {
        let faults = Arc::new(Faults::default());
        let disk = Disk::prepare(path).expect("a folder");
        (
            Arc::new(Self {
                disk,
                faults: faults.clone(),
            }),
            faults,
        )
    }
}

impl Faulty {
    fn with_faults(&self, file: Box<dyn SegmentFile>) -> Box<dyn SegmentFile> {
        let mut state = self.faults.state.lock().unwrap();
        state.files += 1;
        Box::new(FaultyFile {
            file,
            number: state.files,
            faults: self.faults.clone(),
        })
    }
}

impl Folder for Faulty {
    fn path(&self) -> &Path {
        self.disk.path()
    }

    fn create(&self, segment: u64) -> io::Result<Box<dyn SegmentFile>> {
        self.disk.create(segment).map(|file| self.with_faults(file))
    }

    fn reopen(&self, segment: u64) -> io::Result<Box<dyn SegmentFile>> {
        self.disk.reopen(segment).map(|file| self.with_faults(file))
    }

    fn open(&self, segment: u64) -> io::Result<Box<dyn SegmentFile>> {
        self.disk.open(segment).map(|file| self.with_faults(file))
    }

    fn list(&self) -> io::Result<Vec<Listed>> {
        self.disk.list()
    }

    fn remove(&self, segment: u64) -> io::Result<()> {
        self.disk.remove(segment)
    }

    fn sync(&self) -> io::Result<()> {
        self.faults.state.lock().unwrap().folder_syncs += 1;
        self.disk.sync()
    }
}

struct FaultyFile {
    file: Box<dyn SegmentFile>,
    number: usize,
    faults: Arc<Faults>,
}

impl SegmentFile for FaultyFile {
    fn append(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.faults.state.lock().unwrap();
        while state.stalled {
            state.waiting += 1;
            self.faults.changed.notify_all();
            state = self.faults.changed.wait_while(state, |state| state.stalled).unwrap();
            state.waiting -= 1;
        }
        state.interrupt()?;
        let mut count = bytes.len();
        if state.short > 0 {
            count = count.min(state.short);
        }
        if let Some(room) = &mut state.room {
            if *room == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            count = count.min(usize::try_from(*room).unwrap_or(usize::MAX));
            *room -= count as u64;
        }
        self.file.append(&bytes[..count])
    }

    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut state = self.faults.state.lock().unwrap();
        state.interrupt()?;
        let count = self.file.read_at(into, offset)?;
        let at = state
            .misread
            .and_then(|at| at.checked_sub(offset))
            .map(|at| at as usize);
        if let Some(byte) = at.and_then(|at| into[..count].get_mut(at)) {
            *byte ^= 0x10;
            state.misread = None;
        }
        Ok(count)
    }

    fn bytes(&self) -> io::Result<u64> {
        self.file.bytes()
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.faults.state.lock().unwrap();
        let fine = !state.syncs_fail;
        state.syncs.push((self.number, fine));
        self.faults.changed.notify_all();
        if fine { Ok(()) } else { Err(io::Error::other("EIO")) }
    }
}
