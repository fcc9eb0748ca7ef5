//! Installing what is missing through the system's package manager.

use std::io::{IsTerminal, stdin};
use std::process::{Command, Stdio};

use anyhow::{Result, bail};
use nix::unistd::Uid;

use super::find;

/// A package manager and what it calls things.
struct Manager {
    program: &'static str,
    /// Commands that are run before it.
    before: &'static [&'static [&'static str]],
    install: &'static [&'static str],
    postgres: &'static str,
    redis: &'static str,
    /// Whether it wants to be root; brew refuses to be.
    root: bool,
    /// What a person would type, before the packages.
    by_hand: &'static str,
}

/// Debian's package makes and starts a cluster at its installation unless this file says otherwise; nobody asked for one.
const NO_CLUSTER: &str = "test -e /etc/postgresql-common/createcluster.conf || \
     { mkdir -p /etc/postgresql-common && echo 'create_main_cluster = false' > /etc/postgresql-common/createcluster.conf; }";

const MANAGERS: [Manager; 4] = [
    Manager {
        program: "apt-get",
        before: &[&["apt-get", "-q", "update"], &["sh", "-c", NO_CLUSTER]],
        install: &[
            "env",
            "DEBIAN_FRONTEND=noninteractive",
            "UCF_FORCE_CONFFOLD=1",
            "apt-get",
            "-q",
            "-y",
            "-o",
            "Dpkg::Options::=--force-confold",
            "-o",
            "DPkg::Lock::Timeout=120",
            "--no-install-recommends",
            "install",
        ],
        postgres: "postgresql",
        redis: "redis-server",
        root: true,
        by_hand: "apt-get install",
    },
    Manager {
        program: "dnf",
        before: &[],
        install: &["dnf", "-y", "install"],
        postgres: "postgresql-server",
        redis: "redis",
        root: true,
        by_hand: "dnf install",
    },
    Manager {
        program: "apk",
        before: &[],
        install: &["apk", "add", "--no-cache"],
        postgres: "postgresql",
        redis: "redis",
        root: true,
        by_hand: "apk add",
    },
    Manager {
        program: "brew",
        before: &[],
        install: &["brew", "install"],
        postgres: "postgresql@17",
        redis: "redis",
        root: false,
        by_hand: "brew install",
    },
];

/// Installs those of the wanted programs that are not there.
pub(super) fn missing(postgres: bool, redis: bool) -> Result<()> {
    let postgres = postgres && find::postgres().is_none();
    let redis = redis && find::redis().is_none();
    if !postgres && !redis {
        return Ok(());
    }
    let wanted = match (postgres, redis) {
        (true, true) => "PostgreSQL and Redis",
        (true, false) => "PostgreSQL",
        (false, _) => "Redis",
    };
    let Some(manager) = MANAGERS.iter().find(|manager| find::program(manager.program).is_some()) else {
        bail!(
            "{wanted} must be installed, and none of apt-get, dnf, apk and brew is here to do it. \
             Install them, or set BATON_TEST_POSTGRES_URL and BATON_TEST_REDIS_URL to running ones"
        );
    };
    eprintln!("==> installing {wanted} with {}", manager.program);
    let commands = commands(manager, postgres, redis, Uid::effective().is_root(), stdin().is_terminal());
    for command in &commands {
        if !run(command) {
            bail!("{wanted} could not be installed. Run `{}`, then try again", by_hand(manager, postgres, redis));
        }
    }
    if (postgres && find::postgres().is_none()) || (redis && find::redis().is_none()) {
        bail!(
            "{} has installed {wanted}, but the programs are not where they should be: set PATH so that they are found",
            manager.program
        );
    }
    Ok(())
}

fn commands(manager: &Manager, postgres: bool, redis: bool, is_root: bool, terminal: bool) -> Vec<Vec<&'static str>> {
    // Where nobody can type a password, sudo is to fail instead of asking for it.
    let prefix: &[&str] = match (manager.root && !is_root, terminal) {
        (false, _) => &[],
        (true, true) => &["sudo"],
        (true, false) => &["sudo", "-n"],
    };
    let mut install = manager.install.to_vec();
    install.extend(postgres.then_some(manager.postgres));
    install.extend(redis.then_some(manager.redis));
    let before = manager.before.iter().map(|command| command.to_vec());
    before.chain([install]).map(|command| [prefix, &command].concat()).collect()
}

/// Not in a group of its own: sudo may have to ask on the terminal. Its output goes to stderr, since stdout belongs to the command.
fn run(words: &[&str]) -> bool {
    let [program, args @ ..] = words else { return false };
    let mut command = Command::new(program);
    if !stdin().is_terminal() {
        command.stdin(Stdio::null());
    }
    command.args(args).stdout(std::io::stderr()).status().is_ok_and(|status| status.success())
}

fn by_hand(manager: &Manager, postgres: bool, redis: bool) -> String {
    let sudo = manager.root.then_some("sudo");
    let packages = [postgres.then_some(manager.postgres), redis.then_some(manager.redis)];
    let words = [sudo, Some(manager.by_hand)].into_iter().chain(packages).flatten();
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_missing_is_installed_and_sudo_only_where_it_is_needed() {
        let [apt, dnf, _, brew] = &MANAGERS;
        let as_root = commands(apt, true, true, true, false);
        assert_eq!(as_root[0], ["apt-get", "-q", "update"]);
        assert_eq!(as_root.last().unwrap()[0], "env");
        assert!(as_root.last().unwrap().ends_with(&["install", "postgresql", "redis-server"]));
        assert_eq!(commands(dnf, false, true, false, true), [["sudo", "dnf", "-y", "install", "redis"]]);
        assert_eq!(commands(dnf, true, false, false, false), [["sudo", "-n", "dnf", "-y", "install", "postgresql-server"]]);
        assert_eq!(commands(brew, true, false, false, true), [["brew", "install", "postgresql@17"]]);
    }

    #[test]
    fn a_person_is_told_what_to_type() {
        let [apt, _, _, brew] = &MANAGERS;
        assert_eq!(by_hand(apt, true, true), "sudo apt-get install postgresql redis-server");
        assert_eq!(by_hand(brew, false, true), "brew install redis");
    }

    #[test]
    fn a_program_that_is_not_there_is_a_failure() {
        assert!(!run(&["no-such-program"]));
        assert!(run(&["true"]));
        assert!(!run(&["false"]));
    }
}
