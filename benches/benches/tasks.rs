//! Tasks: spawning, joining, yielding, messages: ringway beside tokio, in processor time.

fn main() {
    ringway_benches::bench::main(&[
        "spawn_worker",
        "spawn_outside",
        "spawn_root",
        "join",
        "yield",
        "ping_pong",
        "chained_spawn",
    ]);
}
