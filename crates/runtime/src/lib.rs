//! What every Baton program does around its work: settings, telemetry, shutdown, health and metrics.
