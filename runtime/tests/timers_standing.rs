//! Timers of a clock that stands still, and the worker's own, which goes on.

mod support;

use std::thread;
use std::time::Duration;

use ringway_runtime::{Builder, task};
use ringway_timer::{Instant, sleep};

use support::within;

const STALL: Duration = Duration::from_secs(30);

/// Mutant: with a clock that stands the last look decides, too.
#[test]
fn a_clock_that_stands_is_not_mistaken_for_the_workers() {
    within(STALL, || {
        let runtime = Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime");
        let sleeps = runtime.spawn(async {
            for _ in 0..3 {
                // What the other clock says by now is later than the deadline.
                thread::sleep(Duration::from_millis(4));
                task::yield_now().await;
                let start = Instant::now();
                sleep(Duration::from_millis(1)).await;
                assert_eq!(start.elapsed(), Duration::from_millis(1));
            }
        });
        runtime.block_on(sleeps).expect("no panic");
    });
}
