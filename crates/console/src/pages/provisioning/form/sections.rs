//! The form's sections. Each is a function, so that a new field has its place.

use maud::{Markup, html};

use super::super::PATH;
use super::super::model::Handler;
use super::input::Input;
use super::page::Extras;
use super::{connection, preview, secrets};
use crate::components::changes;
use crate::components::event_types::EventTypes;
use crate::components::field::{Errors, Text, described, field, select};
use crate::layout::Shell;

/// Somebody else has saved the same handler in the meantime.
pub(super) struct Conflict {
    /// The version that was edited.
    pub(super) edited: i64,
    /// Field, what is saved now, what was typed.
    pub(super) differing: Vec<(&'static str, String, String)>,
}

impl Conflict {
    /// What was typed against what is saved now.
    pub(super) fn between(now: &Handler, typed: &Input) -> Self {
        let saved = Input::of(now);
        let fields = |of: &Input| {
            [
                ("name", of.name.clone()),
                ("event", of.event.clone()),
                ("URL", of.url.clone()),
                ("script", of.path.clone()),
                ("arguments", of.args.replace("\r\n", "\n")),
                ("status", of.status.clone()),
                ("priority", of.priority.clone()),
                ("on failure", of.on_failure.clone()),
                ("timeout, ms", of.timeout_ms.clone()),
                ("attempts", of.max_attempts.clone()),
                ("first delay, ms", of.first_delay_ms.clone()),
                ("longest delay, ms", of.max_delay_ms.clone()),
                ("lane", of.lane.clone()),
                ("notes", of.notes.replace("\r\n", "\n")),
                ("filter", of.filter.replace("\r\n", "\n")),
                ("calls at once", of.concurrency.clone()),
                ("calls a second", of.per_second.clone()),
                ("authentication", of.auth.clone()),
                ("user", of.username.clone()),
                ("token address", of.token_url.clone()),
                ("client id", of.client_id.clone()),
                ("scope", of.scope.clone()),
                ("unchecked certificate", of.tls_unverified.clone()),
            ]
        };
        let pairs = fields(&saved).into_iter().zip(fields(typed));
        let differing = pairs.filter(|((_, saved), (_, typed))| saved.trim() != typed.trim());
        Self {
            edited: typed.version.unwrap_or_default(),
            differing: differing.map(|((label, saved), (_, typed))| (label, saved, typed)).collect(),
        }
    }

    /// What happened, and the two ways on.
    pub(super) fn shown(&self, now: &Handler) -> Markup {
        html! {
            div.said.bad role="alert" id="errors" {
                b { "Somebody else has saved this handler while you were editing it; yours is not saved." }
                " You began with version " (self.edited) "; version " (now.version) " is saved now. "
                @if self.differing.is_empty() { "In the fields below, yours is the same as theirs." } @else { "Saved now → yours:" }
                ul.changes {
                    @for (label, saved, typed) in &self.differing { li { (label) " " del { (shown(saved)) } " → " ins { (shown(typed)) } } }
                }
                a.inline href={ (PATH) "/" (now.id) } { "Drop yours and look at theirs" } ", or save yours over it with the button below."
            }
        }
    }
}

fn shown(value: &str) -> &str {
    if value.is_empty() { "none" } else { value }
}

/// Field of the API, id in the page, label. The rest of a path belongs to what it begins with.
const PLACES: &[(&str, &str, &str)] = &[
    ("name", "name", "Name"),
    ("event", "event", "Event"),
    ("task.url", "url", "Address"),
    ("task.path", "path", "Script"),
    ("task.args", "args", "Arguments"),
    ("task", "task", "Task"),
    ("status", "status", "Status"),
    ("priority", "priority", "Priority"),
    ("on_failure", "on_failure", "When it fails"),
    ("timeout_ms", "timeout_ms", "Timeout"),
    ("retry.max_attempts", "max_attempts", "Attempts"),
    ("retry.first_delay_ms", "first_delay_ms", "First delay"),
    ("retry.max_delay_ms", "max_delay_ms", "Longest delay"),
    ("retry", "max_attempts", "Retries"),
    ("lane", "lane", "Lane"),
    ("headers", "headers", "Headers"),
    ("secret", "secret_change", "Signature"),
    ("notes", "notes", "Notes"),
    ("filter", "filter", "Only events with"),
    ("data", "filter_data", "Data"),
    ("limits.concurrency", "concurrency", "Calls at once"),
    ("limits.per_second", "per_second", "Calls a second"),
    ("auth.username", "username", "User"),
    ("auth.password", "password", "Password"),
    ("auth.token_url", "token_url", "Token address"),
    ("auth.client_id", "client_id", "Client id"),
    ("auth.client_secret", "client_secret", "Client secret"),
    ("auth.scope", "scope", "Scope"),
    ("auth.audience", "audience", "Audience"),
    ("auth", "auth", "Authentication"),
    ("tls.ca", "tls_ca", "Authorities to trust"),
    ("tls.client_certificate", "tls_certificate", "Client certificate"),
    ("tls.client_key", "tls_key", "Key of the client certificate"),
    ("tls", "tls_ca", "TLS"),
];

fn place(name: &str) -> Option<&'static (&'static str, &'static str, &'static str)> {
    let is_of = |known: &str| name == known || name.strip_prefix(known).is_some_and(|rest| rest.starts_with(['.', '[']));
    PLACES.iter().find(|(known, ..)| is_of(known))
}

/// Where in the page a field of the API is.
pub(super) fn place_of(name: &str) -> &'static str {
    place(name).map_or("main", |(_, id, _)| id)
}

/// What the page calls a field of the API.
pub(super) fn label_of(name: &str) -> String {
    match place(name) {
        Some((known, _, label)) if *known == name => (*label).to_owned(),
        _ => changes::label(name),
    }
}

/// The whole form.
pub(super) fn form(shell: &Shell, saved: Option<&Handler>, input: &Input, event_types: &EventTypes, extras: &Extras) -> Markup {
    let errors = &extras.errors;
    let action = saved.map_or(format!("{PATH}/new"), |handler| format!("{PATH}/{}", handler.id));
    html! {
        form.handler #handler method="post" action=(&action) data-id=[saved.map(|handler| handler.id)]
            data-unsaved[extras.are_unsaved(input)] {
            (shell.csrf())
            // Of what was edited, after a conflict too: whoever sends the form with it overwrites nothing that somebody else has saved.
            @if let Some(handler) = saved { input type="hidden" name="version" value=(input.version.unwrap_or(handler.version)); }
            // What the Enter key sends is the first button of the form. After a conflict it compares again, and never overwrites.
            button.unseen tabindex="-1" aria-hidden="true" { @if extras.conflict.is_some() { "Compare again" } @else { "Save" } }
            section.panel aria-label="What it is" { div.in { (basics(saved, input, event_types, errors)) } }
            section.panel aria-labelledby="task-title" { div.cap { h2 #task-title { "Task" } } div.in.task { (task(input, errors)) } }
            section.panel.for-http aria-labelledby="request-title" {
                div.cap { h2 #request-title { "Request" } }
                div.in {
                    (secrets::headers(saved, input, errors)) (secrets::signature(saved, input, errors))
                    (connection::auth(saved, input, errors)) (connection::tls(saved, input, errors))
                }
            }
            section.panel aria-labelledby="events-title" {
                div.cap { h2 #events-title { "Which events, and how many" } }
                div.in { (connection::events(input, &action, extras.tried.as_ref(), errors)) }
            }
            section.panel aria-labelledby="failure-title" { div.cap { h2 #failure-title { "When it fails" } } div.in { (failure(input, &action, errors)) } }
            section.panel aria-labelledby="more-title" { div.cap { h2 #more-title { "Order and notes" } } div.in { (more(input, errors)) } }
            div.formacts {
                @match (saved, &extras.conflict) {
                    (Some(handler), Some(_)) => {
                        button.btn.primary name="over" value=(handler.version) { "Save mine over version " (handler.version) }
                    }
                    _ => { button.btn.primary { "Save" } }
                }
                a.btn.quiet href=(PATH) { "Back to the list" }
            }
        }
    }
}

const STATUSES: &[(&str, &str)] = &[("enabled", "enabled"), ("disabled", "disabled"), ("archived", "archived")];

fn basics(saved: Option<&Handler>, input: &Input, event_types: &EventTypes, errors: &Errors) -> Markup {
    let statuses = if saved.is_some() { STATUSES } else { &STATUSES[..2] };
    html! {
        (Text::new("name", "Name", &input.name).required().shown(errors.of("name").as_deref()))
        (event_types.select("event", "Event", &input.event, "Choose an event", errors.of("event").as_deref()))
        div.pair {
            (Text::new("priority", "Priority", &input.priority).numeric()
                .hint("1 runs before all others; equal numbers run side by side.").shown(errors.of("priority").as_deref()))
            (select("status", "Status", &input.status, statuses, errors.of("status").as_deref()))
        }
    }
}

const TASKS: &[(&str, &str)] = &[("http", "HTTP"), ("https", "HTTPS"), ("script", "Script")];

fn task(input: &Input, errors: &Errors) -> Markup {
    let url = Text::new("url", "Address", &input.url)
        .placeholder("crm.example:8080/hooks/clients")
        .hint("Gets a POST with the event as JSON. It answers with 2xx when it has done its work.");
    let path = Text::new("path", "Script", &input.path)
        .placeholder("vcs/script.py")
        .hint("Its path under the script root. It is run without a shell and reads the event as JSON from its standard input.");
    let args_error = errors.of("task.args").or_else(|| errors.below("task.args").first().map(|error| error.message.clone()));
    let args = html! {
        textarea.code #args name="args" rows="2" spellcheck="false" aria-describedby=[described("args", true, args_error.is_some())] { (input.args) }
    };
    let url_error = errors.of("task.url").or_else(|| errors.of("task"));
    html! {
        fieldset #task {
            legend.unseen { "Type of the task" }
            div.choice {
                @for (word, label) in TASKS {
                    label { input type="radio" name="task" value=(word) checked[input.task == *word]; span { (label) } }
                }
            }
            @if let Some(error) = errors.of("task.type") { p.error { (error) } }
        }
        div.for-http { (url.shown(url_error.as_deref())) }
        div.for-script {
            (path.shown(errors.of("task.path").or_else(|| errors.of("task")).as_deref()))
            (field("args", "Arguments", &args, Some(&html! { "One a line." }), args_error.as_deref()))
        }
    }
}

const POLICIES: &[(&str, &str, &str)] = &[
    ("continue", "Go on", "The handlers after it run at once; it is tried again in the background."),
    ("wait", "Wait", "The handlers after it wait until it has succeeded, or until its attempts are used up."),
    ("stop", "Wait, then stop", "The handlers after it wait; when its attempts are used up, they do not run at all."),
];

fn failure(input: &Input, action: &str, errors: &Errors) -> Markup {
    let number = |name, label, value, hint, field: &str| {
        Text::new(name, label, value).numeric().hint(hint).shown(errors.of(field).as_deref())
    };
    html! {
        fieldset #on_failure {
            legend.unseen { "What a failure means for the handlers after it" }
            div.policies {
                @for (word, label, plain) in POLICIES {
                    label {
                        input type="radio" name="on_failure" value=(word) checked[input.on_failure == *word];
                        span { b { (label) } small { (plain) } }
                    }
                }
            }
            @if let Some(error) = errors.of("on_failure") { p.error { (error) } }
        }
        div.pair {
            (number("timeout_ms", "Timeout, ms", &input.timeout_ms, "For the whole call.", "timeout_ms"))
            (number("max_attempts", "Attempts", &input.max_attempts, "How often it is tried in all.", "retry.max_attempts"))
            (number("first_delay_ms", "First delay, ms", &input.first_delay_ms, "Doubles with each failure.", "retry.first_delay_ms"))
            (number("max_delay_ms", "Longest delay, ms", &input.max_delay_ms, "It never waits longer.", "retry.max_delay_ms"))
        }
        div #retry aria-live="polite" { (preview::preview(input)) }
        button.btn.no-script name="act" value="preview" formaction={ (action) "#retry" } { "Show the times again" }
    }
}

fn more(input: &Input, errors: &Errors) -> Markup {
    let lane = Text::new("lane", "Lane", &input.lane)
        .placeholder("as the task's target")
        .hint("Handlers with the same lane get the events of one object in order. Empty: the task's target.");
    let error = errors.of("notes");
    let notes = html! {
        textarea #notes name="notes" rows="3" aria-invalid=[error.as_ref().map(|_| "true")]
            aria-describedby=[described("notes", false, error.is_some())] { (input.notes) }
    };
    html! {
        (lane.shown(errors.of("lane").as_deref()))
        (field("notes", "Notes", &notes, None, error.as_deref()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_has_a_place() {
        for (field, id, label) in [
            ("task.url", "url", "Address"),
            ("task.args[3]", "args", "task.args[3]"),
            ("headers.x-key", "headers", "header x-key"),
            ("retry.max_delay_ms", "max_delay_ms", "Longest delay"),
            ("body", "main", "body"),
        ] {
            assert_eq!(place_of(field), id);
            assert_eq!(label_of(field), label);
        }
    }
}
