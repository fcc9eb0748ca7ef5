//! The folder of an embedded installation: its database, and what is generated at the first start.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use baton_runtime::settings::Secret;
use baton_storage::Vault;
use clap::Args;
use rand::RngExt;

/// The file of the embedded database.
const DATABASE: &str = "baton.db";
/// What opens the secrets in it.
const SECRET_KEY: &str = "secret-key";
/// What is to open them once `baton rekey` has ended.
const NEXT_SECRET_KEY: &str = "secret-key.next";

/// Bytes of randomness in a generated token.
const TOKEN_BYTES: usize = 32;

/// Where the folder is.
#[derive(Debug, Clone, Args)]
pub(crate) struct DataDirArgs {
    /// The folder of the embedded default: database, admin token, secret key, scripts.
    #[arg(long, env = "BATON_DATA_DIR", value_name = "BATON_DATA_DIR", default_value = "baton-data")]
    pub data_dir: PathBuf,
}

/// The folder, made and locked: no other process works on it while this is held.
pub(crate) struct DataDir {
    path: PathBuf,
    _lock: File,
    database_lock: Option<File>,
}

impl DataDir {
    /// Makes the folder if it is not there, and locks it.
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        let failed = || format!("cannot use the folder {} (BATON_DATA_DIR)", path.display());
        DirBuilder::new().recursive(true).mode(0o700).create(path).with_context(failed)?;
        let lock = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path.join("lock"));
        let lock = lock.with_context(failed)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: lock, database_lock: None }),
            Err(TryLockError::WouldBlock) => {
                bail!("another baton process works on {}; stop it, or set BATON_DATA_DIR to another folder", path.display())
            }
            Err(TryLockError::Error(error)) => Err(error).with_context(failed),
        }
    }

    /// Locks a SQLite database that lies elsewhere: one process a database, whatever its folder.
    pub(crate) fn lock_database(&mut self, url: &str) -> anyhow::Result<()> {
        let path = url.trim_start_matches("sqlite:").trim_start_matches("//");
        let path = format!("{}.lock", path.split('?').next().unwrap_or(path));
        let lock = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path);
        let lock = lock.with_context(|| format!("cannot make {path} (BATON_DATABASE_URL)"))?;
        if let Err(TryLockError::WouldBlock) = lock.try_lock() {
            bail!("another baton process works on the database of BATON_DATABASE_URL; stop it first");
        }
        self.database_lock = Some(lock);
        Ok(())
    }

    /// The embedded database.
    pub(crate) fn database_url(&self) -> String {
        database_url(&self.path)
    }

    /// The folder of scripts, made if it is not there.
    pub(crate) fn script_root(&self) -> anyhow::Result<PathBuf> {
        let path = self.path.join("scripts");
        DirBuilder::new().recursive(true).mode(0o755).create(&path).with_context(|| format!("cannot make {}", path.display()))?;
        Ok(path)
    }

    /// Where the admin token is kept.
    pub(crate) fn admin_token_path(&self) -> PathBuf {
        self.path.join("admin-token")
    }

    /// The admin token, made at the first start.
    pub(crate) fn admin_token(&self) -> anyhow::Result<String> {
        kept_or_made(&self.admin_token_path(), || URL_SAFE_NO_PAD.encode(rand::rng().random::<[u8; TOKEN_BYTES]>()))
    }

    /// The key of the secrets at rest, made at the first start. Refuses to make a new one beside a database whose secrets it could not open.
    pub(crate) fn secret_key(&self) -> anyhow::Result<String> {
        let path = self.path.join(SECRET_KEY);
        if !path.exists() && self.path.join(DATABASE).exists() {
            bail!(
                "{} is gone, and with it what opens the secrets in {DATABASE}; put it back, or set BATON_SECRET_KEY",
                path.display()
            );
        }
        kept_or_made(&path, Vault::generate_key)
    }

    /// The key that is to take the place of the present one, where a change has begun and not ended.
    pub(crate) fn next_secret_key(&self) -> anyhow::Result<Option<Secret>> {
        let path = self.path.join(NEXT_SECRET_KEY);
        if path.exists() { kept_or_made(&path, Vault::generate_key).map(|key| Some(Secret::new(key))) } else { Ok(None) }
    }

    /// The same, made if there is none.
    pub(crate) fn new_secret_key(&self) -> anyhow::Result<Secret> {
        kept_or_made(&self.path.join(NEXT_SECRET_KEY), Vault::generate_key).map(Secret::new)
    }

    /// Puts the new key in the place of the present one.
    pub(crate) fn take_new_secret_key(&self) -> anyhow::Result<()> {
        let (new, present) = (self.path.join(NEXT_SECRET_KEY), self.path.join(SECRET_KEY));
        fs::rename(&new, &present).with_context(|| format!("cannot move {} to {}", new.display(), present.display()))
    }
}

/// The embedded database of a folder, which has to be there.
///
/// # Errors
/// When it is not: a folder that was mistyped is not made.
pub(crate) fn existing_database_url(data_dir: &Path) -> anyhow::Result<String> {
    if !data_dir.join(DATABASE).is_file() {
        bail!("there is no database in {} (BATON_DATA_DIR), and BATON_DATABASE_URL is not set", data_dir.display());
    }
    Ok(database_url(data_dir))
}

/// The embedded database of a folder.
pub(crate) fn database_url(data_dir: &Path) -> String {
    format!("sqlite:{}", data_dir.join(DATABASE).display())
}

/// What a file holds; made, written with mode 0600, when it is not there.
fn kept_or_made(path: &Path, make: impl FnOnce() -> String) -> anyhow::Result<String> {
    match fs::read_to_string(path) {
        Ok(kept) if !kept.trim().is_empty() => return Ok(kept.trim().to_owned()),
        Ok(_) => bail!("{} is empty; remove it to have a new one made, or put the old one back", path.display()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
    let made = make();
    // Written whole under another name first: a crash half-way must not leave a file that is cut off.
    let draft = path.with_extension("new");
    let write = || -> std::io::Result<()> {
        let mut file = OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&draft)?;
        writeln!(file, "{made}")?;
        file.sync_all()?;
        fs::rename(&draft, path)
    };
    write().with_context(|| format!("cannot write {}", path.display()))?;
    Ok(made)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn what_is_generated_stays_and_is_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/baton-data");
        let (token, key) = {
            let dir = DataDir::open(&path).unwrap();
            (dir.admin_token().unwrap(), dir.secret_key().unwrap())
        };
        let dir = DataDir::open(&path).unwrap();
        assert_eq!((dir.admin_token().unwrap(), dir.secret_key().unwrap()), (token.clone(), key));
        assert_eq!(token.len(), 43);
        for file in ["admin-token", "secret-key"] {
            assert_eq!(fs::metadata(path.join(file)).unwrap().permissions().mode() & 0o777, 0o600);
        }
        fs::write(path.join("baton.db"), "").unwrap();
        fs::remove_file(path.join("secret-key")).unwrap();
        assert!(dir.secret_key().unwrap_err().to_string().contains("BATON_SECRET_KEY"));
        fs::write(path.join("admin-token"), "\n").unwrap();
        assert!(dir.admin_token().unwrap_err().to_string().contains("is empty"));
    }

    #[test]
    fn one_process_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let _held = DataDir::open(folder.path()).unwrap();
        let refused = DataDir::open(folder.path()).map(|_| ()).unwrap_err().to_string();
        assert!(refused.contains("BATON_DATA_DIR"), "{refused}");
    }
}
