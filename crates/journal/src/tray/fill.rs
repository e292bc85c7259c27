//! The writer's side of a tray. Owns when it is emptied: when it is full, when its segment is over, and whenever the
//! syncing thread comes by. Refuses file systems on which a store could fail.
//!
//! Two locks: `inside` for what is in the tray, held for a copy by whoever appends; `emptying` for whoever writes it to the
//! segment. The syncing thread writes from a copy, so that no append waits for a disk that stalls while there is room.

use std::fs::{File, OpenOptions};
use std::io;
use std::mem;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering::Release;
use std::sync::atomic::fence;

use parking_lot::Mutex;

use super::map::{Map, is_apt};
use super::{CAPACITY, HEAD_BYTES, PLACE_AT, SEGMENT_AT, STANDING_BYTES, Standing, TRAY_BYTES, path_in};
use crate::io::{Folder, Listed, SegmentFile, only_for_us};

/// What is longer goes to the segment at once: the call is little against the copies.
const COPIED_BYTES_MAX: usize = 32 * 1024;

/// A folder whose newest segment is filled from a tray.
pub struct Trayed(Arc<Tray>);

struct Tray {
    folder: Arc<dyn Folder>,
    path: PathBuf,
    emptying: Mutex<()>,
    inside: Mutex<Inside>,
}

struct Inside {
    map: Map,
    standing: Standing,
    /// So many of the tray's bytes the segment has.
    handed_over: usize,
    /// `None`: there is no segment yet.
    file: Option<Arc<dyn SegmentFile>>,
}

/// The segment that the tray belongs to, or did.
struct Behind {
    tray: Arc<Tray>,
    file: Arc<dyn SegmentFile>,
    number: u64,
}

impl Trayed {
    /// Makes a tray in the folder, or takes the one over that a predecessor left. `None`: it is to be done without, and there
    /// is none any more.
    ///
    /// # Errors
    /// Where what a predecessor left in its tray cannot be handed over.
    pub fn open(folder: Arc<dyn Folder>) -> io::Result<Option<Self>> {
        let path = path_in(folder.path());
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let made = options.open(&path).and_then(|file| {
            only_for_us(&file)?;
            let fits = is_apt(&file)? && file.metadata()?.len() >= TRAY_BYTES as u64;
            match Standing::of(&file)? {
                Some(standing) if fits => Ok((file, standing)),
                Some(standing) if standing.length > 0 => Err(io::ErrorKind::Unsupported.into()),
                _ if !is_apt(&file)? => Err(io::ErrorKind::Unsupported.into()),
                _ => format(file),
            }
        });
        let mapped = made.and_then(|(file, standing)| Ok((Map::of(&file, HEAD_BYTES, TRAY_BYTES)?, standing)));
        let Ok((map, standing)) = mapped else {
            clear(&*folder)?;
            return Ok(None);
        };
        let mut inside = Inside {
            map,
            standing,
            handed_over: 0,
            file: None,
        };
        match left_over(&*folder, standing)? {
            Some((file, handed_over)) => (inside.file, inside.handed_over) = (Some(file), handed_over),
            None => inside.begin(0, None),
        }
        Ok(Some(Self(Arc::new(Tray {
            folder,
            path,
            emptying: Mutex::new(()),
            inside: Mutex::new(inside),
        }))))
    }
}

/// Hands over what a predecessor left in its tray, and takes it away.
pub(crate) fn clear(folder: &dyn Folder) -> io::Result<()> {
    let Some(tray) = super::open(folder.path())? else {
        return Ok(());
    };
    if let Some(standing) = Standing::of(&tray)?
        && let Some((file, handed_over)) = left_over(folder, standing)?
    {
        let mut bytes = vec![0; standing.length as usize - handed_over];
        tray.read_exact_at(&mut bytes, (HEAD_BYTES + handed_over) as u64)?;
        let mut left = &bytes[..];
        while !left.is_empty() {
            left = &left[append(&*file, left)?..];
        }
    }
    std::fs::remove_file(path_in(folder.path()))
}

/// The segment that does not have all of the tray yet, and how much of it it has. Where the segment is shorter than it was
/// when the tray was begun, the machine went down, and the tray is worth nothing; where another followed it, it is over.
fn left_over(folder: &dyn Folder, standing: Standing) -> io::Result<Option<(Arc<dyn SegmentFile>, usize)>> {
    let newest = folder.list()?.into_iter().map(|listed| listed.segment).max();
    if standing.length == 0 || newest != Some(standing.segment) {
        return Ok(None);
    }
    let file = folder.reopen(standing.segment)?;
    let handed_over = file.bytes()?.checked_sub(standing.base.into());
    let handed_over = handed_over.filter(|bytes| *bytes < standing.length.into());
    Ok(handed_over.map(|bytes| (file.into(), bytes as usize)))
}

/// Each byte is written, so that each has its place on the disk before a store needs it.
fn format(file: File) -> io::Result<(File, Standing)> {
    let mut bytes = vec![0; TRAY_BYTES];
    file.set_len(0)?;
    let standing = Standing::default();
    let (standings, _) = bytes.as_chunks_mut::<STANDING_BYTES>();
    standings[..3].fill(standing.encode());
    file.write_all_at(&bytes, 0)?;
    Ok((file, standing))
}

impl Inside {
    fn begin(&mut self, segment: u64, file: Option<Arc<dyn SegmentFile>>) {
        self.standing = Standing {
            segment,
            ..Standing::default()
        };
        (self.handed_over, self.file) = (0, file);
        // Nothing is in it before it is another's.
        self.publish_place();
        for nth in 0..3 {
            let word = self.map.word(nth * STANDING_BYTES + SEGMENT_AT);
            word.store(segment.to_le(), Release);
        }
    }

    /// What lies before is in place by now, for whoever sees it.
    fn publish_place(&self) {
        let place = self.standing.place().to_le();
        for nth in 0..3 {
            let word = self.map.word(nth * STANDING_BYTES + PLACE_AT);
            word.store(place, Release);
        }
    }

    fn room(&self) -> usize {
        CAPACITY - self.standing.length as usize
    }

    /// The caller knows that there is room.
    fn put(&mut self, bytes: &[u8]) {
        let at = HEAD_BYTES + self.standing.length as usize;
        self.map.bytes_mut(at..at + bytes.len()).copy_from_slice(bytes);
        self.standing.length += bytes.len() as u32; // At most the capacity.
        self.publish_place();
    }

    fn waiting(&self) -> &[u8] {
        self.map
            .bytes(HEAD_BYTES + self.handed_over..HEAD_BYTES + self.standing.length as usize)
    }

    fn hand_over(&mut self) -> io::Result<()> {
        if let Some(file) = self.file.clone() {
            while !self.waiting().is_empty() {
                self.handed_over += append(&*file, self.waiting())?;
            }
        }
        self.empty_if_handed_over();
        Ok(())
    }

    fn empty_if_handed_over(&mut self) {
        let length = mem::take(&mut self.standing.length);
        if length == 0 || self.handed_over < length as usize {
            self.standing.length = length;
            return;
        }
        self.standing.base += length; // Its end was seen to be a `u32` when it was put in.
        self.handed_over = 0;
        self.publish_place();
        // Whoever still reads what was here sees by its base that it has moved. Nobody's prompt stays behind.
        fence(Release);
        self.map.bytes_mut(HEAD_BYTES..HEAD_BYTES + length as usize).fill(0);
    }
}

impl Tray {
    fn append(&self, number: u64, bytes: &[u8]) -> io::Result<usize> {
        let fits = {
            let mut inside = self.inside.lock();
            inside.takes(number, bytes)?;
            let fits = bytes.len() <= COPIED_BYTES_MAX.min(inside.room());
            if fits {
                inside.put(bytes);
            }
            fits
        };
        if !fits {
            return self.append_emptied(bytes);
        }
        Ok(bytes.len())
    }

    /// There is one append at a time: what the tray lacks now it still lacks when it is empty.
    fn append_emptied(&self, bytes: &[u8]) -> io::Result<usize> {
        let _alone = self.emptying.lock();
        let mut inside = self.inside.lock();
        inside.hand_over()?;
        if bytes.len() <= COPIED_BYTES_MAX {
            inside.put(bytes);
            return Ok(bytes.len());
        }
        let Some(file) = inside.file.clone() else {
            return Err(io::ErrorKind::NotFound.into());
        };
        let count = append(&*file, bytes)?;
        inside.standing.base += count as u32; // As above.
        inside.publish_place();
        Ok(count)
    }

    fn settle(&self) -> io::Result<()> {
        let _alone = self.emptying.lock();
        let (file, bytes) = {
            let inside = self.inside.lock();
            match &inside.file {
                Some(file) if !inside.waiting().is_empty() => (file.clone(), inside.waiting().to_vec()),
                _ => return Ok(()),
            }
        };
        let mut left = &bytes[..];
        while !left.is_empty() {
            let count = append(&*file, left)?;
            self.inside.lock().handed_over += count;
            left = &left[count..];
        }
        self.inside.lock().empty_if_handed_over();
        Ok(())
    }
}

impl Inside {
    fn takes(&self, number: u64, bytes: &[u8]) -> io::Result<()> {
        if self.standing.segment != number {
            return Err(io::ErrorKind::NotFound.into()); // A segment that is over.
        }
        match u32::try_from(self.standing.end() + bytes.len() as u64) {
            Ok(_) => Ok(()),
            Err(_) => Err(io::ErrorKind::FileTooLarge.into()),
        }
    }
}

/// One write, which took something.
fn append(file: &dyn SegmentFile, bytes: &[u8]) -> io::Result<usize> {
    loop {
        match file.append(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// Where it cannot be handed over, it stays for the next writer, and for whoever reads.
impl Drop for Tray {
    fn drop(&mut self) {
        if self.inside.get_mut().hand_over().is_ok() {
            let _an_empty_one_does_no_harm = std::fs::remove_file(&self.path);
        }
    }
}

impl Folder for Trayed {
    fn path(&self) -> &Path {
        self.0.folder.path()
    }

    fn create(&self, segment: u64) -> io::Result<Box<dyn SegmentFile>> {
        let _alone = self.0.emptying.lock();
        let mut inside = self.0.inside.lock();
        inside.hand_over()?;
        let file: Arc<dyn SegmentFile> = self.0.folder.create(segment)?.into();
        inside.begin(segment, Some(file.clone()));
        let tray = self.0.clone();
        Ok(Box::new(Behind {
            tray,
            file,
            number: segment,
        }))
    }

    fn reopen(&self, segment: u64) -> io::Result<Box<dyn SegmentFile>> {
        self.0.folder.reopen(segment)
    }

    fn open(&self, segment: u64) -> io::Result<Box<dyn SegmentFile>> {
        self.0.folder.open(segment)
    }

    fn list(&self) -> io::Result<Vec<Listed>> {
        self.0.folder.list()
    }

    fn remove(&self, segment: u64) -> io::Result<()> {
        let mut inside = self.0.inside.lock();
        if inside.standing.segment == segment {
            inside.begin(0, None);
        }
        self.0.folder.remove(segment)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.folder.sync()
    }

    fn settle(&self) -> io::Result<()> {
        self.0.settle()
    }

    fn is_quick(&self) -> bool {
        true
    }
}

impl SegmentFile for Behind {
    fn append(&self, bytes: &[u8]) -> io::Result<usize> {
        self.tray.append(self.number, bytes)
    }

    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        self.tray.folder.open(self.number)?.read_at(into, offset)
    }

    fn bytes(&self) -> io::Result<u64> {
        self.tray.folder.open(self.number)?.bytes()
    }

    /// Of what was handed over: see [`Folder::settle`].
    fn sync(&self) -> io::Result<()> {
        self.file.sync()
    }
}
