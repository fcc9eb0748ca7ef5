//! How an HTTP handler is connected to: who Baton is there, whom it trusts, and how much of it the receiver can bear.
//!
//! `S` is how a secret stands there: sealed in what is saved, plain where a call is made, optional in a form that may keep what is stored.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Who Baton is to a receiver.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Auth<S> {
    /// User and password in every request (RFC 7617).
    Basic {
        /// Without a colon.
        username: String,
        /// The password.
        password: S,
    },
    /// A token of an authorization server in every request (OAuth 2.0, RFC 6749 section 4.4, client credentials).
    Oauth2 {
        /// Where tokens are asked for.
        token_url: String,
        /// Who asks.
        client_id: String,
        /// The secret of the client.
        client_secret: S,
        /// What is asked for, separated by spaces.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        scope: Option<String>,
        /// Whom the token is for, where the server wants to be told.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        audience: Option<String>,
        /// Where id and secret are sent.
        credentials_in: CredentialsIn,
    },
}

/// Where the credentials of a client are sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CredentialsIn {
    /// As basic authentication.
    #[default]
    Header,
    /// As fields of the form.
    Body,
}

impl<S> Auth<S> {
    /// The same with the secret in another form.
    ///
    /// # Errors
    /// That of `convert`.
    pub fn convert<T, E>(self, convert: impl FnOnce(S) -> Result<T, E>) -> Result<Auth<T>, E> {
        Ok(match self {
            Self::Basic { username, password } => Auth::Basic { username, password: convert(password)? },
            Self::Oauth2 { token_url, client_id, client_secret, scope, audience, credentials_in } => {
                let client_secret = convert(client_secret)?;
                Auth::Oauth2 { token_url, client_id, client_secret, scope, audience, credentials_in }
            }
        })
    }

    /// Its secret.
    #[must_use]
    pub fn secret(&self) -> &S {
        match self {
            Self::Basic { password: secret, .. } | Self::Oauth2 { client_secret: secret, .. } => secret,
        }
    }

    /// Its secret.
    pub fn secret_mut(&mut self) -> &mut S {
        match self {
            Self::Basic { password: secret, .. } | Self::Oauth2 { client_secret: secret, .. } => secret,
        }
    }

    /// The name of the field that holds the secret.
    #[must_use]
    pub fn secret_field(&self) -> &'static str {
        match self {
            Self::Basic { .. } => "auth.password",
            Self::Oauth2 { .. } => "auth.client_secret",
        }
    }

    /// Whom the secret is shown to: a secret that is stored for one must not be sent to another.
    #[must_use]
    pub fn shown_to(&self) -> Option<&str> {
        match self {
            Self::Basic { .. } => None,
            Self::Oauth2 { token_url, .. } => Some(token_url),
        }
    }
}

impl<S> fmt::Debug for Auth<S> {
    /// Without the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Basic { username, .. } => f.debug_struct("Basic").field("username", username).finish_non_exhaustive(),
            Self::Oauth2 { token_url, client_id, .. } => {
                f.debug_struct("Oauth2").field("token_url", token_url).field("client_id", client_id).finish_non_exhaustive()
            }
        }
    }
}

/// Whom Baton trusts, and what it shows, in a TLS connection.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tls<S> {
    /// Certificates of authorities that are trusted beside the system's, in PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
    /// The certificate that Baton shows (mutual TLS), with those between it and its authority, in PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_certificate: Option<String>,
    /// The key of that certificate, in PEM.
    #[serde(default = "Option::default", skip_serializing_if = "Option::is_none")]
    pub client_key: Option<S>,
    /// Whether the receiver's certificate is checked. Without, anyone on the way can read and alter what is sent: for a lab only.
    pub verify: bool,
}

impl<S> Tls<S> {
    /// The same with the key in another form.
    ///
    /// # Errors
    /// That of `convert`.
    pub fn convert<T, E>(self, convert: impl FnOnce(S) -> Result<T, E>) -> Result<Tls<T>, E> {
        let Self { ca, client_certificate, client_key, verify } = self;
        Ok(Tls { ca, client_certificate, client_key: client_key.map(convert).transpose()?, verify })
    }
}

impl<S> fmt::Debug for Tls<S> {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("verify", &self.verify).finish_non_exhaustive()
    }
}

/// How much a handler is called, by all dispatchers together: each has the share of the partitions that it owns.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallLimits {
    /// The most calls at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<u16>,
    /// The most calls that begin in a second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_second: Option<u16>,
}

impl CallLimits {
    /// Whether there is none.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}
