//! Who may use the machine: tests that measure time and tests that load it do not run side by side.

use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

static MACHINE: RwLock<()> = RwLock::const_new(());

/// For tests that measure: while it is held, nothing loads the machine.
pub(crate) async fn calm() -> RwLockReadGuard<'static, ()> {
    MACHINE.read().await
}

/// For tests that load the machine: while it is held, nothing else loads it, and nothing measures.
pub(crate) async fn busy() -> RwLockWriteGuard<'static, ()> {
    MACHINE.write().await
}
