//! A worker's last look at the clock decides for its timers where it can, and never too early. In a process that has never
//! had a clock stand still, for there the last look decides nothing.

mod support;

use std::time::Duration;

use ringway_runtime::task;
use ringway_timer::{Instant, sleep};

use support::{current_thread, within, workers};

const STALL: Duration = Duration::from_secs(30);

/// Sleeps of up to a millisecond, each begun shortly after a look.
async fn short_sleeps() {
    for micros in (1..1_000).step_by(13) {
        task::yield_now().await;
        let duration = Duration::from_micros(micros);
        let start = Instant::now();
        sleep(duration).await;
        assert!(start.elapsed() >= duration, "{duration:?} was early");
    }
}

/// Mutant: what is due shortly after the last look is due.
#[test]
fn a_deadline_shortly_after_the_last_look_is_waited_for() {
    within(STALL, || {
        for runtime in [current_thread(), workers(2)] {
            let sleeps = runtime.spawn(short_sleeps());
            runtime.block_on(sleeps).expect("no panic");
        }
    });
}
