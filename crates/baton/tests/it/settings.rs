//! Settings that are missing or wrong.

use std::net::TcpListener;

use baton_testkit::Program;

use crate::rig::refusal;

const POSTGRES: (&str, &str) = ("BATON_DATABASE_URL", "postgres://baton@127.0.0.1:9/baton");
const REDIS: (&str, &str) = ("BATON_REDIS_URL", "redis://127.0.0.1:9");
const KEY: (&str, &str) = ("BATON_SECRET_KEY", "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=");
const TOKEN: (&str, &str) = ("BATON_ADMIN_TOKEN", "token");
const SERVICE: [(&str, &str); 4] = [POSTGRES, REDIS, KEY, TOKEN];

/// What a program says that has a bad setting. The port that it is to listen on is taken: had it tried to bind that, it would say so
/// instead.
async fn told(name: &str, args: &[&str], settings: &[(&str, &str)]) -> String {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let program = Program::named(name).args(args.iter().copied()).env("BATON_LISTEN", taken.local_addr().unwrap().to_string());
    let said = refusal(settings.iter().fold(program, |program, (name, value)| program.env(name, *value))).await;
    assert!(!said.contains("cannot listen"), "{name} bound its port first: {said}");
    said
}

#[tokio::test]
async fn a_bad_value_is_reported_by_the_name_of_its_setting() {
    let bad = [
        ("BATON_DATABASE_URL", "mysql://root@127.0.0.1/baton"),
        ("BATON_DATABASE_URL", "postgres"),
        ("BATON_REDIS_URL", "127.0.0.1:6379"),
        ("BATON_SECRET_KEY", "too-short"),
        ("BATON_SECRET_KEY", ""),
        ("BATON_ADMIN_TOKEN", " "),
        ("BATON_SCRIPT_ROOT", "/no/such/folder"),
        ("BATON_SCRIPT_USER", "no-such-user"),
        ("BATON_SCRIPT_CPU", "long"),
        ("BATON_SCRIPT_MEMORY", "1M"),
        ("BATON_SCRIPT_FILE_SIZE", "huge"),
        ("BATON_SCRIPT_FILES", "3"),
        ("BATON_SCRIPT_PROCESSES", "0"),
        ("BATON_SCRIPT_SANDBOX", "docker"),
        ("BATON_SCRIPT_SUDO", "perhaps"),
        ("BATON_ALLOW_TARGETS", "10.0.0.0/40"),
        ("BATON_ALLOW_TARGETS", "intranet"),
        ("BATON_LOG", "=loud="),
        ("BATON_LOG_FORMAT", "xml"),
    ];
    for (name, value) in bad {
        for (program, args) in [("baton", &["serve"][..]), ("baton-api", &[])] {
            let defaults = if program == "baton" { &[][..] } else { &SERVICE };
            let others = defaults.iter().copied().filter(|(other, _)| *other != name);
            let settings: Vec<_> = others.chain([(name, value)]).collect();
            let said = told(program, args, &settings).await;
            assert!(said.contains(name), "{program} with {name}={value}: {said}");
        }
    }
}

#[tokio::test]
async fn a_missing_setting_of_a_service_is_reported_by_its_name() {
    for program in ["baton-api", "baton-dispatcher", "baton-cache-manager"] {
        let needed = if program == "baton-api" { &SERVICE[..] } else { &SERVICE[..3] };
        for (missing, _) in needed {
            let settings: Vec<_> = SERVICE.iter().copied().filter(|(name, _)| name != missing).collect();
            let said = told(program, &[], &settings).await;
            assert!(said.contains(missing), "{program} without {missing}: {said}");
        }
    }
    // The embedded default generates what is missing; on a database that others share it must not.
    for (missing, settings) in [("BATON_ADMIN_TOKEN", [POSTGRES, KEY]), ("BATON_SECRET_KEY", [POSTGRES, TOKEN])] {
        let said = told("baton", &["serve"], &settings).await;
        assert!(said.contains(missing), "without {missing}: {said}");
    }
}

#[tokio::test]
async fn a_bad_address_and_a_taken_port_are_reported() {
    let said = refusal(Program::named("baton").args(["serve"]).env("BATON_LISTEN", "everywhere")).await;
    assert!(said.contains("BATON_LISTEN"), "{said}");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = taken.local_addr().unwrap().to_string();
    let said = refusal(Program::named("baton").args(["serve"]).env("BATON_LISTEN", &listen)).await;
    assert!(said.contains("BATON_LISTEN") && said.contains(&listen), "{said}");
}

#[tokio::test]
async fn secrets_do_not_show_in_what_a_refusal_says() {
    let url = "postgres://baton:hunter2@127.0.0.1:9/baton";
    for settings in [[("BATON_DATABASE_URL", url), ("BATON_LOG_FORMAT", "xml")], [("BATON_DATABASE_URL", url), TOKEN]] {
        let said = told("baton", &["serve"], &settings).await;
        assert!(!said.contains("hunter2"), "{said}");
    }
}

#[tokio::test]
async fn an_unknown_flag_is_refused_and_help_names_the_settings() {
    let said = refusal(Program::named("baton").args(["serve", "--databse-url", "sqlite:x"])).await;
    assert!(said.contains("--databse-url"), "{said}");
    let help = Program::named("baton").args(["serve", "--help"]).run(crate::rig::SOON).await;
    for (name, _) in SERVICE.iter().chain(&[("BATON_LISTEN", ""), ("BATON_SCRIPT_ROOT", ""), ("BATON_ALLOW_TARGETS", "")]) {
        assert!(help.stdout.contains(name), "{name} in {}", help.stdout);
    }
}
