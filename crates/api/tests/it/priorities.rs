//! Priorities of several handlers at once.

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::app::{TestApp, on_both};

const PATH: &str = "/v1/handlers/priorities";
const URL: &str = "http://127.0.0.1:5000/api";

/// Priority and version of each handler.
async fn stored(app: &TestApp, ids: &[Value]) -> Vec<(Value, Value)> {
    let mut stored = Vec::new();
    for id in ids {
        let handler = app.get(&format!("/v1/handlers/{id}")).await.ok();
        stored.push((handler["priority"].clone(), handler["version"].clone()));
    }
    stored
}

async fn three(app: &TestApp) -> Vec<Value> {
    let mut ids = Vec::new();
    for priority in [10, 20, 30] {
        ids.push(app.handler(URL, json!({"priority": priority})).await["id"].clone());
    }
    ids
}

fn to(id: &Value, priority: i64, version: i64) -> Value {
    json!({"id": id, "priority": priority, "version": version})
}

on_both! {
    async fn an_order_is_changed_whole(app) {
        let ids = three(&app).await;
        let archived = app.handler(URL, json!({"status": "archived"})).await["id"].clone();
        let answer = app.post(PATH, &json!({"handlers": [to(&ids[2], 5, 1), to(&ids[0], 65535, 1), to(&archived, 1, 1)]})).await.ok();
        let expected = json!({"handlers": [to(&ids[2], 5, 2), to(&ids[0], 65535, 2), to(&archived, 1, 2)]});
        assert_eq!(answer, expected);
        let shown = |priority: i64, version: i64| (json!(priority), json!(version));
        assert_eq!(stored(&app, &ids).await, [shown(65535, 2), shown(20, 1), shown(5, 2)]);
        let live: Vec<_> = app.get("/v1/handlers").await.ok()["items"].as_array().unwrap().iter().map(|of| of["live"].clone()).collect();
        assert_eq!(live, ["new", "new", "new"], "it goes live with a restart and not before");
    }
}

on_both! {
    async fn nothing_is_changed_when_others_were_faster(app) {
        let ids = three(&app).await;
        app.patch(&format!("/v1/handlers/{}", ids[1]), &json!({"notes": "n"})).await.ok();
        let gone = app.handler(URL, json!({})).await["id"].clone();
        app.delete(&format!("/v1/handlers/{gone}")).await;
        let before = stored(&app, &ids).await;
        let body = json!({"handlers": [to(&ids[0], 1, 1), to(&gone, 2, 1), to(&ids[1], 3, 1), to(&ids[2], 4, 1)]});
        let problem = app.post(PATH, &body).await.problem(412, "version_mismatch");
        let expected = json!([
            {"field": "handlers[1].id", "message": format!("there is no handler {gone}")},
            {"field": "handlers[2].version", "message": format!("the stored version of handler {} is 2", ids[1])},
        ]);
        assert_eq!(problem["errors"], expected);
        assert_eq!(stored(&app, &ids).await, before);
    }
}

#[tokio::test]
async fn what_is_wrong_is_named_field_by_field() {
    let app = TestApp::sqlite().await;
    let ids = three(&app).await;
    let before = stored(&app, &ids).await;
    let refused = async |handlers: Value| app.post(PATH, &json!({"handlers": handlers})).await.refused();
    assert_eq!(refused(json!([])).await, ["handlers"]);
    let many: Vec<_> = (1..=2001).map(|id| to(&json!(id), 1, 1)).collect();
    assert_eq!(refused(json!(many)).await, ["handlers"]);
    for priority in [0, -1, 65_536, i64::MAX] {
        assert_eq!(refused(json!([to(&ids[0], 1, 1), to(&ids[1], priority, 1)])).await, ["handlers[1].priority"], "{priority}");
    }
    let all = json!([to(&ids[0], 1, 1), to(&ids[0], 2, 1), to(&json!(0), 70_000, 0)]);
    assert_eq!(refused(all).await, ["handlers[1].id", "handlers[2].id", "handlers[2].version", "handlers[2].priority"]);
    for (body, field) in [
        (json!({}), "handlers"),
        (json!({"handlers": [{"id": ids[0], "priority": 1}]}), "handlers[0].version"),
        (json!({"handlers": [{"id": ids[0], "priority": 1.5, "version": 1}]}), "handlers[0].priority"),
        (json!({"handlers": [{"id": ids[0], "priority": 1, "version": 1, "name": "x"}]}), "handlers[0].name"),
        (json!({"handlers": [[1, 2, 3]]}), "handlers[0]"),
    ] {
        assert_eq!(app.post(PATH, &body).await.refused(), [field], "{body}");
    }
    app.post_text(PATH, "[").await.problem(400, "bad_json");
    assert_eq!(app.get(PATH).await.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(stored(&app, &ids).await, before);
}
