//! Settings that confine scripts.

use std::fmt;
use std::str::FromStr;

use clap::{Args, ValueEnum};

use super::Age;

const KIB: u64 = 1024;
/// Units of a size, the largest first.
const UNITS: [(char, u64); 3] = [('G', KIB * KIB * KIB), ('M', KIB * KIB), ('K', KIB)];
/// With less memory no interpreter starts.
const LEAST_MEMORY: u64 = 16 * KIB * KIB;
const LEAST_FILE: u64 = KIB;

/// A number of bytes such as `512M` or `1G`, of powers of 1024; `off` for no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size(Option<u64>);

impl Size {
    /// In bytes; `None` when it is off.
    #[must_use]
    pub fn bytes(self) -> Option<u64> {
        self.0
    }

    fn at_least(self, least: u64) -> Result<Self, String> {
        match self.0 {
            Some(bytes) if bytes < least => Err(format!("must be {} or more, or off", Self(Some(least)))),
            _ => Ok(self),
        }
    }
}

impl FromStr for Size {
    type Err = String;

    fn from_str(value: &str) -> Result<Self, String> {
        let value = value.trim();
        if value.eq_ignore_ascii_case("off") {
            return Ok(Self(None));
        }
        let unit = UNITS.iter().find_map(|(unit, bytes)| {
            let number = value.strip_suffix(*unit).or_else(|| value.strip_suffix(unit.to_ascii_lowercase()))?;
            Some((number, *bytes))
        });
        let (number, unit) = unit.unwrap_or((value, 1));
        let bytes = number.trim_end().parse::<u64>().ok().and_then(|number| number.checked_mul(unit));
        bytes.map(|bytes| Self(Some(bytes))).ok_or_else(|| format!("'{value}' is not a size; examples are 512M, 1G and off"))
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(bytes) = self.0 else { return f.write_str("off") };
        match UNITS.iter().find(|(_, unit)| bytes > 0 && bytes % unit == 0) {
            Some((name, unit)) => write!(f, "{}{name}", bytes / unit),
            None => write!(f, "{bytes}"),
        }
    }
}

fn memory(value: &str) -> Result<Size, String> {
    value.parse::<Size>()?.at_least(LEAST_MEMORY)
}

fn file(value: &str) -> Result<Size, String> {
    value.parse::<Size>()?.at_least(LEAST_FILE)
}

/// What a script can see and reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ScriptSandbox {
    /// All that its user can.
    Off,
    /// In a sandbox of bubblewrap: the system read-only, no processes but its own, no network.
    Bwrap,
    /// The same, with the network.
    BwrapNetwork,
}

/// Off or on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    /// Not permitted.
    Off,
    /// Permitted.
    On,
}

/// How scripts are confined. Limits are those of the system (`setrlimit`): for each process, and for processes of the whole user.
#[derive(Debug, Clone, Args)]
pub struct ScriptArgs {
    /// The user that scripts run as, by name or number, where Baton itself runs as root.
    #[arg(long, env = "BATON_SCRIPT_USER", value_name = "BATON_SCRIPT_USER")]
    pub script_user: Option<String>,

    /// How much processor time a process of a script may use: 30s, 5m; off for as much as its timeout permits.
    #[arg(long, env = "BATON_SCRIPT_CPU", value_name = "BATON_SCRIPT_CPU", default_value = "5m")]
    pub script_cpu: Age,

    /// How much memory a process of a script may allocate: 512M, 1G; or off.
    #[arg(long, env = "BATON_SCRIPT_MEMORY", value_name = "BATON_SCRIPT_MEMORY", default_value = "1G", value_parser = memory)]
    pub script_memory: Size,

    /// How large a file that a script writes may become: 100M, 1G; or off.
    #[arg(long, env = "BATON_SCRIPT_FILE_SIZE", value_name = "BATON_SCRIPT_FILE_SIZE", default_value = "1G", value_parser = file)]
    pub script_file_size: Size,

    /// How many files a process of a script may have open.
    #[arg(long, env = "BATON_SCRIPT_FILES", value_name = "BATON_SCRIPT_FILES", default_value_t = 1024,
          value_parser = clap::value_parser!(u32).range(64..=1_048_576))]
    pub script_files: u32,

    /// How many processes and threads the user may have whom a script runs as; root has no such limit.
    #[arg(long, env = "BATON_SCRIPT_PROCESSES", value_name = "BATON_SCRIPT_PROCESSES", default_value_t = 4096,
          value_parser = clap::value_parser!(u32).range(16..=4_194_304))]
    pub script_processes: u32,

    /// Whether scripts run in a sandbox of bubblewrap, which has to be installed.
    #[arg(long, env = "BATON_SCRIPT_SANDBOX", value_name = "BATON_SCRIPT_SANDBOX", default_value = "off")]
    pub script_sandbox: ScriptSandbox,

    /// Whether scripts may gain rights by set-uid programs such as sudo.
    #[arg(long, env = "BATON_SCRIPT_SUDO", value_name = "BATON_SCRIPT_SUDO", default_value = "off")]
    pub script_sudo: Switch,
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Program {
        #[command(flatten)]
        scripts: ScriptArgs,
    }

    #[test]
    fn sizes_are_read_and_shown() {
        for (text, bytes, shown) in
            [("1G", 1 << 30, "1G"), ("512m", 512 << 20, "512M"), (" 2048 K ", 2 << 20, "2M"), ("1000", 1000, "1000")]
        {
            let size: Size = text.parse().unwrap();
            assert_eq!((size.bytes(), size.to_string().as_str()), (Some(bytes), shown), "{text}");
            assert_eq!(shown.parse::<Size>().unwrap(), size);
        }
        assert_eq!("OFF".parse::<Size>().unwrap().bytes(), None);
        for bad in ["", "G", "1T", "-1", "1.5G", "99999999999999G", "one"] {
            assert!(bad.parse::<Size>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_bad_limit_is_named() {
        for (flag, value, name) in [
            ("--script-cpu", "10", "BATON_SCRIPT_CPU"),
            ("--script-memory", "1M", "BATON_SCRIPT_MEMORY"),
            ("--script-memory", "much", "BATON_SCRIPT_MEMORY"),
            ("--script-file-size", "12", "BATON_SCRIPT_FILE_SIZE"),
            ("--script-files", "3", "BATON_SCRIPT_FILES"),
            ("--script-processes", "1", "BATON_SCRIPT_PROCESSES"),
            ("--script-sandbox", "docker", "BATON_SCRIPT_SANDBOX"),
            ("--script-sudo", "yes", "BATON_SCRIPT_SUDO"),
        ] {
            let error = Program::try_parse_from(["baton", flag, value]).unwrap_err().to_string();
            assert!(error.contains(name), "{error}");
        }
    }
}
