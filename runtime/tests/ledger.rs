//! What a shard has handed out is back when the runtime has ended, and what is not is reported.
//!
//! One test for all, because the ledger's counts are the process's. In a release build without the feature `ledger` no
//! ledger is kept, and all counts are 0.

mod support;

use std::future::{Future, poll_fn};
use std::io::Write;
use std::pin::Pin;
use std::sync::mpsc;
use std::task::Poll;
use std::time::Duration;

use ringway_runtime::driver::{Op, Operation, Script};
use ringway_runtime::internals::{mismatches, shards_alive};
use ringway_runtime::{Builder, task};
use ringway_timer::{sleep, timeout};

use support::ops::{Nop, PollIn, Read, pipe};
use support::{wait_until, within};

/// Mutants, each of which the ledger reports, with the operation's type and place: `give_free` gives no slot back
/// (`driver/slots.rs`); `end` forgets the orphan of an abandoned operation; `end` forgets the waker; `act` forgets what
/// is to be finished (`driver/shard.rs`).
#[test]
fn a_runtime_that_has_ended_owes_nothing() {
    for script in [Script::new(1), Script::storm(1), Script::storm(2)] {
        let builders = [Builder::new_current_thread(), Builder::new_multi_thread()];
        for mut builder in builders {
            let script = script.clone();
            within(Duration::from_secs(60), move || {
                let runtime = builder
                    .worker_threads(2)
                    .enable_all()
                    .ring_script(script)
                    .build()
                    .expect("a runtime");
                runtime.block_on(all_ends());
                let (keep, kept) = mpsc::channel();
                runtime.block_on(async move {
                    let mut outlives = Op::new(PollIn(pipe().0));
                    begin(&mut outlives).await;
                    keep.send(outlives).expect("the test waits");
                    ringway_runtime::spawn(sleep(Duration::from_secs(3600)));
                    ringway_runtime::spawn(Op::new(PollIn(pipe().0)));
                    task::yield_now().await;
                });
                drop(runtime);
                if cfg!(debug_assertions) {
                    assert!(shards_alive() > 0, "an operation outlives its runtime");
                }
                drop(kept);
            });
            assert_eq!(mismatches(), 0);
        }
    }
    wait_until("all shards are gone", || shards_alive() == 0);
    assert_eq!(mismatches(), 0);
}

/// Operations that are awaited, dropped while idle, queued, in flight and done, and detached.
async fn all_ends() {
    for _ in 0..20 {
        drop(Op::new(Nop));
        Op::new(Nop).await.expect("a nop");
        Op::new(Nop).detach();
        let mut queued = Op::new(Nop);
        begin(&mut queued).await;
        drop(queued);
        let mut done = Op::new(Nop);
        begin(&mut done).await;
        sleep(Duration::from_micros(200)).await;
        drop(done);
        let (read, mut write) = pipe();
        let reading = timeout(
            Duration::from_micros(100),
            Op::new(Read::new(read.clone(), 8)),
        );
        assert!(reading.await.is_err(), "nothing was written");
        let mut detached = Op::new(Read::new(read, 8));
        begin(&mut detached).await;
        detached.detach();
        write.write_all(b"some").expect("room");
    }
}

async fn begin<T: Operation>(operation: &mut Op<T>) {
    poll_fn(|cx| {
        let polled = Pin::new(&mut *operation).poll(cx);
        assert!(polled.is_pending(), "it is only submitted");
        Poll::Ready(())
    })
    .await;
}
