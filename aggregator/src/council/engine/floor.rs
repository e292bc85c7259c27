//! Who has the floor: members speak at the same time, and a person reads one after the other. Pure.
//!
//! Whoever speaks first has it to the end; what the others say meanwhile waits, and comes at once when it is theirs.

/// Members of one round, and what of each has not been read out yet.
pub(super) struct Floor {
    holder: Option<usize>,
    seats: Vec<Waiting>,
}

#[derive(Default)]
struct Waiting {
    header: String,
    text: String,
    /// How it ended.
    closing: Option<String>,
    is_over: bool,
}

impl Floor {
    /// With each seat's header.
    pub(super) fn new(headers: impl Iterator<Item = String>) -> Self {
        let seats = headers.map(|header| Waiting {
            header,
            ..Waiting::default()
        });
        Self {
            holder: None,
            seats: seats.collect(),
        }
    }

    /// A piece that seat says; what is to be read out now.
    pub(super) fn say(&mut self, seat: usize, text: &str) -> String {
        let mut out = String::new();
        if self.holder.is_none() {
            self.holder = Some(seat);
            out.push_str(&self.seats[seat].header);
        }
        match self.holder == Some(seat) {
            true => out.push_str(text),
            false => self.seats[seat].text.push_str(text),
        }
        out
    }

    /// A seat has ended, with these words of ours; what is to be read out now.
    pub(super) fn end(&mut self, seat: usize, closing: &str) -> String {
        self.seats[seat].closing = Some(closing.to_owned());
        let mut out = String::new();
        if self.holder == Some(seat) {
            self.close(seat, &mut out);
        }
        while self.holder.is_none() {
            let Some(next) = self.next() else { break };
            self.holder = Some(next);
            out.push_str(&self.seats[next].header);
            out.push_str(&std::mem::take(&mut self.seats[next].text));
            if self.seats[next].closing.is_some() {
                self.close(next, &mut out);
            }
        }
        out
    }

    fn close(&mut self, seat: usize, out: &mut String) {
        out.push_str(&self.seats[seat].closing.take().unwrap_or_default());
        self.seats[seat].is_over = true;
        self.holder = None;
    }

    /// Those who have ended before those who speak.
    fn next(&self) -> Option<usize> {
        let left = |seat: &Waiting| !seat.is_over;
        let ended = self.seats.iter().position(|seat| left(seat) && seat.closing.is_some());
        ended.or_else(|| self.seats.iter().position(|seat| left(seat) && !seat.text.is_empty()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_speaks_at_a_time_and_nothing_is_lost() {
        let mut floor = Floor::new(["[a]", "[b]", "[c]", "[d]"].into_iter().map(str::to_owned));
        assert_eq!(floor.say(1, "b1"), "[b]b1");
        assert_eq!(floor.say(0, "a1"), "");
        assert_eq!(floor.say(1, "b2"), "b2");
        assert_eq!(floor.end(3, "(d failed)"), "");
        assert_eq!(floor.say(2, "c1"), "");
        assert_eq!(floor.end(1, "."), ".[d](d failed)[a]a1");
        assert_eq!(floor.say(2, "c2"), "");
        assert_eq!(floor.end(2, "."), "");
        assert_eq!(floor.say(0, "a2"), "a2");
        assert_eq!(floor.end(0, "."), ".[c]c1c2.");
    }
}
