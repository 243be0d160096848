//! Children that make a runtime of their own. Alone in their process: what other threads hold at the moment of a fork, such
//! as the allocator of another library or a lock in which they wait, the child cannot release.

mod net_support;
mod process_support;
mod support;

use std::time::Duration;

use net_support::pair;
use process_support::{Child, End};
use ringway::io::{AsyncReadExt, AsyncWriteExt};
use ringway::time::sleep;
use support::{current_thread, within, workers};

async fn echo_once() {
    let (mut client, mut server) = pair().await;
    client.write_all(b"echo").await.expect("room");
    let mut bytes = [0; 4];
    server.read_exact(&mut bytes).await.expect("bytes");
    sleep(Duration::from_millis(1)).await;
    assert_eq!(&bytes, b"echo");
}

/// A child that was forked inside of `block_on`, of a task and of a guard finds itself in no runtime, and may make one.
///
#[test]
fn a_child_may_build_a_runtime_of_its_own_wherever_it_was_forked() {
    fn build_and_use() {
        let runtime = workers(2);
        runtime.block_on(echo_once());
        let task = runtime.spawn(echo_once());
        runtime.block_on(task).expect("the task");
        drop(runtime);
        current_thread().block_on(echo_once());
    }
    within(support::WATCHDOG, || {
        for make in [current_thread, || workers(2)] {
            let runtime = make();
            let task = runtime.spawn(async { Child::fork(build_and_use).wait() });
            assert_eq!(runtime.block_on(task).expect("the task"), End::Passed);
            let in_root = runtime.block_on(async { Child::fork(build_and_use).wait() });
            assert_eq!(in_root, End::Passed);
            let job = runtime.spawn_blocking(|| Child::fork(build_and_use).wait());
            assert_eq!(runtime.block_on(job).expect("the job"), End::Passed);
            let _entered = runtime.enter();
            assert_eq!(Child::fork(build_and_use).wait(), End::Passed);
        }
    });
}
