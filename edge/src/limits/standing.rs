//! Where a request stands with its limits, as headers: `x-ratelimit-*`, `Retry-After`, `retry-after-ms`.
//!
//! The names are OpenAI's, whose clients read them; so are the durations (`1s`, `6m0s`, `120ms`, `1.250s`). Of several limits of a
//! kind the one with the least left is shown. Nothing is allocated: headers are written on every limited answer.

use std::fmt::{self, Write};
use std::time::Duration;

/// openai-python gives up where it is told to wait longer than two minutes, and others do so earlier.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(60);

/// Of requests, or of tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shown {
    pub(crate) limit: u64,
    pub(crate) remaining: u64,
    pub(crate) reset: Duration,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) requests: Option<Shown>,
    pub(crate) tokens: Option<Shown>,
    retry_after: Option<Duration>,
}

impl Standing {
    pub(crate) fn show_requests(&mut self, shown: Shown) {
        show(&mut self.requests, shown);
    }

    pub(crate) fn show_tokens(&mut self, shown: Shown) {
        show(&mut self.tokens, shown);
    }

    /// The request is refused, and may come again after so long.
    pub(crate) fn refused(&mut self, wait: Duration) {
        self.retry_after = Some(wait);
    }

    /// Calls `set` with each header.
    pub(crate) fn each(&self, mut set: impl FnMut(&'static str, &[u8])) {
        if let Some(wait) = self.retry_after {
            if wait > RETRY_AFTER_MAX {
                // The clients would come again in a minute, to no avail.
                set("x-should-retry", b"false");
            }
            let wait = wait.min(RETRY_AFTER_MAX);
            let ms = wait.as_nanos().div_ceil(1_000_000).max(1);
            set("retry-after", Text::of(format_args!("{}", ms.div_ceil(1000))).bytes());
            set("retry-after-ms", Text::of(format_args!("{ms}")).bytes());
        }
        if let Some(shown) = self.requests {
            set(
                "x-ratelimit-limit-requests",
                Text::of(format_args!("{}", shown.limit)).bytes(),
            );
            set(
                "x-ratelimit-remaining-requests",
                Text::of(format_args!("{}", shown.remaining)).bytes(),
            );
            set(
                "x-ratelimit-reset-requests",
                Text::of(format_args!("{}", Go(shown.reset))).bytes(),
            );
        }
        if let Some(shown) = self.tokens {
            set(
                "x-ratelimit-limit-tokens",
                Text::of(format_args!("{}", shown.limit)).bytes(),
            );
            set(
                "x-ratelimit-remaining-tokens",
                Text::of(format_args!("{}", shown.remaining)).bytes(),
            );
            set(
                "x-ratelimit-reset-tokens",
                Text::of(format_args!("{}", Go(shown.reset))).bytes(),
            );
        }
    }

    /// Whether a header of a server's is the edge's to say on an answer that has a standing.
    pub(crate) fn owns(name: &[u8]) -> bool {
        const PREFIX: &[u8] = b"x-ratelimit-";
        name.get(..PREFIX.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(PREFIX))
    }
}

fn show(kept: &mut Option<Shown>, shown: Shown) {
    if kept.is_none_or(|kept| shown.remaining < kept.remaining) {
        *kept = Some(shown);
    }
}

/// A duration as Go writes it, to the millisecond.
struct Go(Duration);

impl fmt::Display for Go {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = self.0.as_nanos().div_ceil(1_000_000);
        let (seconds, ms) = (ms / 1000, ms % 1000);
        let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        if hours > 0 {
            return write!(f, "{hours}h{minutes}m{seconds}s");
        }
        if minutes > 0 {
            return write!(f, "{minutes}m{seconds}s");
        }
        match (seconds, ms) {
            (0, 1..) => write!(f, "{ms}ms"),
            (_, 0) => write!(f, "{seconds}s"),
            _ => write!(f, "{seconds}.{ms:03}s"),
        }
    }
}

/// A number or a duration as text.
struct Text {
    bytes: [u8; Self::BYTES_MAX],
    length: usize,
}

impl Text {
    /// Longer than the longest 64-bit number and the longest duration.
    const BYTES_MAX: usize = 40;

    fn of(arguments: fmt::Arguments<'_>) -> Self {
        let mut text = Self {
            bytes: [0; Self::BYTES_MAX],
            length: 0,
        };
        // It cannot fail: everything shown fits.
        let _ = text.write_fmt(arguments);
        text
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

impl Write for Text {
    fn write_str(&mut self, piece: &str) -> fmt::Result {
        let end = self.length + piece.len();
        let room = self.bytes.get_mut(self.length..end).ok_or(fmt::Error)?;
        room.copy_from_slice(piece.as_bytes());
        self.length = end;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_go_s() {
        for (ms, text) in [
            (0, "0s"),
            (1, "1ms"),
            (120, "120ms"),
            (1_000, "1s"),
            (1_200, "1.200s"),
            (59_999, "59.999s"),
            (360_000, "6m0s"),
            (86_400_000, "24h0m0s"),
        ] {
            assert_eq!(Go(Duration::from_millis(ms)).to_string(), text);
        }
        assert_eq!(
            Go(Duration::from_nanos(1)).to_string(),
            "1ms",
            "never sooner than it is"
        );
    }

    #[test]
    fn waits_are_whole_never_nothing_and_never_over_a_minute() {
        for (wait, seconds, ms) in [
            (Duration::from_nanos(1), "1", "1"),
            (Duration::from_millis(1_001), "2", "1001"),
            (Duration::from_secs(86_400), "60", "60000"),
        ] {
            let mut standing = Standing::default();
            standing.refused(wait);
            let mut set = Vec::new();
            standing.each(|name, value| set.push((name, String::from_utf8_lossy(value).into_owned())));
            set.retain(|(name, _)| *name != "x-should-retry");
            assert_eq!(
                set,
                [("retry-after", seconds.to_owned()), ("retry-after-ms", ms.to_owned())]
            );
        }
    }

    #[test]
    fn of_several_limits_the_scarcest_is_shown_and_the_longest_number_fits() {
        let shown = |remaining| Shown {
            limit: u64::MAX,
            remaining,
            reset: Duration::MAX,
        };
        let mut standing = Standing::default();
        [7, 3, 5]
            .into_iter()
            .for_each(|remaining| standing.show_tokens(shown(remaining)));
        let mut set = Vec::new();
        standing.each(|name, value| set.push((name, String::from_utf8_lossy(value).into_owned())));
        assert_eq!(set[0], ("x-ratelimit-limit-tokens", u64::MAX.to_string()));
        assert_eq!(set[1], ("x-ratelimit-remaining-tokens", "3".to_owned()));
        assert!(set[2].1.ends_with('s'), "{}", set[2].1);
        assert!(set.iter().all(|(name, _)| Standing::owns(name.as_bytes())));
        assert!(!Standing::owns(b"x-request-id"));
    }
}
