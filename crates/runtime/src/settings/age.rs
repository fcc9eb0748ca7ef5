//! Settings that are ages: how long something is kept, and how often it is cleaned.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use clap::Args;

/// The longest age that can be set: a thousand years.
const LONGEST: Duration = Duration::from_secs(1000 * 365 * 24 * 3600);
/// The shortest: what is older than nothing would be all there is.
const SHORTEST: Duration = Duration::from_secs(1);

/// An age such as `90d`, `12h` or `1h 30m`; `off` or `0` for none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Age(Option<Duration>);

impl Age {
    /// The age; `None` when it is off.
    #[must_use]
    pub fn get(self) -> Option<Duration> {
        self.0
    }
}

impl From<Duration> for Age {
    fn from(age: Duration) -> Self {
        Self(Some(age))
    }
}

impl FromStr for Age {
    type Err = String;

    fn from_str(value: &str) -> Result<Self, String> {
        let value = value.trim();
        if value == "0" || value.eq_ignore_ascii_case("off") {
            return Ok(Self(None));
        }
        let age = humantime::parse_duration(value).map_err(|error| format!("{error}; examples are 90d, 12h, 15m and off"))?;
        match age {
            Duration::ZERO => Ok(Self(None)),
            age if age < SHORTEST => Err("must be 1s or longer, or off".into()),
            age if age > LONGEST => Err("must not be longer than a thousand years".into()),
            age => Ok(Self(Some(age))),
        }
    }
}

impl fmt::Display for Age {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(age) = self.0 else { return f.write_str("off") };
        let seconds = age.as_secs();
        let parts = [(seconds / 86_400, "d"), (seconds / 3600 % 24, "h"), (seconds / 60 % 60, "m"), (seconds % 60, "s")];
        let parts: Vec<_> = parts.iter().filter(|(count, _)| *count > 0).map(|(count, unit)| format!("{count}{unit}")).collect();
        if parts.is_empty() { f.write_str("0s") } else { f.write_str(&parts.join(" ")) }
    }
}

/// How long things are kept, and how often those are removed that are older.
#[derive(Debug, Clone, Args)]
pub struct CleanArgs {
    /// How long events are kept after they have ended, with their results, executions and dead letters: 90d, 12h; off for ever.
    #[arg(long, env = "BATON_KEEP_EVENTS", value_name = "BATON_KEEP_EVENTS", default_value = "90d")]
    pub keep_events: Age,

    /// How long executions are kept, where that is shorter than their events are.
    #[arg(long, env = "BATON_KEEP_EXECUTIONS", value_name = "BATON_KEEP_EXECUTIONS", default_value = "30d")]
    pub keep_executions: Age,

    /// How long generations are kept after they were live. The newest 20 stay in any case, and those that something kept names.
    #[arg(long, env = "BATON_KEEP_GENERATIONS", value_name = "BATON_KEEP_GENERATIONS", default_value = "365d")]
    pub keep_generations: Age,

    /// How long the statistics by minute and by hour are kept.
    #[arg(long, env = "BATON_KEEP_STATISTICS", value_name = "BATON_KEEP_STATISTICS", default_value = "7d")]
    pub keep_statistics: Age,

    /// What the schedule of the Cleaner is.
    #[command(flatten)]
    pub every: CleanEveryArgs,
}

/// How often the Cleaner runs.
#[derive(Debug, Clone, Args)]
pub struct CleanEveryArgs {
    /// How often the Cleaner removes what is older than it is to be kept; off for only when it is asked to.
    #[arg(long, env = "BATON_CLEAN_EVERY", value_name = "BATON_CLEAN_EVERY", default_value = "1h")]
    pub clean_every: Age,
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Program {
        #[command(flatten)]
        clean: CleanArgs,
    }

    #[test]
    fn ages_are_read_and_shown() {
        for (text, seconds, shown) in [
            ("90d", 90 * 86_400, "90d"),
            ("24h", 86_400, "1d"),
            ("90m", 5400, "1h 30m"),
            (" 1h 5s ", 3605, "1h 5s"),
            ("365days", 365 * 86_400, "365d"),
        ] {
            let age: Age = text.parse().unwrap();
            assert_eq!((age.get(), age.to_string().as_str()), (Some(Duration::from_secs(seconds)), shown), "{text}");
            assert_eq!(shown.parse::<Age>().unwrap(), age);
        }
        for off in ["off", "OFF", "0", "0s"] {
            assert_eq!(off.parse::<Age>().unwrap().get(), None, "{off}");
        }
        assert_eq!((Age(None).to_string(), Age::from(Duration::from_millis(9)).to_string()), ("off".into(), "0s".into()));
        for bad in ["", "90", "ninety days", "-1d", "5ms", "1001years", "99999999999999999999d"] {
            assert!(bad.parse::<Age>().is_err(), "{bad}");
        }
    }

    #[test]
    fn each_has_a_default_and_a_bad_one_is_named() {
        let CleanArgs { keep_events, keep_executions, keep_generations, keep_statistics, every } =
            Program::try_parse_from(["baton"]).unwrap().clean;
        let shown =
            [keep_events, keep_executions, keep_generations, keep_statistics, every.clean_every].map(|age| age.to_string());
        assert_eq!(shown, ["90d", "30d", "365d", "7d", "1h"]);
        for (flag, name) in [
            ("--keep-events", "BATON_KEEP_EVENTS"),
            ("--keep-executions", "BATON_KEEP_EXECUTIONS"),
            ("--keep-generations", "BATON_KEEP_GENERATIONS"),
            ("--keep-statistics", "BATON_KEEP_STATISTICS"),
            ("--clean-every", "BATON_CLEAN_EVERY"),
        ] {
            let error = Program::try_parse_from(["baton", flag, "90"]).unwrap_err().to_string();
            assert!(error.contains(name) && error.contains("90d"), "{error}");
        }
    }
}
