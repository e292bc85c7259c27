//! Under which terms an exchange is kept.

use journal::LossPolicy;

/// Of each body, so much is kept unless told otherwise: any prompt, and pictures with it.
pub const BODY_BYTES_MAX: u64 = 32 << 20;

/// How much of an exchange is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Mode {
    /// Bodies too.
    #[default]
    Full,
    /// Who, when, where to, how it ended and how long it took. No body.
    Metadata,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    pub mode: Mode,
    /// What becomes of the exchange where the journal takes nothing.
    pub loss: LossPolicy,
    /// Of each direction's body; the rest is counted and not kept.
    pub body_bytes_max: u64,
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            mode: Mode::Full,
            loss: LossPolicy::Drop,
            body_bytes_max: BODY_BYTES_MAX,
        }
    }
}
