//! Publishing: the way in for every event.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use baton_domain::limits::{BATCH_BYTES_MAX, BATCH_EVENTS_MAX, EVENT_BYTES_MAX, IDEMPOTENCY_KEY_MAX};
use baton_domain::{Catalogue, FieldErrors, NewEvent, event};
use baton_storage::Appended;
use chrono::{DateTime, SubsecRound, Utc};

use super::TAG;
use super::shape::{Accepted, AcceptedBatch, Batch, Publication};
use crate::appender::AppendError;
use crate::problem::{Code, ERRORS_MAX, Problem};
use crate::raw::nests_within;
use crate::request::{JSON, NoParams, QueryString, parse, parse_item, read_json};
use crate::state::ApiState;

/// What an event's body may have beside its data, in bytes.
const ENVELOPE_BYTES: usize = 16 * 1024;
/// How deep an event's data may nest. Common parsers of receivers stop near it.
const DATA_DEPTH_MAX: usize = 128;
/// Stands between the key of a batch and the place in it, and in no key.
const KEY_SEPARATOR: char = '\u{1f}';
/// What a publisher is advised to wait, in seconds.
const RETRY_SECONDS: u32 = 1;
/// The same where handlers have to catch up first.
const RETRY_FULL_SECONDS: u32 = 5;

/// Publishes an event.
///
/// Once the answer is there, the event is durable.
#[utoipa::path(post, path = "/v1/events", tag = TAG, request_body = Publication,
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes a repetition within 24 hours a duplicate: 1 to 200 visible ASCII characters")),
    responses((status = 202, body = Accepted, description = "The event is durable")))]
pub(super) async fn publish_event(
    State(state): State<ApiState>,
    QueryString(NoParams {}): QueryString<NoParams>,
    request: Request,
) -> Result<(StatusCode, Json<Accepted>), Problem> {
    let key = idempotency_key(request.headers())?;
    let text = read_json(request, JSON, EVENT_BYTES_MAX + ENVELOPE_BYTES).await?;
    let publication: event::Publication = parse::<Publication>(&text)?.into();
    check_size(&publication, "the event")?;
    let catalogue = state.catalogue.with([publication.event.events_id.as_str()]).await?;
    let event = checked(publication, &catalogue, key, now()).map_err(Problem::invalid)?;
    let events = vec![event];
    if let Some((_, refused)) = state.schemas.refused(&events).await?.into_iter().next() {
        return Err(Problem::invalid(refused));
    }
    let appended = append(&state, events).await?;
    let accepted = appended.into_iter().next().ok_or_else(|| not_accepted(AppendError::Failed))?;
    Ok((StatusCode::ACCEPTED, Json(accepted.into())))
}

/// Publishes up to 1000 events, all or none.
#[utoipa::path(post, path = "/v1/events/batch", tag = TAG, request_body = Batch,
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes the events of a repetition within 24 hours duplicates, each by its place in the batch: 1 to 200 visible ASCII characters")),
    responses((status = 202, body = AcceptedBatch, description = "All events are durable")))]
pub(super) async fn publish_batch(
    State(state): State<ApiState>,
    QueryString(NoParams {}): QueryString<NoParams>,
    request: Request,
) -> Result<(StatusCode, Json<AcceptedBatch>), Problem> {
    let key = idempotency_key(request.headers())?;
    let text = read_json(request, JSON, BATCH_BYTES_MAX).await?;
    let Batch { events } = parse(&text)?;
    drop(text);
    if !(1..=BATCH_EVENTS_MAX).contains(&events.len()) {
        return Err(Problem::field("events", format!("must be 1 to {BATCH_EVENTS_MAX} events, not {}", events.len())));
    }
    let mut errors = FieldErrors::default();
    let mut publications: Vec<event::Publication> = Vec::with_capacity(events.len());
    for (place, text) in events.into_iter().enumerate() {
        let at = format!("events[{place}]");
        match parse_item::<Publication>(&text, &at) {
            Ok(publication) => publications.push(publication.into()),
            Err(found) => errors.0.extend(found.0),
        }
        if let Some(publication) = publications.last() {
            check_size(publication, &at)?;
        }
        if errors.0.len() > ERRORS_MAX {
            break;
        }
    }
    errors.or(()).map_err(Problem::invalid)?;
    let events = checked_batch(&state, publications, key.as_deref()).await?;
    let appended = append(&state, events).await?;
    Ok((StatusCode::ACCEPTED, Json(AcceptedBatch { items: appended.into_iter().map(Into::into).collect() })))
}

async fn append(state: &ApiState, events: Vec<NewEvent>) -> Result<Vec<Appended>, Problem> {
    let room = state.backlog.room(events.len()).ok_or_else(|| backlog_full(state.backlog.max()))?;
    let appended = state.appender.append(events).await.map_err(not_accepted)?;
    room.stored(appended.iter().filter(|event| !event.duplicate).count());
    Ok(appended)
}

async fn checked_batch(
    state: &ApiState,
    publications: Vec<event::Publication>,
    key: Option<&str>,
) -> Result<Vec<NewEvent>, Problem> {
    let catalogue = state.catalogue.with(publications.iter().map(|p| p.event.events_id.as_str())).await?;
    let now = now();
    let mut errors = FieldErrors::default();
    let mut events = Vec::with_capacity(publications.len());
    for (place, publication) in publications.into_iter().enumerate() {
        let key = key.map(|key| format!("{key}{KEY_SEPARATOR}{place}"));
        match checked(publication, &catalogue, key, now) {
            Ok(event) => events.push(event),
            Err(found) => errors.extend_under(&format!("events[{place}]"), found),
        }
    }
    errors.or(()).map_err(Problem::invalid)?;
    let mut errors = FieldErrors::default();
    for (place, refused) in state.schemas.refused(&events).await? {
        errors.extend_under(&format!("events[{place}]"), refused);
    }
    errors.or(events).map_err(Problem::invalid)
}

fn now() -> DateTime<Utc> {
    Utc::now().trunc_subsecs(6)
}

fn check_size(publication: &event::Publication, which: &str) -> Result<(), Problem> {
    let bytes = publication.data.get().len();
    if bytes <= EVENT_BYTES_MAX {
        return Ok(());
    }
    let detail = format!("The data of {which} is {bytes} bytes; an event may have {EVENT_BYTES_MAX}.");
    Err(Problem::new(Code::EventTooLarge, detail))
}

fn checked(
    publication: event::Publication,
    catalogue: &Catalogue,
    key: Option<String>,
    now: DateTime<Utc>,
) -> Result<NewEvent, FieldErrors> {
    let is_shallow = nests_within(publication.data.get(), DATA_DEPTH_MAX);
    let checked = publication.check(catalogue, key, now);
    if is_shallow {
        return checked;
    }
    let mut errors = checked.err().unwrap_or_default();
    errors.push("data", format!("nests deeper than {DATA_DEPTH_MAX} levels"));
    Err(errors)
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    const NAME: &str = "Idempotency-Key";
    let refused = || Problem::field(NAME, format!("must be one key of 1 to {IDEMPOTENCY_KEY_MAX} visible ASCII characters"));
    let mut values = headers.get_all("idempotency-key").iter();
    let Some(value) = values.next() else { return Ok(None) };
    let bytes = value.as_bytes();
    let is_key = (1..=IDEMPOTENCY_KEY_MAX).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic);
    match value.to_str() {
        Ok(key) if is_key && values.next().is_none() => Ok(Some(key.to_owned())),
        _ => Err(refused()),
    }
}

fn backlog_full(max: u64) -> Problem {
    let detail = format!(
        "{max} events or more are unfinished, which is what BATON_BACKLOG_MAX allows. Nothing of this request was stored; send it again \
         when handlers have caught up."
    );
    Problem::new(Code::BacklogFull, detail).retry_after(RETRY_FULL_SECONDS)
}

fn not_accepted(error: AppendError) -> Problem {
    match error {
        AppendError::Overloaded => {
            let detail = "More events are coming in than can be stored. Nothing of this request was stored; send it again.";
            Problem::new(Code::Overloaded, detail).retry_after(RETRY_SECONDS)
        }
        AppendError::Unavailable => {
            let detail = "The database did not confirm that it stored the events, so it is not known whether they are stored. Send the \
                          request again; with the same Idempotency-Key they are stored once.";
            Problem::new(Code::Unavailable, detail).retry_after(RETRY_SECONDS)
        }
        AppendError::Failed => Problem::new(Code::Internal, "The events could not be stored; Baton's log says why."),
    }
}
