//! Hints on their way between processes: two channels of Redis, one of them for appends.

use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::StreamExt;
use redis::RedisResult;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::{APPENDED, Hint, Hints, Outgoing, SELDOM};
use crate::link::{Link, in_time};

/// How long to leave Redis alone after it failed.
const REDIS_PAUSE: Duration = Duration::from_millis(250);
/// How long Redis may take to pass a hint on, to begin a subscription, or to say that it still stands.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);
/// How long a subscription may be quiet before Redis is asked whether it still stands.
const QUIET_MAX: Duration = Duration::from_secs(3);
/// How long an append is kept to itself after one that no other process heard of. A dispatcher that has just begun to listen may hear of
/// its first append that much later.
const UNHEARD_PAUSE: Duration = Duration::from_millis(100);

/// The names of the channels.
#[derive(Debug, Clone)]
pub(crate) struct Channels {
    /// For all hints but those of appends, which programs of before send here too.
    pub(crate) hints: String,
    /// For appends.
    pub(crate) appends: String,
}

/// Carries hints to and from Redis until `stop`.
pub(crate) async fn run(hints: Hints, link: Link, channels: Channels, stop: CancellationToken) {
    let Some(outgoing) = hints.outgoing.clone() else { return };
    let ways = async {
        tokio::join!(
            send_out(&outgoing, &hints, &link, &channels.hints),
            tell_of_appends(&outgoing, &hints, &link, &channels.appends),
            take_in(&hints, &link, &channels),
        )
    };
    stop.run_until_cancelled(ways).await;
}

async fn send_out(outgoing: &Outgoing, hints: &Hints, link: &Link, channel: &str) {
    loop {
        outgoing.wake.notified().await;
        let bits = outgoing.bits.swap(0, Ordering::AcqRel);
        for (_, word, _) in SELDOM.iter().filter(|(_, _, bit)| bits & bit != 0) {
            publish(hints, link, channel, word).await;
        }
    }
}

/// Tells others of appends: at once while anybody hears of them, seldom where nobody does. What is appended during a pause is told after it.
async fn tell_of_appends(outgoing: &Outgoing, hints: &Hints, link: &Link, channel: &str) {
    loop {
        outgoing.wake_for_appends.notified().await;
        outgoing.appended.store(false, Ordering::Release);
        let by_itself = u64::from(*hints.appends_wanted.borrow());
        if publish(hints, link, channel, APPENDED).await.is_some_and(|heard| heard <= by_itself) {
            sleep(UNHEARD_PAUSE).await;
        }
    }
}

/// How many have heard it; `None` after a pause where Redis failed.
async fn publish(hints: &Hints, link: &Link, channel: &str, word: &str) -> Option<u64> {
    let publish = redis::cmd("PUBLISH").arg(channel).arg(format!("{word} {}", hints.sender)).to_owned();
    let sent = link.ask(ANSWER_WITHIN, async |mut redis| publish.query_async(&mut redis).await).await;
    match sent {
        Ok(heard) => Some(heard),
        Err(error) => {
            tracing::debug!(%error, "a hint was lost");
            metrics::counter!("baton_redis_errors_total").increment(1);
            sleep(REDIS_PAUSE).await;
            None
        }
    }
}

async fn take_in(hints: &Hints, link: &Link, channels: &Channels) {
    let mut is_lost = false;
    loop {
        let error = listen(hints, link, channels, &mut is_lost).await.err();
        if !std::mem::replace(&mut is_lost, true) {
            let error = error.map_or_else(|| "the subscription was closed".to_owned(), |error| error.to_string());
            tracing::warn!(error, "no hints through Redis: what is new is found by looking until it answers again");
        }
        // Hints may have been missed: everybody looks once, then again when the subscription stands.
        sleep(REDIS_PAUSE).await;
    }
}

/// Takes hints in until the subscription is gone. `is_lost` says whether the one before it was reported as such.
async fn listen(hints: &Hints, link: &Link, channels: &Channels, is_lost: &mut bool) -> RedisResult<()> {
    let (mut questions, mut messages) = link.subscribe(ANSWER_WITHIN, &channels.hints).await?.split();
    if std::mem::replace(is_lost, false) {
        tracing::info!("hints come through Redis again");
    }
    for (hint, _, _) in SELDOM {
        hints.tell_here(hint);
    }
    let mut wanted = hints.appends_wanted.subscribe();
    let mut hears_appends = false;
    loop {
        tokio::select! {
            message = timeout(QUIET_MAX, messages.next()) => match message {
                Ok(Some(message)) => {
                    if let Some(hint) = hints.understood(&message.get_payload::<String>()?) {
                        hints.tell_here(hint);
                    }
                }
                Ok(None) => return Ok(()),
                // A connection whose other end went away without a word looks like a quiet one.
                Err(_) => in_time(ANSWER_WITHIN, questions.ping()).await?,
            },
            true = async { wanted.wait_for(|wanted| *wanted).await.is_ok() }, if !hears_appends => {
                hears_appends = true;
                in_time(ANSWER_WITHIN, questions.subscribe(&channels.appends)).await?;
                hints.tell_here(Hint::Appended);
            }
        }
    }
}

impl Hints {
    /// The hint of a message, unless it is one of its own.
    fn understood(&self, message: &str) -> Option<Hint> {
        let (word, sender) = message.split_once(' ').unwrap_or((message, ""));
        let hint = Hint::of_word(word)?;
        (sender.parse() != Ok(self.sender)).then_some(hint)
    }
}
