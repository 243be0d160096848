//! Which tasks a runtime has, while they run and while they are stuck.

mod support;

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use ringway_runtime::dump::{Activity, Dump, Holder, Task};
use ringway_runtime::task::{Id, yield_now};
use ringway_runtime::{Builder, spawn};

use support::{WATCHDOG, current_thread, wait_until, within, workers};

#[track_caller]
fn find(dump: &Dump, id: Id) -> &Task {
    let found = dump.tasks().iter().find(|task| task.id() == id);
    found.unwrap_or_else(|| panic!("task {id} is not in the list:\n{dump}"))
}

/// Both workers are stuck in tasks, and a third task waits for one of them.
///
/// Mutants: the walk takes a list's lock that the worker holds; the poll's begin is not published; `since` is measured
/// from the task's birth.
#[test]
fn the_list_tells_who_holds_which_worker_while_all_workers_are_stuck() {
    let runtime = workers(2);
    let idle = runtime.spawn(std::future::pending::<()>());
    wait_until("the idle task waits", || {
        let dump = runtime.handle().dump();
        find(&dump, idle.id()).activity() == Activity::Idle
    });
    let (arrive, arrived) = mpsc::channel();
    let line = line!() + 5;
    let stuck: Vec<_> = (0..2)
        .map(|_| {
            let arrive = arrive.clone();
            let (release, barrier) = mpsc::channel::<()>();
            let task = runtime.spawn(async move {
                arrive.send(()).unwrap();
                barrier.recv().unwrap_err();
            });
            (task, release)
        })
        .collect();
    (0..2).for_each(|_| arrived.recv_timeout(WATCHDOG).unwrap());
    let waiting = runtime.spawn(async {});
    let pause = Duration::from_millis(20);
    thread::sleep(pause);
    let handle = runtime.handle().clone();
    let dump = within(WATCHDOG, move || handle.dump());
    println!("{dump}");
    assert_eq!(dump.tasks().len(), 4);
    let mut holders = HashSet::new();
    for (task, _) in &stuck {
        let task = find(&dump, task.id());
        assert_eq!(task.activity(), Activity::Running);
        assert_eq!(task.location().line(), line);
        assert_eq!(task.polls(), 1);
        let held = task.polled_for().expect("a worker polls it");
        assert!(held + Duration::from_millis(3) >= pause, "{held:?}");
        assert!(task.age() + Duration::from_millis(3) >= held);
        holders.insert(task.worker());
    }
    assert_eq!(holders, HashSet::from([Some(0), Some(1)]));
    assert_eq!(find(&dump, waiting.id()).activity(), Activity::Scheduled);
    assert_eq!(find(&dump, waiting.id()).worker(), None);
    assert_eq!(find(&dump, idle.id()).activity(), Activity::Idle);
    assert_eq!(dump.workers().len(), 3);
    assert_eq!(dump.workers()[2].holder(), Holder::Asleep);
    let text = dump.to_string();
    assert!(text.contains("polls task "), "{text}");
    assert!(text.contains(&format!("dump.rs:{line}:")), "{text}");
}

/// Mutants: a tick is a millisecond of poll, or none is; the longest is the last.
#[test]
fn long_polls_are_remembered_and_short_ones_are_not() {
    let runtime = workers(1);
    let (pause, short) = (Duration::from_millis(40), Duration::from_millis(10));
    let task = runtime.spawn(async move {
        thread::sleep(pause);
        yield_now().await;
        thread::sleep(short);
        yield_now().await;
        std::future::pending::<()>().await;
    });
    let handle = runtime.handle().clone();
    wait_until("three polls", || {
        let dump = handle.dump();
        let entry = find(&dump, task.id());
        entry.polls() == 3 && entry.activity() == Activity::Idle
    });
    let dump = runtime.block_on(async { handle.dump().await });
    let entry = find(&dump, task.id());
    println!("{dump}");
    assert!(entry.longest_poll() + Duration::from_millis(8) >= pause);
    assert!(entry.last_poll() < entry.longest_poll());
    assert!(entry.age() + Duration::from_millis(3) >= pause + short);
}

/// Mutant: the clock stands while nobody works, also for who spawns from outside.
#[test]
fn a_task_is_born_when_it_is_spawned_though_the_runtime_slept() {
    for runtime in [workers(1), current_thread()] {
        // Longer than the monitor goes on looking when nobody works.
        thread::sleep(Duration::from_millis(200));
        let before = Instant::now();
        let task = runtime.spawn(std::future::pending::<()>());
        let dump = runtime.handle().dump();
        let age = find(&dump, task.id()).age();
        assert!(
            age <= before.elapsed() + Duration::from_millis(2),
            "{age:?}"
        );
    }
}

/// Tasks come and go on two workers while two threads walk over them: those that stay are in every list, once.
///
/// That the walk survives whatever it meets is the model's to show (`tests/loom/tests/task.rs`). Mutant: a walk goes over the
/// first list only.
#[test]
fn a_list_made_while_tasks_come_and_go_has_each_that_stays_once() {
    const STAYING: usize = 500;
    let runtime = workers(2);
    let stop = Arc::new(AtomicBool::new(false));
    let mut staying = HashSet::new();
    for _ in 0..STAYING {
        staying.insert(runtime.spawn(std::future::pending::<()>()).id());
    }
    for _ in 0..4 {
        let stop = Arc::clone(&stop);
        runtime.spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                for _ in 0..50 {
                    spawn(async { yield_now().await });
                }
                yield_now().await;
            }
        });
    }
    let dumpers: Vec<_> = (0..2)
        .map(|_| {
            let (handle, staying) = (runtime.handle().clone(), staying.clone());
            thread::spawn(move || {
                for _ in 0..50 {
                    let dump = handle.dump();
                    let mut seen = HashSet::new();
                    for task in dump.tasks() {
                        assert!(seen.insert(task.id()), "task {} twice", task.id());
                    }
                    assert!(staying.is_subset(&seen));
                }
            })
        })
        .collect();
    let joined: Vec<_> = dumpers.into_iter().map(thread::JoinHandle::join).collect();
    stop.store(true, Ordering::Relaxed);
    assert!(joined.into_iter().all(|dumper| dumper.is_ok()));
}

#[test]
fn the_root_holds_the_worker_of_a_current_thread_runtime() {
    let runtime = Builder::new_current_thread().build().unwrap();
    let handle = runtime.handle().clone();
    let dump = runtime.block_on(async { handle.dump() });
    assert_eq!(dump.workers().len(), 1);
    assert_eq!(dump.workers()[0].holder(), Holder::Root);
    assert_eq!(dump.workers()[0].thread_id(), Some(thread::current().id()));
    assert!(dump.tasks().is_empty());
}
