//! `baton rekey`: seals every secret anew after the key has changed.

use anyhow::{Context, bail};
use baton_runtime::settings::{Secret, required};
use baton_runtime::telemetry;
use baton_storage::{Resealed, StorageError, Store, StoreSettings, Vault};

use crate::RekeyArgs;
use crate::data_dir::{DataDir, existing_database_url};

/// One connection writes, one may be pinged.
const CONNECTIONS: u32 = 2;
/// How often it is begun anew when handlers are edited meanwhile.
const TRIES: usize = 10;

pub(crate) async fn rekey(args: RekeyArgs) -> anyhow::Result<()> {
    telemetry::init(&args.log)?;
    let resealed = match &args.database.database_url {
        Some(url) => shared(&args, url.expose()).await?,
        None => embedded(&args).await?,
    };
    let Resealed { handlers, generations, secrets } = resealed;
    println!("Sealed {secrets} secrets anew, in {handlers} handlers and {generations} generations.");
    Ok(())
}

/// The keys are the operator's, who changes them.
async fn shared(args: &RekeyArgs, url: &str) -> anyhow::Result<Resealed> {
    let keys = &args.secret_key;
    let key = required(keys.secret_key.clone(), "BATON_SECRET_KEY", "it is the key that secrets are to be sealed with")?;
    let before = &keys.secret_keys_before.0;
    if before.is_empty() {
        bail!("BATON_SECRET_KEYS_BEFORE is not set: it is the key, or the keys, that secrets are sealed with now");
    }
    let vault = baton_handler_cache::vault(&key, before)?;
    let resealed = reseal(url, &vault).await?;
    println!("Restart every program with BATON_SECRET_KEY alone; BATON_SECRET_KEYS_BEFORE is not needed any more.");
    Ok(resealed)
}

/// The key is Baton's own, in its folder. The new one is there before anything is sealed with it: whatever happens, one of the two opens
/// every secret, and `baton serve` takes both.
async fn embedded(args: &RekeyArgs) -> anyhow::Result<Resealed> {
    if args.secret_key.secret_key.is_some() {
        bail!(
            "BATON_SECRET_KEY is set, so the key is not kept in {}; set BATON_DATABASE_URL too",
            args.data_dir.data_dir.display()
        );
    }
    let url = existing_database_url(&args.data_dir.data_dir)?;
    let folder = DataDir::open(&args.data_dir.data_dir)?;
    let present = Secret::new(folder.secret_key()?);
    let vault = baton_handler_cache::vault(&folder.new_secret_key()?, &[present])?;
    let resealed = reseal(&url, &vault).await?;
    folder.take_new_secret_key()?;
    Ok(resealed)
}

async fn reseal(url: &str, vault: &Vault) -> anyhow::Result<Resealed> {
    let settings = StoreSettings { url: url.to_owned(), max_connections: CONNECTIONS };
    let store = Store::connect(&settings).await.context("cannot connect to the database (BATON_DATABASE_URL)")?;
    if !store.pending_migrations().await?.is_empty() {
        bail!("the database is to be migrated first; run: baton migrate");
    }
    for _ in 0..TRIES {
        match store.reseal(vault).await {
            Err(StorageError::Conflict) => {}
            Err(error) => return Err(anyhow::Error::new(error).context("nothing was changed")),
            Ok(resealed) => return Ok(resealed),
        }
    }
    bail!("handlers kept being edited; nothing was changed, try again")
}
