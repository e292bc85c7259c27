//! Whether a server is far slower than the others of its service.
//!
//! Prompts differ by a factor of a thousand, so that only what holds for many answers, and by far, says anything about the
//! server: it must be ten times as slow as the others are in the middle, and slow by any measure. A server that is busy with
//! what we sent it is not sick: whoever has more in flight than the others is not judged.

/// So many answers make a picture; the average then forgets its first.
const ANSWERS_MIN: u32 = 20;

/// Two servers cannot tell which of them is the odd one.
const OTHERS_MIN: usize = 2;

const FACTOR: u64 = 10;

/// Below this nobody waits long enough to mind.
const SLOW_US: u64 = 2_000_000;

/// What is known of one server's times.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    pub(crate) first_byte_us: u64,
    pub(crate) answers: u32,
    pub(crate) in_flight: u32,
}

pub(crate) fn is_outlier(own: Times, others: impl Iterator<Item = Times>) -> bool {
    if own.answers < ANSWERS_MIN || own.first_byte_us < SLOW_US {
        return false;
    }
    let mut known: Vec<Times> = others.filter(|other| other.answers >= ANSWERS_MIN).collect();
    if known.len() < OTHERS_MIN {
        return false;
    }
    known.sort_unstable_by_key(|other| other.first_byte_us);
    let middle = known[known.len() / 2].first_byte_us;
    let busiest = known.iter().map(|other| other.in_flight).max().unwrap_or(0);
    own.in_flight <= busiest.saturating_add(1) && own.first_byte_us >= middle.saturating_mul(FACTOR)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_far_off_and_well_known_is_an_outlier() {
        let of = |first_byte_us, answers, in_flight| Times {
            first_byte_us,
            answers,
            in_flight,
        };
        let usual = [of(100_000, 50, 2), of(150_000, 50, 2), of(9_000_000, 3, 0)];
        for (own, others, expected) in [
            (of(5_000_000, 50, 2), &usual[..], true),
            (of(1_400_000, 50, 2), &usual[..], false),
            (of(5_000_000, 19, 2), &usual[..], false),
            (of(5_000_000, 50, 9), &usual[..], false),
            (of(5_000_000, 50, 2), &usual[..1], false),
            (
                of(5_000_000, 50, 2),
                &[of(600_000, 50, 2), of(600_000, 50, 2)][..],
                false,
            ),
        ] {
            assert_eq!(is_outlier(own, others.iter().copied()), expected, "{own:?}");
        }
    }
}
