//! A build that fails changes nothing, and says why.

use baton_cache_manager::{SERVICE, request_rollback};
use baton_domain::handler::SigningSecret;
use baton_domain::{EventType, GenerationNumber, Handler, HandlerStatus};
use baton_storage::{NewHandler, Vault};
use chrono::Utc;
use serde_json::json;

use crate::fixture::{Site, handler, on_both};

on_both!(
    a_handler_sealed_with_another_key_does_not_go_live,
    a_handler_of_an_unknown_event_does_not_go_live,
    everything_that_is_wrong_is_said_at_once,
    what_is_not_enabled_may_be_wrong,
    a_generation_that_is_not_there_cannot_be_gone_back_to,
    a_generation_that_cannot_be_opened_any_more_cannot_be_gone_back_to,
    a_request_that_nobody_understands_fails,
);

fn stranger() -> Vault {
    Vault::new(&Vault::generate_key()).unwrap()
}

fn signed(name: &str, vault: &Vault) -> NewHandler {
    let secrets = vec![SigningSecret { sealed: vault.seal("whsec_x"), public_key: None, valid_until: None }];
    NewHandler { secrets, ..handler(name, 10) }
}

fn with_header(name: &str, vault: &Vault) -> NewHandler {
    NewHandler { headers: [("x-api-key".to_owned(), vault.seal("x"))].into(), ..handler(name, 10) }
}

/// Restarts, which has to fail and to leave generation 1 as it is; why it failed.
async fn refused(site: &Site) -> String {
    let before = site.cache.live().unwrap().checksum();
    let reason = site.failed(site.ask().await.id).await;
    assert_eq!(site.generations().await.len(), 1);
    let live = site.cache.refresh().await.unwrap().unwrap();
    assert_eq!((live.number.0, live.checksum()), (1, before));
    let recorded = site.store.last_runs(SERVICE).await.unwrap().last.unwrap();
    assert_eq!(recorded.error.as_ref(), Some(&reason));
    assert!(reason.contains("nothing was changed"), "{reason}");
    reason
}

async fn a_handler_sealed_with_another_key_does_not_go_live(site: Site) {
    site.create(signed("sound", &site.vault)).await;
    let _manager = site.started().await;
    let broken = site.create(signed("billing", &stranger())).await;
    let reason = refused(&site).await;
    for word in ["billing", "secret", "BATON_SECRET_KEY", &format!("handler {}", broken.spec.id)] {
        assert!(reason.contains(word), "{word}: {reason}");
    }
    assert!(!reason.contains("sound"), "{reason}");

    let mut mended = broken.clone();
    mended.spec.secrets[0].sealed = site.vault.seal("whsec_y");
    site.update(&mended).await;
    assert_eq!(site.restart().await.generation.0, 2, "no number was used up");
}

async fn a_handler_of_an_unknown_event_does_not_go_live(site: Site) {
    let _manager = site.started().await;
    site.create(NewHandler { event: "orders.create".into(), ..handler("orders", 10) }).await;
    let reason = refused(&site).await;
    assert!(reason.contains("orders.create") && reason.contains("event"), "{reason}");
    // Once the event is in the catalogue, it does.
    let orders = EventType {
        id: "orders.create".into(),
        group: "Orders".into(),
        action: "create".into(),
        title: "Orders: create".into(),
        object_kind: "order".into(),
        aliases: Vec::new(),
        custom: true,
    };
    site.store.create_event_type(&orders, Utc::now()).await.unwrap();
    assert_eq!(site.restart().await.changes.added[0].name, "orders");
}

async fn everything_that_is_wrong_is_said_at_once(site: Site) {
    let _manager = site.started().await;
    site.create(NewHandler { event: "orders.create".into(), ..handler("orders", 10) }).await;
    site.create(with_header("crm", &stranger())).await;
    site.create(signed("billing", &stranger())).await;
    site.create(handler("sound", 10)).await;
    let reason = refused(&site).await;
    for word in ["orders", "crm", "headers", "billing", "secret"] {
        assert!(reason.contains(word), "{word}: {reason}");
    }
    assert!(!reason.contains("sound"), "{reason}");
}

async fn what_is_not_enabled_may_be_wrong(site: Site) {
    let _manager = site.started().await;
    let broken = NewHandler { event: "orders.create".into(), ..with_header("orders", &stranger()) };
    site.create(NewHandler { status: HandlerStatus::Disabled, ..broken.clone() }).await;
    let archived = site.create(NewHandler { status: HandlerStatus::Archived, ..broken }).await;
    assert_eq!(site.restart().await.handlers, 0);
    site.update(&Handler { status: HandlerStatus::Enabled, ..archived }).await;
    assert!(site.failed(site.ask().await.id).await.contains("orders"));
}

async fn a_generation_that_is_not_there_cannot_be_gone_back_to(site: Site) {
    let _manager = site.started().await;
    for missing in [99, 0, -1] {
        let asked = request_rollback(&site.store, site.cache.hints(), GenerationNumber(missing), Utc::now()).await.unwrap();
        let reason = site.failed(asked.id).await;
        assert!(reason.contains(&format!("no generation {missing}")), "{reason}");
    }
    assert_eq!(site.generations().await.len(), 1);
    assert_eq!(site.restart().await.generation.0, 2);
}

async fn a_generation_that_cannot_be_opened_any_more_cannot_be_gone_back_to(site: Site) {
    let old_key = stranger();
    let sealed = site.create(with_header("crm", &old_key)).await;
    let before = site.manager_with("with the old key", old_key).await;
    site.live(1).await;
    before.end().await;
    let _manager = site.manager("with the new key").await;
    let mut anew = sealed.clone();
    anew.spec.headers = with_header("crm", &site.vault).headers;
    site.update(&anew).await;
    assert_eq!(site.restart().await.generation.0, 2);
    let asked = request_rollback(&site.store, site.cache.hints(), GenerationNumber(1), Utc::now()).await.unwrap();
    let reason = site.failed(asked.id).await;
    assert!(reason.contains("crm") && reason.contains("BATON_SECRET_KEY"), "{reason}");
    assert_eq!(site.generations().await.len(), 2);
}

async fn a_request_that_nobody_understands_fails(site: Site) {
    let _manager = site.started().await;
    let asked = site.store.request_run(SERVICE, &json!({"do": "dance"}), Utc::now()).await.unwrap();
    let reason = site.failed(asked.id).await;
    assert!(reason.contains("dance"), "{reason}");
    assert_eq!(site.restart().await.generation.0, 2);
}
