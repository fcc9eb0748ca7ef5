//! `baton-cache-manager` as a program.

use std::time::Duration;

use baton_storage::{NewHandler, Vault};
use baton_testkit::{Finished, Process, Program, TestRedis};

use crate::fixture::{SOON, Site, handler};

const END: Duration = Duration::from_secs(20);

/// The program with the settings of an installation.
struct Installed {
    site: Site,
    redis: TestRedis,
    key: String,
}

impl Installed {
    async fn new() -> Self {
        Self { site: Site::postgres().await, redis: TestRedis::shared(), key: Vault::generate_key() }
    }

    fn program(&self) -> Program {
        program()
            .env("BATON_DATABASE_URL", self.site.database_url())
            .env("BATON_REDIS_URL", self.redis.url())
            .env("BATON_REDIS_PREFIX", self.redis.prefix())
            .env("BATON_SECRET_KEY", &self.key)
    }

    async fn service(&self) -> Process {
        let service = self.program().env("BATON_NAME", "manager-1").start().await;
        self.site.live(1).await;
        service
    }

    async fn restart(&self, args: &[&str]) -> Finished {
        self.program().args(["restart"]).args(args).run(END).await
    }
}

fn program() -> Program {
    Program::named("baton-cache-manager")
}

/// What a program says that ends at once with an error.
async fn refused(program: Program) -> String {
    let Finished { status, stdout, stderr } = program.run(END).await;
    assert_eq!((status.code(), stdout.as_str()), (Some(1), ""), "{stderr}");
    stderr
}

#[tokio::test]
async fn a_setting_that_is_missing_is_named() {
    let settings = [
        ("BATON_DATABASE_URL", "postgres://baton@127.0.0.1:1/baton".to_owned()),
        ("BATON_REDIS_URL", "redis://127.0.0.1:1".to_owned()),
        ("BATON_SECRET_KEY", Vault::generate_key()),
    ];
    for command in [&[][..], &["restart"]] {
        for (missing, _) in &settings {
            let set = settings.iter().filter(|(name, _)| name != missing);
            let program = set.fold(program().args(command), |program, (name, value)| program.env(name, value));
            let said = refused(program).await;
            assert!(said.contains(&format!("{missing} is not set")), "{said}");
        }
    }
}

#[tokio::test]
async fn a_setting_that_cannot_be_used_is_named() {
    let installed = Installed::new().await;
    let said = refused(installed.program().env("BATON_SECRET_KEY", "short")).await;
    assert!(said.contains("BATON_SECRET_KEY") && said.contains("32 bytes"), "{said}");
    // Those that are wrong by their form alone are refused with the usage.
    for (name, value) in [("BATON_DATABASE_URL", "mysql://x"), ("BATON_REDIS_URL", "localhost:6379"), ("BATON_LISTEN", "here")] {
        let ended = installed.program().env(name, value).run(END).await;
        assert_eq!(ended.status.code(), Some(2), "{}", ended.stderr);
        assert!(ended.stderr.contains(name), "{}", ended.stderr);
    }
    for arguments in [&["dance"][..], &["restart", "--wait", "0"], &["restart", "--wait", "x"]] {
        let ended = installed.program().args(arguments).run(END).await;
        assert_eq!(ended.status.code(), Some(2), "{}", ended.stderr);
    }
}

#[tokio::test]
async fn secrets_do_not_show_in_what_it_says() {
    let said = program()
        .env("BATON_DATABASE_URL", "postgres://baton:hunter2@127.0.0.1:1/baton")
        .env("BATON_REDIS_URL", "redis://:hunter2@127.0.0.1:1")
        .env("BATON_SECRET_KEY", "hunter2")
        .run(END)
        .await;
    assert!(!said.stderr.contains("hunter2"), "{}", said.stderr);
    let help = program().env("BATON_SECRET_KEY", "hunter2").args(["--help"]).run(END).await;
    assert!(help.status.success() && help.stdout.contains("BATON_SECRET_KEY"));
    assert!(!help.stdout.contains("hunter2"), "{}", help.stdout);
}

#[tokio::test]
async fn a_restart_needs_a_cache_manager_that_runs() {
    let installed = Installed::new().await;
    let said = refused(installed.program().args(["restart"])).await;
    assert!(said.contains("no Cache Manager is running"), "{said}");
    let runs = installed.site.store.last_runs(baton_cache_manager::SERVICE).await.unwrap();
    assert_eq!(runs.queued, None, "nothing was asked for");
}

#[tokio::test]
async fn a_restart_prints_what_changed() {
    let installed = Installed::new().await;
    let edited = installed.site.create(handler("crm", 10)).await;
    let mut service = installed.service().await;
    assert_eq!(installed.site.instances().await[0].name, "manager-1");

    let mut edit = edited.clone();
    edit.spec.priority = 20;
    installed.site.update(&edit).await;
    installed.site.create(handler("billing", 30)).await;
    let ended = installed.restart(&[]).await;
    assert!(ended.status.success(), "{}", ended.stderr);
    let lines: Vec<_> = ended.stdout.lines().collect();
    assert!(lines[0].starts_with("Generation 2 is live: 2 handlers, built in "), "{lines:?}");
    assert_eq!(lines[1..], ["  + #2 billing", "  ~ #1 crm: priority 10 -> 20"]);

    let ended = installed.restart(&["--json"]).await;
    let result: baton_cache_manager::RestartResult = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!((result.generation.0, result.handlers), (3, 2));
    assert!(installed.restart(&[]).await.stdout.ends_with("Nothing changed.\n"));

    assert!(installed_health(&service).await.status.success());
    assert!(service.terminate(SOON).await.success());
    assert!(installed.site.instances().await.is_empty(), "it said goodbye");
    assert_eq!(installed_health(&service).await.status.code(), Some(1));
}

async fn installed_health(service: &Process) -> Finished {
    program().env("BATON_LISTEN", service.address().to_string()).args(["healthcheck"]).run(END).await
}

#[tokio::test]
async fn a_restart_that_fails_says_why() {
    let installed = Installed::new().await;
    let _service = installed.service().await;
    installed.site.create(NewHandler { event: "orders.create".into(), ..handler("orders", 10) }).await;
    let said = refused(installed.program().args(["restart"])).await;
    assert!(said.contains("the restart failed") && said.contains("orders.create"), "{said}");
    assert_eq!(installed.site.generations().await.len(), 1);
}

#[tokio::test]
async fn a_restart_that_takes_too_long_says_so_and_goes_on() {
    let installed = Installed::new().await;
    let service = installed.service().await;
    service.stop();
    let said = refused(installed.program().args(["restart", "--wait", "2"])).await;
    assert!(said.contains("not done after 2 s") && said.contains("it goes on"), "{said}");
    service.cont();
    installed.site.live(2).await;
}

#[tokio::test]
async fn a_killed_cache_manager_leaves_what_is_live_as_it_is() {
    let installed = Installed::new().await;
    installed.site.create(handler("a", 10)).await;
    let mut service = installed.service().await;
    installed.site.create(handler("b", 10)).await;
    service.kill9();
    service.restart().await;
    let live = installed.site.cache.refresh().await.unwrap().unwrap();
    assert_eq!((live.number.0, live.handlers().len()), (1, 1));
    let ended = installed.restart(&[]).await;
    assert!(ended.stdout.contains("Generation 2 is live: 2 handlers"), "{}{}", ended.stdout, ended.stderr);
}
