//! PostgreSQL and Redis that are made for one run and thrown away after it.

mod find;
mod install;
mod postgres;
pub(crate) mod ready;
mod redis;

use std::fs;
use std::path::Path;

use anyhow::{Result, bail};

use self::install::Wanted;
use self::postgres::Postgres;
use self::redis::Redis;
use crate::children::Running;
use crate::interrupt::Interrupt;

const POSTGRES_URL: &str = "BATON_TEST_POSTGRES_URL";
const REDIS_URL: &str = "BATON_TEST_REDIS_URL";

/// A service of ours, or somebody else's that a variable names.
enum Service<T> {
    Own(T),
    Given(String),
}

/// What tests and programs need, ended when dropped.
pub(crate) struct Services {
    postgres: Service<Postgres>,
    redis: Service<Redis>,
}

impl Services {
    /// Uses those that the variables name and starts the others, after installing what is missing, the tests' browser included.
    pub(crate) fn for_tests(interrupt: &Interrupt) -> Result<Self> {
        install::missing(&[Wanted::Browser])?;
        Self::beside(interrupt, given(POSTGRES_URL), given(REDIS_URL))
    }

    /// Starts both, after installing what is missing.
    pub(crate) fn start(interrupt: &Interrupt) -> Result<Self> {
        Self::beside(interrupt, None, None)
    }

    fn beside(interrupt: &Interrupt, postgres: Option<String>, redis: Option<String>) -> Result<Self> {
        let wanted = [(Wanted::Postgres, postgres.is_none()), (Wanted::Redis, redis.is_none())];
        let wanted: Vec<_> = wanted.iter().filter(|(_, is)| *is).map(|(wanted, _)| *wanted).collect();
        install::missing(&wanted)?;
        interrupt.check()?;
        let postgres = match postgres {
            Some(url) => Service::Given(url),
            None => Service::Own(Postgres::start(interrupt)?),
        };
        let redis = match redis {
            Some(url) => Service::Given(url),
            None => Service::Own(Redis::start(interrupt)?),
        };
        let services = Self { postgres, redis };
        eprintln!(
            "==> PostgreSQL at {}, Redis at {}",
            without_password(&services.postgres_url()),
            without_password(&services.redis_url())
        );
        Ok(services)
    }

    /// `postgres://…` of a database that is empty at the start, unless it is somebody else's.
    pub(crate) fn postgres_url(&self) -> String {
        match &self.postgres {
            Service::Own(postgres) => postgres.url(),
            Service::Given(url) => url.clone(),
        }
    }

    /// `redis://…`
    pub(crate) fn redis_url(&self) -> String {
        match &self.redis {
            Service::Own(redis) => redis.url(),
            Service::Given(url) => url.clone(),
        }
    }

    /// What tests look for in their environment.
    pub(crate) fn variables(&self) -> [(&'static str, String); 2] {
        [(POSTGRES_URL, self.postgres_url()), (REDIS_URL, self.redis_url())]
    }

    /// An error when one of ours has ended.
    pub(crate) fn check(&mut self) -> Result<()> {
        if let Service::Own(postgres) = &mut self.postgres {
            postgres.check()?;
        }
        if let Service::Own(redis) = &mut self.redis {
            redis.check()?;
        }
        Ok(())
    }
}

/// Installs PostgreSQL and Redis where they are missing.
pub(crate) fn install_missing() -> Result<()> {
    install::missing(&[Wanted::Postgres, Wanted::Redis])
}

fn given(variable: &str) -> Option<String> {
    std::env::var(variable).ok().filter(|url| !url.is_empty())
}

/// A URL that can be shown.
fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    match rest.rsplit_once('@') {
        Some((user, host)) => format!("{scheme}://{}@{host}", user.split(':').next().unwrap_or_default()),
        None => url.to_owned(),
    }
}

/// An error, with the end of its log, when a service has ended.
fn still_running(server: &mut Running, log: &Path) -> Result<()> {
    match server.ended()? {
        None => Ok(()),
        Some(status) => bail!("{} ended ({status}):\n{}", server.name(), tail(log)),
    }
}

/// The last lines of a log.
pub(crate) fn tail(log: &Path) -> String {
    const LINES: usize = 20;
    let text = String::from_utf8_lossy(&fs::read(log).unwrap_or_default()).into_owned();
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::without_password;

    #[test]
    fn passwords_are_not_shown() {
        assert_eq!(without_password("postgres://baton:s3:cr@t@db:5432/x"), "postgres://baton@db:5432/x");
        assert_eq!(without_password("redis://127.0.0.1:6379"), "redis://127.0.0.1:6379");
    }
}
