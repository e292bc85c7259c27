//! What a new key looks like: `cnc-`, 43 letters and digits that are 256 bits of the system's randomness, and 6 that
//! are a checksum, so that scanners for leaked secrets can tell a key from a word without asking anybody.

use rustix::rand::{GetRandomFlags, getrandom};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::key::ApiKey;

const PREFIX: &str = "cnc-";
const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// 62^43 > 2^256 > 62^42
const BODY_DIGITS: usize = 43;
/// 62^6 > 2^32
const CHECKSUM_DIGITS: usize = 6;

/// A new key.
///
/// # Errors
/// Where the system gives no randomness.
pub fn mint() -> std::io::Result<ApiKey> {
    let mut bits = Zeroizing::new([0_u8; 32]);
    let mut filled = 0;
    while filled < bits.len() {
        filled += getrandom(&mut bits[filled..], GetRandomFlags::empty())?;
    }
    Ok(spelled(&bits))
}

fn spelled(bits: &[u8; 32]) -> ApiKey {
    let mut key = String::with_capacity(PREFIX.len() + BODY_DIGITS + CHECKSUM_DIGITS);
    key.push_str(PREFIX);
    let mut number = Zeroizing::new(*bits);
    push_digits(&mut key, &mut number[..], BODY_DIGITS);
    let digest = Sha256::digest(key.as_bytes());
    let mut checksum = [digest[0], digest[1], digest[2], digest[3]];
    push_digits(&mut key, &mut checksum, CHECKSUM_DIGITS);
    ApiKey::new(key)
}

/// The big-endian number in base 62, its last digit first.
fn push_digits(key: &mut String, number: &mut [u8], count: usize) {
    for _ in 0..count {
        let mut remainder = 0_usize;
        for byte in number.iter_mut() {
            let value = remainder * 256 + usize::from(*byte);
            *byte = (value / DIGITS.len()) as u8;
            remainder = value % DIGITS.len();
        }
        key.push(char::from(DIGITS[remainder]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_holds_256_bits_and_a_checksum_and_needs_no_quoting() {
        assert_eq!(spelled(&[0; 32]).expose()[..47], format!("cnc-{}", "0".repeat(43)));
        let highest = spelled(&[0xff; 32]);
        assert!(
            !highest.expose()[..47].ends_with('0'),
            "43 digits are needed for the highest of them"
        );
        let mut one = [0; 32];
        one[31] = 62 + 10;
        assert_eq!(&spelled(&one).expose()[..7], "cnc-A10");

        let (first, second) = (mint().expect("randomness"), mint().expect("randomness"));
        assert_ne!(first.expose(), second.expose());
        for key in [first, second] {
            let key = key.expose();
            assert_eq!(key.len(), 4 + 43 + 6);
            assert!(key[4..].bytes().all(|byte| byte.is_ascii_alphanumeric()));
            let digest = Sha256::digest(&key.as_bytes()[..47]);
            let mut checksum = String::new();
            push_digits(&mut checksum, &mut [digest[0], digest[1], digest[2], digest[3]], 6);
            assert_eq!(&key[47..], checksum);
        }
    }
}
