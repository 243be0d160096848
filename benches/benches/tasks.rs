//! Tasks: spawning, joining, yielding, messages, blocking jobs: ringway beside tokio, in processor time.

fn main() {
    ringway_benches::bench::main(&[
        "spawn_worker",
        "spawn_root",
        "spawn_blocked_root",
        "spawn_outside",
        "spawn_outside_2",
        "spawn_beside_yields",
        "spawn_beside_spawns",
        "join",
        "join_1",
        "join_10",
        "yield",
        "ping_pong",
        "chained_spawn",
        "mpsc",
        "mpsc_5",
        "request_root",
        "request_root_1",
        "request_task",
        "spawn_blocking",
        "spawn_blocking_16",
        "spawn_blocking_32",
    ]);
}
