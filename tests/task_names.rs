//! Tasks with a name, and join handles that abort their task.

use std::future::pending;
use std::sync::{Arc, Mutex};

use ringway::runtime::Builder;
use ringway::task::{self, JoinSet, yield_now};

/// Mutant: spawn without the name in `spawn_on`.
#[test]
fn hooks_are_told_the_names_of_tasks() {
    let names = Arc::new(Mutex::new(Vec::new()));
    let list = names.clone();
    let runtime = Builder::new_current_thread()
        .enable_all()
        .on_task_spawn(move |meta| {
            let name = meta.name().map(str::to_string);
            list.lock()
                .expect("unbroken")
                .push((name, meta.spawned_at().file()));
        })
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let one = task::Builder::new().name("one").spawn(async { 1 });
        let two = task::Builder::new().spawn(async { 2 });
        let three = task::Builder::new()
            .name("three")
            .spawn_on(async { 3 }, runtime.handle());
        let mut set = JoinSet::new();
        set.build_task()
            .name("four")
            .spawn(async { 4 })
            .expect("it is spawned");
        for (handle, number) in [(one, 1), (two, 2), (three, 3)] {
            let handle = handle.expect("it is spawned");
            assert_eq!(handle.await.expect("it ends"), number);
        }
        assert_eq!(set.join_all().await, [4]);
    });
    let names = names.lock().expect("unbroken");
    let only: Vec<_> = names.iter().map(|(name, _)| name.as_deref()).collect();
    assert_eq!(only, [Some("one"), None, Some("three"), Some("four")]);
    assert!(names.iter().all(|(_, file)| *file == file!()));
}

#[test]
fn jobs_may_have_names_too() {
    let runtime = Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async {
        let job = task::Builder::new().name("job").spawn_blocking(|| 5);
        assert_eq!(job.expect("there is a thread").await.expect("it ends"), 5);
        let handle = runtime.handle();
        let job = task::Builder::new()
            .name("job")
            .spawn_blocking_on(|| 6, handle);
        assert_eq!(job.expect("there is a thread").await.expect("it ends"), 6);
        let mut set = JoinSet::new();
        let job = set.build_task().name("job").spawn_blocking(|| 7);
        job.expect("there is a thread");
        assert_eq!(set.join_all().await, [7]);
    });
}

#[test]
#[should_panic = "there is no reactor running"]
fn a_named_task_outside_a_runtime_panics_as_any_other() {
    let _ = task::Builder::new().name("nowhere").spawn(async {});
}

/// Mutants: leave out the drop of `AbortOnDrop`; abort in `into_handle`.
#[test]
fn a_handle_that_aborts_on_drop_does_so_unless_it_is_turned_back() {
    let runtime = Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async {
        let dropped = ringway::spawn(pending::<()>()).abort_on_drop();
        let watch = dropped.abort_handle();
        assert_eq!(watch.id(), dropped.id());
        yield_now().await;
        assert!(!dropped.is_finished());
        drop(dropped);
        while !watch.is_finished() {
            yield_now().await;
        }
        let kept = ringway::spawn(async {
            yield_now().await;
            1
        });
        let kept = kept.abort_on_drop().into_handle();
        assert_eq!(kept.await.expect("it is not aborted"), 1);
        let awaited = ringway::spawn(async { 2 }).abort_on_drop();
        assert_eq!(awaited.await.expect("it is not aborted"), 2);
        let aborted = ringway::spawn(pending::<()>()).abort_on_drop();
        aborted.abort();
        assert!(aborted.await.expect_err("it never ends").is_cancelled());
    });
}

#[test]
fn a_dump_shows_the_names_of_tasks() {
    let runtime = Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async {
        let task = task::Builder::new().name("waits").spawn(pending::<()>());
        let task = task.expect("it is spawned").abort_on_drop();
        yield_now().await;
        let dump = runtime.handle().dump();
        let entry = dump.tasks().iter().find(|entry| entry.id() == task.id());
        assert_eq!(entry.expect("it lives").name(), Some("waits"));
    });
}
