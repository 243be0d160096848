//! What can be seen of a runtime, through the public face.

use std::sync::mpsc;
use std::time::Duration;

use ringway::runtime::dump::{Activity, Holder};
use ringway::runtime::{Builder, Handle, LocalRuntime};
use ringway::task;

/// No test takes this long.
const PATIENCE: Duration = Duration::from_secs(60);

/// A task asks for the list while the other worker is stuck in a task that has a name.
///
/// Mutant: the walk leaves names out.
#[test]
fn a_task_finds_the_one_that_holds_the_other_worker_by_its_name() {
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let (arrive, arrived) = mpsc::channel();
    let (release, barrier) = mpsc::channel::<()>();
    let hog = task::Builder::new()
        .name("hog")
        .spawn_on(
            async move {
                arrive.send(()).unwrap();
                barrier.recv().unwrap_err();
            },
            runtime.handle(),
        )
        .unwrap();
    arrived.recv_timeout(PATIENCE).unwrap();
    let dump = runtime.spawn(async { Handle::current().dump().await });
    let dump = runtime.block_on(dump).unwrap();
    let entry = dump
        .tasks()
        .iter()
        .find(|entry| entry.name() == Some("hog"));
    let entry = entry.expect("the task is in the list");
    assert_eq!(entry.id(), hog.id());
    assert_eq!(entry.activity(), Activity::Running);
    let worker = &dump.workers()[entry.worker().expect("a worker polls it")];
    assert_eq!(worker.holder().to_string(), format!("task {}", hog.id()));
    assert!(matches!(worker.holder(), Holder::Task(_)));
    assert!(dump.to_string().contains(" hog "), "{dump}");
    drop(release);
    runtime.block_on(hog).unwrap();
}

/// Mutant: a local runtime has the metrics of another.
#[test]
fn a_local_runtime_counts_and_lists_its_tasks() {
    let runtime = LocalRuntime::new().unwrap();
    let idle = runtime.spawn_local(std::future::pending::<()>());
    runtime.block_on(async {
        for _ in 0..3 {
            task::spawn_local(async {}).await.unwrap();
        }
        // All have their turn.
        task::yield_now().await;
    });
    let metrics = runtime.metrics();
    assert_eq!(metrics.worker_poll_count(0), 4);
    assert_eq!(metrics.num_alive_tasks(), 1);
    assert_eq!(metrics.spawned_tasks_count(), 4);
    let dump = runtime.handle().dump();
    assert_eq!(dump.tasks().len(), 1);
    assert_eq!(dump.tasks()[0].id(), idle.id());
    assert_eq!(dump.tasks()[0].activity(), Activity::Idle);
}
