//! TLS: whom calls trust and what they show. Handlers may have an authority of their own, a certificate that Baton shows, or no check at
//! all.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use baton_domain::FieldErrors;
use baton_domain::connection::Tls;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use sha2::{Digest, Sha256};

use super::client::HttpClient;
use super::unverified::Unverified;

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

/// The authorities of this system.
pub(super) struct Authorities(Arc<RootCertStore>);

impl Authorities {
    /// Reads them. A machine without any can still call http:// URLs, and https:// ones that name an authority of their own.
    pub(super) fn of_system() -> Self {
        let found = rustls_native_certs::load_native_certs();
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(found.certs);
        if store.is_empty() {
            let error = found.errors.first().map(ToString::to_string);
            tracing::warn!(
                error,
                "no CA certificates on this system: calls of https:// URLs will fail, but for handlers with one of their own"
            );
        }
        Self(Arc::new(store))
    }

    /// Trusts them and nobody else, and shows nothing.
    pub(super) fn usual(&self) -> ClientConfig {
        ClientConfig::builder().with_root_certificates(Arc::clone(&self.0)).with_no_client_auth()
    }

    /// What a handler's settings come to.
    ///
    /// # Errors
    /// Each field that cannot be used.
    pub(super) fn config(&self, tls: &Tls<String>) -> Result<ClientConfig, FieldErrors> {
        let mut errors = FieldErrors::default();
        let trusted = match &tls.ca {
            None => Some(Arc::clone(&self.0)),
            Some(pem) => self.with(pem),
        };
        if trusted.is_none() {
            errors.push("tls.ca", "must be certificates in PEM");
        }
        let shown = match (&tls.client_certificate, &tls.client_key) {
            (Some(certificate), Some(key)) => identity(certificate, key).map(Some),
            _ => Ok(None),
        };
        if shown.is_err() {
            errors.push("tls.client_certificate", "must be certificates in PEM, and client_key a private key in PEM");
        }
        let (Some(trusted), Ok(shown)) = (trusted, shown) else { return Err(errors) };
        configured(tls.verify, trusted, shown).map_err(|error| FieldErrors::one("tls", format!("cannot be used: {error}")))
    }

    /// Those of the system and these; none where these are no certificates.
    fn with(&self, pem: &str) -> Option<Arc<RootCertStore>> {
        let own: Vec<_> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<_, _>>().ok()?;
        let mut store = RootCertStore::clone(&self.0);
        let is_any = !own.is_empty();
        own.into_iter().try_for_each(|certificate| store.add(certificate)).ok()?;
        is_any.then(|| Arc::new(store))
    }
}

type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// A chain of certificates with its key.
fn identity(certificate: &str, key: &str) -> Result<Identity, rustls::pki_types::pem::Error> {
    let chain: Vec<_> = CertificateDer::pem_slice_iter(certificate.as_bytes()).collect::<Result<_, _>>()?;
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes())?;
    if chain.is_empty() { Err(rustls::pki_types::pem::Error::NoItemsFound) } else { Ok((chain, key)) }
}

fn configured(verify: bool, trusted: Arc<RootCertStore>, shown: Option<Identity>) -> Result<ClientConfig, rustls::Error> {
    let builder = ClientConfig::builder();
    let builder = if verify {
        builder.with_root_certificates(trusted)
    } else {
        let provider = Arc::clone(builder.crypto_provider());
        builder.dangerous().with_custom_certificate_verifier(Arc::new(Unverified(provider)))
    };
    match shown {
        None => Ok(builder.with_no_client_auth()),
        Some((chain, key)) => builder.with_client_auth_cert(chain, key),
    }
}

/// Clients for handlers with settings of their own. Handlers with the same settings share one, and with it its connections.
#[derive(Default)]
pub(super) struct TlsClients(Mutex<HashMap<[u8; 32], HttpClient>>);

impl TlsClients {
    /// The client for these settings; `make` makes one.
    ///
    /// # Errors
    /// A sentence, when no client can be made of them.
    pub(super) fn get(
        &self,
        settings: &TlsSettings,
        make: impl FnOnce(&Tls<String>) -> Result<HttpClient, FieldErrors>,
    ) -> Result<HttpClient, String> {
        let mut clients = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(&settings.digest) {
            return Ok(client.clone());
        }
        let client = make(&settings.tls).map_err(|errors| errors.to_string())?;
        if clients.len() == CLIENTS_MAX {
            clients.clear();
        }
        clients.insert(settings.digest, client.clone());
        Ok(client)
    }
}
