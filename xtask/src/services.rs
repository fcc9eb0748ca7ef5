//! `cargo xtask services`: PostgreSQL and Redis to run tests against from an editor.

use std::time::Duration;

use anyhow::Result;

use crate::interrupt::Interrupt;
use crate::throwaway::Services;

const AN_HOUR: Duration = Duration::from_secs(3600);

/// Starts them, prints what to export, runs until Ctrl-C.
pub(crate) fn run() -> Result<()> {
    let interrupt = Interrupt::listen()?;
    let mut services = Services::start(&interrupt)?;
    for (name, value) in services.variables() {
        println!("export {name}={value}");
    }
    eprintln!("running until Ctrl-C; all that is in them goes away then");
    loop {
        interrupt.poll(AN_HOUR, || services.check().map(|()| None::<()>))?;
    }
}
