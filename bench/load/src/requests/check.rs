//! Whether an answer is the one the origin gave.

use memchr::memmem;

use crate::answer::MARK;

pub(crate) enum Expected {
    /// These bytes and no others.
    Exact(Vec<u8>),
    /// A mark somewhere: the gateway writes the JSON anew.
    Mark,
    /// Any answer that is not empty.
    Anything,
}

/// One answer as it comes.
#[derive(Default)]
pub(crate) struct Check {
    len: usize,
    differs: bool,
    /// For the mark, which may be cut by a chunk's end.
    kept: Vec<u8>,
}

impl Check {
    pub(crate) fn take(&mut self, part: &[u8], expected: &Expected) {
        match expected {
            Expected::Exact(answer) => {
                self.differs |= answer.get(self.len..self.len + part.len()) != Some(part);
            }
            Expected::Mark => self.kept.extend_from_slice(part),
            Expected::Anything => {}
        }
        self.len += part.len();
    }

    /// Ends this answer and begins the next.
    pub(crate) fn finish(&mut self, expected: &Expected) -> bool {
        let right = match expected {
            Expected::Exact(answer) => !self.differs && self.len == answer.len(),
            Expected::Mark => memmem::find(&self.kept, MARK.as_bytes()).is_some(),
            Expected::Anything => self.len > 0,
        };
        self.len = 0;
        self.differs = false;
        self.kept.clear();
        right
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_right_only_when_it_is_whole_and_the_same() {
        let exact = Expected::Exact(b"hello".to_vec());
        let cases: [(&[&str], bool); 5] = [
            (&["hello"], true),
            (&["he", "llo"], true),
            (&["hell"], false),
            (&["hello!"], false),
            (&["hel", "p!"], false),
        ];
        let mut check = Check::default();
        for (parts, right) in cases {
            for part in parts {
                check.take(part.as_bytes(), &exact);
            }
            assert_eq!(check.finish(&exact), right, "{parts:?}");
        }
        let (first, second) = MARK.split_at(5);
        check.take(first.as_bytes(), &Expected::Mark);
        check.take(second.as_bytes(), &Expected::Mark);
        assert!(check.finish(&Expected::Mark));
        assert!(!check.finish(&Expected::Mark), "nothing is left of the answer before");
    }
}
