//! The file system as the journal needs it. [`Disk`] is the real one; tests put faults between. Owns permissions (files
//! 0600, folder 0700, whatever the umask) and the lock against a second writer; knows no format.

use std::fs::{DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::Error;
use crate::segment;
pub use crate::tray::Trayed;
use crate::tray::{self, Whole};

/// A writer looks for the lock so often, so long apart, before it believes that another has it.
const LOCK_LOOKS_MAX: u32 = 10;
const LOCK_PAUSE: Duration = Duration::from_millis(10);

/// A journal's folder.
pub trait Folder: Send + Sync {
    fn path(&self) -> &Path;
    /// Makes a new, empty segment for appending.
    fn create(&self, segment: u64) -> io::Result<Box<dyn SegmentFile>>;
    /// Opens a segment once more for appending: the newest, which its writer left without its last bytes.
    fn reopen(&self, segment: u64) -> io::Result<Box<dyn SegmentFile>>;
    /// Opens a segment for reading.
    fn open(&self, segment: u64) -> io::Result<Box<dyn SegmentFile>>;
    /// The segments there are, in any order.
    fn list(&self) -> io::Result<Vec<Listed>>;
    fn remove(&self, segment: u64) -> io::Result<()>;
    /// Makes creations and removals durable.
    fn sync(&self) -> io::Result<()>;
    /// Hands over to its segment's file what was appended and lies elsewhere until then. Nothing of that is synced before.
    fn settle(&self) -> io::Result<()> {
        Ok(())
    }
    /// Whether an append is no system call, so that nothing is gained where several share one.
    fn is_quick(&self) -> bool {
        false
    }
}

/// One segment's file. Appending goes to the end, whatever was read.
pub trait SegmentFile: Send + Sync {
    /// One `write(2)`, or a copy to where it lasts as long: it may take fewer bytes than were given.
    fn append(&self, bytes: &[u8]) -> io::Result<usize>;
    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize>;
    fn bytes(&self) -> io::Result<u64>;
    /// Makes what was appended durable.
    fn sync(&self) -> io::Result<()>;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listed {
    pub segment: u64,
    pub bytes: u64,
}

/// A folder of the file system.
#[derive(Debug)]
pub struct Disk {
    path: PathBuf,
}

impl Disk {
    /// Names a folder that may not be there yet, for a reader.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Makes the folder where there is none, and closes it to others where it was open.
    pub fn prepare(path: impl Into<PathBuf>) -> Result<Self, Error> {
        let disk = Self::at(path);
        let path = disk.path.as_path();
        let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
        made.map_err(|source| disk_error("make", path, source))?;
        let metadata = std::fs::metadata(path).map_err(|source| disk_error("look at", path, source))?;
        if metadata.permissions().mode() & 0o777 != 0o700 {
            std::fs::set_permissions(path, Permissions::from_mode(0o700))
                .map_err(|source| disk_error("close to others", path, source))?;
        }
        Ok(disk)
    }

    /// Takes the writer's lock. It lasts as long as what is returned, and no longer than the process.
    pub fn lock(&self) -> Result<WriterLock, Error> {
        let path = self.path.join("lock");
        let mut options = OpenOptions::new();
        let file = options.write(true).create(true).truncate(false).mode(0o600).open(&path);
        let file = file.map_err(|source| disk_error("open", &path, source))?;
        only_for_us(&file).map_err(|source| disk_error("close to others", &path, source))?;
        let mut looks = 0;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(WriterLock { _file: file }),
                // Whoever asks [`is_written`] holds it for a moment.
                Err(TryLockError::WouldBlock) if looks < LOCK_LOOKS_MAX => {
                    looks += 1;
                    std::thread::sleep(LOCK_PAUSE);
                }
                Err(TryLockError::WouldBlock) => return Err(Error::Locked { path }),
                Err(TryLockError::Error(source)) => return Err(disk_error("lock", &path, source)),
            }
        }
    }

    fn file(&self, segment: u64) -> PathBuf {
        self.path.join(segment::file_name(segment))
    }
}

/// Whether a writer has this folder now. Where none has, what its last one began and did not end is over.
pub fn is_written(path: impl AsRef<Path>) -> io::Result<bool> {
    let file = match File::open(path.as_ref().join("lock")) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        file => file?,
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(false), // Given back as the file is closed.
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(source)) => Err(source),
    }
}

fn disk_error(action: &'static str, path: &Path, source: io::Error) -> Error {
    Error::Io {
        action,
        path: path.to_owned(),
        source,
    }
}

#[derive(Debug)]
pub struct WriterLock {
    _file: File,
}

impl Folder for Disk {
    fn path(&self) -> &Path {
        &self.path
    }

    fn create(&self, segment: u64) -> io::Result<Box<dyn SegmentFile>> {
        let mut options = OpenOptions::new();
        let file = options
            .append(true)
            .create_new(true)
            .mode(0o600)
            .open(self.file(segment))?;
        only_for_us(&file)?;
        Ok(Box::new(file))
    }

    fn reopen(&self, segment: u64) -> io::Result<Box<dyn SegmentFile>> {
        let file = OpenOptions::new().append(true).open(self.file(segment))?;
        Ok(Box::new(file))
    }

    fn open(&self, segment: u64) -> io::Result<Box<dyn SegmentFile>> {
        let file = File::open(self.file(segment))?;
        Ok(Box::new(Whole::of(file, segment, &self.path)?))
    }

    /// A folder that is not there yet is an empty one: a reader may be up before the writer.
    fn list(&self) -> io::Result<Vec<Listed>> {
        let entries = match std::fs::read_dir(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let longer = tray::longer(&self.path)?;
        let mut listed = Vec::new();
        for entry in entries {
            let entry = entry?;
            let Some(segment) = entry.file_name().to_str().and_then(segment::number_of) else {
                continue;
            };
            match entry.metadata() {
                Ok(metadata) => {
                    let in_tray = longer.filter(|(longer, _)| *longer == segment);
                    let bytes = in_tray.map_or(0, |(_, bytes)| bytes).max(metadata.len());
                    listed.push(Listed { segment, bytes });
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {} // Removed as we looked.
                Err(error) => return Err(error),
            }
        }
        Ok(listed)
    }

    fn remove(&self, segment: u64) -> io::Result<()> {
        std::fs::remove_file(self.file(segment))
    }

    fn sync(&self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }
}

/// For reading alone.
impl SegmentFile for Whole {
    fn append(&self, _bytes: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::PermissionDenied.into())
    }

    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        Whole::read_at(self, into, offset)
    }

    fn bytes(&self) -> io::Result<u64> {
        Whole::bytes(self)
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}

/// For appending.
impl SegmentFile for File {
    fn append(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut file = self;
        file.write(bytes)
    }

    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        FileExt::read_at(self, into, offset)
    }

    fn bytes(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data() // The length is synced with it, and the times are of no interest.
    }
}

/// A umask can only take bits away at creation; one that took ours would make files that we cannot read again.
pub(crate) fn only_for_us(file: &File) -> io::Result<()> {
    file.set_permissions(Permissions::from_mode(0o600))
}
