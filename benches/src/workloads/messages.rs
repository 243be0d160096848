//! Messages between tasks, and between the future of `block_on` and a task.

use super::{current_thread, on_root, on_worker, rt, runtime, runtime_of};
use crate::Run;
use rt::sync::{mpsc, oneshot};

/// Messages in a batch of [`one_to_one`] and [`five_to_one`].
pub const MESSAGES: u64 = 5_000;

/// Requests in a batch.
pub const REQUESTS: u64 = 1_000;

/// Messages that a channel holds.
const CAPACITY: usize = 100;

/// Senders of [`five_to_one`].
const SENDERS: u64 = 5;

/// Requests that wait at once, at most.
const BACKLOG: usize = 10;

/// A task sends messages through a bounded channel to another.
pub fn one_to_one() -> Run {
    on_worker(|batches| async move {
        let messages = batches * MESSAGES;
        let (to, mut from) = mpsc::channel(CAPACITY);
        let sender = rt::spawn(send(to, messages));
        for number in 0..messages {
            assert_eq!(from.recv().await, Some(number));
        }
        sender.await.unwrap();
    })
}

/// Five tasks send through one channel to a sixth.
pub fn five_to_one() -> Run {
    on_worker(|batches| async move {
        let messages = batches * MESSAGES;
        let (to, mut from) = mpsc::channel(CAPACITY);
        let senders: Vec<_> = (0..SENDERS)
            .map(|_| rt::spawn(send(to.clone(), messages / SENDERS)))
            .collect();
        drop(to);
        let mut received = 0;
        while from.recv().await.is_some() {
            received += 1;
        }
        assert_eq!(received, messages);
        for sender in senders {
            sender.await.unwrap();
        }
    })
}

async fn send(to: mpsc::Sender<u64>, messages: u64) {
    for number in 0..messages {
        to.send(number).await.unwrap();
    }
}

/// The future given to `block_on` sends requests to a task and awaits each answer, on so many workers.
pub fn request_from_root(workers: usize) -> Run {
    request_on(runtime_of(workers))
}

/// As [`request_from_root`], on one thread.
pub fn request_on_one_thread() -> Run {
    request_on(current_thread())
}

fn request_on(runtime: rt::runtime::Runtime) -> Run {
    let server = Server::start(&runtime);
    on_root(runtime, move |batches| server.clone().ask(batches))
}

/// A task sends the requests.
pub fn request_from_task() -> Run {
    let runtime = runtime();
    let server = Server::start(&runtime);
    Box::new(move |batches| {
        let asking = runtime.spawn(server.clone().ask(batches));
        runtime.block_on(asking).unwrap();
    })
}

/// A task that answers requests.
#[derive(Clone)]
struct Server(mpsc::Sender<oneshot::Sender<()>>);

impl Server {
    fn start(runtime: &rt::runtime::Runtime) -> Server {
        let (to, mut requests) = mpsc::channel::<oneshot::Sender<()>>(BACKLOG);
        runtime.spawn(async move {
            while let Some(reply) = requests.recv().await {
                reply.send(()).unwrap();
            }
        });
        Server(to)
    }

    async fn ask(self, batches: u64) {
        for _ in 0..batches * REQUESTS {
            let (reply, replied) = oneshot::channel();
            self.0.send(reply).await.unwrap();
            replied.await.unwrap();
        }
    }
}
