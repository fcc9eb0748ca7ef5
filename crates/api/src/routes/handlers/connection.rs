//! How an HTTP handler is connected to: the shapes of `limits`, `auth` and `tls`, and their way in.

use baton_domain::connection::{self, CallLimits};
use baton_domain::draft::HandlerDraft;
use baton_domain::handler::{HandlerSpec, Sealed};
use baton_domain::{FieldErrors, Handler as Saved};
use baton_storage::Vault;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::secrets::is;
use crate::state::ApiState;
use crate::words::CredentialsIn;

/// How much a handler is called, by all dispatchers together: each has the share of the partitions that it owns, one call at least.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Limits {
    /// The most calls at once; null for no limit of its own.
    #[schema(required, minimum = 1, maximum = 1000)]
    concurrency: Option<u16>,
    /// The most calls that begin in a second, spread over it; null for no limit.
    #[schema(required, minimum = 1, maximum = 10_000)]
    per_second: Option<u16>,
}

impl From<CallLimits> for Limits {
    fn from(limits: CallLimits) -> Self {
        Self { concurrency: limits.concurrency, per_second: limits.per_second }
    }
}

/// The same as it is sent.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LimitsInput {
    #[schema(minimum = 1, maximum = 1000)]
    pub(super) concurrency: Option<i64>,
    #[schema(minimum = 1, maximum = 10_000)]
    pub(super) per_second: Option<i64>,
}

/// The kinds of [`Auth`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AuthType {
    /// User and password.
    Basic,
    /// A token of an authorization server (client credentials).
    Oauth2,
}

/// Who Baton is to the receiver. `username` and `password` belong to `basic`; all others to `oauth2`, for which Baton asks `token_url` for a
/// token by client credentials (RFC 6749, section 4.4) and keeps it until shortly before it runs out.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Auth {
    #[serde(rename = "type")]
    #[schema(required, nullable = false)]
    kind: Option<AuthType>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 2000)]
    username: Option<String>,
    /// Write-only: encrypted at rest and never shown again. Null keeps the one that is stored.
    #[schema(max_length = 2000)]
    password: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "https://login.example/oauth2/token", max_length = 2000)]
    token_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 2000)]
    client_id: Option<String>,
    /// Write-only: encrypted at rest and never shown again. Null keeps the one that is stored; with another `token_url` it has to be given.
    #[schema(max_length = 2000)]
    client_secret: Option<String>,
    /// Scopes with one space between them.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 2000)]
    scope: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 2000)]
    audience: Option<String>,
    /// `header` when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    credentials_in: Option<CredentialsIn>,
}

impl Auth {
    /// What is saved, without its secret.
    pub(super) fn of(saved: &connection::Auth<Sealed>) -> Self {
        match saved.clone() {
            connection::Auth::Basic { username, .. } => {
                Self { kind: Some(AuthType::Basic), username: Some(username), ..Self::default() }
            }
            connection::Auth::Oauth2 { token_url, client_id, scope, audience, credentials_in, .. } => Self {
                kind: Some(AuthType::Oauth2),
                token_url: Some(token_url),
                client_id: Some(client_id),
                scope,
                audience,
                credentials_in: Some(credentials_in.into()),
                ..Self::default()
            },
        }
    }

    /// What was sent, when it has what its type needs and nothing else.
    pub(super) fn complete(self, errors: &mut FieldErrors) -> Option<connection::Auth<Option<String>>> {
        let before = errors.0.len();
        let of_basic = [("auth.username", self.username.is_some()), ("auth.password", self.password.is_some())];
        let of_oauth2 = [
            ("auth.token_url", self.token_url.is_some()),
            ("auth.client_id", self.client_id.is_some()),
            ("auth.client_secret", self.client_secret.is_some()),
            ("auth.scope", self.scope.is_some()),
            ("auth.audience", self.audience.is_some()),
            ("auth.credentials_in", self.credentials_in.is_some()),
        ];
        let Some(kind) = self.kind else {
            errors.push("auth.type", "is required: basic or oauth2");
            return None;
        };
        let (foreign, word): (&[_], _) = match kind {
            AuthType::Basic => (&of_oauth2, "basic"),
            AuthType::Oauth2 => (&of_basic, "oauth2"),
        };
        for (field, _) in foreign.iter().filter(|(_, given)| *given) {
            errors.push(*field, format!("does not belong to auth of the type {word}"));
        }
        let mut required = |field: &str, value: Option<String>| {
            value.unwrap_or_else(|| {
                errors.push(field, "is required");
                String::new()
            })
        };
        let auth = match kind {
            AuthType::Basic => {
                connection::Auth::Basic { username: required("auth.username", self.username), password: self.password }
            }
            AuthType::Oauth2 => connection::Auth::Oauth2 {
                token_url: required("auth.token_url", self.token_url),
                client_id: required("auth.client_id", self.client_id),
                client_secret: self.client_secret,
                scope: self.scope,
                audience: self.audience,
                credentials_in: self.credentials_in.map(Into::into).unwrap_or_default(),
            },
        };
        (errors.0.len() == before).then_some(auth)
    }
}

/// Whom Baton trusts, and what it shows, in a TLS connection.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tls {
    /// Certificates of authorities that are trusted beside the system's, in PEM.
    #[schema(max_length = 65_536)]
    ca: Option<String>,
    /// The certificate that Baton shows (mutual TLS), with those between it and its authority, in PEM.
    #[schema(max_length = 65_536)]
    client_certificate: Option<String>,
    /// Its private key in PEM. Write-only: encrypted at rest and never shown again. Null keeps the one that is stored.
    #[schema(max_length = 65_536)]
    client_key: Option<String>,
    /// Whether the receiver's certificate is checked; true when left out. Without, anyone on the way can read and alter what is sent: for a
    /// lab only, and every generation that has such a handler says so in the log.
    #[schema(nullable = false, default = true)]
    verify: Option<bool>,
}

impl Tls {
    /// What is saved, without its key.
    pub(super) fn of(saved: &connection::Tls<Sealed>) -> Self {
        let connection::Tls { ca, client_certificate, verify, .. } = saved.clone();
        Self { ca, client_certificate, client_key: None, verify: Some(verify) }
    }

    /// What was sent. A certificate without a key keeps the key that is stored, if one is.
    pub(super) fn complete(self, stored: Option<&Saved>) -> connection::Tls<Option<String>> {
        let Self { ca, client_certificate, client_key, verify } = self;
        let has_key = stored.and_then(|stored| stored.spec.tls.as_ref()).is_some_and(|tls| tls.client_key.is_some());
        let client_key = match client_key {
            Some(key) => Some(Some(key)),
            None => (client_certificate.is_some() && has_key).then_some(None),
        };
        connection::Tls { ca, client_certificate, client_key, verify: verify.unwrap_or(true) }
    }
}

/// A secret that is not given is kept, so there must be one, and it must go where it went before.
pub(super) fn check_kept_secret(
    errors: &mut FieldErrors,
    auth: Option<&connection::Auth<Option<String>>>,
    stored: Option<&Saved>,
) {
    let Some(auth) = auth.filter(|auth| auth.secret().is_none()) else { return };
    match stored.and_then(|stored| stored.spec.auth.as_ref()).filter(|kept| kept.secret_field() == auth.secret_field()) {
        None => errors.push(auth.secret_field(), "is required: none is stored that could be kept"),
        Some(kept) if kept.shown_to() != auth.shown_to() => {
            errors.push(auth.secret_field(), "is required with another token_url: the stored one is not sent to another server");
        }
        Some(_) => {}
    }
}

/// What only a look into certificates, and at addresses, shows.
pub(super) async fn inspect(state: &ApiState, draft: &HandlerDraft, stored: Option<&Saved>) -> FieldErrors {
    let kept_key = || {
        let sealed = stored.and_then(|stored| stored.spec.tls.as_ref()).and_then(|tls| tls.client_key.as_ref());
        sealed.map(|sealed| state.vault.open(sealed).map_err(|error| FieldErrors::one("tls.client_key", error.to_string())))
    };
    let tls = draft.tls.clone().map(|tls| tls.convert(|key| key.map_or_else(|| kept_key().unwrap_or(Ok(String::new())), Ok)));
    let tls = match tls.transpose() {
        Ok(tls) => tls,
        Err(errors) => return errors,
    };
    // Only the address of the token server is looked at.
    let auth =
        draft.auth.clone().map(|auth| auth.convert(|secret| Ok::<_, std::convert::Infallible>(secret.unwrap_or_default())));
    let auth = auth.and_then(Result::ok);
    state.caller.inspect_connection(auth.as_ref(), tls.as_ref()).await
}

/// The secrets of a connection after an edit: sealed, or as they are stored where they are none or the same.
pub(super) fn sealed(
    draft: &HandlerDraft,
    stored: Option<&HandlerSpec>,
    vault: &Vault,
) -> (Option<connection::Auth<Sealed>>, Option<connection::Tls<Sealed>>) {
    let seal = |kept: Option<&Sealed>, plain: Option<String>| match (plain, kept) {
        (None, Some(kept)) => Ok(kept.clone()),
        (None, None) => Err(()),
        (Some(plain), Some(kept)) if is(vault, kept, &plain) => Ok(kept.clone()),
        (Some(plain), _) => Ok(vault.seal(&plain)),
    };
    let kept_auth = stored.and_then(|stored| stored.auth.as_ref()).map(connection::Auth::secret);
    let kept_key = stored.and_then(|stored| stored.tls.as_ref()).and_then(|tls| tls.client_key.as_ref());
    // What is to be kept and is not there was refused before.
    let auth = draft.auth.clone().and_then(|auth| auth.convert(|secret| seal(kept_auth, secret)).ok());
    let tls = draft.tls.clone().and_then(|tls| tls.convert(|key| seal(kept_key, key)).ok());
    (auth, tls)
}
