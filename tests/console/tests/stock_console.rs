//! The stock console, its server and its protocol, show ringway's tasks.

#![cfg(console_without_tokio_unstable)]

use std::collections::HashMap;
use std::net::TcpListener;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use console_api::instrument::instrument_client::InstrumentClient;
use console_api::instrument::{InstrumentRequest, Update};
use console_api::tasks::{Stats, Task};
use console_subscriber::ConsoleLayer;
use ringway::runtime::Builder;
use ringway::task;
use tonic::transport::Channel;
use tracing_subscriber::layer::SubscriberExt;

/// Longer than the console takes to tell.
const PATIENCE: Duration = Duration::from_secs(60);
/// Times that the task yields.
const YIELDS: u64 = 50;

/// What the console's client knows.
#[derive(Default)]
struct Known {
    tasks: HashMap<u64, Task>,
    stats: HashMap<u64, Stats>,
}

impl Known {
    fn learn(&mut self, update: Update) {
        let Some(update) = update.task_update else {
            return;
        };
        for task in update.new_tasks {
            self.tasks.insert(task.id.unwrap().id, task);
        }
        self.stats.extend(update.stats_update);
    }

    fn find(&self, field: &str) -> Option<(&Task, &Stats)> {
        self.tasks.iter().find_map(|(id, task)| {
            let has = task.fields.iter().any(|has| has.to_string() == field);
            has.then(|| Some((task, self.stats.get(id)?)))?
        })
    }
}

/// Starts the console in this process; returns its port.
fn start_console() -> u16 {
    // The port is free a moment later, and nobody else takes it: the system gives out others first.
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let layer = ConsoleLayer::builder()
        .server_addr(address)
        .publish_interval(Duration::from_millis(50))
        .spawn();
    let subscriber = tracing_subscriber::registry().with(layer);
    tracing::subscriber::set_global_default(subscriber).unwrap();
    address.port()
}

async fn connect(port: u16) -> InstrumentClient<Channel> {
    let begin = Instant::now();
    loop {
        match InstrumentClient::connect(format!("http://127.0.0.1:{port}")).await {
            Ok(client) => return client,
            Err(error) => assert!(begin.elapsed() < PATIENCE, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// What a span says of its task in detail is looked at in `spans.rs`, where the mutants are.
#[test]
fn the_stock_console_shows_a_task_by_name_and_place_with_its_polls_and_wakes() {
    let port = start_console();
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let (stop, stopped) = ringway::sync::oneshot::channel::<()>();
    let line = line!() + 3;
    let ticker = task::Builder::new()
        .name("ticker")
        .spawn_on(
            async {
                for _ in 0..YIELDS {
                    task::yield_now().await;
                }
                let _ = stopped.await;
            },
            runtime.handle(),
        )
        .unwrap();
    let (seen, is_seen) = mpsc::channel();
    let client = std::thread::spawn(move || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
            .block_on(async {
                let mut known = Known::default();
                let mut client = connect(port).await;
                let updates = client.watch_updates(InstrumentRequest {}).await.unwrap();
                let mut updates = updates.into_inner();
                while let Some(update) = updates.message().await.unwrap() {
                    known.learn(update);
                    let Some((task, stats)) = known.find("task.name=ticker") else {
                        continue;
                    };
                    let polls = stats.poll_stats.as_ref().map_or(0, |polls| polls.polls);
                    if polls > YIELDS && seen.send((task.clone(), *stats)).is_err() {
                        return;
                    }
                }
            });
    });
    let (shown, stats) = is_seen.recv_timeout(PATIENCE).expect("the task is shown");
    drop(is_seen);
    let location = shown.location.expect("a place");
    assert!(location.file().ends_with("stock_console.rs"));
    assert_eq!(location.line, Some(line));
    let fields: Vec<_> = shown.fields.iter().map(ToString::to_string).collect();
    assert!(fields.contains(&"kind=task".to_owned()), "{fields:?}");
    let id = format!("task.id={}", ticker.id());
    assert!(fields.contains(&id), "{fields:?} has no {id}");
    assert_eq!(stats.wakes, YIELDS);
    assert_eq!(stats.self_wakes, YIELDS);
    assert_eq!(stats.poll_stats.unwrap().polls, YIELDS + 1);
    drop(stop);
    runtime.block_on(ticker).unwrap();
    client.join().unwrap();
}
