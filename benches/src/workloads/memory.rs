//! What tasks take in memory.

use std::future::pending;
use std::time::Duration;

use super::{rt, runtime};
use crate::gauges::{Figure, Promise};
use crate::meter::Memory;

/// Tasks that are alive at once.
const TASKS: usize = 100_000;

/// Longer than the measurement.
const FOREVER: Duration = Duration::from_secs(3_600);

/// Tasks that wait for what never comes.
pub fn waiting_task() -> Vec<Figure> {
    measure(|| drop(rt::spawn(pending::<()>())))
}

/// Tasks that wait for a timer.
pub fn sleeping_task() -> Vec<Figure> {
    measure(|| drop(rt::spawn(rt::time::sleep(FOREVER))))
}

fn measure(spawn: fn()) -> Vec<Figure> {
    let runtime = runtime();
    // What the runtime itself needs is there before; and a task that has run after all others tells that they have.
    let spawn_some = move |tasks: usize| async move {
        for _ in 0..tasks {
            spawn();
        }
        for _ in 0..tasks {
            rt::task::yield_now().await;
        }
    };
    runtime.block_on(runtime.spawn(spawn_some(100))).unwrap();
    let before = Memory::now();
    runtime.block_on(runtime.spawn(spawn_some(TASKS))).unwrap();
    let memory = Memory::now();
    let each = |bytes: u64| bytes as f64 / TASKS as f64;
    vec![
        Figure::new("on the heap", "B", each(memory.heap - before.heap))
            .promised(Promise::Ratio(1.0)),
        Figure::new("resident", "B", each(memory.resident - before.resident))
            .promised(Promise::Ratio(1.0)),
    ]
}
