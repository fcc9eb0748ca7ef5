//! Which partitions this dispatcher owns: a lease that it renews, a fair share that it claims, a surplus that it gives up.
//!
//! The lease belongs to the dispatcher as a whole, so renewing it is one row. Who finds a lease run out fences its holder: from then on
//! nothing that the holder still writes is accepted, and its partitions are free. A dispatcher that finds itself fenced forgets
//! everything and begins anew under another id.

use std::collections::BTreeSet;

use baton_domain::PartitionId;
use baton_domain::partition::PARTITIONS;
use baton_handler_cache::{Hint, Hints};
use baton_storage::{StorageError, Store, Work};
use chrono::{TimeDelta, Utc};
use tokio::sync::{broadcast, mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::conductor::Message;
use crate::settings::{DispatcherSettings, JUDGE_AFTER, LEASE, LEASE_RENEW_EVERY, LOOK_GAP, delta};

/// The name under which dispatchers register.
pub const SERVICE: &str = "dispatcher";

/// After how long without a sign of life a row of a dispatcher is removed.
const DEAD_KEPT: TimeDelta = TimeDelta::hours(1);

/// For how long the looks at the database have succeeded.
///
/// While the database is away nobody can renew a lease, so at its return every lease may have run out although everybody is alive. The
/// same goes for a machine that stood still. Who has just found the database back therefore gives the others time for a sign of life.
#[derive(Debug, Default)]
struct Looks {
    /// The first of those that have succeeded without a gap, and the last.
    unbroken: Option<(Instant, Instant)>,
}

impl Looks {
    fn succeeded(&mut self, now: Instant) {
        let first = self.unbroken.filter(|(_, last)| now - *last <= LOOK_GAP).map_or(now, |(first, _)| first);
        self.unbroken = Some((first, now));
    }

    fn failed(&mut self) {
        self.unbroken = None;
    }

    /// Whether a lease that has run out now is the sign of a death.
    fn can_judge(&self) -> bool {
        self.unbroken.is_some_and(|(first, last)| last - first >= JUDGE_AFTER)
    }
}

/// One incarnation's hold on its partitions.
pub(crate) struct Ownership {
    pub store: Store,
    pub hints: Hints,
    pub id: Uuid,
    pub settings: DispatcherSettings,
    /// What is told of the work with the sign of life.
    pub work: watch::Receiver<Work>,
    pub told: mpsc::UnboundedSender<Message>,
    /// Until when calls may be started.
    pub lease: watch::Sender<Instant>,
    /// Claims nothing more once it is cancelled.
    pub stop: CancellationToken,
}

impl Ownership {
    /// Registers, then renews, claims and gives up until fenced or dropped. `given_up` brings partitions that the conductor has finished with.
    pub(crate) async fn run(self, mut given_up: mpsc::UnboundedReceiver<Vec<PartitionId>>) {
        let mut owned = BTreeSet::new();
        let mut registered = false;
        let mut past = Looks::default();
        let mut looks = interval(LEASE_RENEW_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut hints = self.hints.subscribe();
        loop {
            let result = tokio::select! {
                _ = looks.tick() => self.look(&mut registered, &mut past, &mut owned).await,
                () = partitions_hint(&mut hints) => self.look(&mut registered, &mut past, &mut owned).await,
                partitions = given_up.recv() => match partitions {
                    None => return,
                    Some(partitions) => self.give_up(&mut owned, &partitions).await,
                },
            };
            match result {
                Ok(()) => {}
                Err(StorageError::Fenced) => {
                    let _ = self.told.send(Message::Fenced);
                    return;
                }
                Err(error) => {
                    past.failed();
                    tracing::warn!(%error, "the lease could not be renewed");
                }
            }
        }
    }

    async fn look(&self, registered: &mut bool, past: &mut Looks, owned: &mut BTreeSet<PartitionId>) -> Result<(), StorageError> {
        let (began, now) = (Instant::now(), Utc::now());
        let lease_until = now + delta(LEASE);
        let first = !*registered;
        let work = self.work.borrow().clone();
        if !first && !self.store.renew_instance(self.id, lease_until, &work).await? {
            return Err(StorageError::Fenced);
        }
        if first {
            self.store.register_instance(self.id, SERVICE, &self.settings.name, now, lease_until).await?;
            *registered = true;
            self.store.remove_dead_instances(now - DEAD_KEPT).await?;
        }
        self.lease.send_replace(began + LEASE);
        // Counted from the answer: a look may have waited for the database's return for as long as a connection is waited for.
        past.succeeded(Instant::now());
        let as_of = match (self.settings.alone && first, past.can_judge()) {
            // Every lease but the own, just given, counts as run out: nobody else can be alive.
            (true, _) => lease_until - TimeDelta::milliseconds(1),
            (false, true) => now,
            (false, false) => now - DEAD_KEPT,
        };
        if self.stop.is_cancelled() { Ok(()) } else { self.balance(owned, as_of).await }
    }

    /// Claims or gives up towards a fair share. Dispatchers whose lease ran out before `as_of` are dead.
    async fn balance(&self, owned: &mut BTreeSet<PartitionId>, as_of: chrono::DateTime<Utc>) -> Result<(), StorageError> {
        let instances = self.store.instances(Some(SERVICE)).await?;
        let alive = instances.iter().filter(|i| !i.fenced && (i.id == self.id || i.lease_until > as_of)).count();
        let share = (PARTITIONS as usize).div_ceil(alive.max(1));
        if owned.len() < share {
            let claimed = self.store.claim_partitions(self.id, as_of, share - owned.len()).await?;
            if !claimed.is_empty() {
                let partitions: Vec<_> = claimed.into_iter().map(|(partition, _)| partition).collect();
                tracing::info!(partitions = partitions.len(), dispatchers = alive, "took over partitions");
                owned.extend(&partitions);
                let _ = self.told.send(Message::Acquired(partitions));
            }
        } else if owned.len() > share {
            let _ = self.told.send(Message::ShedTo(share));
        }
        metrics::gauge!("baton_partitions_owned").set(owned.len() as f64);
        Ok(())
    }

    async fn give_up(&self, owned: &mut BTreeSet<PartitionId>, partitions: &[PartitionId]) -> Result<(), StorageError> {
        let mut result = self.store.release_partitions(self.id, partitions).await;
        while let Err(StorageError::Unavailable(_)) = result {
            tokio::time::sleep(LEASE_RENEW_EVERY / 4).await;
            result = self.store.release_partitions(self.id, partitions).await;
        }
        result?;
        owned.retain(|partition| !partitions.contains(partition));
        tracing::info!(partitions = partitions.len(), "gave up partitions");
        self.hints.send(Hint::Partitions);
        Ok(())
    }
}

async fn partitions_hint(hints: &mut broadcast::Receiver<Hint>) {
    loop {
        match hints.recv().await {
            Ok(Hint::Partitions) => return,
            // What was missed is found by the next regular look.
            Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
            Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn who_has_just_found_the_database_does_not_judge() {
        let start = Instant::now();
        let mut looks = Looks::default();
        let look = |looks: &mut Looks, at: Duration| {
            looks.succeeded(start + at);
            looks.can_judge()
        };
        assert!(!looks.can_judge());
        assert!(!look(&mut looks, Duration::ZERO));
        assert!(!look(&mut looks, JUDGE_AFTER / 2));
        assert!(look(&mut looks, JUDGE_AFTER));
        // A look that failed, and one that comes late, as after a stall of the whole machine.
        looks.failed();
        assert!(!look(&mut looks, JUDGE_AFTER + LEASE_RENEW_EVERY));
        assert!(look(&mut looks, JUDGE_AFTER * 2 + LEASE_RENEW_EVERY));
        assert!(!look(&mut looks, JUDGE_AFTER * 2 + LEASE_RENEW_EVERY + LOOK_GAP * 2));
    }
}
