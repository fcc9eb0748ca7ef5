//! `baton serve`: everything in one process.

use anyhow::Context;
use baton_api::{ApiParts, Appender, JobWorker};
use baton_cache_manager::CacheManager;
use baton_cleaner::{Cleaner, CleanerSettings};
use baton_dispatcher::call::{Caller, CallerSettings};
use baton_dispatcher::{Dispatcher, DispatcherSettings};
use baton_handler_cache::{HandlerCache, Installation, RedisSettings};
use baton_runtime::settings::{Secret, required};
use baton_runtime::{ops, serving, shutdown, telemetry};
use baton_storage::{Store, StoreSettings};
use tokio_util::sync::CancellationToken;

use crate::ServeArgs;
use crate::data_dir::DataDir;

pub(crate) async fn serve(args: ServeArgs) -> anyhow::Result<()> {
    telemetry::init(&args.log)?;
    let stop = shutdown::on_signals()?;
    let embedded = args.installation.database.database_url.as_ref().is_none_or(|url| !url.is_postgres());
    let mut folder = if embedded { Some(DataDir::open(&args.data_dir.data_dir)?) } else { None };
    if let (Some(folder), Some(url)) = (&mut folder, &args.installation.database.database_url) {
        folder.lock_database(url.expose())?;
    }
    let admin_token = admin_token(&args, folder.as_ref())?;
    let caller = caller(&args, folder.as_ref())?;
    let installation = open(&args, folder.as_ref(), &stop).await?;
    let listener = ops::bind(args.listen.listen).await?;
    let console = format!("http://{}/", args.listen.listen);
    let docs = format!("{console}docs");
    let token = match &folder {
        Some(folder) if args.admin.admin_token.is_none() => folder.admin_token_path().display().to_string(),
        _ => "as set by BATON_ADMIN_TOKEN".into(),
    };
    tracing::info!(listen = %args.listen.listen, console, docs, admin_token = token, "baton started");
    run(&args, installation, caller, admin_token, embedded, listener, stop).await
}

async fn run(
    args: &ServeArgs,
    installation: Installation,
    caller: Caller,
    admin_token: String,
    alone: bool,
    listener: tokio::net::TcpListener,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let Installation { store, cache, vault } = installation;
    let name = args.name.or_host();
    let settings = DispatcherSettings {
        name: name.clone(),
        calls_max: args.calls.calls_max as usize,
        handler_calls_max: args.calls.handler_calls_max as usize,
        scripts_max: args.targets.scripts_max as usize,
        events_in_memory: args.calls.events_in_memory as usize,
        alone,
    };
    let dispatcher = Dispatcher::new(store.clone(), cache.clone(), caller.clone(), vault.clone(), settings);
    let cleaner = Cleaner::new(store.clone(), &cache, CleanerSettings::new(name.clone(), &args.cleaning));
    let manager = CacheManager::new(name, store.clone(), cache.clone(), vault.clone());
    let (appender, appending) = Appender::start(store.clone(), cache.hints().clone());
    let jobs = tokio::spawn(JobWorker::new(store.clone(), cache.hints().clone()).run(stop.clone()));
    let counting = store.clone();
    let backlog_max = args.backlog.backlog_max;
    let cleaner_schedule = baton_cleaner::schedule(args.cleaning.every.clean_every);
    let parts = ApiParts { store, cache: cache.clone(), caller, vault, appender, backlog_max, admin_token, cleaner_schedule };
    let router = baton_programs::front(parts, stop.clone())?;
    let mut generations = cache.changes();
    let cache = tokio::spawn(cache.run(stop.clone()));
    let managing = tokio::spawn(manager.run(stop.clone()));
    let cleaning = tokio::spawn(cleaner.run(stop.clone()));
    let counted = tokio::spawn(counting.clone().keep_writing_counts(stop.clone()));
    // Before anybody can save a handler, which the very first generation would make live without a restart.
    let first = async { generations.wait_for(Option::is_some).await.is_ok() };
    stop.run_until_cancelled(first).await;
    // Publishers are answered first, then the dispatcher finishes: what the last of them published is picked up at the next start.
    let dispatching = tokio::spawn(dispatcher.run(stop.clone()));
    serving::serve(listener, router, stop).await;
    let _ = tokio::join!(appending, jobs, dispatching, managing, cleaning, cache, counted);
    // What was counted while they ended.
    counting.write_counts_or_say().await;
    Ok(())
}

fn admin_token(args: &ServeArgs, folder: Option<&DataDir>) -> anyhow::Result<String> {
    match (&args.admin.admin_token, folder) {
        (Some(token), _) => Ok(token.expose().to_owned()),
        (None, Some(folder)) => folder.admin_token(),
        (None, None) => required(None, "BATON_ADMIN_TOKEN", "it is what clients of the API prove themselves with"),
    }
}

fn caller(args: &ServeArgs, folder: Option<&DataDir>) -> anyhow::Result<Caller> {
    let mut targets = args.targets.clone();
    if let (None, Some(folder)) = (&targets.script_root, folder) {
        targets.script_root = Some(folder.script_root()?);
    }
    Ok(Caller::new(CallerSettings::of(targets, args.listen.listen))?)
}

/// Opens the installation: the embedded one migrates itself and makes its own key, one on PostgreSQL waits for both.
async fn open(args: &ServeArgs, folder: Option<&DataDir>, stop: &CancellationToken) -> anyhow::Result<Installation> {
    let shared = &args.installation;
    let key = match (&shared.secret_key.secret_key, folder) {
        (Some(key), _) => key.clone(),
        (None, Some(folder)) => Secret::new(folder.secret_key()?),
        (None, None) => required(None, "BATON_SECRET_KEY", "it opens the secrets of handlers")?,
    };
    let mut before = shared.secret_key.secret_keys_before.0.clone();
    before.extend(folder.map(DataDir::next_secret_key).transpose()?.flatten());
    let vault = baton_handler_cache::vault(&key, &before)?;
    let url = match (&shared.database.database_url, folder) {
        (Some(url), _) => url.expose().to_owned(),
        (None, Some(folder)) => folder.database_url(),
        (None, None) => required(None, "BATON_DATABASE_URL", "there is no database without it")?,
    };
    let settings = StoreSettings { url, max_connections: shared.database.database_connections };
    let store = if folder.is_some() {
        let store = Store::connect(&settings).await.context("cannot open the database (BATON_DATABASE_URL)")?;
        store.migrate().await.context("cannot migrate the database")?;
        store
    } else {
        baton_handler_cache::wait_for_store(&settings, stop).await?
    };
    let cache = match &shared.redis.redis_url {
        None => HandlerCache::local(store.clone()),
        Some(url) => {
            let redis = RedisSettings { url: url.expose().to_owned(), prefix: shared.redis.redis_prefix.clone() };
            HandlerCache::redis(store.clone(), &redis)?
        }
    };
    Ok(Installation { store, cache, vault })
}
