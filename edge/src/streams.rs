//! How many exchanges one key has at once, whichever routers serve it: a bound of the edge's own, where one is set.
//!
//! `inFlightReq` bounds a router, and only where its file says so; this bounds every key, so that one that leaked cannot
//! take the whole edge. Counting costs two short locks of one of [`ROOMS`] rooms an exchange, and nothing where no bound
//! is set. Keys that have nothing in flight are forgotten at once.

use std::collections::HashMap;
use std::sync::Arc;

use keymap::KeyHash;
use parking_lot::Mutex;

/// Keys are spread over so many locks.
const ROOMS: usize = 64;

#[derive(Debug)]
pub(crate) struct Streams {
    per_key_max: u32,
    rooms: Box<[Mutex<HashMap<KeyHash, u32>>]>,
}

/// One exchange of a key's, counted for as long as it lives.
#[derive(Debug)]
pub(crate) struct Stream {
    streams: Arc<Streams>,
    key: KeyHash,
}

impl Streams {
    /// `None`: there is no bound.
    pub(crate) fn new(per_key_max: Option<u32>) -> Option<Arc<Self>> {
        let rooms = (0..ROOMS).map(|_| Mutex::default()).collect();
        per_key_max.map(|per_key_max| Arc::new(Self { per_key_max, rooms }))
    }

    /// `None` where the key has all it may.
    pub(crate) fn begin(self: &Arc<Self>, key: KeyHash) -> Option<Stream> {
        let mut room = self.room(key).lock();
        let held = room.get(&key).copied().unwrap_or(0);
        if held >= self.per_key_max {
            return None;
        }
        room.insert(key, held + 1);
        let streams = self.clone();
        Some(Stream { streams, key })
    }

    fn room(&self, key: KeyHash) -> &Mutex<HashMap<KeyHash, u32>> {
        &self.rooms[usize::from(key.as_bytes()[0]) % ROOMS]
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let mut room = self.streams.room(self.key).lock();
        if let Some(held) = room.get_mut(&self.key) {
            *held -= 1;
            if *held == 0 {
                room.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_has_so_many_and_none_is_remembered_that_has_none() {
        let streams = Streams::new(Some(2)).expect("a bound");
        let (a, b) = (KeyHash::of(b"a"), KeyHash::of(b"b"));
        let held: Vec<_> = (0..2).map(|_| streams.begin(a).expect("below the bound")).collect();
        assert!(streams.begin(a).is_none(), "a third");
        let other = streams.begin(b).expect("another key's");
        drop(held);
        assert!(streams.begin(a).is_some(), "given back");
        drop(other);
        assert!(streams.rooms.iter().all(|room| room.lock().is_empty()));
    }

    #[test]
    fn threads_never_hold_more_together() {
        let streams = Streams::new(Some(3)).expect("a bound");
        let inside = std::sync::atomic::AtomicU32::new(0);
        let order = std::sync::atomic::Ordering::SeqCst;
        std::thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| {
                    for _ in 0..500 {
                        if let Some(stream) = streams.begin(KeyHash::of(b"k")) {
                            assert!(inside.fetch_add(1, order) < 3);
                            inside.fetch_sub(1, order);
                            drop(stream);
                        }
                    }
                });
            }
        });
        assert!(streams.rooms.iter().all(|room| room.lock().is_empty()));
    }
}
