//! What the tests of files and sockets share: `body` as a task and as the root of a runtime, with a bound in time.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::future::Future;
use std::time::Duration;

use ringway::runtime::Builder;

/// No test takes this long; one that does hangs.
pub(crate) const WATCHDOG: Duration = Duration::from_secs(60);

/// Runs `body` as a task on two workers, and then as the root on one thread, with a bound in time.
pub(crate) fn on_both_flavours<F>(body: impl Fn() -> F)
where
    F: Future<Output: Send> + Send + 'static,
{
    on_two_workers(body());
    on_this_thread(body());
}

/// Runs `body` as a task on two workers, with a bound in time.
pub(crate) fn on_two_workers<F>(body: F) -> F::Output
where
    F: Future<Output: Send> + Send + 'static,
{
    let mut builder = Builder::new_multi_thread();
    let runtime = builder
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(within(async {
        ringway::spawn(body).await.expect("the test's task")
    }))
}

/// Runs `body` as the root of a runtime on this thread, with a bound in time.
pub(crate) fn on_this_thread<F: Future>(body: F) -> F::Output {
    let mut builder = Builder::new_current_thread();
    let runtime = builder.enable_all().build().expect("a runtime");
    runtime.block_on(within(body))
}

/// `future`, which must not take for ever.
pub(crate) async fn within<F: Future>(future: F) -> F::Output {
    ringway::time::timeout(WATCHDOG, future)
        .await
        .expect("the test hangs")
}
