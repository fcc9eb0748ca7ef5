//! The table of the services, with the icons that run them.

use maud::{Markup, html};

use super::PATH;
use super::model::{LastRun, Service};
use crate::components::status::{Tone, dot, tag};
use crate::components::{cut, icon, time};
use crate::layout::Shell;

/// How much of an error a row shows, in characters.
const ERROR_MAX: usize = 200;

/// Active, Manual Run, Name, Run at, In Queue from, Last Run.
pub(super) fn panel(services: &[Service], shell: &Shell) -> Markup {
    html! {
        section.panel aria-label="Services" {
            div.across tabindex="0" {
                table.sheet.services {
                    caption.unseen { "Services" }
                    thead {
                        tr {
                            th scope="col" { "Active" }
                            th scope="col" { "Manual Run" }
                            th scope="col" { "Name" }
                            th scope="col" { "Run at" }
                            th scope="col" { "In Queue from" }
                            th scope="col" { "Last Run" }
                        }
                    }
                    tbody { @for service in services { (row(service, shell)) } }
                }
            }
        }
    }
}

fn row(service: &Service, shell: &Shell) -> Markup {
    html! {
        tr id=(service.name) {
            td.state data-label="Active" { (dot(if service.active { Tone::Good } else { Tone::Bad })) " " (if service.active { "yes" } else { "no" }) }
            td data-label="Manual Run" { (manual_run(service, shell)) }
            td.name { b { (service.title) } }
            td data-label="Run at" { (service.schedule) }
            td.when data-label="In Queue from" {
                @match (service.running_since, service.in_queue_from) {
                    (Some(since), _) => { (tag(Tone::Warn, "running")) " since " (time::ago(since)) }
                    (None, Some(since)) => { (time::ago(since)) }
                    (None, None) => { span.muted { "–" } span.unseen { "not in the queue" } }
                }
                @if let (Some(_), Some(since)) = (service.running_since, service.in_queue_from) { br; "next in the queue from " (time::ago(since)) }
            }
            td data-label="Last Run" { @match &service.last_run { Some(run) => { (last_run(run)) } None => { span.muted { "never" } } } }
        }
    }
}

fn manual_run(service: &Service, shell: &Shell) -> Markup {
    let (action, label) = match service.name.as_str() {
        "cache-manager" => ("restart", "Restart Cache Manager"),
        "cleaner" => ("clean", "Run Cleaner"),
        _ => return html! { span.muted { "–" } span.unseen { "not by hand" } },
    };
    html! {
        @if service.manual_run {
            form method="post" action={ (PATH) "/" (action) } {
                (shell.csrf())
                button.btn title=(label) aria-label=(label) { @if action == "restart" { (icon::restart()) } @else { (icon::run()) } }
            }
        }
    }
}

fn last_run(run: &LastRun) -> Markup {
    let tone = if run.status == "failed" { Tone::Bad } else { Tone::Good };
    html! {
        (tag(tone, &run.status)) " " (time::ago(run.finished_at.unwrap_or(run.asked_at)))
        @if let Some(result) = &run.result {
            @if let Some(generation) = result["generation"].as_i64() { ", generation " (generation) }
            @if let Some(took) = result["took_ms"].as_i64() { ", took " (time::took(took)) }
        }
        @if let Some(error) = &run.error { div.error { (cut::short(error, ERROR_MAX)) } }
    }
}
