//! `baton audit`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use baton_testkit::{Finished, Program, Receiver, eventually, free_port};
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};

use crate::rig::bodies::{event, http};
use crate::rig::load::Load;
use crate::rig::{Embedded, Installation, SOON, Services};

/// Runs the command on an embedded installation.
async fn beside(baton: &Embedded, args: &[&str]) -> Finished {
    Program::named("baton").args(["audit"]).args(args.iter().copied()).env("BATON_DATA_DIR", baton.data()).run(SOON).await
}

async fn on(installation: &Installation, args: &[&str]) -> Finished {
    installation.program("baton").args(["audit"]).args(args.iter().copied()).run(SOON).await
}

#[track_caller]
fn json_of(ended: &Finished) -> Value {
    serde_json::from_str(&ended.stdout).unwrap_or_else(|e| panic!("no JSON ({e}): {}{}", ended.stdout, ended.stderr))
}

#[track_caller]
fn assert_code(ended: &Finished, code: i32) {
    assert_eq!(ended.status.code(), Some(code), "{}{}", ended.stdout, ended.stderr);
}

#[tokio::test]
async fn it_holds_beside_the_embedded_process_under_load_and_after_it() {
    let receiver = Receiver::start().await;
    let mut baton = Embedded::start().await;
    baton.api.create_live([http("CRM", "clients.create", receiver.url("/crm"))]).await;
    let load = Load { objects: 1..51, numbers: 0..40, kind: |n| if n % 2 == 0 { "clients.create" } else { "clients.delete" } };
    let acknowledged = Arc::new(AtomicU64::new(0));
    let publishing = tokio::spawn({
        let (load, api, acknowledged) = (load.clone(), baton.api.clone(), Arc::clone(&acknowledged));
        async move { load.publish(&api, 2, &acknowledged).await }
    });
    let mut looks = 0;
    while !publishing.is_finished() || looks < 3 {
        let at_least = acknowledged.load(Ordering::SeqCst);
        let ended = beside(&baton, &["--json", "--max-age", "10m"]).await;
        assert_code(&ended, 0);
        let told = json_of(&ended);
        assert_eq!((&told["balanced"], &told["difference"], &told["problems"]), (&json!(true), &json!(0), &json!([])), "{told}");
        let published = told["published"].as_u64().unwrap();
        assert!((at_least..=load.total()).contains(&published), "{at_least} were acknowledged: {told}");
        looks += 1;
    }
    publishing.await.unwrap();
    eventually(SOON, "all to end", async || (baton.api.stats().await["pending"] == 0).then_some(())).await;
    let told = json_of(&beside(&baton, &["--json"]).await);
    let stats = baton.api.stats().await;
    for count in ["published", "delivered", "failed", "unmatched", "retrying", "pending"] {
        assert_eq!(told[count], stats[count], "{count}");
    }
    assert_eq!(told["stored"], json!({"events": 2000, "delivered": 1000, "failed": 0, "unmatched": 1000}));

    let expected = "\
EVENT TYPE      PUBLISHED  DELIVERED  FAILED  UNMATCHED  RETRYING  PENDING  DIFFERENCE
clients.create       1000       1000       0          0         0        0           0
clients.delete       1000          0       0       1000         0        0           0
all                  2000       1000       0       1000         0        0           0

Stored: 2000 events, 1000 of them delivered, 0 failed, 1000 unmatched.
Nothing is pending.
The balance holds.
";
    for end in ["it runs", "it was killed", "it has ended"] {
        match end {
            "it was killed" => baton.process.kill9(),
            "it has ended" => {
                baton.process.restart().await;
                assert!(baton.process.terminate(SOON).await.success());
            }
            _ => {}
        }
        let ended = beside(&baton, &["--max-age", "1s"]).await;
        assert_eq!((ended.status.code(), ended.stdout.as_str(), ended.stderr.as_str()), (Some(0), expected, ""), "{end}");
    }
    baton.process.restart().await;
    assert_eq!(baton.api.stats().await["delivered"], 1000);
}

#[tokio::test]
async fn what_waits_for_too_long_is_told() {
    let services = Services::start(Installation::new().await, 0).await;
    services.api.publish(&event("clients.create", 1, json!({}))).await;
    let ended = eventually(SOON, "it to be two seconds old", async || {
        let ended = on(&services.installation, &["--max-age", "2s"]).await;
        (ended.status.code() == Some(1)).then_some(ended)
    });
    let ended = ended.await;
    assert!(ended.stdout.contains("The balance holds.") && ended.stdout.contains("clients.create"), "{}", ended.stdout);
    assert!(ended.stderr.starts_with("The oldest pending event has waited for "), "{}", ended.stderr);
    assert!(ended.stderr.ends_with(", longer than 2s.\n"), "{}", ended.stderr);
    let told = on(&services.installation, &["--json", "--max-age", "1s"]).await;
    assert_code(&told, 1);
    let told = json_of(&told);
    assert!(told["oldest_pending_seconds"].as_f64().unwrap() > 1.0, "{told}");
    assert_eq!((&told["max_age_seconds"], &told["balanced"]), (&json!(1), &json!(true)));
    assert_eq!(told["problems"].as_array().unwrap().len(), 1);
    assert_code(&on(&services.installation, &[]).await, 0);
    assert_code(&on(&services.installation, &["--max-age", "1h"]).await, 0);
}

#[tokio::test]
async fn what_was_lost_is_told() {
    let services = Services::start(Installation::new().await, 0).await;
    services.api.publish_batch(&[event("clients.create", 1, json!({})), event("clients.update", 2, json!({}))]).await;
    let mut database = PgConnection::connect(services.installation.database_url()).await.unwrap();
    sqlx::raw_sql("DELETE FROM dispatches WHERE events_id = 'clients.update'").execute(&mut database).await.unwrap();
    let ended = on(&services.installation, &[]).await;
    assert_code(&ended, 1);
    let line = "The balance does not hold: clients.update: 1 were published, but 0 have ended or are under way.";
    assert!(ended.stderr.lines().any(|said| said == line), "{}", ended.stderr);
    assert!(!ended.stdout.contains("The balance holds"), "{}", ended.stdout);
    assert_eq!(json_of(&on(&services.installation, &["--json"]).await)["difference"], 1);
}

#[tokio::test]
async fn what_cannot_be_checked_is_not_called_sound() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let audit = || Program::named("baton").args(["audit"]).env("BATON_DATA_DIR", &data);
    let file = folder.path().join("none.db");
    let unmigrated = baton_testkit::TestDatabase::postgres().await;
    for (url, told) in [
        (None, "there is no database in"),
        (Some(format!("sqlite:{}", file.display())), "BATON_DATABASE_URL"),
        (Some(format!("postgres://baton@127.0.0.1:{}/baton", free_port())), "BATON_DATABASE_URL"),
        (Some(unmigrated.url().to_owned()), "baton migrate"),
        (Some("mysql://x".into()), "BATON_DATABASE_URL"),
    ] {
        let program = url.iter().fold(audit(), |program, url| program.env("BATON_DATABASE_URL", url));
        let ended = program.run(SOON).await;
        assert_code(&ended, 2);
        assert!(ended.stderr.contains(told), "{url:?}: {}", ended.stderr);
        assert_eq!(ended.stdout, "", "{url:?}");
    }
    assert!(!data.exists() && !file.exists(), "nothing was made");
    let bad = audit().args(["--max-age", "soon"]).run(SOON).await;
    assert_code(&bad, 2);
    assert!(bad.stderr.contains("--max-age"), "{}", bad.stderr);
}
