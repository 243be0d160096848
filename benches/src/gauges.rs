//! What is not a time per operation: how late, how much memory, how much noise.

use crate::meter::{Meter, Reading};
use crate::{Peer, ringway, tokio};

/// One thing to measure that yields some figures.
#[derive(Clone, Copy, Debug)]
pub struct Gauge {
    /// Unique name, used on the command line.
    pub name: &'static str,
    /// What is measured, for the reader of a report.
    pub what: &'static str,
    ringway: fn() -> Vec<Figure>,
    tokio: fn() -> Vec<Figure>,
}

/// What came out, less being better.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Figure {
    /// Unique among the figures of its gauge.
    pub name: &'static str,
    /// What 1 is.
    pub unit: &'static str,
    /// How many.
    pub value: f64,
    /// What we promise.
    pub promise: Option<Promise>,
}

/// The most that a figure may be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Promise {
    /// Of tokio's figure.
    Ratio(f64),
    /// In its own unit.
    Value(f64),
}

impl Gauge {
    /// The gauge of that name.
    pub fn by_name(name: &str) -> Option<&'static Gauge> {
        GAUGES.iter().find(|gauge| gauge.name == name)
    }

    /// Measures `peer`.
    pub fn read(&self, peer: Peer) -> Vec<Figure> {
        match peer {
            Peer::Ringway => (self.ringway)(),
            Peer::Tokio => (self.tokio)(),
            Peer::Bare => unreachable!("a gauge is of a runtime"),
        }
    }
}

impl Figure {
    /// A figure of which nothing is promised.
    pub fn new(name: &'static str, unit: &'static str, value: f64) -> Figure {
        Figure {
            name,
            unit,
            value,
            promise: None,
        }
    }

    /// The same, with what is promised of it.
    pub fn promised(self, promise: Promise) -> Figure {
        Figure {
            promise: Some(promise),
            ..self
        }
    }
}

/// The figures of so many events that other threads than this one reacted to, from what they used meanwhile.
pub fn noise(process: &Meter, this_thread: &Meter, events: f64) -> [Figure; 2] {
    let others = process.read().without(&this_thread.read());
    [
        Figure::new("processor time", "µs", micros(&others) / events),
        Figure::new("waits of threads", "", others.waits as f64 / events),
    ]
}

fn micros(reading: &Reading) -> f64 {
    reading.cpu().as_secs_f64() * 1e6
}

macro_rules! gauge {
    ($name:literal, $what:literal, $module:ident::$function:ident()) => {
        Gauge {
            name: $name,
            what: $what,
            ringway: || ringway::workloads::$module::$function(),
            tokio: || tokio::workloads::$module::$function(),
        }
    };
}

/// Every gauge, in the order of the report.
#[rustfmt::skip] // One row, one line.
pub const GAUGES: &[Gauge] = &[
    gauge!("wake_by_thread", "from a thread's wake of a task of an idle runtime to its poll", latency::by_thread()),
    gauge!("wake_by_task", "from a task's wake of another, then awaiting, to its poll", latency::by_task()),
    gauge!("wake_by_busy_task", "from a task's wake of another, then computing, to its poll", latency::by_busy_task()),
    gauge!("spawn_on_idle", "a task spawned by a thread on an idle runtime", idle::spawn()),
    gauge!("sleep", "a sleep of 0 to 10 s, 400 a second", sleeps::spread()),
    gauge!("nap", "a sleep of 0.5 to 20 ms, 100 at once", sleeps::naps()),
    gauge!("sleep_million", "a task of a million that sleep at once, from its spawn to its end", sleeps::million()),
    gauge!("memory_of_task", "a task that waits for ever", memory::waiting_task()),
    gauge!("memory_of_sleep", "a task that sleeps for an hour", memory::sleeping_task()),
    gauge!("memory_of_connection", "a connection whose task waits for bytes that never come, 10,000 at once", sockets::idle_connections()),
    gauge!("idle", "a second of a runtime with a listener, a connection and a timer", idle::idle()),
];
