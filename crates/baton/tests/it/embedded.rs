//! `baton serve` without any setting.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use baton_testkit::{Answer, Program, Receiver};
use serde_json::{Value, json};

use crate::rig::bodies::{http, script, with};
use crate::rig::{Api, Embedded, SOON, refusal};

/// Events as a platform publishes them.
const SAMPLES: &str = include_str!("../../../../xtask/src/demo/events.json");
/// A script that keeps what it got, one event a line, written at once since others run beside it.
const KEEPER: &str = "#!/bin/sh\nset -eu\ntest \"$#\" = 1\ntest -n \"$BATON_EVENT_ID\"\nevent=$(cat)\nprintf '%s\\n' \"$event\" >> \"$1\"\necho kept\n";

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn executable(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

#[tokio::test]
async fn what_is_generated_at_the_first_start_is_private_and_stays() {
    let mut baton = Embedded::start().await;
    let read = |data: &Path| ["admin-token", "secret-key"].map(|name| fs::read_to_string(data.join(name)).unwrap());
    let data = baton.data();
    let generated = read(&data);
    for name in ["admin-token", "secret-key"] {
        assert_eq!(mode(&data.join(name)), 0o600, "{name}");
    }
    assert!(generated.iter().all(|text| text.trim().len() >= 43), "256 bits each");
    // Neither shows in what the program writes.
    assert!(!generated.iter().any(|text| baton.process.output().contains(text.trim())));
    baton.api.get("/v1/handlers").await;

    baton.process.restart().await;
    assert_eq!(read(&data), generated);
    baton.api.get("/v1/handlers").await;
}

#[tokio::test]
async fn a_second_process_on_the_same_folder_is_refused() {
    let baton = Embedded::start().await;
    let said = refusal(Program::named("baton").args(["serve"]).env("BATON_DATA_DIR", baton.data())).await;
    let line = said.trim();
    assert!(line.lines().count() == 1 && line.contains("another baton process") && line.contains("BATON_DATA_DIR"), "{said}");
    baton.api.get("/v1/handlers").await;
}

#[tokio::test]
async fn the_folder_is_named_by_a_variable_or_a_flag() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("deep/baton");
    let mut first = Program::named("baton").args(["serve"]).env("BATON_DATA_DIR", &data).start().await;
    assert_eq!(mode(&data.join("admin-token")), 0o600);
    assert!(!first.dir().join("baton-data").exists());
    let token = fs::read_to_string(data.join("admin-token")).unwrap();
    assert!(first.terminate(SOON).await.success());

    let second = Program::named("baton").args(["serve".as_ref(), "--data-dir".as_ref(), data.as_os_str()]).start().await;
    Api::new(second.url(""), token.trim()).get("/v1/handlers").await;
}

/// The bodies that a receiver's path got, as they came.
fn bodies(receiver: &Receiver, path: &str) -> Vec<String> {
    receiver.calls_at(path).iter().map(|call| String::from_utf8(call.body.to_vec()).unwrap()).collect()
}

/// What handlers get of an event that was published.
fn as_delivered(sample: &Value) -> Value {
    let mut sample = sample.clone();
    if sample["event"]["events_id"] == "clients.custom_fields_update" {
        sample["event"]["events_id"] = json!("clients.custom_fields.update");
    }
    sample
}

#[tokio::test]
async fn sample_events_go_through_http_handlers_and_a_script_in_priority_order() {
    let receiver = Receiver::start().await;
    let baton = Embedded::start().await;
    let log = baton.process.dir().join("script.log");
    fs::write(&log, "").unwrap();
    executable(&baton.data().join("scripts/vcs/keep.sh"), KEEPER);

    // At each call the receiver looks whether the script has run for that event: not before the first handler, but before the third.
    let kept = |log: &Path, body: &[u8]| fs::read_to_string(log).unwrap().lines().any(|line| line.as_bytes() == body);
    for (path, expected) in [("/first", false), ("/third", true)] {
        let log = log.clone();
        receiver.script(
            path,
            move |call| if kept(&log, &call.body) == expected { Answer::ok().body("fine") } else { Answer::status(400) },
        );
    }

    let samples: Vec<Value> = serde_json::from_str(SAMPLES).unwrap();
    let mut types: Vec<String> =
        samples.iter().map(|s| as_delivered(s)["event"]["events_id"].as_str().unwrap().to_owned()).collect();
    types.sort();
    types.dedup();
    assert!(samples.len() >= 15 && types.len() == 15, "{types:?}");
    for event in &types {
        // Created in another order than they are to run in.
        baton.api.create(&with(http("Third", event, receiver.url("/third")), json!({"priority": 3}))).await;
        let keeper = script("Second", event, "vcs/keep.sh", &[log.to_str().unwrap()]);
        baton.api.create(&with(keeper, json!({"priority": 2}))).await;
        baton.api.create(&with(http("First", event, receiver.url("/first")), json!({"priority": 1}))).await;
    }
    let restart = baton.api.restart().await;
    assert_eq!(restart["handlers"], types.len() * 3);

    let mut ids = Vec::new();
    for sample in &samples {
        ids.push(baton.api.publish(sample).await);
    }
    for (id, sample) in ids.iter().zip(&samples) {
        let event = baton.api.finished(id).await;
        assert_eq!((&event["status"], &event["generation"]), (&json!("delivered"), &restart["generation"]), "{event}");
        let executions = event["executions"].as_array().unwrap();
        let ran: Vec<_> = executions.iter().map(|e| (e["priority"].as_u64().unwrap(), e["status"].as_str().unwrap())).collect();
        assert_eq!(ran, [(1, "success"), (2, "success"), (3, "success")], "{sample}");
        assert_eq!(executions[0]["response"]["body"], "fine");
        assert_eq!(
            (&executions[1]["response"]["exit_code"], &executions[1]["response"]["stdout"]),
            (&json!(0), &json!("kept\n"))
        );
    }
    // All three got the same bytes, and these say what was published.
    let script: Vec<String> = fs::read_to_string(&log).unwrap().lines().map(str::to_owned).collect();
    for got in [bodies(&receiver, "/first"), script, bodies(&receiver, "/third")] {
        assert_eq!(got.len(), samples.len());
        let parsed: Vec<Value> = got.iter().map(|text| serde_json::from_str(text).unwrap()).collect();
        for sample in &samples {
            assert!(parsed.contains(&as_delivered(sample)), "{sample}");
        }
    }
    assert!(
        bodies(&receiver, "/first").iter().any(|body| body.contains(r#""credit":250.0"#)),
        "numbers stay as they were written"
    );
}
