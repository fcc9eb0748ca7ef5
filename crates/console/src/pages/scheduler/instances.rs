//! The processes of a service: dispatchers with what they own, Cache Managers.

use maud::{Markup, html};

use super::model::{Instance, Service};
use crate::components::status::{Tone, tag};
use crate::components::time;

/// The table; for dispatchers with partitions and what they hold.
pub(super) fn panel(service: &Service) -> Markup {
    let dispatches = service.name == "dispatcher";
    let title = format!("{}s", service.title);
    html! {
        section.panel id={ (service.name) "-instances" } aria-label=(title) {
            div.cap { h2 { (title) } }
            @if service.instances.is_empty() {
                div.in { p.muted { "None has run of late. Start one: " @if dispatches { "until then events wait." } @else { "until then no restart is done." } } }
            } @else {
                div.across tabindex="0" {
                    table.sheet {
                        caption.unseen { (title) }
                        thead {
                            tr {
                                th scope="col" { "Name" }
                                th scope="col" { "Heartbeat" }
                                th scope="col" { "Started" }
                                @if dispatches { th scope="col" { "Partitions" } th.num scope="col" { "Held" } }
                            }
                        }
                        tbody { @for instance in &service.instances { (row(instance, dispatches)) } }
                    }
                }
            }
        }
    }
}

fn row(instance: &Instance, dispatches: bool) -> Markup {
    html! {
        tr {
            td.name title=(instance.id) { (instance.name) }
            td.when data-label="Heartbeat" {
                @if instance.alive { (tag(Tone::Good, "alive")) " lease ends " } @else { (tag(Tone::Bad, "gone")) " lease ended " }
                (time::ago(instance.alive_until))
            }
            td.when data-label="Started" { (time::ago(instance.started_at)) }
            @if dispatches {
                td data-label="Partitions" { @if instance.partitions.is_empty() { span.muted { "none" } } @else { (instance.partitions.len()) ": " (ranges(&instance.partitions)) } }
                td.num data-label="Held" { (instance.held) }
            }
        }
    }
}

/// Numbers as ranges: `0–31, 40`.
fn ranges(numbers: &[u16]) -> String {
    let mut sorted = numbers.to_vec();
    sorted.sort_unstable();
    let runs = sorted.chunk_by(|one, next| one + 1 == *next);
    let said = runs.filter_map(|run| match run {
        [] => None,
        [one] => Some(one.to_string()),
        [first, .., last] => Some(format!("{first}–{last}")),
    });
    said.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::ranges;

    #[test]
    fn neighbours_are_joined() {
        assert_eq!(ranges(&[3, 0, 1, 2, 40, 63, 62]), "0–3, 40, 62–63");
        assert_eq!(ranges(&[]), "");
    }
}
