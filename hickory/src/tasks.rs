//! hickory's tasks: those that read the answers of a connection, and those that fetch again what is used much.
//!
//! They end with the resolver, as on tokio: the last copy aborts what still runs. Each task is spawned, and each
//! abort made, without the lock.

use std::future::Future;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hickory_net::runtime::Spawn;
use ringway_runtime::task::AbortHandle;

/// Runs hickory's tasks as tasks of the runtime that hickory is polled in, until the last copy is dropped.
///
/// # Panics
///
/// hickory's call, outside a runtime.
///
/// ```
/// use hickory_net::runtime::Spawn;
/// use ringway_hickory::Tasks;
///
/// # fn main() -> std::io::Result<()> {
/// # let runtime = ringway_runtime::Runtime::new()?;
/// # runtime.block_on(async {
/// let (send, receive) = std::sync::mpsc::channel();
/// Tasks::default().spawn_bg(std::future::pending());
/// let mut tasks = Tasks::default();
/// tasks.spawn_bg(async move { send.send("done").unwrap() });
/// assert_eq!(receive.recv(), Ok("done"));
/// # Ok(())
/// # })
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Tasks {
    shared: Arc<Running>,
}

impl Spawn for Tasks {
    fn spawn_bg(&mut self, future: impl Future<Output = ()> + Send + 'static) {
        let task = ringway_runtime::spawn(future).abort_handle();
        self.shared.add(task);
    }
}

/// The tasks that may still run.
#[derive(Debug, Default)]
struct Running {
    tasks: Mutex<Vec<AbortHandle>>,
}

impl Running {
    fn add(&self, task: AbortHandle) {
        let mut tasks = self.lock();
        // Before it would grow, so that there are never twice as many as have run at once.
        if tasks.len() == tasks.capacity() {
            tasks.retain(|task| !task.is_finished());
        }
        tasks.push(task);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<AbortHandle>> {
        // A panic leaves the list whole.
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let tasks = mem::take(&mut *self.lock());
        for task in tasks {
            task.abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::sync::mpsc;
    use std::time::Duration;

    use ringway_runtime::Runtime;

    use super::*;

    /// Longer than a loaded machine needs to run a task.
    const PATIENCE: Duration = Duration::from_secs(30);

    /// Says so when it is dropped.
    struct Guard(mpsc::Sender<()>);

    impl Drop for Guard {
        fn drop(&mut self) {
            let _ = self.0.send(());
        }
    }

    /// Mutant: no `Drop` for `Running`.
    #[test]
    fn tasks_end_with_the_last_copy() {
        Runtime::new().expect("a runtime").block_on(async {
            let (send, dropped) = mpsc::channel();
            let guard = Guard(send);
            let mut tasks = Tasks::default();
            let copy = tasks.clone();
            tasks.spawn_bg(async move {
                let _guard = guard;
                pending::<()>().await;
            });
            drop(tasks);
            let early = dropped.recv_timeout(Duration::from_millis(20));
            assert_eq!(early, Err(mpsc::RecvTimeoutError::Timeout));
            drop(copy);
            assert_eq!(dropped.recv_timeout(PATIENCE), Ok(()));
        });
    }

    /// Mutant: leave out the call of `retain`.
    #[test]
    fn tasks_that_have_ended_are_forgotten() {
        Runtime::new().expect("a runtime").block_on(async {
            let mut tasks = Tasks::default();
            for _ in 0..1_000 {
                let (send, done) = mpsc::channel();
                tasks.spawn_bg(async move { send.send(()).expect("it is waited for") });
                assert_eq!(done.recv_timeout(PATIENCE), Ok(()));
                while tasks
                    .shared
                    .lock()
                    .last()
                    .is_some_and(|task| !task.is_finished())
                {
                    std::thread::yield_now();
                }
            }
            assert!(tasks.shared.lock().len() <= 8);
        });
    }
}
