//! `baton-cache-manager restart`, the one-shot command.

use std::time::{Duration, Instant};

use baton_testkit::{Finished, Program, free_port};
use serde_json::{Value, json};

use crate::rig::bodies::{http, with};
use crate::rig::{Installation, SOON, Services, refusal};

async fn restart(installation: &Installation) -> Finished {
    installation.program("baton-cache-manager").args(["restart"]).run(SOON).await
}

/// The numbers of a text, in order.
fn numbers(text: &str) -> Vec<i64> {
    text.split(|c: char| !c.is_ascii_digit()).filter_map(|word| word.parse().ok()).collect()
}

#[tokio::test]
async fn it_prints_generation_handlers_changes_and_duration() {
    let services = Services::start(Installation::new().await, 0).await;
    let api = &services.api;
    let handler = |name: &str| with(http(name, "clients.create", "http://127.0.0.1:9/hook"), json!({"priority": 10}));
    let (kept, gone) = (api.create(&handler("Kept")).await, api.create(&handler("Gone")).await);

    let first = restart(&services.installation).await;
    assert!(first.status.success(), "{}", first.stderr);
    let cache = api.cache().await;
    let line = first.stdout.lines().next().unwrap();
    let [generation, handlers, took_ms] = numbers(line)[..] else { panic!("three numbers: {line}") };
    assert_eq!((json!(generation), json!(handlers)), (cache["generation"].clone(), json!(2)), "{line}");
    assert!(line.contains("Generation") && line.contains("handlers") && line.contains("ms") && took_ms < 20_000, "{line}");
    let mut changes: Vec<_> = first.stdout.lines().skip(1).map(str::trim).collect();
    changes.sort_unstable();
    assert_eq!(changes, [format!("+ #{kept} Kept"), format!("+ #{gone} Gone")]);

    api.edit(kept, &json!({"priority": 3})).await;
    api.edit(gone, &json!({"status": "archived"})).await;
    let new = api.create(&handler("New")).await;
    let second = restart(&services.installation).await;
    let said = &second.stdout;
    assert_eq!(numbers(said.lines().next().unwrap())[..2], [generation + 1, 2], "{said}");
    for change in [format!("+ #{new} New"), format!("- #{gone} Gone"), format!("~ #{kept} Kept: priority 10 -> 3")] {
        assert!(said.lines().any(|line| line.trim() == change), "{change} in {said}");
    }

    let third = restart(&services.installation).await;
    assert!(
        third.stdout.contains(&format!("Generation {}", generation + 2)) && third.stdout.contains("Nothing changed"),
        "{}",
        third.stdout
    );
}

#[tokio::test]
async fn it_prints_json_for_scripts() {
    let services = Services::start(Installation::new().await, 0).await;
    let id = services.api.create(&http("New", "clients.create", "http://127.0.0.1:9/hook")).await;
    let ended = services.installation.program("baton-cache-manager").args(["restart", "--json"]).run(SOON).await;
    let result: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!((&result["handlers"], &result["changes"]["added"]), (&json!(1), &json!([{"id": id, "name": "New"}])), "{result}");
    assert_eq!(result["generation"], services.api.cache().await["generation"]);
}

#[tokio::test]
async fn without_a_cache_manager_it_fails() {
    let installation = Installation::new().await;
    let command = || installation.program("baton-cache-manager").args(["restart", "--wait", "1"]);
    // Before there was one, after it was stopped, and after it was killed.
    let said = refusal(command()).await;
    assert!(said.contains("no Cache Manager is running"), "{said}");

    let mut manager = installation.start("baton-cache-manager").await;
    assert!(manager.terminate(SOON).await.success());
    let said = refusal(command()).await;
    assert!(said.contains("no Cache Manager is running"), "{said}");

    manager.restart().await;
    manager.kill9();
    let said = refusal(command()).await;
    assert!(said.contains("no Cache Manager is running") || said.contains("not done after 1 s"), "{said}");
}

#[tokio::test]
async fn without_a_database_it_fails_in_time() {
    let installation =
        Installation::new().await.set("BATON_DATABASE_URL", format!("postgres://baton@127.0.0.1:{}/baton", free_port()));
    let start = Instant::now();
    let said = refusal(installation.program("baton-cache-manager").args(["restart", "--wait", "2"])).await;
    assert!(said.contains("database") && said.trim().lines().count() < 6, "{said}");
    assert!((Duration::from_secs(1)..Duration::from_secs(8)).contains(&start.elapsed()), "{:?}", start.elapsed());
}

#[tokio::test]
async fn without_a_setting_it_names_the_setting() {
    let all = [
        ("BATON_DATABASE_URL", "postgres://baton@127.0.0.1:9/baton"),
        ("BATON_REDIS_URL", "redis://127.0.0.1:9"),
        ("BATON_SECRET_KEY", "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="),
    ];
    for (missing, _) in all {
        let others = all.iter().filter(|(name, _)| *name != missing);
        let program = others.fold(Program::named("baton-cache-manager"), |program, (name, value)| program.env(name, *value));
        let said = refusal(program.args(["restart", "--wait", "2"])).await;
        assert!(said.contains(missing) && said.trim().lines().count() == 1, "{missing}: {said}");
    }
}

#[tokio::test]
async fn a_build_that_fails_is_told() {
    let services = Services::start(Installation::new().await, 0).await;
    let signed = with(http("Signed", "clients.create", "http://127.0.0.1:9/hook"), json!({"secret": "generate"}));
    services.api.create(&signed).await;
    let before = services.api.cache().await;
    let Services { cache_manager, installation, api, api_process, .. } = services;
    drop(cache_manager);
    // A Cache Manager with another key cannot open what was saved.
    let installation = installation.set("BATON_SECRET_KEY", "ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA=");
    let _other = installation.start("baton-cache-manager").await;
    let said = refusal(installation.program("baton-cache-manager").args(["restart"])).await;
    assert!(said.contains("Signed") && said.contains("secret") && said.contains("BATON_SECRET_KEY"), "{said}");
    let after = api.cache().await;
    assert_eq!((&after["generation"], &after["checksum"]), (&before["generation"], &before["checksum"]));
    drop(api_process);
}
