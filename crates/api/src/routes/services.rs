//! `/v1/services`: the Task Scheduler.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use baton_cache_manager::SERVICE;
use baton_storage::{Instance as Running, LastRuns};
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::runs::{LastRun, PATIENCE, Restart, Run, WaitQuery, Wanted, answer, asked};
use crate::problem::Problem;
use crate::request::{NoBody, NoParams, QueryString};
use crate::state::ApiState;

const TAG: &str = "Services";
const DISPATCHER: &str = "dispatcher";

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(list_services)).routes(routes!(restart_cache_manager))
}

/// The services.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ServiceList {
    items: Vec<Service>,
    /// Always null: all services fit on one page.
    #[schema(required)]
    next_cursor: Option<String>,
}

/// A service of the Task Scheduler.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Service {
    #[schema(example = "cache-manager")]
    name: String,
    #[schema(example = "Cache Manager")]
    title: String,
    /// Whether an instance of it is alive.
    active: bool,
    /// When it runs.
    #[schema(example = "on demand")]
    schedule: String,
    /// Whether it can be run by hand.
    manual_run: bool,
    /// Since when a run waits in the queue.
    #[schema(required)]
    in_queue_from: Option<DateTime<Utc>>,
    /// Since when a run is under way.
    #[schema(required)]
    running_since: Option<DateTime<Utc>>,
    /// The last run that ended.
    #[schema(required)]
    last_run: Option<LastRun>,
    instances: Vec<Instance>,
}

/// A process that does a service's work, or did until a moment ago.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Instance {
    id: Uuid,
    name: String,
    started_at: DateTime<Utc>,
    /// Until when it counts as alive.
    alive_until: DateTime<Utc>,
    alive: bool,
    /// How many deliveries wait in its lanes.
    held: u64,
    /// The partitions that it owns.
    partitions: Vec<i16>,
    /// The circuit breakers that it holds open, as of two seconds ago: handlers that keep failing and are probed.
    breakers: Vec<OpenBreaker>,
}

/// A circuit breaker that is open.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OpenBreaker {
    handler_id: i64,
    since: DateTime<Utc>,
}

/// Lists the services.
#[utoipa::path(get, path = "/v1/services", tag = TAG, responses((status = 200, body = ServiceList, description = "The services")))]
async fn list_services(
    State(state): State<ApiState>,
    QueryString(NoParams {}): QueryString<NoParams>,
) -> Result<Json<ServiceList>, Problem> {
    let running = state.store.instances(None).await?;
    let owners = state.store.partition_owners().await?;
    let runs = state.store.last_runs(SERVICE).await?;
    let now = Utc::now();
    let instances = |service: &str| -> Vec<Instance> {
        let of = running.iter().filter(|instance| instance.service == service);
        of.map(|instance| {
            let owned = owners.iter().filter(|(_, owner, _)| *owner == Some(instance.id)).map(|(partition, ..)| partition.0);
            shown(instance, owned.collect(), now)
        })
        .collect()
    };
    let cache_manager = service(SERVICE, "Cache Manager", "on demand", instances(SERVICE)).with_runs(runs);
    let dispatcher = service(DISPATCHER, "Dispatcher", "always", instances(DISPATCHER));
    let cleaner =
        service(baton_cleaner::SERVICE, baton_cleaner::TITLE, &state.cleaner_schedule, instances(baton_cleaner::SERVICE));
    let cleaner = cleaner.with_runs(state.store.last_runs(baton_cleaner::SERVICE).await?);
    Ok(Json(ServiceList { items: vec![cache_manager, dispatcher, cleaner], next_cursor: None }))
}

fn shown(instance: &Running, partitions: Vec<i16>, now: DateTime<Utc>) -> Instance {
    Instance {
        id: instance.id,
        name: instance.name.clone(),
        started_at: instance.started_at,
        alive_until: instance.lease_until,
        alive: !instance.fenced && now < instance.lease_until,
        held: instance.work.held,
        partitions,
        breakers: instance
            .work
            .breakers
            .iter()
            .map(|open| OpenBreaker { handler_id: open.handler_id.0, since: open.since })
            .collect(),
    }
}

fn service(name: &str, title: &str, schedule: &str, instances: Vec<Instance>) -> Service {
    Service {
        name: name.into(),
        title: title.into(),
        active: instances.iter().any(|instance| instance.alive),
        schedule: schedule.into(),
        manual_run: false,
        in_queue_from: None,
        running_since: None,
        last_run: None,
        instances,
    }
}

impl Service {
    fn with_runs(self, runs: LastRuns) -> Self {
        Self {
            manual_run: true,
            in_queue_from: runs.queued.map(|run| run.asked_at),
            running_since: runs.running.and_then(|run| run.started_at),
            last_run: runs.last.map(Into::into),
            ..self
        }
    }
}

/// Restarts the Cache Manager: what is saved goes live as a new generation.
///
/// A restart that is asked for while one waits in the queue is that one.
#[utoipa::path(post, path = "/v1/services/cache-manager/restart", tag = TAG, params(WaitQuery),
    responses((status = 200, body = Restart, description = "Done, within the time to wait"), (status = 202, body = Run, description = "Queued or under way")))]
async fn restart_cache_manager(
    State(state): State<ApiState>,
    QueryString(query): QueryString<WaitQuery>,
    NoBody: NoBody,
) -> Result<Response, Problem> {
    let wait = query.wait()?;
    let run = asked(&state, Wanted::Restart, wait.unwrap_or(PATIENCE)).await?;
    answer(&state, run, wait).await
}
