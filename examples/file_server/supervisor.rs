//! What the service manager is told, by `sd_notify`: when the server is ready, that it is alive, and that it stops.
//!
//! Without `NOTIFY_SOCKET` nobody is told anything. What cannot be told is told on standard error, and nothing else comes of it.

use std::sync::Arc;
use std::time::Duration;

use ringway::select;
use ringway::sync::watch;
use ringway::task::spawn_blocking;
use ringway::time::{sleep, timeout};
use sd_notify::NotifyState;

use crate::journal::Journal;
use crate::limits::NOTIFY_TIME;

/// Says that requests are answered from now on, and `status` to people; then that the server is alive, as often as is expected;
/// and when it stops, that it does, and for how long it may. Then this is over.
pub(crate) async fn inform(
    journal: Arc<Journal>,
    status: String,
    mut stop: watch::Receiver<bool>,
    drain: Duration,
) {
    if std::env::var_os("NOTIFY_SOCKET").is_none() {
        return;
    }
    tell(&journal, format!("READY=1\nSTATUS={status}")).await;
    select! {
        _ = stop.wait_for(|&stops| stops) => {}
        () = show_life(&journal) => {}
    }
    let microseconds = drain.as_micros();
    let stopping = "STOPPING=1\nSTATUS=Finishing the running responses";
    let message = format!("{stopping}\nEXTEND_TIMEOUT_USEC={microseconds}");
    tell(&journal, message).await;
}

/// Says that the server is alive, twice in the time within which it has to. Never ends.
///
/// It goes the way of a request: a timer wakes a task, and a thread of the blocking pool is asked. What keeps requests
/// from being answered keeps this from being told.
async fn show_life(journal: &Journal) {
    let Some(expected_within) = sd_notify::watchdog_enabled() else {
        return std::future::pending().await;
    };
    loop {
        tell(journal, "WATCHDOG=1".to_owned()).await;
        sleep(expected_within / 2).await;
    }
}

/// A thread does it, for there may be no room at the socket; and it is not waited for beyond its time.
async fn tell(journal: &Journal, message: String) {
    let send = spawn_blocking(move || sd_notify::notify(&[NotifyState::Custom(&message)]));
    let trouble = match timeout(NOTIFY_TIME, send).await {
        Ok(Ok(Ok(()))) => return,
        Ok(Ok(Err(error))) => error.to_string(),
        Ok(Err(error)) => error.to_string(),
        Err(_) => "it takes nothing".to_owned(),
    };
    journal.warn(format_args!(
        "cannot tell the service manager (NOTIFY_SOCKET): {trouble}"
    ));
}
