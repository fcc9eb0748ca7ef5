//! Sealing everything anew.

use baton_domain::connection::{Auth, Tls};
use baton_domain::handler::{HandlerSpec, SigningSecret};
use baton_domain::{Changes, GenerationNumber, Snapshot};
use baton_storage::{GenerationCause, NewGeneration, Resealed, StorageError, Vault};

use crate::fixture::{Fixture, now, on_both};
use crate::handlers::{create, new};

on_both!(what_was_equal_stays_equal_and_opens_with_the_new_key_alone, a_secret_that_no_key_opens_stops_it);

fn vault(key: &str, before: &[&str]) -> Vault {
    Vault::new(key).unwrap().opening_also(before.iter().copied()).unwrap()
}

/// A handler with a secret in every place where one can be.
async fn with_secrets(f: &Fixture, vault: &Vault) -> HandlerSpec {
    let mut handler = new("CRM");
    handler.headers.insert("x-key".into(), vault.seal("header"));
    let sealed = vault.seal("whsec_AAAA");
    handler.secrets = vec![SigningSecret { sealed, public_key: None, valid_until: None }];
    handler.auth = Some(Auth::Basic { username: "baton".into(), password: vault.seal("password") });
    let client_key = Some(vault.seal("key"));
    handler.tls = Some(Tls { ca: None, client_certificate: Some("pem".into()), client_key, verify: true });
    create(f, handler).await.spec
}

async fn go_live(f: &Fixture, number: i64, handlers: Vec<HandlerSpec>) {
    let snapshot = Snapshot::new(GenerationNumber(number), now(), handlers);
    let changes = Changes::default();
    let new = NewGeneration {
        snapshot: &snapshot,
        changes: &changes,
        took_ms: 1,
        cause: GenerationCause::Restart,
        rolled_back_to: None,
    };
    assert!(f.store.insert_generation(&new).await.unwrap());
}

fn opened(vault: &Vault, spec: &HandlerSpec) -> Vec<String> {
    spec.clone().sealed_mut().map(|sealed| vault.open(sealed).unwrap()).collect()
}

async fn what_was_equal_stays_equal_and_opens_with_the_new_key_alone(f: Fixture) {
    let (old, key) = (Vault::generate_key(), Vault::generate_key());
    let before = vault(&old, &[]);
    let spec = with_secrets(&f, &before).await;
    let plain = create(&f, new("Plain")).await.spec;
    go_live(&f, 1, vec![plain.clone()]).await;
    go_live(&f, 2, vec![spec.clone(), plain.clone()]).await;

    let both = vault(&key, &[&old]);
    assert_eq!(f.store.reseal(&both).await.unwrap(), Resealed { handlers: 1, generations: 1, secrets: 4 });
    let saved = f.store.handler(spec.id).await.unwrap().unwrap();
    let live = f.store.live_generation().await.unwrap().unwrap();
    assert_ne!(saved.spec, spec);
    assert_eq!(**live.handler(spec.id).unwrap(), saved.spec);
    assert_eq!(opened(&vault(&key, &[]), &saved.spec), opened(&before, &spec));
    assert_eq!((saved.version, &f.store.handler(plain.id).await.unwrap().unwrap().spec), (1, &plain));
    // Redis is believed only by the checksum that the database names.
    let stored = f.store.generation(GenerationNumber(2)).await.unwrap().unwrap();
    assert_eq!(stored.checksum, stored.snapshot.checksum());

    assert_eq!(f.store.reseal(&both).await.unwrap(), Resealed::default());
    assert_eq!(f.store.reseal(&vault(&key, &[])).await.unwrap(), Resealed::default());
}

async fn a_secret_that_no_key_opens_stops_it(f: Fixture) {
    let (lost, old, key) = (Vault::generate_key(), Vault::generate_key(), Vault::generate_key());
    let first = with_secrets(&f, &vault(&old, &[])).await;
    let second = with_secrets(&f, &vault(&lost, &[])).await;
    let error = f.store.reseal(&vault(&key, &[&old])).await.unwrap_err();
    assert!(matches!(&error, StorageError::Corrupt { what, .. } if what.contains(&format!("handler {}", second.id))), "{error}");
    for spec in [first, second] {
        assert_eq!(f.store.handler(spec.id).await.unwrap().unwrap().spec, spec);
    }
}
