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
    postgres: &'static [&'static str],
    redis: &'static [&'static str],
    browser: &'static [&'static str],
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
        postgres: &["postgresql"],
        redis: &["redis-server"],
        browser: &["chromium", "chromium-driver"],
        root: true,
        by_hand: "apt-get install",
    },
    Manager {
        program: "dnf",
        before: &[],
        install: &["dnf", "-y", "install"],
        postgres: &["postgresql-server"],
        redis: &["redis"],
        browser: &["chromium", "chromedriver"],
        root: true,
        by_hand: "dnf install",
    },
    Manager {
        program: "apk",
        before: &[],
        install: &["apk", "add", "--no-cache"],
        postgres: &["postgresql"],
        redis: &["redis"],
        browser: &["chromium", "chromium-chromedriver"],
        root: true,
        by_hand: "apk add",
    },
    Manager {
        program: "brew",
        before: &[],
        install: &["brew", "install"],
        postgres: &["postgresql@17"],
        redis: &["redis"],
        browser: &["chromium", "chromedriver"],
        root: false,
        by_hand: "brew install",
    },
];

/// What can be installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    Postgres,
    Redis,
    /// Chromium and its driver.
    Browser,
}

impl Wanted {
    fn name(self) -> &'static str {
        match self {
            Self::Postgres => "PostgreSQL",
            Self::Redis => "Redis",
            Self::Browser => "Chromium and its driver",
        }
    }

    fn is_here(self) -> bool {
        match self {
            Self::Postgres => find::postgres().is_some(),
            Self::Redis => find::redis().is_some(),
            Self::Browser => find::browser(),
        }
    }

    fn packages(self, manager: &Manager) -> &'static [&'static str] {
        match self {
            Self::Postgres => manager.postgres,
            Self::Redis => manager.redis,
            Self::Browser => manager.browser,
        }
    }

    /// What helps where it cannot be installed.
    fn instead(self) -> &'static str {
        match self {
            Self::Postgres => "set BATON_TEST_POSTGRES_URL to a running one",
            Self::Redis => "set BATON_TEST_REDIS_URL to a running one",
            Self::Browser => "put chromium and chromedriver into the PATH",
        }
    }
}

/// Installs those of the wanted programs that are not there.
pub(super) fn missing(wanted: &[Wanted]) -> Result<()> {
    let wanted: Vec<_> = wanted.iter().copied().filter(|wanted| !wanted.is_here()).collect();
    if wanted.is_empty() {
        return Ok(());
    }
    let names = wanted.iter().map(|wanted| wanted.name()).collect::<Vec<_>>().join(", ");
    let Some(manager) = MANAGERS.iter().find(|manager| find::program(manager.program).is_some()) else {
        let instead = wanted.iter().map(|wanted| wanted.instead()).collect::<Vec<_>>().join("; ");
        bail!("missing: {names}, and none of apt-get, dnf, apk and brew is here to install it. Install it, or {instead}");
    };
    eprintln!("==> installing {names} with {}", manager.program);
    for command in &commands(manager, &wanted, Uid::effective().is_root(), stdin().is_terminal()) {
        if !run(command) {
            bail!("could not be installed: {names}. Run `{}`, then try again", by_hand(manager, &wanted));
        }
    }
    if wanted.iter().any(|wanted| !wanted.is_here()) {
        bail!(
            "{} has installed {names}, but the programs are not where they should be: set PATH so that they are found",
            manager.program
        );
    }
    Ok(())
}

fn packages(manager: &Manager, wanted: &[Wanted]) -> impl Iterator<Item = &'static str> {
    wanted.iter().flat_map(|wanted| wanted.packages(manager)).copied()
}

fn commands(manager: &Manager, wanted: &[Wanted], is_root: bool, terminal: bool) -> Vec<Vec<&'static str>> {
    // Where nobody can type a password, sudo is to fail instead of asking for it.
    let prefix: &[&str] = match (manager.root && !is_root, terminal) {
        (false, _) => &[],
        (true, true) => &["sudo"],
        (true, false) => &["sudo", "-n"],
    };
    let install: Vec<_> = manager.install.iter().copied().chain(packages(manager, wanted)).collect();
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

fn by_hand(manager: &Manager, wanted: &[Wanted]) -> String {
    let sudo = manager.root.then_some("sudo");
    let words = [sudo, Some(manager.by_hand)].into_iter().flatten().chain(packages(manager, wanted));
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::Wanted::{Browser, Postgres, Redis};
    use super::*;

    #[test]
    fn only_what_is_missing_is_installed_and_sudo_only_where_it_is_needed() {
        let [apt, dnf, _, brew] = &MANAGERS;
        let as_root = commands(apt, &[Postgres, Redis, Browser], true, false);
        assert_eq!(as_root[0], ["apt-get", "-q", "update"]);
        assert_eq!(as_root.last().unwrap()[0], "env");
        assert!(as_root.last().unwrap().ends_with(&["install", "postgresql", "redis-server", "chromium", "chromium-driver"]));
        assert_eq!(commands(dnf, &[Redis], false, true), [["sudo", "dnf", "-y", "install", "redis"]]);
        assert_eq!(commands(dnf, &[Postgres], false, false), [["sudo", "-n", "dnf", "-y", "install", "postgresql-server"]]);
        assert_eq!(commands(brew, &[Postgres], false, true), [["brew", "install", "postgresql@17"]]);
    }

    #[test]
    fn a_person_is_told_what_to_type() {
        let [apt, _, _, brew] = &MANAGERS;
        assert_eq!(by_hand(apt, &[Postgres, Redis]), "sudo apt-get install postgresql redis-server");
        assert_eq!(by_hand(brew, &[Redis]), "brew install redis");
    }

    #[test]
    fn a_program_that_is_not_there_is_a_failure() {
        assert!(!run(&["no-such-program"]));
        assert!(run(&["true"]));
        assert!(!run(&["false"]));
    }
}
