//! A dump as a table.

use std::fmt::{self, Formatter};
use std::time::Duration;

use super::{Activity, Dump, Holder, Task, Worker};

const HEADINGS: [&str; 9] = [
    "id",
    "state",
    "age",
    "polls",
    "last",
    "longest",
    "worker",
    "name",
    "spawned at",
];

pub(super) fn print(dump: &Dump, f: &mut Formatter<'_>) -> fmt::Result {
    for worker in dump.workers() {
        print_worker(worker, f)?;
    }
    writeln!(f)?;
    let rows: Vec<_> = dump.tasks().iter().map(row).collect();
    let headings = HEADINGS.map(str::to_owned);
    let mut widths = HEADINGS.map(str::len);
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    for row in std::iter::once(&headings).chain(&rows) {
        print_row(row, &widths, f)?;
    }
    Ok(())
}

fn print_worker(worker: &Worker, f: &mut Formatter<'_>) -> fmt::Result {
    let name = worker.thread_name().unwrap_or("no name");
    write!(f, "worker {} ({name}): ", worker.index())?;
    let held = seconds(worker.polled_for());
    match worker.holder() {
        Holder::Asleep => writeln!(f, "asleep"),
        Holder::Runtime => writeln!(f, "between polls"),
        Holder::Root => writeln!(f, "polls the root since {held}"),
        Holder::Task(id) => writeln!(f, "polls task {id} since {held}"),
    }
}

fn row(task: &Task) -> [String; HEADINGS.len()] {
    let state = match task.activity() {
        Activity::Running => "running",
        Activity::Scheduled => "scheduled",
        Activity::Idle => "idle",
        Activity::Complete => "complete",
    };
    let none = || "-".to_owned();
    [
        task.id().to_string(),
        state.to_owned(),
        seconds(task.age()),
        task.polls().to_string(),
        milliseconds(task.last_poll()),
        milliseconds(task.longest_poll()),
        task.worker().map_or_else(none, |worker| worker.to_string()),
        task.name().map_or_else(none, one_line),
        task.location().to_string(),
    ]
}

fn print_row(row: &[String], widths: &[usize], f: &mut Formatter<'_>) -> fmt::Result {
    let last = row.len() - 1;
    for (cell, width) in row[..last].iter().zip(widths) {
        write!(f, "{cell:<width$}  ")?;
    }
    writeln!(f, "{}", row[last])
}

/// A name with a line break would break the table.
fn one_line(name: &str) -> String {
    name.escape_debug().to_string()
}

fn seconds(time: Duration) -> String {
    format!("{:.3} s", time.as_secs_f64())
}

fn milliseconds(time: Duration) -> String {
    match time.as_millis() {
        0 => "<2 ms".to_owned(),
        ms => format!("{ms} ms"),
    }
}
