//! Options of the runtime's threads: how many the blocking pool has, names, stacks, and the hooks into them.

use std::sync::Arc;
use std::time::Duration;

use super::Builder;

impl Builder {
    /// How many threads the blocking pool starts at most. The default is 512.
    ///
    /// # Panics
    ///
    /// If `threads` is zero.
    ///
    /// ```
    /// let runtime = ringway_runtime::Builder::new_current_thread().max_blocking_threads(8).build()?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn max_blocking_threads(&mut self, threads: usize) -> &mut Self {
        assert!(threads > 0, "Max blocking threads cannot be set to 0");
        self.config.max_blocking_threads = threads;
        self
    }

    /// How long an idle thread of the blocking pool waits for a job before it ends. The default is 10 seconds.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let runtime = ringway_runtime::Builder::new_current_thread()
    ///     .thread_keep_alive(Duration::from_millis(100))
    ///     .build()?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn thread_keep_alive(&mut self, duration: Duration) -> &mut Self {
        self.config.thread_keep_alive = duration;
        self
    }

    /// The name of the runtime's threads: workers, monitor and blocking pool. The default is `tokio-rt-worker`. The
    /// system shows its first 15 bytes.
    ///
    /// ```
    /// let runtime = ringway_runtime::Builder::new_multi_thread().thread_name("ingest").build()?;
    /// let name = runtime.spawn_blocking(|| std::thread::current().name().map(str::to_owned));
    /// assert_eq!(runtime.block_on(name).unwrap().as_deref(), Some("ingest"));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn thread_name(&mut self, name: impl Into<String>) -> &mut Self {
        let name = name.into();
        self.thread_name_fn(move || name.clone())
    }

    /// A function that names each of the runtime's threads. It is called by the thread that starts the new one.
    ///
    /// ```
    /// use std::sync::atomic::{AtomicU32, Ordering};
    ///
    /// let runtime = ringway_runtime::Builder::new_multi_thread()
    ///     .thread_name_fn(|| {
    ///         static NEXT: AtomicU32 = AtomicU32::new(0);
    ///         format!("ingest-{}", NEXT.fetch_add(1, Ordering::Relaxed))
    ///     })
    ///     .build()?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn thread_name_fn<F>(&mut self, name: F) -> &mut Self
    where
        F: Fn() -> String + Send + Sync + 'static,
    {
        self.config.thread_name = Arc::new(name);
        self
    }

    /// The stack size, in bytes, of the runtime's threads. The default is the standard library's, 2 MiB.
    ///
    /// ```
    /// let runtime = ringway_runtime::Builder::new_multi_thread().thread_stack_size(8 << 20).build()?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn thread_stack_size(&mut self, bytes: usize) -> &mut Self {
        self.config.thread_stack_size = Some(bytes);
        self
    }

    /// A function that each of the runtime's threads calls before it does any work. A panic in it is reported like any
    /// other and the thread goes on, as with all hooks into threads.
    ///
    /// ```
    /// let runtime = ringway_runtime::Builder::new_multi_thread()
    ///     .on_thread_start(|| println!("a thread has started"))
    ///     .build()?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn on_thread_start<F: Fn() + Send + Sync + 'static>(&mut self, hook: F) -> &mut Self {
        self.config.on_thread_start = Some(Arc::new(hook));
        self
    }

    /// A function that each of the runtime's threads calls before it ends.
    ///
    /// ```
    /// let runtime = ringway_runtime::Builder::new_multi_thread()
    ///     .on_thread_stop(|| println!("a thread ends"))
    ///     .build()?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn on_thread_stop<F: Fn() + Send + Sync + 'static>(&mut self, hook: F) -> &mut Self {
        self.config.on_thread_stop = Some(Arc::new(hook));
        self
    }

    /// A function that a worker calls before it sleeps. What it wakes or spawns is run before the worker does sleep.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use std::sync::atomic::{AtomicU32, Ordering};
    ///
    /// let sleeps = Arc::new(AtomicU32::new(0));
    /// let count = Arc::clone(&sleeps);
    /// let runtime = ringway_runtime::Builder::new_current_thread()
    ///     .on_thread_park(move || _ = count.fetch_add(1, Ordering::Relaxed))
    ///     .build()?;
    /// runtime.block_on(runtime.spawn_blocking(|| ())).unwrap();
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn on_thread_park<F: Fn() + Send + Sync + 'static>(&mut self, hook: F) -> &mut Self {
        self.config.on_thread_park = Some(Arc::new(hook));
        self
    }

    /// A function that a worker calls after it has slept, before it does any work.
    ///
    /// ```
    /// let runtime = ringway_runtime::Builder::new_multi_thread()
    ///     .on_thread_unpark(|| println!("a worker has woken"))
    ///     .build()?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn on_thread_unpark<F: Fn() + Send + Sync + 'static>(&mut self, hook: F) -> &mut Self {
        self.config.on_thread_unpark = Some(Arc::new(hook));
        self
    }
}
