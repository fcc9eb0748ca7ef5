//! Sealing everything anew after the key has changed.

use std::collections::HashMap;

use baton_domain::handler::{HandlerSpec, Sealed};
use baton_domain::{Handler, Snapshot};

use crate::conn::Tx;
use crate::error::{Result, StorageError};
use crate::handlers::{HandlerRead, handler_columns, select_handler};
use crate::sql::{Value, json, parsed, statements, values};
use crate::{Store, Vault};

statements! {
    NEXT_HANDLER = { both: select_handler!(" WHERE id > $1 ORDER BY id LIMIT 1") };
    RESEAL_HANDLER = "
        UPDATE handlers SET headers = $1, secrets = $2, auth = $3, tls = $4 WHERE id = $5 AND version = $6";
    NEXT_GENERATION = "SELECT number, snapshot FROM generations WHERE number > $1 ORDER BY number LIMIT 1";
    RESEAL_GENERATION = "UPDATE generations SET snapshot = $1, checksum = $2 WHERE number = $3";
}

/// What was sealed anew.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Resealed {
    /// Handlers with secrets that were.
    pub handlers: u64,
    /// Generations with secrets that were.
    pub generations: u64,
    /// Secrets that were, each counted once however many generations hold it.
    pub secrets: u64,
}

/// Seals texts anew. What was the same text stays the same, so that what is saved and what is live stay equal.
struct Sealer<'a> {
    vault: &'a Vault,
    done: HashMap<String, Option<Sealed>>,
}

impl Sealer<'_> {
    /// Whether anything of a handler was sealed with an older key.
    fn reseal(&mut self, of: &str, spec: &mut HandlerSpec) -> Result<bool> {
        let (id, mut any) = (spec.id, false);
        for sealed in spec.sealed_mut() {
            let new = match self.done.get(&sealed.0) {
                Some(known) => known.clone(),
                None => {
                    let new = self.vault.resealed(sealed).map_err(|error| {
                        StorageError::corrupt(format!(
                            "{of}: a secret of handler {id} cannot be opened with any of the keys: {error}"
                        ))
                    })?;
                    self.done.insert(sealed.0.clone(), new.clone());
                    new
                }
            };
            if let Some(new) = new {
                *sealed = new;
                any = true;
            }
        }
        Ok(any)
    }
}

impl Store {
    /// Seals every secret of handlers and generations with the vault's present key, in one transaction.
    ///
    /// # Errors
    /// `Corrupt` when a secret cannot be opened with any key of the vault, `Conflict` when a handler was edited meanwhile; nothing is
    /// changed then.
    pub async fn reseal(&self, vault: &Vault) -> Result<Resealed> {
        let mut conn = self.writer().await?;
        let mut tx = conn.begin().await?;
        let mut sealer = Sealer { vault, done: HashMap::new() };
        let handlers = reseal_handlers(&mut tx, &mut sealer).await?;
        let generations = reseal_generations(&mut tx, &mut sealer).await?;
        tx.commit().await?;
        let secrets = sealer.done.values().flatten().count() as u64;
        Ok(Resealed { handlers, generations, secrets })
    }
}

async fn reseal_handlers(tx: &mut Tx<'_>, sealer: &mut Sealer<'_>) -> Result<u64> {
    let (mut last, mut count) = (0, 0);
    while let Some(row) = tx.fetch_optional::<HandlerRead>(NEXT_HANDLER, values![last]).await? {
        let mut handler = Handler::try_from(row)?;
        last = handler.spec.id.0;
        if !sealer.reseal("what is saved", &mut handler.spec)? {
            continue;
        }
        let HandlerSpec { headers, secrets, auth, tls, .. } = &handler.spec;
        let optional = |text: Option<Result<String>>| text.transpose().map(|text| Value::Text(text.map(Into::into)));
        let (auth, tls) = (optional(auth.as_ref().map(json))?, optional(tls.as_ref().map(json))?);
        let values = values![json(headers)?, json(secrets)?, auth, tls, last, handler.version];
        if tx.execute(RESEAL_HANDLER, values).await? == 0 {
            return Err(StorageError::Conflict);
        }
        count += 1;
    }
    Ok(count)
}

async fn reseal_generations(tx: &mut Tx<'_>, sealer: &mut Sealer<'_>) -> Result<u64> {
    let (mut last, mut count) = (0_i64, 0);
    while let Some((number, text)) = tx.fetch_optional::<(i64, String)>(NEXT_GENERATION, values![last]).await? {
        last = number;
        let snapshot: Snapshot = parsed("a generation's snapshot", &text)?;
        let mut handlers: Vec<_> = snapshot.handlers().iter().map(|handler| HandlerSpec::clone(handler)).collect();
        let mut any = false;
        for handler in &mut handlers {
            any |= sealer.reseal(&format!("generation {number}"), handler)?;
        }
        if any {
            let resealed = Snapshot::new(snapshot.number, snapshot.built_at, handlers);
            tx.execute(RESEAL_GENERATION, values![json(&resealed)?, resealed.checksum(), number]).await?;
            count += 1;
        }
    }
    Ok(count)
}
