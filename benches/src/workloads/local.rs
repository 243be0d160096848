//! A set of local tasks in the root of a runtime on one thread.

use std::cell::Cell;
use std::rc::Rc;
use std::thread;

use super::{current_thread, net, on_root, rt, tasks};
use crate::Run;
use crate::clients::{Clients, Load};
use rt::net::TcpListener;
use rt::sync::mpsc;
use rt::task::{LocalSet, spawn_local, yield_now};

/// Yields in a batch of [`yields`].
pub const YIELDS: u64 = YIELDING_TASKS * YIELDS_PER_TASK;

/// Messages in a batch of [`messages_from_a_thread`].
pub const MESSAGES: u64 = 1_000;

/// Tasks that yield at the same time.
const YIELDING_TASKS: u64 = 200;

/// Yields of one task: enough that the cost of its spawn vanishes.
const YIELDS_PER_TASK: u64 = 1_000;

/// Local tasks are spawned and their handles awaited.
pub fn join() -> Run {
    on_root(current_thread(), |batches| async move {
        let set = LocalSet::new();
        set.run_until(async {
            let mut handles = Vec::with_capacity(tasks::SPAWNS as usize);
            for _ in 0..batches {
                handles.extend((0..tasks::SPAWNS).map(|number| spawn_local(async move { number })));
                for (number, handle) in (0..tasks::SPAWNS).zip(handles.drain(..)) {
                    assert_eq!(handle.await.unwrap(), number);
                }
            }
        })
        .await;
    })
}

/// Many local tasks do nothing but yield.
pub fn yields() -> Run {
    on_root(current_thread(), |batches| async move {
        let left = Rc::new(Cell::new(0));
        for _ in 0..batches {
            let set = LocalSet::new();
            left.set(YIELDING_TASKS);
            for _ in 0..YIELDING_TASKS {
                let left = Rc::clone(&left);
                set.spawn_local(async move {
                    for _ in 0..YIELDS_PER_TASK {
                        yield_now().await;
                    }
                    left.set(left.get() - 1);
                });
            }
            set.await;
            assert_eq!(left.get(), 0);
        }
    })
}

/// Another thread sends messages to a local task, a few at a time.
pub fn messages_from_a_thread() -> Run {
    /// Messages that wait for the task at most.
    const ROOM: usize = 16;
    on_root(current_thread(), |batches| async move {
        let (sender, mut receiver) = mpsc::channel(ROOM);
        let other = thread::spawn(move || {
            for number in 0..batches * MESSAGES {
                sender.blocking_send(number).unwrap();
            }
        });
        let set = LocalSet::new();
        set.spawn_local(async move {
            for number in 0..batches * MESSAGES {
                assert_eq!(receiver.recv().await, Some(number));
            }
        });
        set.await;
        other.join().unwrap();
    })
}

/// Echoes the messages of so many connections, each in a local task.
pub fn echo(connections: usize) -> Run {
    let (tell, told) = std::sync::mpsc::channel();
    // It ends with the process: nothing tells the server to stop.
    thread::spawn(move || {
        LocalSet::new().block_on(&current_thread(), async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            tell.send(listener.local_addr().unwrap()).unwrap();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                stream.set_nodelay(true).unwrap();
                spawn_local(net::echo_all(stream));
            }
        });
    });
    let address = told.recv().unwrap().to_string();
    let mut client = Clients::start(Load::Echo, &address, connections);
    Box::new(move |batches| client.exchange(batches * net::ECHOES))
}
