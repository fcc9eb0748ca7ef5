//! A fresh database for each test.

use std::path::PathBuf;

use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection};
use tempfile::TempDir;
use url::Url;

use crate::environment::{POSTGRES_URL, required};

/// An empty database of its own, removed when dropped.
#[derive(Debug)]
pub struct TestDatabase {
    url: String,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Postgres { server: String, name: String },
    Sqlite { dir: TempDir },
}

impl TestDatabase {
    /// A new database on the PostgreSQL server that `BATON_TEST_POSTGRES_URL` names.
    ///
    /// # Panics
    /// When the variable is missing or the server refuses.
    pub async fn postgres() -> Self {
        Self::on_server(required(POSTGRES_URL)).await
    }

    /// A new database on the server with this URL.
    pub(crate) async fn on_server(server: String) -> Self {
        let name = format!("baton_test_{}", uuid::Uuid::now_v7().simple());
        // template0 has no connections to it, which would make CREATE DATABASE fail.
        run(&server, format!("CREATE DATABASE {name} TEMPLATE template0")).await.unwrap_or_else(|e| {
            panic!("cannot create a database on {server}: {e}");
        });
        let mut url = Url::parse(&server).unwrap_or_else(|e| panic!("{server} is not a URL: {e}"));
        url.set_path(&name);
        Self { url: url.into(), kind: Kind::Postgres { server, name } }
    }

    /// A path for a new SQLite database in a directory of its own; the file does not exist yet.
    ///
    /// # Panics
    /// When there is no room for a temporary directory.
    #[expect(clippy::unused_async, reason = "so that a test can take either kind in the same way")]
    pub async fn sqlite() -> Self {
        let dir = tempfile::Builder::new().prefix("baton-sqlite-").tempdir().expect("a temporary directory");
        Self { url: format!("sqlite:{}", dir.path().join("baton.db").display()), kind: Kind::Sqlite { dir } }
    }

    /// What `BATON_DATABASE_URL` takes: `postgres://…` or `sqlite:…`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Where the SQLite file is; `None` on PostgreSQL.
    pub fn file(&self) -> Option<PathBuf> {
        match &self.kind {
            Kind::Postgres { .. } => None,
            Kind::Sqlite { dir } => Some(dir.path().join("baton.db")),
        }
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let Kind::Postgres { server, name } = &self.kind else { return };
        let (server, name) = (server.clone(), name.clone());
        // A thread of its own, since the test's runtime may be gone or busy. Best effort: the server is thrown away anyway.
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(run(&server, format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")))
        });
        match dropping.join() {
            Ok(Ok(())) => {}
            Ok(Err(error)) => eprintln!("testkit: database {} stays behind: {error}", self.url),
            Err(_) => eprintln!("testkit: database {} stays behind", self.url),
        }
    }
}

async fn run(server: &str, statement: String) -> sqlx::Result<()> {
    let mut connection = PgConnection::connect(server).await?;
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut connection).await?;
    connection.close().await
}
