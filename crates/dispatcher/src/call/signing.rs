//! Signatures of requests, as Standard Webhooks has them: `v1` by a secret that both sides know, `v1a` by a key pair of which the receiver knows
//! the public half.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rand::Rng;
use ring::signature::{Ed25519KeyPair, KeyPair};
use standardwebhooks::Webhook;

const SYMMETRIC: &str = "whsec_";
const PRIVATE: &str = "whsk_";
const PUBLIC: &str = "whpk_";
/// The bytes of a secret that is made, and of the seed of a key pair.
const SECRET_BYTES: usize = 32;

/// What a handler's requests are signed with.
pub struct SigningKey(Kind);

enum Kind {
    Symmetric(Webhook),
    Pair(Box<Ed25519KeyPair>),
}

impl SigningKey {
    /// Reads a secret: `whsec_` and base64, or `whsk_` and the base64 of an Ed25519 seed, alone or with the public key behind it.
    ///
    /// # Errors
    /// A sentence, in which nothing of the secret stands.
    pub fn parse(secret: &str) -> Result<Self, String> {
        if let Some(pair) = secret.strip_prefix(PRIVATE) {
            return pair_of(pair).map(|pair| Self(Kind::Pair(Box::new(pair))));
        }
        let symmetric = Webhook::new(secret).ok().filter(|_| secret.starts_with(SYMMETRIC));
        symmetric.map(|key| Self(Kind::Symmetric(key))).ok_or_else(|| "the signing secret is not 'whsec_' and base64".to_owned())
    }

    /// A new secret for both sides.
    #[must_use]
    pub fn generate_secret() -> String {
        format!("{SYMMETRIC}{}", BASE64_STANDARD.encode(random()))
    }

    /// The private half of a new key pair: any 32 bytes are the seed of one.
    #[must_use]
    pub fn generate_pair() -> String {
        format!("{PRIVATE}{}", BASE64_STANDARD.encode(random()))
    }

    /// `whpk_…`, what a receiver checks with; `None` where it needs the secret itself.
    #[must_use]
    pub fn public_key(&self) -> Option<String> {
        match &self.0 {
            Kind::Symmetric(_) => None,
            Kind::Pair(pair) => Some(format!("{PUBLIC}{}", BASE64_STANDARD.encode(pair.public_key()))),
        }
    }

    /// The signature of a request, with its version before it.
    pub(super) fn sign(&self, id: &str, timestamp: i64, body: &[u8]) -> Result<String, String> {
        match &self.0 {
            Kind::Symmetric(key) => key.sign(id, timestamp, body).map_err(|e| format!("the body cannot be signed: {e}")),
            Kind::Pair(pair) => {
                let signed = [id.as_bytes(), b".", timestamp.to_string().as_bytes(), b".", body].concat();
                Ok(format!("v1a,{}", BASE64_STANDARD.encode(pair.sign(&signed))))
            }
        }
    }
}

fn pair_of(text: &str) -> Result<Ed25519KeyPair, String> {
    let bytes = BASE64_STANDARD.decode(text).map_err(|_| "the signing key is not 'whsk_' and base64".to_owned())?;
    let pair = match bytes.split_at_checked(SECRET_BYTES) {
        Some((seed, [])) => Ed25519KeyPair::from_seed_unchecked(seed),
        Some((seed, public)) => Ed25519KeyPair::from_seed_and_public_key(seed, public),
        None => return Err("the signing key is not the 32 bytes of an Ed25519 seed, or 64 with its public key".to_owned()),
    };
    pair.map_err(|_| "the public half of the signing key does not belong to its seed".to_owned())
}

fn random() -> [u8; SECRET_BYTES] {
    let mut bytes = [0; SECRET_BYTES];
    rand::rng().fill_bytes(&mut bytes);
    bytes
}

#[cfg(test)]
mod tests {
    use ring::signature::{ED25519, UnparsedPublicKey};

    use super::*;

    /// The first key of RFC 8032, section 7.1, and its public half.
    const SEED: &str = "nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=";
    const OF_SEED: &str = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";

    #[test]
    fn a_pair_signs_so_that_its_public_half_can_check() {
        for secret in [format!("whsk_{SEED}"), SigningKey::generate_pair()] {
            let key = SigningKey::parse(&secret).unwrap();
            let signature = key.sign("msg_1", 1_795_514_400, br#"{"a":1}"#).unwrap();
            let signature = BASE64_STANDARD.decode(signature.strip_prefix("v1a,").unwrap()).unwrap();
            let public = key.public_key().unwrap();
            let public = BASE64_STANDARD.decode(public.strip_prefix("whpk_").unwrap()).unwrap();
            let checks = |text: &[u8]| UnparsedPublicKey::new(&ED25519, &public).verify(text, &signature).is_ok();
            assert!(checks(br#"msg_1.1795514400.{"a":1}"#));
            assert!(!checks(br#"msg_1.1795514400.{"a":2}"#) && !checks(br#"msg_1.1795514401.{"a":1}"#));
        }
        assert_eq!(SigningKey::parse(&format!("whsk_{SEED}")).unwrap().public_key().unwrap(), format!("whpk_{OF_SEED}"));
    }

    #[test]
    fn a_seed_may_have_its_public_key_behind_it_and_no_other() {
        let both = |public: &str| {
            let [seed, public] = [SEED, public].map(|text| BASE64_STANDARD.decode(text).unwrap());
            SigningKey::parse(&format!("whsk_{}", BASE64_STANDARD.encode([seed, public].concat())))
        };
        assert!(both(OF_SEED).is_ok());
        assert!(both(SEED).is_err_and(|why| why.contains("does not belong")));
    }

    #[test]
    fn what_is_no_key_is_said_without_showing_it() {
        for bad in ["", "whsk_", "whsk_AAAA", "whsk_!", "whsec_!", "whpk_AAAA", SEED] {
            let why = SigningKey::parse(bad).err().unwrap();
            assert!(why.starts_with("the signing") && !why.contains("AAAA") && !why.contains('!'), "{bad}: {why}");
        }
        assert!(SigningKey::parse(&SigningKey::generate_secret()).unwrap().public_key().is_none());
    }
}
