//! Who is alive, and which dispatcher owns which partition.
//!
//! Whoever changes owners locks all partitions first, then instances; a record locks its own instance only. So nobody waits in a circle,
//! and a record is either committed before its dispatcher loses a partition, or refused.

use baton_domain::PartitionId;
use baton_domain::breaker::OpenBreaker;
use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::Store;
use crate::conn::Tx;
use crate::error::{Result, StorageError};
use crate::search::Search;
use crate::sql::{Column, json, parsed, statements, values};

/// A running process, or the part of one that does a service's work.
#[derive(Debug, Clone)]
pub struct Instance {
    /// Its id, new with every start.
    pub id: Uuid,
    /// `dispatcher`, `cache-manager` or `api`.
    pub service: String,
    /// What a person calls it, such as host and process id.
    pub name: String,
    /// When it started.
    pub started_at: DateTime<Utc>,
    /// Until when it counts as alive.
    pub lease_until: DateTime<Utc>,
    /// Whether it was taken for dead; it cannot come back under this id.
    pub fenced: bool,
    /// What it says of its work.
    pub work: Work,
}

/// What a dispatcher says of its work with each sign of life.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Work {
    /// How many deliveries wait in its lanes.
    pub held: u64,
    /// The circuit breakers that are open.
    pub breakers: Vec<OpenBreaker>,
}

/// The most instances that a list shows. Dead ones are removed long before there are so many.
const INSTANCES_MAX: i64 = 1000;

statements! {
    REGISTER = "
        INSERT INTO instances (id, service, name, started_at, lease_until, fenced, held) VALUES ($1, $2, $3, $4, $5, false, 0)";
    RENEW = "UPDATE instances SET lease_until = $2, held = $3, breakers = $4 WHERE id = $1 AND NOT fenced";
    REMOVE = "DELETE FROM instances WHERE id = $1";
    REMOVE_DEAD = "DELETE FROM instances WHERE lease_until < $1";
    LOCK_PARTITIONS = {
        postgres: "SELECT partition FROM partitions ORDER BY partition FOR UPDATE",
        sqlite: "SELECT partition FROM partitions ORDER BY partition",
    };
    LOCK_INSTANCE = {
        postgres: "SELECT held FROM instances WHERE id = $1 FOR UPDATE",
        sqlite: "SELECT held FROM instances WHERE id = $1",
    };
    FENCE_EXPIRED = "UPDATE instances SET fenced = true WHERE service = 'dispatcher' AND NOT fenced AND lease_until < $1";
    /// Takes partitions from owners that are fenced or gone.
    FREE = "
        UPDATE partitions SET owner = NULL
        WHERE owner IS NOT NULL AND owner NOT IN (SELECT id FROM instances WHERE NOT fenced)";
    ALIVE = "SELECT held FROM instances WHERE id = $1 AND service = 'dispatcher' AND NOT fenced";
    TAKE = "
        UPDATE partitions SET owner = $1, epoch = epoch + 1
        WHERE partition IN (SELECT partition FROM partitions WHERE owner IS NULL ORDER BY partition LIMIT $2)
        RETURNING partition, epoch";
    RELEASE = {
        postgres: "UPDATE partitions SET owner = NULL WHERE owner = $1 AND partition = ANY($2)",
        sqlite: "
            UPDATE partitions SET owner = NULL WHERE owner = $1 AND partition IN (SELECT value FROM json_each($2))",
    };
    OWNED = "SELECT partition, epoch FROM partitions WHERE owner = $1 ORDER BY partition";
    OWNERS = "SELECT partition, owner, epoch FROM partitions ORDER BY partition";
}

#[derive(sqlx::FromRow)]
struct InstanceRead {
    id: Uuid,
    service: String,
    name: String,
    started_at: DateTime<Utc>,
    lease_until: DateTime<Utc>,
    fenced: bool,
    held: i64,
    breakers: String,
}

impl TryFrom<InstanceRead> for Instance {
    type Error = StorageError;

    fn try_from(row: InstanceRead) -> Result<Self> {
        let breakers = parsed("an instance's breakers", &row.breakers)?;
        Ok(Self {
            id: row.id,
            service: row.service,
            name: row.name,
            started_at: row.started_at,
            lease_until: row.lease_until,
            fenced: row.fenced,
            work: Work { held: row.held.unsigned_abs(), breakers },
        })
    }
}

async fn lock_partitions(tx: &mut Tx<'_>) -> Result<()> {
    let _: Vec<(i16,)> = tx.fetch_all(LOCK_PARTITIONS, vec![]).await?;
    Ok(())
}

impl Store {
    /// Says that an instance is alive. `service` is `dispatcher`, `cache-manager` or `api`.
    ///
    /// # Errors
    /// `Conflict` when the id is taken.
    pub async fn register_instance(
        &self,
        id: Uuid,
        service: &str,
        name: &str,
        now: DateTime<Utc>,
        lease_until: DateTime<Utc>,
    ) -> Result<()> {
        let values = values![id, service, name, now, lease_until];
        match self.writer().await?.execute(REGISTER, values).await {
            Ok(_) => Ok(()),
            Err(error) if error.is_unique_violation() => Err(StorageError::Conflict),
            Err(error) => Err(error),
        }
    }

    /// Prolongs its lease. `false` when it was fenced or removed: it has to stop and come back under a new id.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn renew_instance(&self, id: Uuid, lease_until: DateTime<Utc>, work: &Work) -> Result<bool> {
        let held = i64::try_from(work.held).unwrap_or(i64::MAX);
        let values = values![id, lease_until, held, json(&work.breakers)?];
        Ok(self.writer().await?.execute(RENEW, values).await? > 0)
    }

    /// Takes an instance from the list and its partitions from it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn remove_instance(&self, id: Uuid) -> Result<()> {
        let mut conn = self.writer().await?;
        let mut tx = conn.begin().await?;
        lock_partitions(&mut tx).await?;
        tx.execute(REMOVE, values![id]).await?;
        tx.execute(FREE, vec![]).await?;
        tx.commit().await
    }

    /// The instances of one service or of all, the oldest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn instances(&self, service: Option<&str>) -> Result<Vec<Instance>> {
        let mut conn = self.reader().await?;
        let mut query = Search::new(
            "SELECT i.id, i.service, i.name, i.started_at, i.lease_until, i.fenced, i.held, i.breakers FROM instances i",
            conn.is_sqlite(),
        );
        query.and_if("i.service = ?", service);
        let rows: Vec<InstanceRead> = query.fetch_all(&mut conn, "i.started_at, i.id", INSTANCES_MAX).await?;
        rows.into_iter().map(TryInto::try_into).collect()
    }

    /// Fences the dispatchers whose lease ran out before `now`, frees their partitions, and takes up to `most` partitions that have no
    /// owner. Answers with those it took and their new epochs.
    ///
    /// # Errors
    /// `Fenced` when `dispatcher` itself is fenced or not registered.
    pub async fn claim_partitions(&self, dispatcher: Uuid, now: DateTime<Utc>, most: usize) -> Result<Vec<(PartitionId, i64)>> {
        let mut conn = self.writer().await?;
        let mut tx = conn.begin().await?;
        lock_partitions(&mut tx).await?;
        tx.execute(FENCE_EXPIRED, values![now]).await?;
        tx.execute(FREE, vec![]).await?;
        let alive: Option<(i64,)> = tx.fetch_optional(ALIVE, values![dispatcher]).await?;
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let mut taken: Vec<(i16, i64)> = match alive {
            Some(_) => tx.fetch_all(TAKE, values![dispatcher, most]).await?,
            None => Vec::new(),
        };
        tx.commit().await?;
        if alive.is_none() {
            return Err(StorageError::Fenced);
        }
        taken.sort_unstable();
        Ok(taken.into_iter().map(|(partition, epoch)| (PartitionId(partition), epoch)).collect())
    }

    /// Gives up those of the partitions that the dispatcher owns. Waits for a record of it that is under way; a later one about them is
    /// refused.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn release_partitions(&self, dispatcher: Uuid, partitions: &[PartitionId]) -> Result<()> {
        let partitions = Column::ints(partitions.iter().map(|p| i64::from(p.0)));
        let mut conn = self.writer().await?;
        let mut tx = conn.begin().await?;
        lock_partitions(&mut tx).await?;
        let _: Option<(i64,)> = tx.fetch_optional(LOCK_INSTANCE, values![dispatcher]).await?;
        tx.execute(RELEASE, values![dispatcher, partitions]).await?;
        tx.commit().await
    }

    /// The partitions that the dispatcher owns, with their epochs.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn owned_partitions(&self, dispatcher: Uuid) -> Result<Vec<(PartitionId, i64)>> {
        let rows: Vec<(i16, i64)> = self.reader().await?.fetch_all(OWNED, values![dispatcher]).await?;
        Ok(rows.into_iter().map(|(partition, epoch)| (PartitionId(partition), epoch)).collect())
    }

    /// Every partition with its owner and epoch.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn partition_owners(&self) -> Result<Vec<(PartitionId, Option<Uuid>, i64)>> {
        let rows: Vec<(i16, Option<Uuid>, i64)> = self.reader().await?.fetch_all(OWNERS, vec![]).await?;
        Ok(rows.into_iter().map(|(partition, owner, epoch)| (PartitionId(partition), owner, epoch)).collect())
    }

    /// Takes the instances whose lease ran out before this instant from the list, and their partitions from them. Says how many.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn remove_dead_instances(&self, before: DateTime<Utc>) -> Result<u64> {
        let mut conn = self.writer().await?;
        let mut tx = conn.begin().await?;
        lock_partitions(&mut tx).await?;
        let removed = tx.execute(REMOVE_DEAD, values![before]).await?;
        tx.execute(FREE, vec![]).await?;
        tx.commit().await?;
        Ok(removed)
    }
}
