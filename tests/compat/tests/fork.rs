//! A child that was forked where tasks are polled, with a runtime of tokio's at the side. One test at a time, as forks want
//! it.

#[path = "../../process_support/mod.rs"]
mod process_support;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};

use process_support::{Child, End};
use ringway::sync::mpsc;
use ringway::task::spawn_blocking;
use ringway_compat_tests::runtime;

static ALONE: Mutex<()> = Mutex::new(());

/// What a child does with a runtime of its own.
fn build_and_use() {
    let runtime = runtime();
    let body = async {
        let theirs = tokio::spawn(async { 1 });
        let ours = ringway::spawn(async { 2 });
        let (sender, mut receiver) = mpsc::channel(1);
        let job = spawn_blocking(move || sender.blocking_send(3).expect("room"));
        let sent = receiver.recv().await.expect("it is sent");
        job.await.expect("no panic");
        theirs.await.expect("no panic") + ours.await.expect("no panic") + sent
    };
    assert_eq!(runtime.block_on(body), 6);
}

/// Mutant: `TokioSide::run` does not look whether the thread is in it already.
#[test]
fn a_child_may_build_a_runtime_of_its_own_wherever_it_was_forked() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let runtime = runtime();
    let forked = async { Child::fork(build_and_use).wait() };
    let in_task = runtime.spawn(forked);
    assert_eq!(runtime.block_on(in_task).expect("no panic"), End::Passed);
    let in_root = runtime.block_on(async { Child::fork(build_and_use).wait() });
    assert_eq!(in_root, End::Passed);
    let job = runtime.spawn_blocking(|| Child::fork(build_and_use).wait());
    assert_eq!(runtime.block_on(job).expect("no panic"), End::Passed);
}

/// The child returns from the root, and ends what it was in: then it is in no runtime of tokio's either, and may end what it had
/// entered of tokio's before.
///
/// Mutant: `CurrentGuard::drop`, in a child, keeps what was entered of tokio's.
#[test]
fn a_child_that_returns_from_the_root_in_which_it_was_forked_is_in_no_runtime() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let theirs = tokio::runtime::Builder::new_current_thread().build();
    let theirs = theirs.expect("a runtime");
    let runtime = runtime();
    let parent = std::process::id();
    // The last thread of a process that panics ends it as if all were well.
    let ended = catch_unwind(AssertUnwindSafe(|| {
        let entered = theirs.enter();
        let child = runtime.block_on(async { process_support::Raw::fork() });
        if let Some(child) = child {
            return child.wait();
        }
        let current = tokio::runtime::Handle::current();
        assert_eq!(current.id(), theirs.handle().id());
        drop(entered);
        assert!(tokio::runtime::Handle::try_current().is_err());
        build_and_use();
        End::Passed
    }));
    if std::process::id() != parent {
        std::process::exit(i32::from(ended.is_err()));
    }
    assert_eq!(ended.expect("no panic"), End::Passed);
}
