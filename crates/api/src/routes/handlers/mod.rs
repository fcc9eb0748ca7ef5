//! `/v1/handlers`: what operators configure.

mod check;
mod connection;
mod edit;
mod filter_test;
mod last_execution;
mod live;
mod patch;
mod priorities;
mod secrets;
mod shape;
mod test_call;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::IntoResponse;
use baton_domain::HandlerId;
use baton_storage::{HandlerOrder, HandlerSearch, HandlerSort};
use chrono::Utc;
use serde::Deserialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use self::edit::{Edit, edited, remove};
use self::last_execution::{LastExecutions, WithQuery};
use self::live::InForce;
use self::patch::HandlerPatch;
pub(crate) use self::shape::Task;
use self::shape::{Handler, HandlerInput, HandlerPage};
use crate::problem::Problem;
use crate::request::{Id, IfMatch, NoBody, NoParams, Params, QueryString, Whole, etag, no_such};
use crate::state::ApiState;
use crate::words::{HandlerStatus, HandlerWith, TaskType, list};

const TAG: &str = "Handlers";
/// The most ids that handlers are searched by.
const IDS_MAX: usize = 200;

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(list_handlers, create_handler))
        .routes(routes!(get_handler, replace_handler, update_handler, delete_handler))
        .routes(routes!(toggle_handler))
        .routes(routes!(priorities::set_priorities))
        .routes(routes!(test_call::test_handler))
        .routes(routes!(filter_test::test_filter))
}

/// Which handlers.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct HandlerQuery {
    /// Part of the name, the notes or the target, in any case of its letters.
    q: Option<String>,
    /// Any of these, at most 200.
    #[serde(default)]
    #[param(value_type = Option<Vec<i64>>, minimum = 1)]
    id: Vec<String>,
    /// An id or an older spelling of the catalogue.
    #[param(example = "clients.create")]
    event: Option<String>,
    #[param(value_type = Option<TaskType>)]
    task_type: Option<String>,
    /// Any of these; none means enabled and disabled.
    #[serde(default)]
    #[param(value_type = Option<Vec<HandlerStatus>>)]
    status: Vec<String>,
    #[param(value_type = Option<u16>, minimum = 1, maximum = 65535)]
    priority: Option<String>,
    /// What the list is sorted by, `chain` being event and priority; `-` turns it round.
    #[param(value_type = Option<String>, pattern = "^-?(id|priority|name|event|updated_at|chain)$", default = "priority")]
    order: Option<String>,
    /// What is shown beside what is saved: `last_execution`.
    #[serde(default)]
    #[param(inline, value_type = Option<Vec<HandlerWith>>)]
    with: Vec<String>,
    /// The most items of a page.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 200, default = 50)]
    limit: Option<String>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Lists handlers.
#[utoipa::path(get, path = "/v1/handlers", tag = TAG, params(HandlerQuery), responses((status = 200, body = HandlerPage, description = "The handlers that match")))]
async fn list_handlers(
    State(state): State<ApiState>,
    QueryString(query): QueryString<HandlerQuery>,
) -> Result<Json<HandlerPage>, Problem> {
    let mut params = Params::default();
    let page = params.page(query.limit.as_deref(), query.cursor);
    let event = state.known_event(&mut params, "event", query.event).await?;
    let status_of = |params: &mut Params, word: &String| {
        params.word("status", word, list::HANDLER_STATUS, baton_domain::HandlerStatus::parse)
    };
    let search = HandlerSearch {
        q: params.text("q", query.q),
        ids: ids(&mut params, &query.id),
        event,
        task_type: query
            .task_type
            .and_then(|word| params.word("task_type", &word, list::TASK_TYPE, TaskType::parse))
            .map(|t| t.as_str().into()),
        status: query.status.iter().filter_map(|word| status_of(&mut params, word)).collect(),
        priority: params.number("priority", query.priority.as_deref(), 1..=65_535).and_then(|p| u16::try_from(p).ok()),
        order: order(&mut params, query.order.as_deref()),
    };
    let with_last = last_execution::is_asked_for(&mut params, &query.with);
    let (search, page) = params.or((search, page))?;
    let in_force = InForce::now(&state).await?;
    let found = state.store.search_handlers(&search, &page).await?;
    let mut last = LastExecutions::of(&state, with_last, found.items.iter().map(|handler| handler.spec.id)).await?;
    Ok(Json(HandlerPage::of(found, |handler| last.beside(handler.spec.id, Handler::new(&handler, &in_force)))))
}

fn ids(params: &mut Params, given: &[String]) -> Vec<HandlerId> {
    if given.len() > IDS_MAX {
        params.refuse("id", format!("may be given {IDS_MAX} times"));
        return Vec::new();
    }
    given.iter().filter_map(|id| params.number("id", Some(id), 1..=i64::MAX).map(HandlerId)).collect()
}

fn order(params: &mut Params, order: Option<&str>) -> HandlerOrder {
    let Some(order) = order else { return HandlerOrder::default() };
    let (desc, name) = order.strip_prefix('-').map_or((false, order), |name| (true, name));
    let by = match name {
        "id" => HandlerSort::Id,
        "priority" => HandlerSort::Priority,
        "name" => HandlerSort::Name,
        "event" => HandlerSort::Event,
        "updated_at" => HandlerSort::UpdatedAt,
        "chain" => HandlerSort::Chain,
        _ => {
            params.refuse(
                "order",
                "must be one of id, priority, name, event, updated_at, chain, with - before it to turn it round",
            );
            HandlerSort::default()
        }
    };
    HandlerOrder { by, desc }
}

/// Creates a handler. It goes live with the next restart of the Cache Manager.
#[utoipa::path(post, path = "/v1/handlers", tag = TAG, request_body = HandlerInput, responses((status = 201, body = Handler, description = "Created",
    headers(("Location" = String, description = "The handler's path"), ("ETag" = String, description = "The version, in quotes")))))]
async fn create_handler(
    State(state): State<ApiState>,
    QueryString(NoParams {}): QueryString<NoParams>,
    Whole(sent): Whole,
) -> Result<impl IntoResponse, Problem> {
    let draft = check::checked(&state, sent, None).await?;
    let now = Utc::now();
    let (new, secret) = check::created(draft, &state.vault, now);
    let saved = state.store.create_handler(&new, now).await?;
    let in_force = InForce::now(&state).await?;
    let location =
        HeaderValue::from_str(&format!("/v1/handlers/{}", saved.spec.id)).unwrap_or(HeaderValue::from_static("/v1/handlers"));
    let headers = [(header::LOCATION, location), (header::ETAG, etag(saved.version))];
    Ok((StatusCode::CREATED, headers, Json(Handler::new(&saved, &in_force).showing(secret))))
}

/// A handler with its `ETag`.
type Tagged = ([(HeaderName, HeaderValue); 1], Json<Handler>);

/// Shows a handler.
#[utoipa::path(get, path = "/v1/handlers/{id}", tag = TAG, params(("id" = i64, Path, description = "The handler's id"), WithQuery),
    responses((status = 200, body = Handler, description = "The handler", headers(("ETag" = String, description = "The version, in quotes")))))]
async fn get_handler(
    State(state): State<ApiState>,
    Id(id): Id<HandlerId>,
    QueryString(query): QueryString<WithQuery>,
) -> Result<Tagged, Problem> {
    let mut params = Params::default();
    let with_last = last_execution::is_asked_for(&mut params, &query.with);
    params.or(())?;
    let saved = state.store.handler(id).await?.ok_or_else(|| no_such::<HandlerId>(id))?;
    let in_force = InForce::now(&state).await?;
    let mut last = LastExecutions::of(&state, with_last, [id]).await?;
    Ok(([(header::ETAG, etag(saved.version))], Json(last.beside(id, Handler::new(&saved, &in_force)))))
}

/// Replaces a handler. What is left out takes its default; what `GET` gave can be sent back.
#[utoipa::path(put, path = "/v1/handlers/{id}", tag = TAG, request_body = HandlerInput,
    params(("id" = i64, Path, description = "The handler's id"), ("If-Match" = Option<String>, Header, description = "The `ETag` of the version that was edited; another one is not overwritten")),
    responses((status = 200, body = Handler, description = "As it is saved now", headers(("ETag" = String, description = "The version, in quotes")))))]
async fn replace_handler(
    State(state): State<ApiState>,
    Id(id): Id<HandlerId>,
    QueryString(NoParams {}): QueryString<NoParams>,
    if_match: IfMatch,
    Whole(sent): Whole,
) -> Result<Tagged, Problem> {
    edited(&state, id, &if_match, &Edit::Replace(sent)).await
}

/// Edits some fields of a handler (JSON Merge Patch, RFC 7396).
#[utoipa::path(patch, path = "/v1/handlers/{id}", tag = TAG,
    request_body(content((HandlerPatch = "application/merge-patch+json"), (HandlerPatch = "application/json"))),
    params(("id" = i64, Path, description = "The handler's id"), ("If-Match" = Option<String>, Header, description = "The `ETag` of the version that was edited; another one is not overwritten")),
    responses((status = 200, body = Handler, description = "As it is saved now", headers(("ETag" = String, description = "The version, in quotes")))))]
async fn update_handler(
    State(state): State<ApiState>,
    Id(id): Id<HandlerId>,
    QueryString(NoParams {}): QueryString<NoParams>,
    if_match: IfMatch,
    Whole(patch): Whole,
) -> Result<Tagged, Problem> {
    edited(&state, id, &if_match, &Edit::Merge(patch)).await
}

/// Deletes a handler for good. Its executions stay; it is called until the next restart of the Cache Manager.
#[utoipa::path(delete, path = "/v1/handlers/{id}", tag = TAG,
    params(("id" = i64, Path, description = "The handler's id"), ("If-Match" = Option<String>, Header, description = "The `ETag` of the version that is meant; another one is not deleted")),
    responses((status = 204, description = "It is gone")))]
async fn delete_handler(
    State(state): State<ApiState>,
    Id(id): Id<HandlerId>,
    QueryString(NoParams {}): QueryString<NoParams>,
    if_match: IfMatch,
) -> Result<StatusCode, Problem> {
    remove(&state, id, &if_match).await.map(|()| StatusCode::NO_CONTENT)
}

/// Switches a handler from enabled to disabled or back.
#[utoipa::path(post, path = "/v1/handlers/{id}/toggle", tag = TAG,
    params(("id" = i64, Path, description = "The handler's id"), ("If-Match" = Option<String>, Header, description = "The `ETag` of the version that is meant; another one is not switched")),
    responses((status = 200, body = Handler, description = "As it is saved now", headers(("ETag" = String, description = "The version, in quotes")))))]
async fn toggle_handler(
    State(state): State<ApiState>,
    Id(id): Id<HandlerId>,
    QueryString(NoParams {}): QueryString<NoParams>,
    if_match: IfMatch,
    NoBody: NoBody,
) -> Result<Tagged, Problem> {
    edited(&state, id, &if_match, &Edit::Toggle).await
}
