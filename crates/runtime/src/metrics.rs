//! Metrics, in the text format of Prometheus.

use std::time::Duration;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio_util::sync::CancellationToken;

/// Buckets of durations, in seconds: from a local call to the longest timeout.
const SECONDS: [f64; 14] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0, 300.0];

/// How often the exporter folds what it has collected.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);

/// Renders what has been counted.
#[derive(Clone)]
pub struct MetricsHandle(PrometheusHandle);

impl MetricsHandle {
    /// The page that `/metrics` answers.
    #[must_use]
    pub fn render(&self) -> String {
        self.0.render()
    }
}

/// Installs the process's recorder, once, and keeps it tidy until `stop`.
///
/// # Errors
/// When a recorder has been installed before.
pub fn install(stop: CancellationToken) -> anyhow::Result<MetricsHandle> {
    let handle =
        PrometheusBuilder::new().set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &SECONDS)?.install_recorder()?;
    let upkeep = handle.clone();
    tokio::spawn(async move {
        while stop.run_until_cancelled(tokio::time::sleep(UPKEEP_EVERY)).await.is_some() {
            upkeep.run_upkeep();
        }
    });
    Ok(MetricsHandle(handle))
}
