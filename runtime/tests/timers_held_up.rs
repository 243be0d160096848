//! Timers of a task that holds its worker up until they have fired, as executors for one future do that block the thread.

mod support;

use std::future::{pending, poll_fn};
use std::time::{Duration, Instant};

use ringway_timer::{DelayQueue, interval, sleep, timeout};

use support::{block_thread_on, within, workers};

/// Long enough that it is still to come when the worker last looks at the clock.
const WHILE: Duration = Duration::from_millis(5);

/// A sleep, a timeout, ticks, and a queue.
async fn all_kinds() {
    let start = Instant::now();
    sleep(WHILE).await;
    timeout(WHILE, pending::<()>()).await.expect_err("never");
    let mut ticks = interval(WHILE);
    for _ in 0..3 {
        ticks.tick().await;
    }
    let mut queue = DelayQueue::new();
    queue.insert("element", WHILE);
    let expired = poll_fn(|cx| queue.poll_expired(cx))
        .await
        .expect("one element");
    assert_eq!(expired.into_inner(), "element");
    assert!(start.elapsed() >= 5 * WHILE, "early");
}

/// The worker does not look at the clock meanwhile; somebody else fires its timers.
///
/// Mutant: a timer that has fired, though by the worker's last look at the clock it is still to come, is made anew without
/// another look.
#[test]
fn timers_for_which_a_task_blocks_its_worker_end() {
    within(Duration::from_secs(30), || {
        let runtime = workers(2);
        let blocked = runtime.spawn(async { block_thread_on(all_kinds()) });
        runtime.block_on(blocked).expect("no panic");
    });
}
