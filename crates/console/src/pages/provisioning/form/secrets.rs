//! What the form never shows once it is stored: header values and the signing secret.

use maud::{Markup, html};

use super::super::model::Handler;
use super::input::Input;
use crate::components::field::{Errors, described, field};

/// How many empty lines for new headers there are.
const EMPTY: usize = 2;

/// The extra headers: stored ones with their values hidden, new ones as they were typed.
pub(super) fn headers(saved: Option<&Handler>, input: &Input, errors: &Errors) -> Markup {
    let stored: Vec<&str> = saved.into_iter().flat_map(|handler| handler.headers.keys()).map(String::as_str).collect();
    let typed = |name: &str| {
        let at = input.header_name.iter().position(|typed| typed == name);
        at.and_then(|at| input.header_value.get(at)).map_or("", String::as_str)
    };
    let added = input.header_name.iter().zip(&input.header_value);
    let is_typed = |name: &str, value: &str| !name.is_empty() || !value.is_empty();
    let added = added.filter(|(name, value)| is_typed(name, value) && !stored.contains(&name.as_str()));
    let added: Vec<_> = added.map(|(name, value)| (name.as_str(), value.as_str())).chain([("", ""); EMPTY]).collect();
    let wrong = errors.below("headers");
    html! {
        fieldset #headers aria-describedby=[(!wrong.is_empty()).then_some("headers-error")] {
            legend { "Headers" }
            div.headers {
                @for name in &stored {
                    div.header {
                        input type="hidden" name="header_name" value=(name);
                        code { (name) }
                        input type="password" name="header_value" value=(typed(name)) placeholder="stored; type to replace it"
                            autocomplete="off" aria-label={ "New value of the header " (name) };
                        label.check {
                            input type="checkbox" name="header_remove" value=(name) checked[input.header_remove.iter().any(|of| of == name)];
                            "Remove"
                        }
                    }
                }
                @for (name, value) in &added {
                    div.header {
                        input name="header_name" value=(name) placeholder="x-api-key" autocomplete="off" spellcheck="false" aria-label="Name of a new header";
                        input.wide name="header_value" value=(value) placeholder="value" autocomplete="off" spellcheck="false" aria-label="Value of the new header";
                    }
                }
            }
            @if let Some(error) = errors.of("headers") { p.error { (error) } }
            @if !wrong.is_empty() {
                div #headers-error { @for error in &wrong { p.error { (error.field.trim_start_matches("headers.")) ": " (error.message) } } }
            }
            p.hint { "Sent with every call. Values are stored encrypted and never shown again." }
        }
    }
}

/// The signing secret: kept, made, given or removed.
pub(super) fn signature(saved: Option<&Handler>, input: &Input, errors: &Errors) -> Markup {
    let is_signed = saved.is_some_and(|handler| handler.secrets_valid > 0);
    let keep = if is_signed { "Keep the stored secret" } else { "Not signed" };
    let mut options = vec![
        ("keep", keep),
        ("generate", if is_signed { "Generate a new secret" } else { "Generate a secret" }),
        ("generate_ed25519", "Generate an Ed25519 key pair"),
        ("set", "Use a secret of my own"),
    ];
    if is_signed {
        options.push(("remove", "Remove it: no longer signed"));
    }
    let error = errors.of("secret");
    let choice = html! {
        select #secret_change name="secret_change" aria-invalid=[error.as_ref().map(|_| "true")]
            aria-describedby=[described("secret_change", true, error.is_some())] {
            @for (word, shown) in options { option value=(word) selected[input.secret_change == word] { (shown) } }
        }
    };
    let hint = html! {
        "Lets the receiver check that a call is Baton's (Standard Webhooks). A generated secret is shown once, after it is saved; the one before stays valid for 24 hours."
    };
    html! {
        (field("secret_change", "Signature", &choice, Some(&hint), error.as_deref()))
        div.field.own-secret {
            label for="secret" { "Secret of my own" }
            input #secret type="password" name="secret" value=(input.secret) placeholder="whsec_…" autocomplete="off" spellcheck="false";
        }
    }
}
