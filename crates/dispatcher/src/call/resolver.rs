//! Host names: resolved once for each connection, and only to addresses that the policy permits.
//!
//! The check stands between the name server and the connection, so that a name cannot pass it with one address and be connected to at
//! another.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::vec;

use baton_domain::address::{AddressPolicy, Refusal};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use hyper_util::client::legacy::connect::dns::Name;
use tower_service::Service;

/// Why there is no address to connect to.
#[derive(Debug, Clone, thiserror::Error)]
pub(super) enum NameError {
    /// The policy forbids every address that the name has.
    #[error("{host} has no address that may be connected to: {refusal}")]
    Refused {
        host: String,
        /// Of its first address.
        refusal: Refusal,
    },
    /// The name server knows no address, or did not answer.
    #[error("the name {host} cannot be resolved: {reason}")]
    Unresolved { host: String, reason: String },
}

type Found = Result<Vec<SocketAddr>, NameError>;

/// The names that are being resolved. Calls of the same name share one look-up: the system's resolver takes a thread for each, and may
/// keep it for many seconds, which a name that is out of order must not do once per call.
#[derive(Clone)]
pub(super) struct Names {
    policy: Arc<AddressPolicy>,
    under_way: Arc<Mutex<HashMap<String, Shared<BoxFuture<'static, Found>>>>>,
}

impl Names {
    pub(super) fn new(policy: Arc<AddressPolicy>) -> Self {
        Self { policy, under_way: Arc::default() }
    }

    /// The addresses of a name that may be connected to, at least one, with port 0.
    pub(super) async fn resolve(&self, host: &str) -> Found {
        let shared = {
            let mut under_way = self.lock();
            match under_way.get(host) {
                Some(shared) => shared.clone(),
                None => {
                    let shared = self.start(host.to_owned());
                    under_way.insert(host.to_owned(), shared.clone());
                    shared
                }
            }
        };
        shared.await
    }

    /// Looks up in a task of its own, so that it ends, and is no longer shared, also when nobody waits for it any more.
    fn start(&self, host: String) -> Shared<BoxFuture<'static, Found>> {
        let names = self.clone();
        let name = host.clone();
        let task = tokio::spawn(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await.map(Iterator::collect);
            names.lock().remove(&name);
            names.permitted(name, found)
        });
        let ended = |_| Err(NameError::Unresolved { host, reason: "Baton is stopping".into() });
        task.map(|joined| joined.unwrap_or_else(ended)).boxed().shared()
    }

    fn permitted(&self, host: String, found: std::io::Result<Vec<SocketAddr>>) -> Found {
        let found = match found {
            Ok(found) => found,
            Err(error) => return Err(NameError::Unresolved { host, reason: reason(&error) }),
        };
        let mut refusal = None;
        let mut permitted = found;
        permitted.retain(|address| match self.policy.check(address.ip()) {
            Ok(()) => true,
            Err(refused) => {
                refusal.get_or_insert(refused);
                false
            }
        });
        match refusal {
            _ if !permitted.is_empty() => Ok(permitted),
            Some(refusal) => Err(NameError::Refused { host, refusal }),
            None => Err(NameError::Unresolved { host, reason: "it has no address".into() }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Shared<BoxFuture<'static, Found>>>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the system says, without the part that every such message begins with.
fn reason(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.strip_prefix("failed to lookup address information: ").map_or_else(|| text.clone(), str::to_owned)
}

impl Service<Name> for Names {
    type Response = vec::IntoIter<SocketAddr>;
    type Error = NameError;
    type Future = BoxFuture<'static, Result<Self::Response, NameError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), NameError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let names = self.clone();
        Box::pin(async move { names.resolve(name.as_str()).await.map(Vec::into_iter) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(allowed: &[&str], loopback: bool) -> Names {
        Names::new(Arc::new(AddressPolicy::new(allowed.iter().map(|net| net.parse().unwrap()), loopback)))
    }

    fn permitted(names: &Names, found: &[&str]) -> Result<Vec<String>, String> {
        let found = found.iter().map(|ip| SocketAddr::new(ip.parse().unwrap(), 0)).collect();
        let found = names.permitted("crm.lan".into(), Ok(found)).map_err(|e| e.to_string())?;
        Ok(found.into_iter().map(|address| address.ip().to_string()).collect())
    }

    #[test]
    fn refused_addresses_are_left_out() {
        let names = names(&["10.0.0.0/8"], false);
        assert_eq!(permitted(&names, &["192.168.1.1", "10.0.0.1", "::1", "1.1.1.1"]).unwrap(), ["10.0.0.1", "1.1.1.1"]);
    }

    #[test]
    fn when_none_is_left_the_first_refusal_is_said() {
        let error = permitted(&names(&[], false), &["169.254.169.254", "::1"]).unwrap_err();
        for part in ["crm.lan", "169.254.169.254 is a link-local address", "169.254.0.0/16", "BATON_ALLOW_TARGETS"] {
            assert!(error.contains(part), "{error}");
        }
        assert_eq!(permitted(&names(&[], false), &[]).unwrap_err(), "the name crm.lan cannot be resolved: it has no address");
    }

    #[tokio::test]
    async fn a_look_up_is_forgotten_once_it_has_ended() {
        let names = names(&[], true);
        let (one, two) = tokio::join!(names.resolve("localhost"), names.resolve("localhost"));
        assert!(one.unwrap().iter().all(|address| address.ip().is_loopback()));
        assert!(two.is_ok());
        assert!(names.lock().is_empty());
    }
}
