//! A real browser: Chromium, driven as an operator would use it.

use std::process::Command;
use std::time::Duration;

use baton_testkit::{eventually, free_port, within};
use fantoccini::elements::Element;
use fantoccini::error::CmdError;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Embedded, ReceivingProgram, SOON};

/// How long Chromium may take to start on a machine that is busy with other tests.
const STARTS: Duration = Duration::from_secs(60);

/// Whether pages may run their scripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scripts {
    On,
    Off,
}

/// Which colours the reader prefers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Theme {
    Light,
    Dark,
}

/// A browser with one page open. Ends when it is dropped, with everything that it has started.
pub(crate) struct Browser {
    client: Client,
    url: String,
    // The driver ends before its folder goes away.
    _driver: ReceivingProgram,
    _profile: TempDir,
}

impl Browser {
    /// A browser for the console of this Baton, with a profile of its own.
    pub(crate) async fn start(baton: &Embedded, scripts: Scripts) -> Self {
        Self::start_in(baton, scripts, Theme::Light).await
    }

    /// The same for a reader who prefers these colours.
    pub(crate) async fn start_in(baton: &Embedded, scripts: Scripts, theme: Theme) -> Self {
        Self::start_at(baton, scripts, theme, "UTC").await
    }

    /// The same for a reader in this zone, such as `Asia/Kathmandu`.
    pub(crate) async fn start_at(baton: &Embedded, scripts: Scripts, theme: Theme, zone: &str) -> Self {
        let profile = tempfile::Builder::new().prefix("baton-browser-").tempdir().unwrap();
        let port = free_port();
        let mut command = Command::new("chromedriver");
        // Everything that it writes goes with the folder.
        command.arg(format!("--port={port}")).env("TMPDIR", profile.path()).env("HOME", profile.path()).env("TZ", zone);
        let driver = ReceivingProgram::start(command, port).await;
        let mut builder = ClientBuilder::new(HttpConnector::new());
        let Value::Object(capabilities) = capabilities(&profile, scripts, theme) else { unreachable!("an object") };
        let address = format!("http://127.0.0.1:{port}");
        let client = within(STARTS, "Chromium to start", builder.capabilities(capabilities).connect(&address)).await.unwrap();
        Self { client, url: baton.api.url().to_owned(), _driver: driver, _profile: profile }
    }

    /// The same, signed in.
    pub(crate) async fn signed_in(baton: &Embedded, scripts: Scripts) -> Self {
        let browser = Self::start(baton, scripts).await;
        browser.sign_in(baton).await;
        browser.open("/console/provisioning").await;
        browser
    }

    /// Signs in.
    pub(crate) async fn sign_in(&self, baton: &Embedded) {
        self.open("/console/").await;
        self.fill("#token", baton.api.token()).await;
        self.press("Sign in").await;
        self.see("h1", "Overview").await;
    }

    /// Takes the session away, as if it had ended.
    pub(crate) async fn lose_session(&self) {
        within(SOON, "the cookie to go", self.client.delete_cookie("baton_session")).await.unwrap();
    }

    /// Makes the window so large, in pixels.
    pub(crate) async fn resize(&self, width: u32, height: u32) {
        within(SOON, "the window", self.client.set_window_size(width, height)).await.unwrap();
    }

    /// What is seen, as PNG.
    pub(crate) async fn picture(&self) -> Vec<u8> {
        within(SOON, "a picture", self.client.screenshot()).await.unwrap()
    }

    /// What a script of the test hands to its callback, the last of its arguments.
    pub(crate) async fn run_to_the_end(&self, script: &str) -> Value {
        within(SOON, "a script", self.client.execute_async(script, Vec::new())).await.unwrap()
    }

    /// Goes to a path.
    pub(crate) async fn open(&self, path: &str) {
        let url = format!("{}{path}", self.url);
        within(SOON, "a page to load", self.client.goto(&url)).await.unwrap();
    }

    /// Path and query of the page.
    pub(crate) async fn address(&self) -> String {
        let url = within(SOON, "the address", self.client.current_url()).await.unwrap();
        url.as_str().strip_prefix(&self.url).unwrap_or(url.as_str()).to_owned()
    }

    /// Waits until an element has this text in it.
    pub(crate) async fn see(&self, css: &str, text: &str) {
        eventually(SOON, &format!("'{text}' in {css}"), async || {
            for element in self.client.find_all(Locator::Css(css)).await.ok()? {
                if element.text().await.is_ok_and(|shown| shown.contains(text)) {
                    return Some(());
                }
            }
            None
        })
        .await;
    }

    /// Waits until there are so many elements.
    pub(crate) async fn see_count(&self, css: &str, count: usize) {
        eventually(SOON, &format!("{count} of {css}"), async || {
            let found = self.client.find_all(Locator::Css(css)).await.ok()?;
            (found.len() == count).then_some(())
        })
        .await;
    }

    /// The texts of all elements, in the order of the page.
    pub(crate) async fn texts(&self, css: &str) -> Vec<String> {
        let mut texts = Vec::new();
        for element in self.client.find_all(Locator::Css(css)).await.unwrap() {
            texts.push(element.text().await.unwrap());
        }
        texts
    }

    /// What stands in a field.
    pub(crate) async fn value(&self, css: &str) -> String {
        self.when(css, async |element| element.prop("value").await).await.unwrap_or_default()
    }

    /// Puts a text into a field, in place of what stands there.
    pub(crate) async fn fill(&self, css: &str, text: &str) {
        self.when(css, async |element| {
            element.clear().await?;
            element.send_keys(text).await
        })
        .await;
    }

    /// Types keys into an element as it is.
    pub(crate) async fn keys(&self, css: &str, keys: &str) {
        self.when(css, async |element| element.send_keys(keys).await).await;
    }

    /// Chooses an entry of a list by what is sent for it.
    pub(crate) async fn choose(&self, css: &str, value: &str) {
        self.when(css, async |element| element.select_by_value(value).await).await;
    }

    /// Clicks on an element.
    pub(crate) async fn click(&self, css: &str) {
        self.when(css, async |element| element.click().await).await;
    }

    /// Clicks on the button or link that says this.
    pub(crate) async fn press(&self, label: &str) {
        let path = format!("//*[self::button or self::a or self::summary][normalize-space()='{label}' and not(@aria-hidden)]");
        eventually(SOON, &format!("a button '{label}'"), async || {
            for element in self.client.find_all(Locator::XPath(&path)).await.ok()? {
                if element.is_displayed().await.unwrap_or_default() && element.click().await.is_ok() {
                    return Some(());
                }
            }
            None
        })
        .await;
    }

    /// What a script of the test gives back.
    pub(crate) async fn run(&self, script: &str) -> Value {
        within(SOON, "a script", self.client.execute(script, Vec::new())).await.unwrap()
    }

    /// Does something with an element, once it is there and lets it be done.
    async fn when<T>(&self, css: &str, act: impl AsyncFn(Element) -> Result<T, CmdError>) -> T {
        eventually(SOON, &format!("{css} to be there"), async || act(self.client.find(Locator::Css(css)).await.ok()?).await.ok())
            .await
    }
}

fn capabilities(profile: &TempDir, scripts: Scripts, theme: Theme) -> Value {
    let mut args: Vec<String> = [
        "headless",
        "no-sandbox",
        "disable-gpu",
        "disable-quic",
        "no-first-run",
        "disable-background-networking",
        "disable-component-update",
        "disable-sync",
        "disable-dev-shm-usage",
        "window-size=1280,1000",
    ]
    .map(|word| format!("--{word}"))
    .to_vec();
    if theme == Theme::Dark {
        args.push("--blink-settings=preferredColorScheme=0".into());
    }
    args.push(format!("--user-data-dir={}", profile.path().join("profile").display()));
    let scripts = if scripts == Scripts::On { 1 } else { 2 };
    json!({"goog:chromeOptions": {"args": args, "prefs": {"profile.managed_default_content_settings.javascript": scripts}}})
}
