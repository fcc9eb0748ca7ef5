//! What the pages are asked for: ids and places in lists, spread over all that is there.

use anyhow::{Context, Result, ensure};

use crate::load::{Browser, between};
use crate::system::Baton;

/// How many ids of each kind.
const IDS: usize = 200;
/// How many pages a list is followed.
const PAGES: usize = 12;

/// What there is to ask for.
pub(super) struct Sample {
    pub handlers: usize,
    pub events: Vec<String>,
    pub failed: Vec<String>,
    pub waiting: Vec<String>,
    pub executions: Vec<String>,
    /// The addresses of the pages behind the first one of each list.
    pub provisioning: Vec<String>,
    pub logs: Vec<String>,
    pub lists_of_events: Vec<String>,
    pub dead_letters: Vec<String>,
}

impl Sample {
    pub(super) async fn of(baton: &Baton, browser: &mut Browser, handlers: usize) -> Result<Self> {
        let mut database = baton.database().await?;
        // A step further each time, so that all types and handlers take their turns.
        let step = format!("(SELECT max(seq) / {IDS} FROM events)");
        let spread = format!("(seq - seq / {step}) % {step} = 0 LIMIT {IDS}");
        let mut ids = async |of: &str, which: &str| -> Result<Vec<String>> {
            let ids = database.texts(&format!("SELECT id::text FROM {of} WHERE {which}")).await?;
            ensure!(!ids.is_empty(), "there are no {of} with {which}");
            Ok(ids)
        };
        // What was sent is known of handlers that were live. Those that were off have executions here all the same, as they never would.
        let live = "SELECT CAST(h ->> 'id' AS bigint) FROM generations g CROSS JOIN jsonb_array_elements(CAST(g.snapshot AS jsonb) -> 'handlers') h \
                    WHERE g.number = (SELECT generation FROM executions LIMIT 1)";
        let failed = format!("id IN (SELECT event_id FROM results WHERE status = 'failed') LIMIT {IDS}");
        Ok(Self {
            handlers,
            events: ids("events", &spread).await?,
            failed: ids("events", &failed).await?,
            waiting: ids("events", "seq IN (SELECT event_seq FROM dispatches)").await?,
            executions: ids("executions", &format!("handler_id IN ({live}) AND {spread}")).await?,
            provisioning: following(browser, "/console/provisioning").await?,
            logs: following(browser, "/console/executions").await?,
            lists_of_events: following(browser, "/console/events").await?,
            dead_letters: following(browser, "/console/dead-letters").await?,
        })
    }
}

/// The addresses of the next pages of a list.
async fn following(browser: &mut Browser, list: &str) -> Result<Vec<String>> {
    let (mut pages, mut path) = (Vec::new(), list.to_owned());
    while pages.len() < PAGES {
        let page = browser.visit(&path).await?.page;
        let Some(next) = between(&page, r#"rel="next" href=""#, '"') else { break };
        path = next.replace("&amp;", "&");
        pages.push(path.clone());
    }
    pages.first().with_context(|| format!("{list} has one page only"))?;
    Ok(pages)
}
