//! The keys of a benchmark, made from their number, so that mapping files and load generator agree without a list.
//! Lower case throughout: nginx's `map` compares without regard to case.

use std::io::Write;

/// Numbers from here on are in no mapping file: wrong keys.
pub(crate) const WRONG_FROM: u64 = 1 << 40;

/// Appends key `number`. `bench/lib/keys.py` has the same formula.
pub(crate) fn write_key(out: &mut Vec<u8>, number: u64) {
    let scattered = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
    write!(out, "sk-{number:012x}{scattered:08x}").unwrap_or_else(|_| unreachable!("a Vec takes all that is written"));
}

/// xorshift64*: which key comes next. Seeded, so that every peer gets the same requests.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// Below `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    /// Between 0 and 1.
    pub(crate) fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_lower_case_and_as_the_orchestrator_makes_them() {
        let mut key = Vec::new();
        write_key(&mut key, 0);
        write_key(&mut key, 12_345);
        assert_eq!(
            String::from_utf8_lossy(&key),
            "sk-00000000000000000000sk-000000003039a12ce22b"
        );
    }
}
