//! Dead letters on their way again: one, some, or all that a search matches.

use axum::extract::State;
use axum::http::Method;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::PATH;
use super::job::Job;
use crate::client::{ApiClient, ApiError};
use crate::components::log_search::LogSearch;
use crate::components::refusal::said;
use crate::flash::Flash;
use crate::form::Form;
use crate::layout::count;
use crate::sign_in::own_page;
use crate::state::Console;

/// What was chosen, each as `<event>/<handler>`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Picked {
    /// By the button of its row, which leaves the boxes alone.
    one: String,
    pick: Vec<String>,
    back: String,
}

#[derive(Deserialize)]
struct Replayed {
    replayed: usize,
    job: Option<Job>,
}

/// `POST /console/dead-letters/replay`
pub(super) async fn some(State(console): State<Console>, Form(picked): Form<Picked>) -> Response {
    let flash = match picked.ids() {
        None => Flash::bad("The form names what is no dead letter. Load the page again."),
        Some(ids) if ids.is_empty() => Flash::bad("Nothing is selected."),
        Some(ids) => match console.api.send(Method::POST, "/v1/dead-letters/replay", None, &json!({"ids": ids})).await {
            Ok(Replayed { replayed: 0, .. }) => Flash::bad("They were not there any more: somebody else has replayed them."),
            Ok(Replayed { replayed, .. }) => Flash::good(on_their_way(replayed)),
            Err(error) => Flash::bad(said(&error)),
        },
    };
    flash.and_go(&console.key, own_page(&picked.back).unwrap_or(PATH))
}

fn on_their_way(number: usize) -> String {
    format!(
        "{} {} on {} way again.",
        count(number, "dead letter"),
        if number == 1 { "is" } else { "are" },
        if number == 1 { "its" } else { "their" }
    )
}

impl Picked {
    /// `None` when one of them is none.
    fn ids(&self) -> Option<Vec<Value>> {
        let one = [&self.one];
        let chosen: Vec<&String> = if self.one.is_empty() { self.pick.iter().collect() } else { one.into() };
        chosen.into_iter().map(|text| id(text)).collect()
    }
}

fn id(text: &str) -> Option<Value> {
    let (event, handler) = text.split_once('/')?;
    let (event, handler): (Uuid, i64) = (event.parse().ok()?, handler.parse().ok()?);
    Some(json!({"event_id": event, "handler_id": handler}))
}

/// `POST /console/dead-letters/replay-all`: a job, whose page follows.
pub(super) async fn all(State(console): State<Console>, Form(search): Form<LogSearch>) -> Response {
    let failed = match job_of(&console.api, &search).await {
        Ok(Ok(job)) => return Redirect::to(&job.address()).into_response(),
        Ok(Err(said)) => said,
        Err(error) => said(&error),
    };
    Flash::bad(failed).and_go(&console.key, &search.at(PATH, ""))
}

async fn job_of(api: &ApiClient, search: &LogSearch) -> Result<Result<Job, String>, ApiError> {
    let asked = match search.asked(api).await? {
        Ok(asked) => asked,
        Err(error) => return Ok(Err(format!("{}: {}", error.field, error.message))),
    };
    let value = |(name, text): (&str, String)| {
        let number = text.parse::<i64>().ok().filter(|_| name == "handler_id");
        (name.to_owned(), number.map_or(Value::String(text), Value::from))
    };
    let search: Map<_, _> = asked.into_iter().map(value).collect();
    let replayed: Replayed = api.send(Method::POST, "/v1/dead-letters/replay?wait=0", None, &json!({"search": search})).await?;
    Ok(replayed.job.ok_or_else(|| on_their_way(replayed.replayed)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_button_counts_for_its_row_alone() {
        let event = "0192f0c1-0000-7000-8000-000000000001";
        let picked = |text: String| crate::form::parse::<Picked>(text.as_bytes()).unwrap().ids();
        let of = |handler: i64| json!({"event_id": event, "handler_id": handler});
        assert_eq!(picked(format!("pick={event}/1&pick={event}/2")), Some(vec![of(1), of(2)]));
        assert_eq!(picked(format!("pick={event}/1&one={event}/3")), Some(vec![of(3)]));
        assert_eq!(picked(String::new()), Some(Vec::new()));
        for bad in ["x", "x/1", &format!("{event}/x"), event] {
            assert_eq!(picked(format!("pick={bad}")), None, "{bad}");
        }
    }
}
