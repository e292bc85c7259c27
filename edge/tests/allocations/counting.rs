//! An allocator that counts what the edge's own threads ask of the heap.
//!
//! The edge's threads are told by the name they were given; the client, the server and everything else of a test run
//! on other threads and are not counted, so that a whole exchange can be measured from outside. Bytes are live where
//! they were allocated by the edge's threads and not yet freed by them.

use std::alloc::{GlobalAlloc, Layout, System};
use std::backtrace::Backtrace;
use std::cell::Cell;
use std::collections::{BTreeMap, HashMap};
use std::io::Read;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

const EDGE_THREAD: &[u8] = b"edge\n";

/// A thread gets its name after its first allocations: so many are looked at before it is known for another's.
const LOOKS_MAX: u8 = 32;

static COUNT: AtomicU64 = AtomicU64::new(0);
static BYTES: AtomicU64 = AtomicU64::new(0);
static LIVE_BYTES: AtomicI64 = AtomicI64::new(0);
static PROFILING: AtomicBool = AtomicBool::new(false);
static PROFILE: Mutex<Option<Profile>> = Mutex::new(None);

thread_local! {
    static WHOSE: Cell<Whose> = const { Cell::new(Whose::Unknown(0)) };
    /// Inside the counting itself, which may allocate.
    static BUSY: Cell<bool> = const { Cell::new(false) };
}

#[derive(Clone, Copy)]
enum Whose {
    Unknown(u8),
    Edge,
    Other,
}

#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Heap {
    pub(crate) count: u64,
    pub(crate) bytes: u64,
    pub(crate) live_bytes: i64,
}

impl Heap {
    pub(crate) fn now() -> Self {
        Self {
            count: COUNT.load(Ordering::SeqCst),
            bytes: BYTES.load(Ordering::SeqCst),
            live_bytes: LIVE_BYTES.load(Ordering::SeqCst),
        }
    }

    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            count: self.count - before.count,
            bytes: self.bytes - before.bytes,
            live_bytes: self.live_bytes - before.live_bytes,
        }
    }
}

pub(crate) struct Counting;

#[expect(
    unsafe_code,
    reason = "GlobalAlloc is an unsafe trait; every call goes to the system's allocator as it came"
)]
// SAFETY: each method hands its arguments to `System` unchanged and returns what `System` returned.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps `GlobalAlloc`'s contract, and `System` asks for the same.
        let block = unsafe { System.alloc(layout) };
        allocated(block, layout.size());
        block
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above.
        let block = unsafe { System.alloc_zeroed(layout) };
        allocated(block, layout.size());
        block
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        freed(block, layout.size());
        // SAFETY: as above.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        freed(block, layout.size());
        // SAFETY: as above.
        let block = unsafe { System.realloc(block, layout, bytes) };
        allocated(block, bytes);
        block
    }
}

fn allocated(block: *mut u8, bytes: usize) {
    if !is_counted() {
        return;
    }
    COUNT.fetch_add(1, Ordering::SeqCst);
    BYTES.fetch_add(bytes as u64, Ordering::SeqCst);
    LIVE_BYTES.fetch_add(signed(bytes), Ordering::SeqCst);
    if PROFILING.load(Ordering::SeqCst) {
        aside(|profile| profile.allocated(block as usize, bytes));
    }
}

fn freed(block: *mut u8, bytes: usize) {
    if !is_counted() {
        return;
    }
    LIVE_BYTES.fetch_sub(signed(bytes), Ordering::SeqCst);
    if PROFILING.load(Ordering::SeqCst) {
        aside(|profile| {
            profile.live.remove(&(block as usize));
        });
    }
}

fn signed(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

/// Whether this thread is the edge's, and not inside the counting.
fn is_counted() -> bool {
    if BUSY.get() {
        return false;
    }
    let whose = match WHOSE.get() {
        Whose::Unknown(LOOKS_MAX) => Whose::Other,
        Whose::Unknown(_) if is_edge_thread() => Whose::Edge,
        Whose::Unknown(looks) => Whose::Unknown(looks + 1),
        known => known,
    };
    WHOSE.set(whose);
    matches!(whose, Whose::Edge)
}

/// Asks the system: the standard library's own handle of a thread may not be there yet.
fn is_edge_thread() -> bool {
    BUSY.set(true);
    let mut name = [0; 16];
    let read = std::fs::File::open("/proc/thread-self/comm").and_then(|mut file| file.read(&mut name));
    BUSY.set(false);
    read.is_ok_and(|bytes| &name[..bytes] == EDGE_THREAD)
}

fn aside(record: impl FnOnce(&mut Profile)) {
    BUSY.set(true);
    if let Ok(mut profile) = PROFILE.lock() {
        record(profile.get_or_insert_default());
    }
    BUSY.set(false);
}

/// Who allocated, for whoever wants to take an allocation out.
#[derive(Default)]
struct Profile {
    traces: Vec<(usize, Backtrace)>,
    /// By address: which of the traces.
    live: HashMap<usize, usize>,
}

impl Profile {
    fn allocated(&mut self, block: usize, bytes: usize) {
        self.live.insert(block, self.traces.len());
        self.traces.push((bytes, Backtrace::force_capture()));
    }
}

/// Notes who allocates while this runs. Returns the allocations collapsed by size and callers, `of` being by how many
/// requests or streams they are divided; `live_only` leaves out what was freed again.
pub(crate) fn profile(of: f64, live_only: bool, run: impl FnOnce()) -> String {
    PROFILING.store(true, Ordering::SeqCst);
    run();
    PROFILING.store(false, Ordering::SeqCst);
    let profile = PROFILE
        .lock()
        .ok()
        .and_then(|mut profile| profile.take())
        .unwrap_or_default();
    let live: std::collections::HashSet<usize> = profile.live.values().copied().collect();
    let mut collapsed: BTreeMap<(String, usize), u32> = BTreeMap::new();
    for (at, (bytes, trace)) in profile.traces.iter().enumerate() {
        if !live_only || live.contains(&at) {
            *collapsed.entry((callers(trace), *bytes)).or_default() += 1;
        }
    }
    let mut lines: Vec<_> = collapsed.into_iter().collect();
    lines.sort_by_key(|((_, bytes), count)| std::cmp::Reverse((u64::from(*count), *bytes)));
    if live_only {
        lines.sort_by_key(|((_, bytes), count)| std::cmp::Reverse(u64::from(*count) * *bytes as u64));
    }
    let line = |((callers, bytes), count): ((String, usize), u32)| {
        format!("{:6.2} x {bytes:6} B  {callers}\n", f64::from(count) / of)
    };
    lines.into_iter().map(line).collect()
}

/// The nearest places outside of the standard library, innermost first: `crate/src/file.rs:line`.
fn callers(trace: &Backtrace) -> String {
    const FRAMES_MAX: usize = 4;
    let text = trace.to_string();
    let places = text.lines().filter_map(|line| line.trim_start().strip_prefix("at "));
    let outside = places.filter(|place| !place.contains("/library/") && !place.contains("/tests/allocations"));
    let nearest: Vec<&str> = outside.map(shortened).take(FRAMES_MAX).collect();
    nearest.join(" < ")
}

/// From the crate's folder on, without the column.
fn shortened(place: &str) -> &str {
    let place = place.rsplit_once(':').map_or(place, |(place, _column)| place);
    let source = place.rfind("/src/").unwrap_or(0);
    let begin = place[..source].rfind('/').map_or(0, |slash| slash + 1);
    &place[begin..]
}
