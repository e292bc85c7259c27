//! The servers that hold one point.
//!
//! Owns the order in which they are given up. Invariant: never more than [`HOLDERS_MAX`], none twice, and no memory beyond
//! the entry's own but what the budget allows.

use std::time::Duration;

/// Most points belong to one conversation, which one server holds, or two after it had to move.
const FEW: usize = 2;

/// A system prompt that all share is held by many: as many as one lookup tells apart.
pub(super) const HOLDERS_MAX: usize = 64;

/// Time since the index was made. A tenth of a second is fine enough to tell which holder is the oldest, and lasts 13 years.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Tick(u32);

impl Tick {
    pub(super) fn after(elapsed: Duration) -> Self {
        Self(u32::try_from(elapsed.as_millis() / 100).unwrap_or(u32::MAX))
    }
}

/// A server, and when it was last sent the point. Stamp 0 is nobody.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Holder {
    pub(super) stamp: u32,
    pub(super) at: Tick,
}

#[derive(Debug, Default)]
pub(super) struct Holders {
    few: [Holder; FEW],
    more: Option<Box<Crowd>>,
}

/// Behind a thin pointer: an entry pays eight bytes for what few entries need.
#[derive(Debug, Default)]
struct Crowd(Vec<Holder>);

impl Crowd {
    fn bytes(&self) -> usize {
        size_of::<Self>() + self.0.capacity() * size_of::<Holder>()
    }
}

impl Holders {
    pub(super) fn only(holder: Holder) -> Self {
        let mut few = [Holder::default(); FEW];
        few[0] = holder;
        Self { few, more: None }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Holder> {
        let more = self.more.iter().flat_map(|crowd| &crowd.0);
        self.few.iter().chain(more).filter(|holder| holder.stamp != 0)
    }

    pub(super) fn newest(&self) -> Option<&Holder> {
        self.iter().max_by_key(|holder| holder.at)
    }

    /// Memory beyond the entry's own.
    pub(super) fn extra_bytes(&self) -> usize {
        self.more.as_ref().map_or(0, |crowd| crowd.bytes())
    }

    /// Adds or renews a holder; where there is no room for one more, the oldest makes place.
    pub(super) fn note(&mut self, holder: Holder, extra_bytes_free: usize) {
        let place = |held: &&mut Holder| held.stamp == holder.stamp || held.stamp == 0;
        // A later note may come from a thread that read its clock earlier.
        let renew = |held: &mut Holder| {
            *held = Holder {
                at: holder.at.max(held.at),
                ..holder
            };
        };
        let crowd = self.more.iter_mut().flat_map(|crowd| &mut crowd.0);
        if let Some(held) = self.few.iter_mut().chain(crowd).find(place) {
            renew(held);
        } else if self.has_room(extra_bytes_free) {
            self.more.get_or_insert_default().0.push(holder);
        } else {
            let crowd = self.more.iter_mut().flat_map(|crowd| &mut crowd.0);
            if let Some(held) = self.few.iter_mut().chain(crowd).min_by_key(|held| held.at) {
                *held = holder;
            }
        }
    }

    /// Growth is made exact here, so that what is counted is what is allocated.
    fn has_room(&mut self, extra_bytes_free: usize) -> bool {
        let (count, capacity) = self
            .more
            .as_ref()
            .map_or((0, 0), |crowd| (crowd.0.len(), crowd.0.capacity()));
        if FEW + count >= HOLDERS_MAX {
            return false;
        }
        if count < capacity {
            return true;
        }
        let wanted = (capacity * 2).clamp(4, HOLDERS_MAX - FEW);
        let more = (wanted - capacity) * size_of::<Holder>() + if capacity == 0 { size_of::<Crowd>() } else { 0 };
        if more > extra_bytes_free {
            return false;
        }
        self.more.get_or_insert_default().0.reserve_exact(wanted - count);
        true
    }
}
