//! How far back a plot looks, and in which parts. Parts begin at whole multiples of their length, so that what is over stays
//! as it is from one look to the next.

const MINUTE_US: i64 = 60_000_000;
const DAY_US: i64 = 1_440 * MINUTE_US;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) enum Span {
    Quarter,
    #[default]
    Hour,
    SixHours,
    Day,
    Week,
    Month,
}

impl Span {
    pub(crate) const ALL: [Self; 6] = [
        Self::Quarter,
        Self::Hour,
        Self::SixHours,
        Self::Day,
        Self::Week,
        Self::Month,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Quarter => "15m",
            Self::Hour => "1h",
            Self::SixHours => "6h",
            Self::Day => "24h",
            Self::Week => "7d",
            Self::Month => "30d",
        }
    }

    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Quarter => "15 minutes",
            Self::Hour => "hour",
            Self::SixHours => "6 hours",
            Self::Day => "24 hours",
            Self::Week => "7 days",
            Self::Month => "30 days",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|span| span.name() == name)
    }

    pub(crate) fn parts(self) -> usize {
        match self {
            Self::Quarter => 45,
            Self::Hour => 60,
            Self::SixHours => 72,
            Self::Day => 48,
            Self::Week => 7,
            Self::Month => 30,
        }
    }

    pub(crate) fn step_us(self) -> i64 {
        match self {
            Self::Quarter => MINUTE_US / 3,
            Self::Hour => MINUTE_US,
            Self::SixHours => 5 * MINUTE_US,
            Self::Day => 30 * MINUTE_US,
            Self::Week | Self::Month => DAY_US,
        }
    }

    /// Whether its parts are UTC days, which the roll-ups know.
    pub(crate) fn is_days(self) -> bool {
        self.step_us() == DAY_US
    }

    /// Where its first part begins, and how long each is. The last part holds this moment.
    pub(crate) fn place(self, now_us: i64) -> (i64, i64) {
        let step = self.step_us();
        let parts = i64::try_from(self.parts()).unwrap_or(1);
        ((now_us / step + 1 - parts) * step, step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_part_holds_now_and_parts_stay_where_they_are() {
        for span in Span::ALL {
            assert_eq!(Span::from_name(span.name()), Some(span));
            for now in [40 * DAY_US, 40 * DAY_US + 1, 41 * DAY_US - 1] {
                let (from, step) = span.place(now);
                let end = from + step * i64::try_from(span.parts()).unwrap();
                assert!(end > now && end - step <= now, "{span:?}");
                assert_eq!(from % step, 0);
            }
        }
    }
}
