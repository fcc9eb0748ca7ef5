//! Style, scripts and icon: part of the program, under names that change with what is in them, so that browsers may keep them for good.

use std::sync::LazyLock;

use axum::Router;
use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use xxhash_rust::xxh3::xxh3_128;

use crate::state::Console;

const FOREVER: &str = "public, max-age=31536000, immutable";

/// A file of the program.
pub(crate) struct Asset {
    stem: &'static str,
    extension: &'static str,
    kind: &'static str,
    text: String,
    name: String,
}

/// The style of all pages.
pub(crate) static STYLE: LazyLock<Asset> = LazyLock::new(|| {
    let parts = [
        include_str!("assets/base.css"),
        include_str!("assets/parts.css"),
        include_str!("assets/provisioning.css"),
        include_str!("assets/logs.css"),
        include_str!("assets/scheduler.css"),
        include_str!("assets/overview.css"),
    ];
    Asset::new("console", "css", "text/css; charset=utf-8", parts.join("\n"))
});
/// The scripts of all pages.
pub(crate) static SCRIPT: LazyLock<Asset> = LazyLock::new(|| {
    let parts = [
        include_str!("assets/base.js"),
        include_str!("assets/provisioning.js"),
        include_str!("assets/logs.js"),
        include_str!("assets/overview.js"),
    ];
    Asset::new("console", "js", "text/javascript; charset=utf-8", parts.join("\n"))
});
/// The icon of the browser's tab.
pub(crate) static ICON: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("icon", "svg", "image/svg+xml", include_str!("assets/icon.svg").to_owned()));

impl Asset {
    fn new(stem: &'static str, extension: &'static str, kind: &'static str, text: String) -> Self {
        let name = format!("{stem}.{:016x}.{extension}", xxh3_128(text.as_bytes()) as u64);
        Self { stem, extension, kind, text, name }
    }

    /// Where it is.
    pub(crate) fn path(&self) -> String {
        format!("/console/assets/{}", self.name)
    }

    /// Whether a name is of this file, in whichever version.
    fn is_named(&self, name: &str) -> bool {
        name.strip_prefix(self.stem).and_then(|rest| rest.strip_suffix(self.extension)).is_some()
    }
}

pub(crate) fn router() -> Router<Console> {
    Router::new().route("/console/assets/{name}", get(asset))
}

async fn asset(Path(name): Path<String>) -> Response {
    let Some(asset) = [&STYLE, &SCRIPT, &ICON].into_iter().find(|asset| asset.is_named(&name)) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    // While instances of two versions run side by side, a page of the one can ask the other: it gets what there is, but not to keep.
    let keep = if name == asset.name { FOREVER } else { "no-store" };
    ([(header::CONTENT_TYPE, asset.kind), (header::CACHE_CONTROL, keep)], asset.text.clone()).into_response()
}
