//! The table of handlers, grouped by event, in the order in which chains run.

use maud::{Markup, html};

use super::PATH;
use super::actions::deletion;
use super::last_runs;
use super::model::Handler;
use crate::components::confirm::Confirm;
use crate::components::event_types::EventTypes;
use crate::components::{icon, status};
use crate::layout::Shell;

/// The columns of the table.
const COLUMNS: usize = 9;
/// The longest way back that a row carries, in bytes.
const BACK_MAX: usize = 250;
/// The form that the buttons of all rows send: token and way back stand in it once.
const ACTIONS: &str = "actions";

/// The table.
pub(super) fn table(handlers: &[Handler], event_types: &EventTypes, shell: &Shell) -> Markup {
    html! {
        form id=(ACTIONS) method="post" { (shell.csrf()) (back(shell)) }
        table.handlers data-move {
            caption.unseen { "Handlers by event and priority. Equal priorities run side by side." }
            thead {
                tr {
                    th scope="col" { span.unseen { "Status" } }
                    th.num scope="col" { "ID" }
                    th scope="col" { "Priority" }
                    th scope="col" { "Name" }
                    th.wide scope="col" { "Event" }
                    th scope="col" { "Handler" }
                    th scope="col" { "Live" }
                    th scope="col" { "Last run" }
                    th scope="col" { span.unseen { "Logs and deletion" } }
                }
            }
            @for chain in handlers.chunk_by(|a, b| a.event == b.event) {
                @let event = chain.first().map_or("", |handler| handler.event.as_str());
                tbody data-event=(event) {
                    tr.group {
                        th colspan=(COLUMNS) scope="rowgroup" { (event_types.title(event)) " " code { (event) } }
                    }
                    @for handler in chain { (row(handler, shell)) }
                }
            }
        }
    }
}

fn back(shell: &Shell) -> Markup {
    // It stands in every row, so that a very long one is left out: the way back is then the whole list.
    let address = Some(shell.address()).filter(|address| address.len() <= BACK_MAX).unwrap_or(PATH);
    html! { input type="hidden" name="back" value=(address); }
}

fn row(handler: &Handler, shell: &Shell) -> Markup {
    let id = handler.id;
    html! {
        tr id={ "h" (id) } data-id=(id) data-priority=(handler.priority) {
            td.state { (toggle(handler)) }
            td.num.muted { (id) }
            td.rank { (priority(handler, shell)) }
            td.name {
                a id={ "n" (id) } href={ (PATH) "/" (id) } { (handler.name) }
                @if handler.paused { " " (status::tag(status::Tone::Warn, "paused")) }
            }
            td.wide { code.muted { (handler.event) } }
            td.task {
                (handler.task.shown())
                @if handler.tls.as_ref().is_some_and(|tls| !tls.verify) { " " (status::tag(status::Tone::Bad, "certificate not checked")) }
            }
            td.live { (status::live(&handler.live)) }
            td.run { (last_runs::shown(handler.last_execution.as_ref())) }
            td.acts {
                a.btn.quiet href={ "/console/executions?handler_id=" (id) } title="Execution Logs" aria-label="Execution Logs"
                    aria-describedby={ "n" (id) } {
                    (icon::logs())
                }
                (delete(handler, shell))
            }
        }
    }
}

/// The icon of the status, which switches it. Out of the archive leads only the form.
fn toggle(handler: &Handler) -> Markup {
    let (tone, other, act) = match handler.status.as_str() {
        "enabled" => (status::Tone::Good, "disabled", "Disable"),
        "disabled" => (status::Tone::Plain, "enabled", "Enable"),
        _ => return html! { span.state title="archived" { (status::dot(status::Tone::Warn)) span.unseen { "archived" } } },
    };
    let title = format!("{}: {act} it", handler.status);
    html! {
        button.state form=(ACTIONS) formaction={ (PATH) "/" (handler.id) "/toggle?to=" (other) } title=(title)
            aria-label=(title) aria-describedby={ "n" (handler.id) } { (status::dot(tone)) }
    }
}

/// A form of its own, small: the number, and a button that shows itself while the number is edited.
fn priority(handler: &Handler, shell: &Shell) -> Markup {
    html! {
        form.prio method="post" action={ (PATH) "/" (handler.id) "/priority" } {
            (shell.csrf()) (back(shell))
            input name="priority" value=(handler.priority) inputmode="numeric" maxlength="5" autocomplete="off"
                aria-label="Priority" aria-describedby={ "n" (handler.id) };
            button.btn { "Set" }
        }
    }
}

fn delete(handler: &Handler, shell: &Shell) -> Markup {
    let confirm = Confirm {
        opener: icon::bin(),
        label: "Delete",
        about: Some(&format!("n{}", handler.id)),
        question: deletion(handler),
        action: &format!("{PATH}/{}/delete?version={}", handler.id, handler.version),
        fields: html! { (shell.csrf()) (back(shell)) },
        button: "Delete",
    };
    confirm.shown()
}
