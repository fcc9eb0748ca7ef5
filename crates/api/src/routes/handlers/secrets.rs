//! Signing secrets and header values on their way in: sealed, and left alone when nothing changes.

use std::collections::BTreeMap;

use baton_dispatcher::call::SigningKey;
use baton_domain::FieldErrors;
use baton_domain::draft::SecretChange;
use baton_domain::handler::{Sealed, SigningSecret};
use baton_storage::Vault;
use chrono::{DateTime, TimeDelta, Utc};

/// How long the secret before stays valid beside a new one, in hours.
const ROTATION_HOURS: i64 = 24;

/// The secrets after an edit, the current one first, and the one to show, when it was generated. Of a pair the private half is not shown:
/// nobody but Baton needs it.
pub(super) fn changed_secrets(
    change: SecretChange,
    stored: &[SigningSecret],
    vault: &Vault,
    now: DateTime<Utc>,
) -> (Vec<SigningSecret>, Option<String>) {
    let (secret, shown) = match change {
        SecretChange::Keep => return (stored.to_vec(), None),
        SecretChange::Clear => return (Vec::new(), None),
        SecretChange::Set(secret) => (secret, None),
        SecretChange::Generate => {
            let secret = SigningKey::generate_secret();
            (secret.clone(), Some(secret))
        }
        SecretChange::GeneratePair => (SigningKey::generate_pair(), None),
    };
    let current = stored.first();
    if current.is_some_and(|current| is(vault, &current.sealed, &secret)) {
        // Sealed anew it would look like a change.
        return (stored.to_vec(), None);
    }
    let before =
        current.map(|current| SigningSecret { valid_until: Some(now + TimeDelta::hours(ROTATION_HOURS)), ..current.clone() });
    let public_key = SigningKey::parse(&secret).ok().and_then(|key| key.public_key());
    let new = SigningSecret { sealed: vault.seal(&secret), public_key, valid_until: None };
    (std::iter::once(new).chain(before).collect(), shown)
}

/// The header values after an edit: sealed, or as they are stored where the value is none or the same.
pub(super) fn sealed_headers(
    headers: BTreeMap<String, Option<String>>,
    stored: &BTreeMap<String, Sealed>,
    vault: &Vault,
) -> BTreeMap<String, Sealed> {
    let sealed = |name: &str, value: Option<String>| match (value, stored.get(name)) {
        (None, kept) => kept.cloned(),
        (Some(value), Some(kept)) if is(vault, kept, &value) => Some(kept.clone()),
        (Some(value), _) => Some(vault.seal(&value)),
    };
    headers.into_iter().filter_map(|(name, value)| sealed(&name, value).map(|sealed| (name, sealed))).collect()
}

/// Whether this is what was sealed. What cannot be opened with the present key is something else.
pub(super) fn is(vault: &Vault, sealed: &Sealed, plain: &str) -> bool {
    vault.open(sealed).is_ok_and(|opened| opened == plain)
}

/// What only a look into a secret shows: that nothing can be signed with it.
pub(super) fn check_secret(change: &SecretChange) -> FieldErrors {
    match change {
        SecretChange::Set(secret) => {
            SigningKey::parse(secret).err().map(|why| FieldErrors::one("secret", why)).unwrap_or_default()
        }
        _ => FieldErrors::default(),
    }
}
