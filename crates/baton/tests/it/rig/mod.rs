//! What the tests share: a client of the API, installations, the load, the clock.

pub(crate) mod account;
mod answer;
mod api;
pub(crate) mod bodies;
mod browser;
mod embedded;
mod installation;
pub(crate) mod lanes;
pub(crate) mod load;
pub(crate) mod machine;
pub(crate) mod page;
pub(crate) mod python;
mod receiver;
mod refusal;

use std::time::Duration;

pub(crate) use self::answer::Answer;
pub(crate) use self::api::Api;
pub(crate) use self::browser::{Browser, Scripts, Theme};
pub(crate) use self::embedded::Embedded;
pub(crate) use self::installation::{Installation, Services};
pub(crate) use self::receiver::ReceivingProgram;
pub(crate) use self::refusal::refusal;

/// How long something may take that takes a moment, on a machine that is busy with other tests.
pub(crate) const SOON: Duration = Duration::from_secs(20);
/// How late a generation may be in use after the answer of the restart.
pub(crate) const GOES_LIVE: Duration = Duration::from_secs(1);
/// How long a program with nothing to do may take to end.
pub(crate) const IDLE_STOP: Duration = Duration::from_secs(1);
