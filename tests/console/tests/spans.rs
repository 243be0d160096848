//! What a subscriber is told of tasks.

#![cfg(console_without_tokio_unstable)]

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::{Duration, Instant};

use ringway::runtime::{Builder, LocalRuntime};
use ringway::task;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{Layer, Registry};

/// No test takes this long.
const PATIENCE: Duration = Duration::from_secs(60);

/// A span of a task, and what happened to it.
#[derive(Clone, Debug, Default)]
struct Seen {
    fields: HashMap<String, String>,
    target: String,
    enters: usize,
    exits: usize,
    closed: bool,
    /// Uses of the task's waker.
    wakers: HashMap<String, usize>,
}

#[derive(Default)]
struct Record {
    spans: HashMap<u64, Seen>,
    warnings: Vec<HashMap<String, String>>,
}

#[derive(Clone)]
struct Recorder(Arc<Mutex<Record>>);

#[derive(Default)]
struct Fields(HashMap<String, String>);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.to_owned());
    }
}

impl Recorder {
    /// The one of this process.
    fn get() -> &'static Self {
        static RECORDER: OnceLock<Recorder> = OnceLock::new();
        RECORDER.get_or_init(|| {
            let recorder = Self(Arc::default());
            let subscriber = Registry::default().with(recorder.clone());
            tracing::subscriber::set_global_default(subscriber).unwrap();
            recorder
        })
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        self.0.lock().unwrap()
    }

    fn change(&self, span: u64, change: impl FnOnce(&mut Seen)) {
        self.record().spans.get_mut(&span).map(change);
    }

    /// The span of the task with this name, when `condition` holds of it.
    fn wait_for(&self, name: &str, condition: impl Fn(&Seen) -> bool) -> Seen {
        let begin = Instant::now();
        loop {
            let found = self.record().spans.values().find_map(|seen| {
                (seen.fields["task.name"] == name && condition(seen)).then(|| seen.clone())
            });
            if let Some(found) = found {
                return found;
            }
            assert!(begin.elapsed() < PATIENCE, "no such span: {name}");
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Recorder {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, _: Context<'_, S>) {
        if attributes.metadata().name() != "runtime.spawn" {
            return;
        }
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        let seen = Seen {
            fields: fields.0,
            target: attributes.metadata().target().to_owned(),
            ..Seen::default()
        };
        self.record().spans.insert(id.into_u64(), seen);
    }

    fn on_enter(&self, id: &Id, _: Context<'_, S>) {
        self.change(id.into_u64(), |seen| seen.enters += 1);
    }

    fn on_exit(&self, id: &Id, _: Context<'_, S>) {
        self.change(id.into_u64(), |seen| seen.exits += 1);
    }

    fn on_close(&self, id: Id, _: Context<'_, S>) {
        // The number may be given to another span.
        self.change(id.into_u64(), |seen| seen.closed = true);
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut fields = Fields::default();
        match event.metadata().target() {
            "tokio::task::waker" => {
                event.record(&mut fields);
                let span = fields.0["task.id"].parse().unwrap();
                let op = fields.0.remove("op").unwrap();
                self.change(span, |seen| *seen.wakers.entry(op).or_default() += 1);
            }
            "ringway::blocked" => {
                event.record(&mut fields);
                self.record().warnings.push(fields.0);
            }
            _ => {}
        }
    }
}

/// Mutants: the span is kept by the task, not its future, and closes with the last handle; the waker's events have the
/// task's number.
#[test]
fn a_tasks_span_has_its_fields_is_entered_for_each_poll_and_closes_at_its_end() {
    let recorder = Recorder::get();
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let (handle, id) = runtime.block_on(async {
        let handle = task::Builder::new()
            .name("ticker")
            .spawn(async {
                for _ in 0..9 {
                    task::yield_now().await;
                }
                let (sender, receiver) = ringway::sync::oneshot::channel();
                ringway::spawn(async move { sender.send(()) });
                receiver.await.unwrap();
            })
            .unwrap();
        let id = handle.id();
        (handle, id)
    });
    // The handle still keeps the task when its future is gone.
    let seen = recorder.wait_for("ticker", |seen| seen.closed);
    assert_eq!(seen.target, "tokio::task");
    let field = |name: &str| seen.fields[name].as_str();
    assert_eq!(field("kind"), "task");
    assert_eq!(field("task.id"), id.to_string());
    assert!(field("size.bytes").parse::<usize>().unwrap() > 0);
    assert!(field("loc.file").ends_with("spans.rs"));
    assert!(field("loc.line").parse::<u32>().is_ok());
    assert!(field("loc.col").parse::<u32>().is_ok());
    // Ten polls to the last yield, one or two for the message, and the drop of the future.
    assert!((11..=13).contains(&seen.enters), "{seen:?}");
    assert_eq!(seen.enters, seen.exits);
    let uses = |op: &str| seen.wakers.get(op).copied().unwrap_or_default();
    // The yields and the message.
    assert_eq!(uses("waker.wake_by_ref") + uses("waker.wake"), 10);
    assert_eq!(uses("waker.clone"), uses("waker.wake") + uses("waker.drop"));
    runtime.block_on(handle).unwrap();
}

/// Mutant: the span of a future that is gone stays open.
#[test]
fn local_tasks_jobs_and_roots_have_spans_of_their_kind() {
    let recorder = Recorder::get();
    let runtime = Builder::new_multi_thread().build().unwrap();
    let _entered = runtime.enter();
    let job = task::Builder::new()
        .name("job")
        .spawn_blocking(|| 1)
        .unwrap();
    runtime.block_on(async move { job.await.unwrap() });
    let seen = recorder.wait_for("job", |seen| seen.closed);
    assert_eq!(seen.fields["kind"], "blocking");
    assert_eq!(seen.target, "tokio::task::blocking");
    assert!(seen.fields["fn"].contains("local_tasks_jobs"), "{seen:?}");
    let seen = recorder.wait_for("", |seen| {
        let file = &seen.fields["loc.file"];
        seen.fields["kind"] == "block_on" && file.ends_with("spans.rs")
    });
    assert!(seen.enters >= 1);
    drop(_entered);

    let runtime = LocalRuntime::new().unwrap();
    runtime.block_on(async {
        let task = task::Builder::new().name("local").spawn_local(async {});
        task.unwrap().await.unwrap();
    });
    let seen = recorder.wait_for("local", |seen| seen.closed);
    assert_eq!(seen.fields["kind"], "local");
}

/// Mutant: without a callback there is no watchdog.
#[test]
fn a_task_that_holds_its_worker_is_warned_of() {
    Recorder::get();
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .build()
        .unwrap();
    let hog = task::Builder::new().name("hog").spawn_on(
        async {
            let begin = Instant::now();
            loop {
                let record = Recorder::get().record();
                let found = record.warnings.iter().find(|warning| {
                    warning
                        .get("task.name")
                        .is_some_and(|name| name.contains("hog"))
                });
                if let Some(found) = found {
                    return found.clone();
                }
                drop(record);
                assert!(begin.elapsed() < PATIENCE, "no warning");
            }
        },
        runtime.handle(),
    );
    let warning = runtime.block_on(hog.unwrap()).unwrap();
    assert_eq!(warning["threshold_ms"], "100");
    assert!(warning["held_ms"].parse::<u32>().unwrap() >= 100);
    assert!(warning["message"].contains("spawned at"), "{warning:?}");
}
