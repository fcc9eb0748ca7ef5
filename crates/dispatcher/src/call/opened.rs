//! The secrets of a handler, opened for its calls.

use std::fmt;

use baton_domain::connection::{Auth, Tls};
use baton_domain::handler::{HandlerSpec, Sealed};
use baton_storage::Vault;
use chrono::{DateTime, Utc};

/// The secrets of a handler, opened for its calls.
#[derive(Default)]
pub struct Opened {
    /// Extra request headers.
    pub headers: Vec<(String, String)>,
    /// `whsec_…` or `whsk_…`, each with the instant until which it signs.
    pub secrets: Vec<(String, Option<DateTime<Utc>>)>,
    /// Who Baton is there.
    pub auth: Option<Auth<String>>,
    /// Whom it trusts there.
    pub tls: Option<Tls<String>>,
}

impl Opened {
    /// Opens all secrets of a handler.
    ///
    /// # Errors
    /// A sentence that names the first that cannot be opened.
    pub fn of(spec: &HandlerSpec, vault: &Vault) -> Result<Self, String> {
        let open = |what: &str, sealed: &Sealed| {
            vault.open(sealed).map_err(|_| {
                format!("{what} cannot be opened with BATON_SECRET_KEY; set it anew or start with the key it was saved with")
            })
        };
        let headers =
            spec.headers.iter().map(|(name, value)| Ok((name.clone(), open(&format!("the value of header {name}"), value)?)));
        let secrets = spec.secrets.iter().map(|secret| Ok((open("the signing secret", &secret.sealed)?, secret.valid_until)));
        let auth = spec.auth.clone().map(|auth| {
            let field = auth.secret_field();
            auth.convert(|secret| open(field, &secret))
        });
        let tls = spec.tls.clone().map(|tls| tls.convert(|key| open("tls.client_key", &key)));
        Ok(Self {
            headers: headers.collect::<Result<_, String>>()?,
            secrets: secrets.collect::<Result<_, String>>()?,
            auth: auth.transpose()?,
            tls: tls.transpose()?,
        })
    }
}

impl fmt::Debug for Opened {
    /// Without what is opened.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opened").finish_non_exhaustive()
    }
}
