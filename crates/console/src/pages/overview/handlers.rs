//! Handlers that need a look: those that fail, and those that are slow.

use std::cmp::Reverse;

use maud::{Markup, html};

use super::model::HandlerStats;
use super::scale::{number, whole};
use crate::components::cut::short;

/// How much of a name a row shows, in characters.
const NAME_MAX: usize = 80;
/// How many a table has.
pub(super) const SHOWN: usize = 8;

/// Those with the most attempts that failed; handlers at which none did are not among them.
pub(super) fn failing(of: &[HandlerStats]) -> Vec<&HandlerStats> {
    let mut failing: Vec<_> = of.iter().filter(|handler| handler.figures.fail > 0).collect();
    failing.sort_by_key(|handler| (Reverse(handler.figures.fail), handler.handler_id));
    failing.truncate(SHOWN);
    failing
}

/// Those whose calls took longest on average.
pub(super) fn slowest(of: &[HandlerStats]) -> Vec<&HandlerStats> {
    let mean = |handler: &HandlerStats| handler.figures.duration_ms.map(|took| took.mean);
    let mut slowest: Vec<_> = of.iter().filter_map(|handler| Some((mean(handler)?, handler))).collect();
    slowest.sort_by(|(one, a), (other, b)| other.total_cmp(one).then(a.handler_id.cmp(&b.handler_id)));
    slowest.truncate(SHOWN);
    slowest.into_iter().map(|(_, handler)| handler).collect()
}

/// A table of them.
pub(super) fn panel(title: &str, none: &str, handlers: &[&HandlerStats]) -> Markup {
    html! {
        section.panel aria-label=(title) {
            div.cap { h2 { (title) } }
            @if handlers.is_empty() { div.in { p.muted { (none) } } } @else {
                div.across tabindex="0" {
                    table.sheet.stats {
                        caption.unseen { (title) }
                        thead { tr { th scope="col" { "Handler" } th.num scope="col" { "Failed" } th.num scope="col" { "Success" } th.num scope="col" { "p50" } th.num scope="col" { "p99" } } }
                        tbody { @for handler in handlers { (row(handler)) } }
                    }
                }
            }
        }
    }
}

fn row(handler: &HandlerStats) -> Markup {
    let HandlerStats { handler_id, name, figures } = handler;
    let name = name.clone().unwrap_or_else(|| format!("{handler_id} (deleted)"));
    html! {
        tr {
            td.name { a href={ "/console/executions?handler_id=" (handler_id) } title={ "Executions of handler " (handler_id) } { (short(&name, NAME_MAX)) } }
            td.num data-label="Failed" { (whole(figures.fail)) }
            td.num data-label="Success" { (figures.success_share.map_or("–".to_owned(), |share| format!("{} %", number(share * 100.0)))) }
            td.num data-label="p50" { @if let Some(took) = figures.duration_ms { (number(took.p50)) " ms" } }
            td.num data-label="p99" { @if let Some(took) = figures.duration_ms { (number(took.p99)) " ms" } }
        }
    }
}
