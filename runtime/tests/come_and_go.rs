//! Runtimes that come and go with operations in flight leave nothing behind. Alone in its process, because it counts what
//! the process has.

mod support;

use std::future::{Future, poll_fn};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use ringway_runtime::Runtime;
use ringway_runtime::driver::Op;
use support::kinds::{Kind, Scene};
use support::{
    count, current_thread, descriptors, is_sanitized, probe, resident_bytes, threads, wait_until,
    workers,
};

/// Operations of each runtime.
const OPERATIONS: usize = 8;
/// Runtimes before the first count: what is made once, is made then, and the allocator has its arenas.
const WARM_UP: usize = 2 * BATCH;
/// Runtimes between two looks at the buffers that were given up.
const BATCH: usize = 100;
/// Mappings that the allocator and the cache of threads' stacks may have more at one moment than at another.
const MAPPINGS_MORE: usize = 8;
/// Memory likewise.
const BYTES_MORE: usize = 3 << 20;

/// What the process has.
#[derive(Debug)]
struct Held {
    descriptors: usize,
    threads: usize,
    mappings: usize,
    bytes: usize,
}

impl Held {
    fn now() -> Self {
        let maps = std::fs::read_to_string("/proc/self/maps").expect("procfs");
        Self {
            descriptors: descriptors(),
            threads: threads(),
            mappings: maps.lines().count(),
            bytes: resident_bytes(),
        }
    }

    fn is_no_more_than(&self, before: &Self) -> bool {
        self.descriptors <= before.descriptors
            && self.threads <= before.threads
            && (is_sanitized() || self.has_no_more_memory_than(before))
    }

    fn has_no_more_memory_than(&self, before: &Self) -> bool {
        self.mappings <= before.mappings + MAPPINGS_MORE && self.bytes <= before.bytes + BYTES_MORE
    }
}

/// `RINGWAY_TEST_RUNTIMES` asks for more than 300.
///
/// Mutants: the shard's ring is leaked; the slots are leaked at every drain.
#[test]
fn runtimes_come_and_go_with_operations_in_flight_and_leave_nothing() {
    let runtimes = count("RINGWAY_TEST_RUNTIMES", 300);
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
    // Not the large buffers of direct reads, among whose remains the allocator finds no order for a long time.
    let kinds = Kind::ALL
        .into_iter()
        .filter(|kind| *kind != Kind::ReadDirect);
    let scenes: Vec<_> = kinds
        .map(|kind| Arc::new(Scene::new(kind, directory)))
        .collect();
    for number in 0..WARM_UP {
        come_and_go(number, &scenes);
        if number % BATCH == BATCH - 1 {
            look_at_buffers();
        }
    }
    let before = Held::now();
    let begin = Instant::now();
    for number in 0..runtimes {
        come_and_go(number, &scenes);
        if number % BATCH == BATCH - 1 {
            look_at_buffers();
        }
    }
    look_at_buffers();
    println!(
        "{runtimes} runtimes in {:?}; before {before:?}, after {:?}",
        begin.elapsed(),
        Held::now()
    );
    wait_until("nothing is held that was not held before", || {
        Held::now().is_no_more_than(&before)
    });
}

/// Frees the buffers of the operations, with a look at whether anybody wrote to them late.
fn look_at_buffers() {
    probe::exhume(Duration::from_millis(50));
}

fn come_and_go(number: usize, scenes: &[Arc<Scene>]) {
    let scene = &scenes[number % scenes.len()];
    let runtime = match number % 3 {
        0 => workers(2),
        1 => workers(1),
        _ => current_thread(),
    };
    begin_operations(&runtime, scene);
    drop(runtime);
}

/// Begins operations, so that the kernel has most of them when the runtime ends.
fn begin_operations(runtime: &Runtime, scene: &Arc<Scene>) {
    let wanted = scene.submitted() + OPERATIONS;
    for _ in 0..OPERATIONS {
        let scene = Arc::clone(scene);
        runtime.spawn(async move {
            let mut operation = Op::new(scene.operation());
            poll_fn(|cx| {
                let _ = Pin::new(&mut operation).poll(cx).map(drop);
                Poll::Ready(())
            })
            .await;
            std::future::pending::<()>().await;
        });
    }
    runtime.block_on(async {
        while scene.submitted() < wanted {
            ringway_runtime::task::yield_now().await;
        }
    });
}
