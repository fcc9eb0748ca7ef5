//! Ten thousand events, two dispatchers: every pair ends, in order, and the account balances at every look.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use baton_testkit::{Answer, Receiver, rules};
use serde_json::{Value, json};

use crate::rig::bodies::{http, quick_retry, with};
use crate::rig::lanes::{assert_in_order, by_object};
use crate::rig::load::Load;
use crate::rig::machine::busy;
use crate::rig::{Api, Installation, Services, account};

const DEADLINE: Duration = Duration::from_secs(120);
const PUBLISHERS: usize = 8;
const CREATE: &str = "clients.create";
const UPDATE: &str = "clients.update";
/// Has no handler.
const ARCHIVE: &str = "clients.archive";

/// Of ten events of an object five are of the first type, four of the second, one of the third.
fn kind(number: u64) -> &'static str {
    match number % 10 {
        9 => ARCHIVE,
        even if even % 2 == 0 => CREATE,
        _ => UPDATE,
    }
}

/// Three handlers. The CRM's two, for two event types, share a receiver and so a lane; the first of them fails at random.
async fn handlers(api: &Api, receiver: &Receiver) -> [(i64, &'static str); 3] {
    let mut fails = rules::fail_at_random(11, 5, Answer::status(503));
    receiver.script("/crm", move |call| if call.events_id.as_deref() == Some(CREATE) { fails(call) } else { Answer::ok() });
    let retried = |handler: Value| with(handler, json!({"retry": quick_retry(20)}));
    let crm_create = with(http("CRM creates", CREATE, receiver.url("/crm?as=create")), json!({"priority": 1}));
    let billing = with(http("Billing", CREATE, receiver.url("/billing")), json!({"priority": 2}));
    let crm_update = http("CRM updates", UPDATE, receiver.url("/crm?as=update"));
    let ids = api.create_live([crm_create, billing, crm_update].map(retried)).await;
    [(ids[0], CREATE), (ids[1], CREATE), (ids[2], UPDATE)]
}

/// Checks that the log has each pair once as a success, its attempts without a gap, and nothing dead or skipped.
async fn assert_log(api: &Api, load: &Load, handlers: [(i64, &'static str); 3], failures: usize) {
    for (handler, events_id) in handlers {
        let mut attempts: BTreeMap<String, Vec<(u64, String)>> = BTreeMap::new();
        for execution in api.list(&format!("/v1/executions?handler_id={handler}")).await {
            assert_eq!(execution["events_id"], events_id);
            let attempt = (execution["attempt"].as_u64().unwrap(), execution["status"].as_str().unwrap().to_owned());
            attempts.entry(execution["event_id"].as_str().unwrap().to_owned()).or_default().push(attempt);
        }
        let objects = load.objects.end - load.objects.start;
        assert_eq!(attempts.len() as u64, objects * load.numbers_of(&[events_id]).len() as u64, "events of handler {handler}");
        let mut failed = 0;
        for (event, mut tried) in attempts {
            tried.sort_unstable();
            failed += tried.len() - 1;
            let last = tried.len() as u64;
            let expected: Vec<_> = (1..=last).map(|n| (n, if n < last { "fail" } else { "success" }.to_owned())).collect();
            assert_eq!(tried, expected, "event {event}, handler {handler}");
        }
        let expected = if handler == handlers[0].0 { failures } else { 0 };
        assert_eq!(failed, expected, "failed calls of handler {handler}");
    }
    assert_eq!(api.list("/v1/dead-letters?").await, Vec::<Value>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_events_end_in_order_and_the_account_balances_at_every_look() {
    let _busy = busy().await;
    let receiver = Receiver::start().await;
    let services = Services::start(Installation::new().await, 2).await;
    let handlers = handlers(&services.api, &receiver).await;
    services.live_everywhere().await;
    let load = Load { objects: 1..501, numbers: 0..20, kind };
    assert_eq!(load.total(), 10_000);

    let acknowledged = Arc::new(AtomicU64::new(0));
    let watch = tokio::spawn({
        let (api, acknowledged) = (services.api.clone(), Arc::clone(&acknowledged));
        async move { account::watch(api, &acknowledged, 10_000, DEADLINE).await }
    });
    load.publish(&services.api, PUBLISHERS, &acknowledged).await;
    let (stats, looks) = watch.await.expect("the account");
    assert!(looks >= 10, "the account was looked at {looks} times while events were under way");
    assert_eq!(account::balanced(&stats), [10_000, 9_000, 0, 1_000, 0, 0]);
    assert_eq!(stats["oldest_pending_seconds"], Value::Null);

    let calls = receiver.calls();
    for (path, kinds) in [("/crm", &[CREATE, UPDATE][..]), ("/billing", &[CREATE])] {
        let objects = by_object(&calls, path);
        assert_eq!(objects.len(), 500);
        for (object, seen) in objects {
            assert_in_order(&object, &seen, &load.numbers_of(kinds));
        }
    }
    let failures = calls.iter().filter(|call| !call.succeeded()).count();
    assert!((150..=400).contains(&failures), "about one in twenty of 5,000 calls failed: {failures}");
    assert_log(&services.api, &load, handlers, failures).await;
}
