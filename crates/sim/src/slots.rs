//! The slots and what each one's cache holds. Pure: who gets which slot and how much of the prompt is already there.
//!
//! As in the real server: among the free slots the one whose contents share the longest prefix with the prompt, if
//! that is more than a tenth of the prompt; else the one longest unused. What the chosen slot shares is reused either
//! way, but at least one token is always evaluated, since its logits make the first token.

use crate::text::Token;

/// The real server's `--slot-prompt-similarity`.
const SIMILARITY_MIN: f64 = 0.1;

#[derive(Debug)]
pub(crate) struct SlotTable {
    slots: Vec<Slot>,
    busy: usize,
    clock: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Slot {
    pub busy: bool,
    tokens: Vec<Token>,
    last_used: u64,
}

/// A slot given to a prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Placement {
    pub slot: usize,
    pub cached_tokens: usize,
}

impl SlotTable {
    pub(crate) fn new(slots: usize) -> Self {
        Self {
            slots: (0..slots.max(1)).map(|_| Slot::default()).collect(),
            busy: 0,
            clock: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(crate) fn is_busy(&self, slot: usize) -> bool {
        self.slots[slot].busy
    }

    pub(crate) fn busy_count(&self) -> usize {
        self.busy
    }

    /// Occupies a slot for this prompt. A pin names the one slot wanted; out of range it counts as none.
    pub(crate) fn place(&mut self, prompt: &[Token], pin: Option<usize>) -> Option<Placement> {
        let slot = match pin.filter(|pin| *pin < self.slots.len()) {
            Some(pin) => (!self.slots[pin].busy).then_some(pin)?,
            None => self.most_alike(prompt).or_else(|| self.longest_unused())?,
        };
        let cached_tokens = common(&self.slots[slot].tokens, prompt).min(prompt.len().saturating_sub(1));
        self.slots[slot].busy = true;
        self.busy += 1;
        Some(Placement { slot, cached_tokens })
    }

    /// Frees a slot, whose cache now holds `tokens`.
    pub(crate) fn release(&mut self, slot: usize, tokens: Vec<Token>) {
        self.clock += 1;
        self.busy -= 1;
        let freed = &mut self.slots[slot];
        assert!(freed.busy, "slot {slot} was released twice");
        *freed = Slot {
            busy: false,
            tokens,
            last_used: self.clock,
        };
    }

    fn free(&self) -> impl Iterator<Item = (usize, &Slot)> {
        self.slots.iter().enumerate().filter(|(_, slot)| !slot.busy)
    }

    fn most_alike(&self, prompt: &[Token]) -> Option<usize> {
        let least = (prompt.len() as f64 * SIMILARITY_MIN) as usize;
        let mut best = None;
        for (at, slot) in self.free() {
            let shared = common(&slot.tokens, prompt);
            if shared > least && best.is_none_or(|(most, _)| shared > most) {
                best = Some((shared, at));
            }
        }
        best.map(|(_, at)| at)
    }

    fn longest_unused(&self) -> Option<usize> {
        self.free().min_by_key(|(_, slot)| slot.last_used).map(|(at, _)| at)
    }
}

fn common(a: &[Token], b: &[Token]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used(contents: &[&[Token]]) -> SlotTable {
        let mut table = SlotTable::new(contents.len());
        let placed: Vec<_> = contents
            .iter()
            .map(|_| table.place(&[], None).expect("free").slot)
            .collect();
        for (slot, tokens) in placed.into_iter().zip(contents) {
            table.release(slot, tokens.to_vec());
        }
        table
    }

    #[test]
    fn the_longest_common_prefix_decides_then_age() {
        let contents: [&[Token]; 3] = [&[1, 2], &[1, 2, 3, 4], &[9]];
        let cases: [(&[Token], Option<usize>, usize, usize); 7] = [
            (&[1, 2, 3, 4, 5], None, 1, 4),
            (&[1, 2, 3, 4], None, 1, 3),  // all cached: one token is evaluated all the same
            (&[1, 2, 7], None, 0, 2),     // a tie goes to the first
            (&[5, 6], None, 0, 0),        // nothing alike: the oldest
            (&[1, 2, 3], Some(2), 2, 0),  // a pin skips the choice
            (&[1, 2, 3], Some(77), 1, 2), // a pin out of range is no pin
            (&[9, 1, 1, 1, 1, 1, 1, 1, 1, 1], None, 0, 0), // a tenth is not more than a tenth
        ];
        for (prompt, pin, slot, cached_tokens) in cases {
            let placed = used(&contents).place(prompt, pin);
            assert_eq!(placed, Some(Placement { slot, cached_tokens }), "{prompt:?} {pin:?}");
        }
    }

    #[test]
    fn a_busy_slot_is_never_given_away() {
        let mut table = used(&[&[1, 2, 3], &[]]);
        assert_eq!(table.place(&[1, 2, 3, 4], None).map(|p| p.slot), Some(0));
        assert_eq!(table.place(&[1, 2, 3, 4], Some(0)), None);
        assert_eq!(table.place(&[1, 2, 3, 4], None).map(|p| p.slot), Some(1));
        assert_eq!(table.place(&[1, 2, 3, 4], None), None);
        assert_eq!(table.busy_count(), 2);
        table.release(0, vec![1, 2, 3, 4, 5]);
        assert_eq!(
            table.place(&[1, 2, 3, 4, 5, 6], None),
            Some(Placement {
                slot: 0,
                cached_tokens: 5
            })
        );
    }

    #[test]
    fn an_empty_prompt_finds_a_place() {
        assert_eq!(
            SlotTable::new(0).place(&[], None),
            Some(Placement {
                slot: 0,
                cached_tokens: 0
            })
        );
    }
}
