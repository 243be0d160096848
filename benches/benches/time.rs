//! Timers: ringway beside tokio, in processor time.

fn main() {
    ringway_benches::bench::main(&[
        "timer",
        "timer_64",
        "timer_among_1m",
        "timeout_64",
        "reset_later",
        "reset_earlier",
        "interval",
        "delay_queue",
        "delay_queue_expire",
    ]);
}
