//! Encryption of bodies at rest: XChaCha20-Poly1305 with a key from a file.
//!
//! A value is sealed to its place: the exchange's id, the column and the tag are authenticated with it, so that what was
//! moved from one row to another does not open. Names, figures and times stay readable: they are what is filtered by.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use chacha20poly1305::aead::{Aead as _, Generate as _, Payload};
use chacha20poly1305::{KeyInit as _, XChaCha20Poly1305, XNonce};
use zeroize::Zeroizing;

use super::error::StoreError;

const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 24;
/// More than any spelling of 32 bytes.
const FILE_BYTES_MAX: u64 = 4096;

/// The key; no formatting shows it.
#[derive(Clone)]
pub struct BodyKey(Arc<Zeroizing<[u8; KEY_BYTES]>>);

impl BodyKey {
    /// # Errors
    /// [`StoreError::Open`], where the file does not hold 32 bytes as hexadecimal digits, as Base64 or as they are.
    pub fn load(path: &Path) -> Result<Self, StoreError> {
        let refused = |rule: String| StoreError::Open {
            path: path.to_owned(),
            rule,
            fix: "make one with `(umask 077; openssl rand -hex 32 > FILE)` and keep a copy: without it nothing can be read",
        };
        let contents = custody::read(path, &custody::Terms::secret(FILE_BYTES_MAX))
            .map_err(|error| refused(format!("the key file cannot be read: {}", custody::told(&error))))?;
        if let Some(remark) = contents.remark {
            tracing::warn!(file = %path.display(), fix = remark.fix(), "{remark}");
        }
        Self::parse(&contents.bytes).map_err(|rule| refused(rule.to_owned()))
    }

    fn parse(bytes: &[u8]) -> Result<Self, &'static str> {
        let key = raw(bytes).or_else(|| spelled(bytes.trim_ascii()));
        let key =
            key.ok_or("the key file must hold 32 random bytes: as 64 hexadecimal digits, as Base64, or as they are")?;
        match key.iter().all(|byte| *byte == key[0]) {
            true => Err("the key file holds one byte 32 times, which is no key"),
            false => Ok(Self(Arc::new(key))),
        }
    }
}

/// 32 bytes all of which can be typed are a passphrase: random ones never are.
fn raw(bytes: &[u8]) -> Option<Zeroizing<[u8; KEY_BYTES]>> {
    let is_typed = bytes
        .iter()
        .all(|byte| matches!(byte, b' '..=b'~' | b'\n' | b'\r' | b'\t'));
    (!is_typed).then(|| exactly(bytes)).flatten()
}

fn spelled(text: &[u8]) -> Option<Zeroizing<[u8; KEY_BYTES]>> {
    if text.len() == 2 * KEY_BYTES {
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let bytes: Option<Vec<u8>> = text
            .chunks_exact(2)
            .map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?))
            .collect();
        return exactly(&Zeroizing::new(bytes?));
    }
    let text = text.strip_suffix(b"=").unwrap_or(text);
    let decoded = STANDARD_NO_PAD.decode(text).or_else(|_| URL_SAFE_NO_PAD.decode(text));
    exactly(&Zeroizing::new(decoded.ok()?))
}

fn exactly(bytes: &[u8]) -> Option<Zeroizing<[u8; KEY_BYTES]>> {
    bytes.try_into().ok().map(Zeroizing::new)
}

impl fmt::Debug for BodyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BodyKey(redacted)")
    }
}

/// Seals and opens; the cipher wipes its key when it is dropped.
#[derive(Clone)]
pub(super) struct Sealer(Arc<XChaCha20Poly1305>);

impl Sealer {
    pub(super) fn new(key: &BodyKey) -> Self {
        Self(Arc::new(XChaCha20Poly1305::new((&**key.0).into())))
    }

    /// A fresh nonce, then the sealed bytes. 24 random bytes never meet again, however many values there are.
    pub(super) fn seal(&self, place: &[u8], plain: &[u8]) -> Result<Vec<u8>, StoreError> {
        let nonce = XNonce::try_generate().map_err(|_| StoreError::Encryption("the system gives no random numbers"))?;
        let payload = Payload { msg: plain, aad: place };
        let sealed = self.0.encrypt(&nonce, payload);
        let sealed = sealed.map_err(|_| StoreError::Encryption("a body is too large"))?;
        let mut bytes = Vec::with_capacity(NONCE_BYTES + sealed.len());
        bytes.extend_from_slice(&nonce);
        bytes.extend_from_slice(&sealed);
        Ok(bytes)
    }

    /// `None` where it is another key's, another place's, or was changed.
    pub(super) fn open(&self, place: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, sealed) = sealed.split_at_checked(NONCE_BYTES)?;
        let payload = Payload {
            msg: sealed,
            aad: place,
        };
        self.0.decrypt(&XNonce::try_from(nonce).ok()?, payload).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

    fn bytes() -> Vec<u8> {
        (0..32).collect()
    }

    #[test]
    fn the_same_key_in_every_spelling() {
        let base64 = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
        for spelling in [
            bytes(),
            HEX.into(),
            format!("{}\n", HEX.to_uppercase()).into(),
            base64.into(),
            base64.trim_end_matches('=').into(),
        ] {
            let key = BodyKey::parse(&spelling).expect("a key");
            assert_eq!(key.0.as_slice(), bytes());
            assert_eq!(format!("{key:?}"), "BodyKey(redacted)");
        }
    }

    #[test]
    fn what_is_no_key_is_refused_and_not_repeated() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        for wrong in [
            b"".to_vec(),
            b"canary".to_vec(),
            b"canary-a-passphrase-of-32-letter".to_vec(),
            HEX[2..].into(),
            vec![7; 31],
            vec![7; 32],
            vec![200; 33],
            "00".repeat(32).into(),
        ] {
            std::fs::write(&path, &wrong).unwrap();
            let error = BodyKey::load(&path).expect_err("no key").to_string();
            assert!(error.contains("fix:") && !error.contains("canary"), "{error}");
        }
        assert!(BodyKey::load(&folder.path().join("missing")).is_err());
    }

    #[test]
    fn a_sealed_value_opens_at_its_own_place_with_its_own_key_only() {
        let sealer = Sealer::new(&BodyKey::parse(&bytes()).unwrap());
        let other = Sealer::new(&BodyKey::parse(&[&[9], &bytes()[1..]].concat()).unwrap());
        let sealed = sealer.seal(b"here", b"canary").unwrap();
        assert_ne!(
            sealed,
            sealer.seal(b"here", b"canary").unwrap(),
            "each has its own nonce"
        );
        assert!(!sealed.windows(6).any(|window| window == b"canary"));
        assert_eq!(sealer.open(b"here", &sealed).as_deref(), Some(&b"canary"[..]));
        assert_eq!(sealer.open(b"there", &sealed), None);
        assert_eq!(other.open(b"here", &sealed), None);
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert_eq!(sealer.open(b"here", &changed), None, "{at}");
            assert_eq!(sealer.open(b"here", &sealed[..at]), None, "{at}");
        }
    }
}
