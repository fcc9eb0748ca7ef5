//! What a search matches as a file, written page by page while it is sent: a long file takes no memory.

use std::io;

use axum::body::{Body, Bytes};
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use chrono::Utc;
use futures_util::stream;
use serde::de::DeserializeOwned;
use serde_json::json;
use serde_json::value::RawValue;

use super::csv;
use super::download::headers;
use super::list::search_of;
use super::model::Execution;
use crate::client::{ApiClient, Paged};
use crate::components::handler_call::Answer;
use crate::components::query;
use crate::failure::Failure;
use crate::state::Console;

/// The most executions of a file. What is behind is left out, and the file's last line says so.
pub(super) const ROWS_MAX: usize = 100_000;
/// How many executions are read at once: with answers of 64 KiB each, a few megabytes.
const AT_ONCE: &str = "50";

/// How executions are written.
trait Form: Send + Sync + 'static {
    type Item: DeserializeOwned + Send;

    fn head(&self) -> io::Result<Vec<u8>>;
    fn lines(&self, items: &[Self::Item]) -> io::Result<Vec<u8>>;
    /// The last line where there is more.
    fn rest(&self, rows: usize) -> io::Result<Vec<u8>>;
}

struct AsCsv;

impl Form for AsCsv {
    type Item = Execution<Answer>;

    fn head(&self) -> io::Result<Vec<u8>> {
        csv::head().map_err(io::Error::other)
    }

    fn lines(&self, items: &[Self::Item]) -> io::Result<Vec<u8>> {
        csv::lines(items).map_err(io::Error::other)
    }

    fn rest(&self, rows: usize) -> io::Result<Vec<u8>> {
        csv::rest(&cut(rows)).map_err(io::Error::other)
    }
}

struct AsJsonLines;

impl Form for AsJsonLines {
    /// As the API says it, to the letter.
    type Item = Box<RawValue>;

    fn head(&self) -> io::Result<Vec<u8>> {
        Ok(Vec::new())
    }

    fn lines(&self, items: &[Self::Item]) -> io::Result<Vec<u8>> {
        Ok(items.iter().flat_map(|item| [item.get().as_bytes(), b"\n"]).flatten().copied().collect())
    }

    fn rest(&self, rows: usize) -> io::Result<Vec<u8>> {
        Ok(format!("{}\n", json!({"cut_after": rows, "detail": cut(rows)})).into_bytes())
    }
}

fn cut(rows: usize) -> String {
    format!("There are more: this file ends after {rows} executions. Search for a shorter time to get the rest.")
}

/// `GET /console/executions/export.csv`
pub(super) async fn csv(State(console): State<Console>, RawQuery(raw): RawQuery) -> Result<Response, Failure> {
    let body = exported(&console.api, raw.as_deref(), AsCsv, ROWS_MAX).await?;
    Ok((headers("text/csv; charset=utf-8; header=present", &name("csv")), body).into_response())
}

/// `GET /console/executions/export.jsonl`
pub(super) async fn json_lines(State(console): State<Console>, RawQuery(raw): RawQuery) -> Result<Response, Failure> {
    let body = exported(&console.api, raw.as_deref(), AsJsonLines, ROWS_MAX).await?;
    Ok((headers("application/jsonl; charset=utf-8", &name("jsonl")), body).into_response())
}

fn name(extension: &str) -> String {
    format!("executions-{}.{extension}", Utc::now().format("%Y%m%d-%H%M%S"))
}

/// Where an export stands.
struct Progress<F> {
    form: F,
    api: ApiClient,
    /// The search, ready for the API.
    path: String,
    cursor: Option<String>,
    rows: usize,
    rows_max: usize,
    has_ended: bool,
}

/// The body of a file. Its first page is read before there is an answer, so that a search that is refused is said on a page.
async fn exported<F: Form>(api: &ApiClient, raw: Option<&str>, form: F, rows_max: usize) -> Result<Body, Failure> {
    let search = search_of(raw)?;
    let asked = search.asked(api).await?;
    let asked = asked.map_err(|error| Failure::bad_request(format!("{}: {}", error.field, error.message)))?;
    let paging = [("limit", AT_ONCE)];
    let path = query::address("/v1/executions", asked.iter().map(|(name, value)| (*name, value.as_str())).chain(paging));
    let first: Paged<F::Item> = api.get(&path).await?;
    let head = form.head().map_err(|error| Failure::internal(&error.to_string()))?;
    let mut progress = Progress { form, api: api.clone(), path, cursor: None, rows: 0, rows_max, has_ended: false };
    let begun = progress.written(head, first).map_err(|error| Failure::internal(&error.to_string()))?;
    let rest = stream::try_unfold(progress, async |mut progress| {
        Ok::<_, io::Error>(progress.next().await?.map(|part| (part, progress)))
    });
    Ok(Body::from_stream(stream::StreamExt::chain(stream::iter([Ok(begun)]), rest)))
}

impl<F: Form> Progress<F> {
    /// The next part; an error breaks the file off, so that nobody takes it for whole.
    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        if self.has_ended {
            return Ok(None);
        }
        let cursor = self.cursor.take().unwrap_or_default();
        let path = format!("{}&{}", self.path, query::address("", [("cursor", cursor.as_str())]).trim_start_matches('?'));
        let page = self.api.get(&path).await.map_err(|error| {
            tracing::error!(%error, "an export broke off");
            io::Error::other(error)
        })?;
        self.written(Vec::new(), page).map(Some)
    }

    fn written(&mut self, mut to: Vec<u8>, page: Paged<F::Item>) -> io::Result<Bytes> {
        let room = self.rows_max - self.rows;
        let items = &page.items[..page.items.len().min(room)];
        self.rows += items.len();
        to.extend(self.form.lines(items)?);
        let has_more = page.next_cursor.is_some() || items.len() < page.items.len();
        self.has_ended = !has_more || self.rows == self.rows_max;
        if has_more && self.has_ended {
            to.extend(self.form.rest(self.rows)?);
        }
        self.cursor = page.next_cursor;
        Ok(to.into())
    }
}

#[cfg(test)]
mod tests {
    use axum::Json;
    use axum::extract::Query;
    use axum::http::StatusCode;
    use axum::routing::get;
    use http_body_util::BodyExt;
    use serde_json::Value;

    use super::*;

    #[derive(serde::Deserialize)]
    struct Asked {
        limit: usize,
        #[serde(default)]
        cursor: usize,
    }

    /// An API with this many pages, the last of which may fail.
    fn api(pages: usize, fails: bool) -> ApiClient {
        let page = move |Query(asked): Query<Asked>| async move {
            let is_last = asked.cursor + 1 == pages;
            if is_last && fails {
                return Err(StatusCode::SERVICE_UNAVAILABLE);
            }
            let id = "0192f0c1-0000-7000-8000-000000000001";
            let item = json!({
                "id": id, "event_id": id, "events_id": "clients.create", "object_id": 1, "handler_id": 7, "handler_name": "CRM",
                "priority": 1, "generation": 3, "attempt": 1, "status": "success", "started_at": "2026-03-04T11:02:33.481902Z",
                "duration_ms": 18, "error": null, "response": null, "retry_at": null,
            });
            let next = (!is_last).then(|| (asked.cursor + 1).to_string());
            Ok(Json(json!({"items": vec![item; asked.limit], "next_cursor": next})))
        };
        ApiClient::new(axum::Router::new().route("/v1/executions", get(page)), "token").unwrap()
    }

    async fn text(api: &ApiClient, form: impl Form, rows_max: usize) -> Result<String, axum::Error> {
        let body = exported(api, None, form, rows_max).await.unwrap();
        Ok(String::from_utf8(body.collect().await?.to_bytes().to_vec()).unwrap())
    }

    #[tokio::test]
    async fn a_file_that_is_cut_says_so_in_its_last_line() {
        let lines = text(&api(5, false), AsJsonLines, 120).await.unwrap();
        let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 121);
        assert_eq!(lines[120]["cut_after"], 120);
        let csv = text(&api(5, false), AsCsv, 100).await.unwrap();
        assert_eq!(csv.matches("\r\n").count(), 102);
        assert!(csv.lines().last().unwrap().starts_with("There are more: this file ends after 100 executions."), "{csv}");
    }

    #[tokio::test]
    async fn a_file_that_is_whole_has_nothing_else_in_it() {
        for (pages, rows_max, rows) in [(1, 1000, 50), (3, 1000, 150), (3, 150, 150)] {
            let csv = text(&api(pages, false), AsCsv, rows_max).await.unwrap();
            assert_eq!(csv.matches("\r\n").count(), rows + 1);
            assert!(!csv.contains("There are more"), "{csv}");
        }
    }

    #[tokio::test]
    async fn a_file_breaks_off_where_the_log_cannot_be_read_on() {
        assert!(text(&api(3, true), AsCsv, 1000).await.is_err());
        assert!(exported(&api(1, true), None, AsCsv, 1000).await.is_err(), "nothing is sent where the first page fails");
    }
}
