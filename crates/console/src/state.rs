//! What every page needs.

use std::ops::Deref;
use std::sync::Arc;

use axum::extract::FromRef;
use axum_extra::extract::cookie::Key;
use sha2::{Digest, Sha512};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::client::ApiClient;
use crate::pages::executions::TAILS_MAX;
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
    /// A place for everybody who follows the log.
    pub(crate) tails: Arc<Semaphore>,
    /// Ends what would go on by itself.
    pub(crate) stop: CancellationToken,
}

impl Console {
    pub(crate) fn new(api: ApiClient, admin_token: &str, stop: CancellationToken) -> Self {
        // The digest fills the key exactly. Another text before the token would make another key of it.
        let digest = Sha512::new().chain_update(b"baton console sessions, 1\0").chain_update(admin_token).finalize();
        let key = Key::from(&digest);
        let tails = Arc::new(Semaphore::new(TAILS_MAX));
        Self(Arc::new(Shared { api, admin_token: admin_token.to_owned(), key, attempts: Attempts::default(), tails, stop }))
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
