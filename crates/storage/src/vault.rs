//! Encrypts secrets at rest.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use baton_domain::handler::Sealed;
use chacha20poly1305::aead::{Aead as _, Generate as _};
use chacha20poly1305::{Key, KeyInit as _, XChaCha20Poly1305, XNonce};

/// What a sealed text begins with: how it was sealed.
const FORM: &str = "v1:";
/// The length of a nonce, in bytes.
const NONCE_BYTES: usize = 24;

/// Why a text cannot be opened, or a key not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    /// The key is not 32 bytes in base64.
    #[error("the secret key must be 32 bytes in base64 (44 characters)")]
    BadKey,
    /// The text was sealed with another key, or altered.
    #[error("the stored secret cannot be opened: it was sealed with another BATON_SECRET_KEY, or altered")]
    CannotOpen,
}

/// Seals and opens texts with the key of the installation. Cheap to clone.
#[derive(Clone)]
pub struct Vault {
    cipher: XChaCha20Poly1305,
    /// Of the keys before: they open what was sealed with them.
    before: Arc<[XChaCha20Poly1305]>,
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Vault")
    }
}

impl Vault {
    /// A vault with this key: 32 bytes in base64, standard or URL alphabet, with or without padding.
    ///
    /// # Errors
    /// [`VaultError::BadKey`].
    pub fn new(key: &str) -> Result<Self, VaultError> {
        Ok(Self { cipher: cipher(key)?, before: Arc::default() })
    }

    /// The same, which opens what was sealed with these keys too. It seals with its own only.
    ///
    /// # Errors
    /// [`VaultError::BadKey`].
    pub fn opening_also<'a>(self, keys: impl IntoIterator<Item = &'a str>) -> Result<Self, VaultError> {
        let before = keys.into_iter().map(cipher).collect::<Result<_, _>>()?;
        Ok(Self { before, ..self })
    }

    /// A new random key, as [`Self::new`] takes it.
    #[must_use]
    pub fn generate_key() -> String {
        STANDARD.encode(Key::generate())
    }

    /// Seals a text with a random nonce: the same text never looks the same twice.
    #[must_use]
    pub fn seal(&self, plain: &str) -> Sealed {
        let nonce = XNonce::generate();
        // Encryption fails for texts of more than 256 GiB only; what came of it then could not be opened, and says so.
        let sealed = self.cipher.encrypt(&nonce, plain.as_bytes()).unwrap_or_default();
        Sealed(format!("{FORM}{}", STANDARD.encode([nonce.as_slice(), &sealed].concat())))
    }

    /// Opens what [`Self::seal`] made.
    ///
    /// # Errors
    /// [`VaultError::CannotOpen`].
    pub fn open(&self, sealed: &Sealed) -> Result<String, VaultError> {
        std::iter::once(&self.cipher).chain(&*self.before).find_map(|cipher| opened(cipher, sealed)).ok_or(VaultError::CannotOpen)
    }

    /// What was sealed with a key before, sealed with the present one; `None` where it is already.
    ///
    /// # Errors
    /// [`VaultError::CannotOpen`].
    pub fn resealed(&self, sealed: &Sealed) -> Result<Option<Sealed>, VaultError> {
        if opened(&self.cipher, sealed).is_some() {
            return Ok(None);
        }
        self.open(sealed).map(|plain| Some(self.seal(&plain)))
    }
}

fn cipher(key: &str) -> Result<XChaCha20Poly1305, VaultError> {
    let key = key.trim().trim_end_matches('=');
    let bytes = STANDARD_NO_PAD.decode(key).or_else(|_| URL_SAFE_NO_PAD.decode(key)).map_err(|_| VaultError::BadKey)?;
    XChaCha20Poly1305::new_from_slice(&bytes).map_err(|_| VaultError::BadKey)
}

fn opened(cipher: &XChaCha20Poly1305, sealed: &Sealed) -> Option<String> {
    let bytes = sealed.0.strip_prefix(FORM).and_then(|text| STANDARD.decode(text).ok())?;
    let (nonce, text) = bytes.split_first_chunk::<NONCE_BYTES>()?;
    let plain = cipher.decrypt(&XNonce::from(*nonce), text).ok()?;
    String::from_utf8(plain).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sealed_opens_with_the_same_key_only() {
        let vault = Vault::new(&Vault::generate_key()).unwrap();
        let sealed = vault.seal("whsec_é");
        assert!(sealed.0.starts_with("v1:") && !sealed.0.contains("whsec"));
        assert_ne!(vault.seal("whsec_é"), sealed);
        assert_eq!(vault.open(&sealed).unwrap(), "whsec_é");
        assert_eq!(vault.clone().open(&vault.seal("")).unwrap(), "");
        let other = Vault::new(&Vault::generate_key()).unwrap();
        assert_eq!(other.open(&sealed), Err(VaultError::CannotOpen));
    }

    #[test]
    fn a_key_before_opens_and_does_not_seal() {
        let (old, new) = (Vault::generate_key(), Vault::generate_key());
        let before = Vault::new(&old).unwrap().seal("secret");
        let vault = Vault::new(&new).unwrap().opening_also([old.as_str()]).unwrap();
        assert_eq!(vault.open(&before).unwrap(), "secret");
        let after = vault.resealed(&before).unwrap().unwrap();
        assert_eq!(vault.resealed(&after), Ok(None));
        assert_eq!(Vault::new(&new).unwrap().open(&after).unwrap(), "secret");
        assert_eq!(Vault::new(&new).unwrap().resealed(&before), Err(VaultError::CannotOpen));
        assert!(Vault::new(&new).unwrap().opening_also(["short"]).is_err());
    }

    #[test]
    fn altered_texts_do_not_open() {
        let vault = Vault::new(&Vault::generate_key()).unwrap();
        let sealed = vault.seal("secret").0;
        let mut flipped = STANDARD.decode(&sealed[3..]).unwrap();
        flipped[30] ^= 1;
        for bad in ["", "v1:", "v1:!", "v2:AAAA", &sealed[..20], &sealed[3..], &format!("v1:{}", STANDARD.encode(flipped))] {
            assert_eq!(vault.open(&Sealed(bad.to_owned())), Err(VaultError::CannotOpen), "{bad}");
        }
    }

    #[test]
    fn a_key_is_32_bytes_in_either_alphabet() {
        let standard = STANDARD.encode([0xff; 32]);
        assert_eq!(standard.len(), 44);
        let url = standard.replace('/', "_");
        for good in [&standard, &url, standard.trim_end_matches('='), &format!("{standard}\n")] {
            assert!(Vault::new(good).is_ok(), "{good}");
        }
        for bad in ["", "short", &STANDARD.encode([1; 31]), &STANDARD.encode([1; 33]), "?".repeat(44).as_str()] {
            assert_eq!(Vault::new(bad).unwrap_err(), VaultError::BadKey, "{bad}");
        }
    }
}
