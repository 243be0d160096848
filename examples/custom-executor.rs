//! `cargo run --example custom-executor`
//!
//! Tasks that run on threads of one's own, and use the runtime's sockets and timers: all that they need is to be polled
//! where the runtime has been entered.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Wake, Waker};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use ringway::io::{AsyncReadExt, AsyncWriteExt};
use ringway::net::{TcpListener, TcpStream};
use ringway::runtime::{Builder, Handle};
use ringway::sync::oneshot;
use ringway::time::sleep;

fn main() -> io::Result<()> {
    // It does I/O and time; of the tasks here it runs none.
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let executor = Executor::start(2, runtime.handle());

    let (done, is_done) = oneshot::channel();
    executor.spawn(async move {
        let _ = done.send(greet().await);
    });
    let greeting = is_done.blocking_recv().map_err(io::Error::other)??;
    println!("heard {greeting:?} on threads of our own");
    assert_eq!(runtime.metrics().num_alive_tasks(), 0);
    executor.stop();
    Ok(())
}

/// A server and its client.
async fn greet() -> io::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let server = async {
        let (mut stream, _) = listener.accept().await?;
        sleep(Duration::from_millis(10)).await;
        stream.write_all(b"hello").await
    };
    let client = async {
        let mut greeting = String::new();
        TcpStream::connect(address)
            .await?
            .read_to_string(&mut greeting)
            .await?;
        Ok(greeting)
    };
    let (_, greeting) = ringway::try_join!(server, client)?;
    Ok(greeting)
}

/// Threads that run what is in one queue.
struct Executor {
    queue: mpsc::Sender<Arc<Task>>,
    threads: Vec<JoinHandle<()>>,
}

/// A future, until it is done, and the queue where it goes when it is woken.
struct Task {
    future: Mutex<Option<Pin<Box<dyn Future<Output = ()> + Send>>>>,
    queue: mpsc::Sender<Arc<Task>>,
}

impl Executor {
    fn start(count: usize, runtime: &Handle) -> Self {
        let (queue, tasks) = mpsc::channel::<Arc<Task>>();
        let tasks = Arc::new(Mutex::new(tasks));
        let run = |runtime: Handle, tasks: Arc<Mutex<mpsc::Receiver<Arc<Task>>>>| {
            // What the tasks make, they make in this runtime.
            let _entered = runtime.enter();
            loop {
                let next = tasks.lock().expect("nobody panics").recv();
                match next {
                    Ok(task) => task.poll(),
                    Err(_) => return,
                }
            }
        };
        let threads = (0..count).map(|_| {
            let (runtime, tasks) = (runtime.clone(), Arc::clone(&tasks));
            thread::spawn(move || run(runtime, tasks))
        });
        let threads = threads.collect();
        Self { queue, threads }
    }

    fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        let task = Arc::new(Task {
            future: Mutex::new(Some(Box::pin(future))),
            queue: self.queue.clone(),
        });
        task.wake();
    }

    /// Waits for the end of all tasks, which keep the queue open, and of the threads.
    fn stop(self) {
        drop(self.queue);
        for thread in self.threads {
            thread.join().expect("no task panics");
        }
    }
}

impl Task {
    fn poll(self: Arc<Self>) {
        let waker = Waker::from(Arc::clone(&self));
        let mut place = self.future.lock().expect("no task panics");
        if let Some(future) = &mut *place
            && future
                .as_mut()
                .poll(&mut Context::from_waker(&waker))
                .is_ready()
        {
            *place = None;
        }
    }
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        // Nobody takes it any more when the threads have ended.
        let _ = self.queue.send(Arc::clone(&self));
    }
}
