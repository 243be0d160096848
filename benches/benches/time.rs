//! Timers: ringway beside tokio, in processor time.

fn main() {
    ringway_benches::bench::main(&["timer"]);
}
