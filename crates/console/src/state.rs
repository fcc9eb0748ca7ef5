//! What every page needs.

use std::ops::Deref;
use std::sync::Arc;

use axum::extract::FromRef;
use axum_extra::extract::cookie::Key;
use sha2::{Digest, Sha512};

use crate::client::ApiClient;
use crate::sign_in::Attempts;

/// What every page needs. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Console(Arc<Shared>);

/// What a [`Console`] stands for.
pub(crate) struct Shared {
    /// The API in this process.
    pub(crate) api: ApiClient,
    /// Who signs in shows this.
    pub(crate) admin_token: String,
    /// Signs cookies.
    pub(crate) key: Key,
    pub(crate) attempts: Attempts,
}

impl Console {
    pub(crate) fn new(api: ApiClient, admin_token: &str) -> Self {
        // The digest fills the key exactly. Another text before the token would make another key of it.
        let digest = Sha512::new().chain_update(b"baton console sessions, 1\0").chain_update(admin_token).finalize();
        let key = Key::from(&digest);
        Self(Arc::new(Shared { api, admin_token: admin_token.to_owned(), key, attempts: Attempts::default() }))
    }
}

impl Deref for Console {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl FromRef<Console> for Key {
    fn from_ref(console: &Console) -> Self {
        console.key.clone()
    }
}
