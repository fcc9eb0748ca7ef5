//! Generations: numbered snapshots and what they changed.

use baton_domain::{Changes, GenerationNumber, Snapshot};
use chrono::{DateTime, Utc};

use crate::Store;
use crate::error::{Result, StorageError};
use crate::paging::{Page, Paged};
use crate::search::Search;
use crate::sql::{json, parsed, statements, values};

/// Why a generation was built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GenerationCause {
    /// There was none at all.
    Start,
    /// The Cache Manager was restarted.
    Restart,
    /// An older one's content was put back.
    Rollback,
}

impl GenerationCause {
    /// The word that the API and the tables use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Restart => "restart",
            Self::Rollback => "rollback",
        }
    }

    /// The cause with this word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Start, Self::Restart, Self::Rollback].into_iter().find(|c| c.as_str() == word)
    }
}

/// A generation that is to be stored, under the number of its snapshot.
#[derive(Debug, Clone)]
pub struct NewGeneration<'a> {
    /// The handlers.
    pub snapshot: &'a Snapshot,
    /// What differs from the generation before.
    pub changes: &'a Changes,
    /// How long the build took, in milliseconds.
    pub took_ms: i64,
    /// Why it was built.
    pub cause: GenerationCause,
    /// The generation whose content it has again; only with [`GenerationCause::Rollback`].
    pub rolled_back_to: Option<GenerationNumber>,
}

/// A generation as it is stored.
#[derive(Debug, Clone)]
pub struct StoredGeneration {
    /// The handlers.
    pub snapshot: Snapshot,
    /// [`Snapshot::checksum`] when it was built.
    pub checksum: String,
    /// What differs from the generation before.
    pub changes: Changes,
    /// How long the build took, in milliseconds.
    pub took_ms: i64,
    /// Why it was built.
    pub cause: GenerationCause,
    /// The generation whose content it has again.
    pub rolled_back_to: Option<GenerationNumber>,
}

/// A generation without its handlers.
#[derive(Debug, Clone)]
pub struct GenerationSummary {
    /// Its number.
    pub number: GenerationNumber,
    /// When it was built.
    pub built_at: DateTime<Utc>,
    /// [`Snapshot::checksum`] when it was built.
    pub checksum: String,
    /// How many handlers it has.
    pub handlers: u32,
    /// What differs from the generation before.
    pub changes: Changes,
    /// How long the build took, in milliseconds.
    pub took_ms: i64,
    /// Why it was built.
    pub cause: GenerationCause,
    /// The generation whose content it has again.
    pub rolled_back_to: Option<GenerationNumber>,
}

macro_rules! generation_columns {
    ($rest:literal) => {
        concat!("SELECT g.number, g.built_at, g.checksum, g.handlers, g.changes, g.took_ms, g.cause, g.rolled_back_to", $rest)
    };
}

statements! {
    ADD_GENERATION = "
        INSERT INTO generations (number, built_at, snapshot, checksum, handlers, changes, took_ms, cause, rolled_back_to)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (number) DO NOTHING";
    LIVE_NUMBER = "SELECT number FROM generations ORDER BY number DESC LIMIT 1";
    LIVE = "SELECT snapshot FROM generations ORDER BY number DESC LIMIT 1";
    CHECKSUM = "SELECT checksum FROM generations WHERE number = $1";
    GENERATION = { both: generation_columns!(", g.snapshot FROM generations g WHERE g.number = $1") };
}

#[derive(sqlx::FromRow)]
struct GenerationRead {
    number: i64,
    built_at: DateTime<Utc>,
    checksum: String,
    handlers: i64,
    changes: String,
    took_ms: i64,
    cause: String,
    rolled_back_to: Option<i64>,
}

#[derive(sqlx::FromRow)]
struct SnapshotRead {
    snapshot: String,
    #[sqlx(flatten)]
    rest: GenerationRead,
}

impl TryFrom<GenerationRead> for GenerationSummary {
    type Error = StorageError;

    fn try_from(row: GenerationRead) -> Result<Self> {
        let corrupt = |what| StorageError::corrupt(format!("generation {}: {what}", row.number));
        Ok(Self {
            number: GenerationNumber(row.number),
            handlers: row.handlers.try_into().map_err(|_| corrupt("handlers"))?,
            changes: parsed("a generation's changes", &row.changes)?,
            cause: GenerationCause::parse(&row.cause).ok_or_else(|| corrupt("cause"))?,
            rolled_back_to: row.rolled_back_to.map(GenerationNumber),
            built_at: row.built_at,
            checksum: row.checksum,
            took_ms: row.took_ms,
        })
    }
}

impl Store {
    /// Stores a generation. `false` when its number is taken: nothing is changed then.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn insert_generation(&self, generation: &NewGeneration<'_>) -> Result<bool> {
        let NewGeneration { snapshot, changes, took_ms, cause, rolled_back_to } = generation;
        let values = values![
            snapshot.number.0,
            snapshot.built_at,
            json(snapshot)?,
            snapshot.checksum(),
            snapshot.handlers().len() as i64,
            json(changes)?,
            *took_ms,
            cause.as_str(),
            rolled_back_to.map(|number| number.0),
        ];
        Ok(self.writer().await?.execute(ADD_GENERATION, values).await? > 0)
    }

    /// The number of the live generation, the highest; `None` before the very first build.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn live_generation_number(&self) -> Result<Option<GenerationNumber>> {
        let number: Option<(i64,)> = self.reader().await?.fetch_optional(LIVE_NUMBER, vec![]).await?;
        Ok(number.map(|(number,)| GenerationNumber(number)))
    }

    /// The live generation; `None` before the very first build.
    ///
    /// # Errors
    /// `Corrupt` when it cannot be read.
    pub async fn live_generation(&self) -> Result<Option<Snapshot>> {
        let row: Option<(String,)> = self.reader().await?.fetch_optional(LIVE, vec![]).await?;
        row.map(|(snapshot,)| parsed("a generation's snapshot", &snapshot)).transpose()
    }

    /// The checksum of the generation with this number, which says whether what is known of it still stands: it may have been removed, and its
    /// secrets may have been sealed anew.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn generation_checksum(&self, number: GenerationNumber) -> Result<Option<String>> {
        let row: Option<(String,)> = self.reader().await?.fetch_optional(CHECKSUM, values![number.0]).await?;
        Ok(row.map(|(checksum,)| checksum))
    }

    /// The generation with this number.
    ///
    /// # Errors
    /// `Corrupt` when it cannot be read.
    pub async fn generation(&self, number: GenerationNumber) -> Result<Option<StoredGeneration>> {
        let row: Option<SnapshotRead> = self.reader().await?.fetch_optional(GENERATION, values![number.0]).await?;
        let stored = |row: SnapshotRead| {
            let snapshot = parsed("a generation's snapshot", &row.snapshot)?;
            let GenerationSummary { checksum, changes, took_ms, cause, rolled_back_to, .. } = row.rest.try_into()?;
            Ok(StoredGeneration { snapshot, checksum, changes, took_ms, cause, rolled_back_to })
        };
        row.map(stored).transpose()
    }

    /// Generations without their handlers, the newest first.
    ///
    /// # Errors
    /// `BadCursor`.
    pub async fn list_generations(&self, page: &Page) -> Result<Paged<GenerationSummary>> {
        let mut conn = self.reader().await?;
        let mut query = Search::new(generation_columns!(" FROM generations g"), conn.is_sqlite());
        query.and_if("g.number < ?", page.cursor::<i64>("generations")?);
        let rows = query.fetch::<GenerationRead>(&mut conn, "g.number DESC", page).await?;
        page.cut("generations", rows, |row| row.number).try_map(TryInto::try_into)
    }
}
