//! The scripts of the documentation, as they are printed.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use crate::rig::Embedded;
use crate::rig::bodies::{event, script};
use crate::rig::page::printed;

#[tokio::test]
async fn the_scripts_of_the_documentation_are_handlers_as_they_are() {
    let baton = Embedded::start().await;
    for (name, line) in [("open-account.sh", "# open-account.sh:"), ("block.py", "import json, os, sys")] {
        let path = baton.data().join("scripts").join(name);
        fs::write(&path, printed(line)).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
    }
    let bash = script("Bash", "clients.create", "open-account.sh", &["pbx1.lan"]);
    let python = script("Python", "clients.balance_zero", "block.py", &[]);
    let [_, python] = baton.api.create_live([bash, python]).await[..] else { panic!("two handlers") };
    let ends = async |events_id: &str, data: Value| {
        let ended = baton.api.finished(&baton.api.publish(&event(events_id, 4107, data)).await).await;
        let said = ended["executions"][0]["response"].clone();
        (ended["status"].as_str().unwrap().to_owned(), said, ended["id"].as_str().unwrap().to_owned())
    };

    let (status, said, _) = ends("clients.create", json!({"name": "O'Hara – 電話"})).await;
    assert_eq!((status.as_str(), &said["exit_code"]), ("delivered", &json!(0)), "{said}");
    assert_eq!(said["stdout"], "open account of 'O'Hara – 電話' (client 4107) on pbx1.lan, attempt 1\n");

    let (status, said, _) = ends("clients.create", json!({})).await;
    assert_eq!((status.as_str(), &said["exit_code"], &said["stderr"]), ("failed", &json!(65), &json!("no name in the event\n")));

    let (status, said, id) = ends("clients.balance_zero", json!({})).await;
    assert_eq!((status.as_str(), &said["stdout"]), ("delivered", &json!(format!("block client 4107 ({id}-{python})\n"))));
}
