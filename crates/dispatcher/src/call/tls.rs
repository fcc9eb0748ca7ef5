//! TLS of single handlers: an authority of their own, a certificate that Baton shows, or no check at all.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use baton_domain::FieldErrors;
use baton_domain::connection::Tls;
use reqwest::{Certificate, Client, ClientBuilder, Identity};
use sha2::{Digest, Sha256};

/// How many clients with settings of their own are kept; with more, all are made anew.
const CLIENTS_MAX: usize = 1024;

/// The settings of one handler, and what they are known by.
pub(super) struct TlsSettings {
    tls: Tls<String>,
    digest: [u8; 32],
}

impl TlsSettings {
    pub(super) fn new(tls: Tls<String>) -> Self {
        // A plain struct of texts always serialises.
        let digest = Sha256::digest(serde_json::to_vec(&tls).unwrap_or_default()).into();
        Self { tls, digest }
    }
}

/// Clients for handlers with settings of their own. Handlers with the same settings share one, and with it its connections.
#[derive(Default)]
pub(super) struct TlsClients(Mutex<HashMap<[u8; 32], Client>>);

impl TlsClients {
    /// The client for these settings. `builder` gives what all clients have in common.
    ///
    /// # Errors
    /// A sentence, when no client can be made of them.
    pub(super) fn get(&self, settings: &TlsSettings, builder: impl FnOnce() -> ClientBuilder) -> Result<Client, String> {
        let mut clients = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(&settings.digest) {
            return Ok(client.clone());
        }
        let client = build(&settings.tls, builder).map_err(|errors| errors.to_string())?;
        if clients.len() == CLIENTS_MAX {
            clients.clear();
        }
        clients.insert(settings.digest, client.clone());
        Ok(client)
    }
}

/// What is wrong with the settings of a handler that is to be saved.
pub(super) fn inspect(tls: &Tls<String>, builder: impl FnOnce() -> ClientBuilder) -> FieldErrors {
    build(tls, builder).err().unwrap_or_default()
}

fn build(tls: &Tls<String>, builder: impl FnOnce() -> ClientBuilder) -> Result<Client, FieldErrors> {
    let mut errors = FieldErrors::default();
    let mut builder = builder().tls_danger_accept_invalid_certs(!tls.verify);
    if let Some(ca) = &tls.ca {
        match Certificate::from_pem_bundle(ca.as_bytes()) {
            Ok(authorities) if !authorities.is_empty() => builder = builder.tls_certs_merge(authorities),
            _ => errors.push("tls.ca", "must be certificates in PEM"),
        }
    }
    if let (Some(certificate), Some(key)) = (&tls.client_certificate, &tls.client_key) {
        match Identity::from_pem(format!("{key}\n{certificate}").as_bytes()) {
            Ok(identity) => builder = builder.identity(identity),
            Err(_) => errors.push("tls.client_certificate", "must be certificates in PEM, and client_key a private key in PEM"),
        }
    }
    let builder = errors.or(builder)?;
    builder.build().map_err(|error| {
        let why = std::iter::successors(Some(&error as &dyn std::error::Error), |e| e.source()).last().map(ToString::to_string);
        FieldErrors::one("tls", format!("cannot be used: {}", why.unwrap_or_default()))
    })
}
