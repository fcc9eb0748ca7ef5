//! Settings: flags and environment variables of the same name. They are read once and checked whole; a bad one is reported by its name
//! before any port is bound. Each program flattens the groups that it needs into its own command line.

mod age;
mod scripts;

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, ValueEnum};
use ipnet::IpNet;

pub use self::age::{Age, CleanArgs, CleanEveryArgs};
pub use self::scripts::{ScriptArgs, ScriptSandbox, Size, Switch};

/// A value that must not show in logs: its `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Hides a value.
    #[must_use]
    pub fn new(value: String) -> Self {
        Self(value)
    }

    /// The value itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl FromStr for Secret {
    type Err = String;

    fn from_str(value: &str) -> Result<Self, String> {
        if value.trim().is_empty() {
            return Err("must not be empty".into());
        }
        Ok(Self(value.trim().to_owned()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[hidden]")
    }
}

/// How the program is known among others of its kind.
#[derive(Debug, Clone, Args)]
pub struct NameArgs {
    /// How this process is known in the Task Scheduler; the host's name when not given.
    #[arg(long, env = "BATON_NAME", value_name = "BATON_NAME")]
    pub name: Option<String>,
}

impl NameArgs {
    /// The name that is set, or the host's.
    #[must_use]
    pub fn or_host(&self) -> String {
        let host = || std::fs::read_to_string("/proc/sys/kernel/hostname").ok().map(|name| name.trim().to_owned());
        self.name.clone().or_else(host).unwrap_or_else(|| "unnamed".into())
    }
}

/// Where the program listens.
#[derive(Debug, Clone, Args)]
pub struct ListenArgs {
    /// Address and port to listen on.
    #[arg(long, env = "BATON_LISTEN", value_name = "BATON_LISTEN", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
}

/// A `sqlite:` or `postgres:` URL. May hold a password, so its `Debug` hides it.
#[derive(Debug, Clone)]
pub struct DatabaseUrl(Secret);

impl DatabaseUrl {
    /// The URL itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    /// Whether it names a PostgreSQL database.
    #[must_use]
    pub fn is_postgres(&self) -> bool {
        self.0.expose().starts_with("postgres")
    }
}

impl FromStr for DatabaseUrl {
    type Err = String;

    fn from_str(value: &str) -> Result<Self, String> {
        match value.split_once(':') {
            Some(("sqlite", rest)) if !rest.is_empty() => Ok(Self(Secret(value.into()))),
            Some(("postgres" | "postgresql", rest)) if rest.starts_with("//") => Ok(Self(Secret(value.into()))),
            _ => Err("must be sqlite:PATH or postgres://user:password@host:port/database".into()),
        }
    }
}

/// The database and what opens the secrets in it.
#[derive(Debug, Clone, Args)]
pub struct DatabaseArgs {
    /// The database: sqlite:PATH or postgres://user:password@host:port/database.
    #[arg(long, env = "BATON_DATABASE_URL", value_name = "BATON_DATABASE_URL", hide_env_values = true)]
    pub database_url: Option<DatabaseUrl>,

    /// How many connections to the database the program may hold.
    #[arg(long, env = "BATON_DATABASE_CONNECTIONS", value_name = "BATON_DATABASE_CONNECTIONS", default_value_t = 10,
          value_parser = clap::value_parser!(u32).range(2..=500))]
    pub database_connections: u32,
}

/// The key of the secrets at rest.
#[derive(Debug, Clone, Args)]
pub struct SecretKeyArgs {
    /// Encrypts handlers' secrets and header values at rest: 32 random bytes in base64. The same for all programs of an installation.
    #[arg(long, env = "BATON_SECRET_KEY", value_name = "BATON_SECRET_KEY", hide_env_values = true)]
    pub secret_key: Option<Secret>,

    /// Keys that open what was sealed with them but seal nothing, separated by commas: while the key is being changed (`baton rekey`).
    #[arg(
        long,
        env = "BATON_SECRET_KEYS_BEFORE",
        value_name = "BATON_SECRET_KEYS_BEFORE",
        hide_env_values = true,
        default_value = ""
    )]
    pub secret_keys_before: Secrets,
}

/// A list of secrets; empty for none.
#[derive(Debug, Clone, Default)]
pub struct Secrets(pub Vec<Secret>);

impl FromStr for Secrets {
    type Err = std::convert::Infallible;

    fn from_str(value: &str) -> Result<Self, Self::Err> {
        let items = value.split(',').map(str::trim).filter(|item| !item.is_empty());
        Ok(Self(items.map(|item| Secret::new(item.to_owned())).collect()))
    }
}

/// What clients of the API prove themselves with.
#[derive(Debug, Clone, Args)]
pub struct AdminArgs {
    /// The token of the API. The embedded default makes one at its first start, in baton-data/admin-token.
    #[arg(long, env = "BATON_ADMIN_TOKEN", value_name = "BATON_ADMIN_TOKEN", hide_env_values = true, value_parser = admin_token)]
    pub admin_token: Option<Secret>,
}

/// A token travels in a header.
fn admin_token(value: &str) -> Result<Secret, String> {
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(Secret(value.into()))
    } else {
        Err("must be visible ASCII characters without spaces".into())
    }
}

/// The Redis that carries generations and hints between the programs.
#[derive(Debug, Clone, Args)]
pub struct RedisArgs {
    /// The Redis that carries generations and hints between programs: redis://host:port/database.
    #[arg(long, env = "BATON_REDIS_URL", value_name = "BATON_REDIS_URL", hide_env_values = true, value_parser = redis_url)]
    pub redis_url: Option<Secret>,

    /// What the names of keys and channels in Redis begin with, where several installations share one.
    #[arg(long, env = "BATON_REDIS_PREFIX", value_name = "BATON_REDIS_PREFIX", default_value = "baton")]
    pub redis_prefix: String,
}

fn redis_url(value: &str) -> Result<Secret, String> {
    if ["redis://", "redis+unix://", "unix://"].iter().any(|scheme| value.starts_with(scheme)) {
        Ok(Secret(value.into()))
    } else {
        Err("must be redis://host:port/database".into())
    }
}

/// How much may wait to be delivered.
#[derive(Debug, Clone, Args)]
pub struct BacklogArgs {
    /// How many events may be unfinished: with more, publishers get 503 until handlers have caught up.
    #[arg(long, env = "BATON_BACKLOG_MAX", value_name = "BATON_BACKLOG_MAX", default_value_t = 5_000_000,
          value_parser = clap::value_parser!(u64).range(1..=1_000_000_000_000))]
    pub backlog_max: u64,
}

/// How many calls a dispatcher makes at once.
#[derive(Debug, Clone, Args)]
pub struct CallsArgs {
    /// How many calls may be under way at once.
    #[arg(long, env = "BATON_CALLS_MAX", value_name = "BATON_CALLS_MAX", default_value_t = 512,
          value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub calls_max: u32,

    /// How many calls of one handler may be under way at once.
    #[arg(long, env = "BATON_HANDLER_CALLS_MAX", value_name = "BATON_HANDLER_CALLS_MAX", default_value_t = 128,
          value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub handler_calls_max: u32,

    /// How many unfinished events a dispatcher keeps ready in memory, beside which more that only wait cost a few bytes each.
    #[arg(long, env = "BATON_EVENTS_IN_MEMORY", value_name = "BATON_EVENTS_IN_MEMORY", default_value_t = 20_000,
          value_parser = clap::value_parser!(u32).range(100..=10_000_000))]
    pub events_in_memory: u32,
}

/// What handlers may reach.
#[derive(Debug, Clone, Args)]
pub struct TargetArgs {
    /// The folder under which the scripts of script handlers lie.
    #[arg(long, env = "BATON_SCRIPT_ROOT", value_name = "BATON_SCRIPT_ROOT")]
    pub script_root: Option<PathBuf>,

    /// Networks beside public ones that HTTP handlers may reach, as CIDRs joined by commas: 10.0.0.0/8,fd00::/8.
    #[arg(long, env = "BATON_ALLOW_TARGETS", value_name = "BATON_ALLOW_TARGETS", default_value = "", hide_default_value = true)]
    pub allow_targets: Networks,

    /// How many scripts may run at once.
    #[arg(long, env = "BATON_SCRIPTS_MAX", value_name = "BATON_SCRIPTS_MAX", default_value_t = 16,
          value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub scripts_max: u32,

    /// How scripts are confined.
    #[command(flatten)]
    pub scripts: ScriptArgs,
}

/// A list of networks; empty for none.
#[derive(Debug, Clone, Default)]
pub struct Networks(pub Vec<IpNet>);

impl FromStr for Networks {
    type Err = String;

    fn from_str(value: &str) -> Result<Self, String> {
        let networks = value.split(',').map(str::trim).filter(|item| !item.is_empty()).map(network);
        networks.collect::<Result<_, _>>().map(Self)
    }
}

fn network(value: &str) -> Result<IpNet, String> {
    // A single address stands for itself.
    value
        .parse::<IpNet>()
        .or_else(|_| value.parse::<std::net::IpAddr>().map(IpNet::from))
        .map_err(|_| format!("'{value}' is not a network; an example is 10.0.0.0/8"))
}

/// How the log is written.
#[derive(Debug, Clone, Args)]
pub struct LogArgs {
    /// What is logged: a level, or levels by module as in info,baton_dispatcher=debug.
    #[arg(long, env = "BATON_LOG", value_name = "BATON_LOG", default_value = "info", value_parser = log_filter)]
    pub log: String,

    /// How it is written.
    #[arg(long, env = "BATON_LOG_FORMAT", value_name = "BATON_LOG_FORMAT", default_value = "pretty")]
    pub log_format: LogFormat,
}

/// A word that is no level would silence the whole log: it counts as the name of a module that logs everything.
fn log_filter(value: &str) -> Result<String, String> {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    for directive in value.split(',').map(str::trim) {
        let level = directive.rsplit_once('=').map_or(directive, |(_, level)| level);
        if !LEVELS.contains(&level.to_ascii_lowercase().as_str()) {
            return Err(format!("'{directive}' has no level; an example is info,baton_dispatcher=debug"));
        }
    }
    Ok(value.into())
}

/// The forms of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Pretty,
    /// One JSON object a line.
    Json,
}

/// Says which setting is missing, and why it is needed.
///
/// # Errors
/// When there is no value.
pub fn required<T>(value: Option<T>, name: &str, why: &str) -> anyhow::Result<T> {
    value.ok_or_else(|| anyhow::anyhow!("{name} is not set: {why}"))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct All {
        #[command(flatten)]
        listen: ListenArgs,
        #[command(flatten)]
        database: DatabaseArgs,
        #[command(flatten)]
        key: SecretKeyArgs,
        #[command(flatten)]
        redis: RedisArgs,
        #[command(flatten)]
        targets: TargetArgs,
        #[command(flatten)]
        backlog: BacklogArgs,
        #[command(flatten)]
        log: LogArgs,
    }

    #[test]
    fn a_bad_setting_is_named() {
        for (flag, value, name) in [
            ("--listen", "everywhere", "BATON_LISTEN"),
            ("--database-url", "mysql://x", "BATON_DATABASE_URL"),
            ("--database-connections", "1", "BATON_DATABASE_CONNECTIONS"),
            ("--redis-url", "localhost:6379", "BATON_REDIS_URL"),
            ("--allow-targets", "10.0.0.0/40", "BATON_ALLOW_TARGETS"),
            ("--scripts-max", "0", "BATON_SCRIPTS_MAX"),
            ("--backlog-max", "0", "BATON_BACKLOG_MAX"),
            ("--log-format", "xml", "BATON_LOG_FORMAT"),
            ("--log", "inof", "BATON_LOG"),
            ("--secret-key", " ", "BATON_SECRET_KEY"),
        ] {
            let error = All::try_parse_from(["baton", flag, value]).unwrap_err().to_string();
            assert!(error.contains(name), "{error}");
        }
    }

    #[test]
    fn secrets_do_not_show() {
        let url = "postgres://baton:hunter2@db/baton";
        let all =
            All::try_parse_from(["baton", "--database-url", url, "--secret-key", "hunter2", "--redis-url", "redis://:hunter2@r"]);
        assert!(!format!("{:?}", all.unwrap()).contains("hunter2"));
    }

    #[test]
    fn networks_are_lists_of_cidrs_and_addresses() {
        let all = All::try_parse_from(["baton", "--allow-targets", "10.0.0.0/8, 192.168.1.7,fd00::/8"]).unwrap();
        assert_eq!(all.targets.allow_targets.0.len(), 3);
        assert!(All::try_parse_from(["baton", "--allow-targets", ""]).unwrap().targets.allow_targets.0.is_empty());
    }
}
